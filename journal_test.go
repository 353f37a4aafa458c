package capycoin_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/capycoin/capycoin"
)

// TestJournal lists records as they are, also across pages.
func TestJournal(t *testing.T) {
	ctx := context.Background()
	w := newCopyWorld(t, 14)
	w.do(600)
	records := make(map[uint64][]byte)
	next := uint64(1)
	for r, err := range w.led.Journal(ctx, 0) {
		if err != nil || r.Position != next {
			t.Fatalf("record %d, want %d, %v", r.Position, next, err)
		}
		records[r.Position] = r.Data
		next++
	}
	tail := endOf(w.led.Ledger)
	if next != tail+1 {
		t.Errorf("it ended before record %d of %d", next, tail)
	}
	page, err := w.led.JournalPage(ctx, 0)
	if err != nil || uint64(len(page.Records)) == tail || page.End != tail {
		t.Errorf("a page with %d of %d records, %v", len(page.Records), tail, err)
	}
	for _, after := range []uint64{tail, tail + 1, 1 << 63} {
		if page, err := w.led.JournalPage(ctx, after); err != nil || len(page.Records) != 0 || page.End != tail {
			t.Errorf("after %d: %+v, %v", after, page, err)
		}
	}
	w.do(50) // what was read is the caller's
	if err := w.led.Close(); err != nil {
		t.Fatal(err)
	}
	for i, want := range contentsOf(t, w.path).records[:tail] {
		if !bytes.Equal(records[uint64(i)+1], want) {
			t.Fatalf("record %d is another", i+1)
		}
	}
	if _, err := w.led.JournalPage(ctx, 0); !errors.Is(err, capycoin.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}
