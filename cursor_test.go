package capycoin

import (
	"errors"
	"path/filepath"
	"testing"
)

// TestForgedCursor changes cursors as their holder can. One whose range ends
// before what it goes on with was never given out; to look for what it asks for
// would be to read the whole history, however short the page.
func TestForgedCursor(t *testing.T) {
	ctx := t.Context()
	led, err := Open(filepath.Join(t.TempDir(), "ledger.db"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer led.Close()
	acct, err := led.OpenAccount(ctx)
	if err != nil {
		t.Fatal(err)
	}
	const count = 5
	for range count {
		if _, err := led.Transfer(ctx, Transfer{Sender: DefaultSeedAccount(), Receiver: acct.ID, Amount: 1}); err != nil {
			t.Fatal(err)
		}
	}
	page, err := led.TransactionPage(ctx, acct.ID, Range{Order: NewestFirst, Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	given, err := parseCursor(page.Next)
	if err != nil || given.next != count-1 {
		t.Fatalf("got a cursor to %d, %v, want one to %d", given.next, err, count-1)
	}
	rest, err := led.TransactionPage(ctx, acct.ID, Range{Cursor: page.Next})
	if err != nil || len(rest.Transactions) != count-1 {
		t.Fatalf("got %d transactions, %v, want %d", len(rest.Transactions), err, count-1)
	}
	at := rest.Transactions[0].Timestamp.UnixMicro() // of the one that the cursor names
	for _, tt := range []struct {
		name string
		end  int64
		next int64
		want error
	}{
		{"as it was given", given.end, given.next, nil},
		{"an end just after it", at + 1, given.next, nil},
		{"an end at it", at, given.next, ErrBadCursor},
		{"an end before all", 0, given.next, ErrBadCursor},
		{"an end before time", -1 << 63, given.next, ErrBadCursor},
		{"the last one", 0, count, ErrBadCursor},
		{"one that is not there", 0, count + 1, nil}, // and costs nothing
	} {
		t.Run(tt.name, func(t *testing.T) {
			forged := given
			forged.end, forged.next = tt.end, tt.next
			if _, err := led.TransactionPage(ctx, acct.ID, Range{Cursor: forged.cursor(), Limit: 1}); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}
