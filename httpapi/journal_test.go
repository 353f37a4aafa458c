package httpapi_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/httpapi"
)

// TestJournal makes a copy of the ledger of what the trusted side answers, and
// asks for what is not there.
func TestJournal(t *testing.T) {
	w := newWorld(t, setup{})
	own, other := w.open(1000), w.open(0)
	for n := range 20 {
		w.pay(own, other, int64(n+1)).ok()
	}
	page := func(after uint64) capycoin.JournalPage {
		got := w.tru.get(fmt.Sprintf("/journal?after=%d", after), "").ok()
		page, err := httpapi.ParseJournal(after, got.header, got.body)
		if err != nil {
			t.Fatal(err)
		}
		return page
	}
	asked := 0
	path := filepath.Join(t.TempDir(), "copy.db")
	rep, err := capycoin.Build(context.Background(), path, func(_ context.Context, after uint64) (capycoin.JournalPage, error) {
		asked++
		page := page(after)
		page.Records = page.Records[:min(len(page.Records), 7)]
		return page, nil
	}, nil)
	if err != nil || rep.Supply.Transactions != 21 || asked < 4 {
		t.Fatalf("after %d pages: %+v, %v", asked, rep, err)
	}
	copied, err := capycoin.OpenJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	defer copied.Close()
	got, err := copied.Page(context.Background(), 0)
	if err != nil || len(got.Records) == 0 {
		t.Fatal(err)
	}
	want := page(0)
	if len(got.Records) != len(want.Records) || got.End != want.End {
		t.Fatalf("%d records to %d, want %d to %d", len(got.Records), got.End, len(want.Records), want.End)
	}
	for i := range want.Records {
		if g, w := got.Records[i], want.Records[i]; g.Position != w.Position || !bytes.Equal(g.Data, w.Data) {
			t.Errorf("record %d is %x, want record %d: %x", g.Position, g.Data, w.Position, w.Data)
		}
	}
	if first := w.tru.get("/journal", "").ok(); !bytes.Equal(first.body, w.tru.get("/journal?after=0", "").ok().body) {
		t.Error("without after it is another page")
	}
	for _, after := range []uint64{want.End, want.End + 1, 1<<62 - 1} {
		if got := page(after); len(got.Records) != 0 || got.End != want.End {
			t.Errorf("after %d: %+v", after, got)
		}
	}
	for _, after := range []string{"-1", "1.5", "x", "%2B1", "4611686018427387904", "", "1&after=2", "1&before=2"} {
		w.tru.get("/journal?after="+after, "").wants(400, "bad_request")
	}
	w.pub.get("/journal", own.token).wants(404, "not_found")
}

// TestParseJournal: an answer that was cut off, or is none, is an error.
func TestParseJournal(t *testing.T) {
	body := []byte{0, 0, 0, 2, 'a', 'b', 0, 0, 0, 1, 'c'}
	header := func(end string) http.Header { return http.Header{"Journal-End": {end}} }
	page, err := httpapi.ParseJournal(7, header("9"), body)
	if err != nil || page.End != 9 || len(page.Records) != 2 || page.Records[1].Position != 9 || string(page.Records[0].Data) != "ab" {
		t.Errorf("got %+v, %v", page, err)
	}
	for n := range body {
		if page, err := httpapi.ParseJournal(7, header("9"), body[:n]); n != 0 && n != 6 && err == nil {
			t.Errorf("cut to %d bytes: %+v", n, page)
		}
	}
	if _, err := httpapi.ParseJournal(0, header("9"), []byte{255, 255, 255, 255, 1}); err == nil {
		t.Error("a length of 4 GiB passed")
	}
	for _, end := range []string{"", "-1", "x", strconv.FormatUint(1<<63, 10)} {
		if _, err := httpapi.ParseJournal(0, header(end), nil); err == nil {
			t.Errorf("Journal-End %q passed", end)
		}
	}
}
