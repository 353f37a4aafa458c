package capycoin

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// damage in a crash copy, every page, the same kinds as TestDamagedPages in short
// TestCrashPages does the same to every page of copies made in mid-sweep.
func TestCrashPages(t *testing.T) {
	if testing.Short() {
		t.Skip("hundreds of ledgers")
	}
	ctx := context.Background()
	foldTuning = func(f *folder) { f.lag, f.slice = 100, 16 }
	defer func() { foldTuning = nil }()
	path := filepath.Join(t.TempDir(), "coins.db")
	led, err := Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	ids := [][16]byte{DefaultSeedAccount()}
	for range 20 {
		a, _ := led.OpenAccount(ctx)
		ids = append(ids, a.ID)
	}
	for i := range 700 {
		if _, err := led.Transfer(ctx, Transfer{Sender: ids[0], Receiver: ids[1+i%20], Amount: 1, Key: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	state := func(l *Ledger) string {
		s := ""
		for _, id := range ids {
			a, err := l.Account(ctx, id)
			s += fmt.Sprint(a.Funds, a.Transactions, err, " ")
		}
		return s
	}
	want := state(led)
	file, _ := os.ReadFile(path)
	led.Close()
	pages := int(max(binary.NativeEndian.Uint64(file[metaPages:]), binary.NativeEndian.Uint64(file[testPage+metaPages:])))
	bad := filepath.Join(t.TempDir(), "bad.db")
	page := func(b []byte, n int) []byte { return b[n*testPage : (n+1)*testPage] }
	for n := 0; n < pages; n++ {
		kinds := map[string]func(b []byte){}
		for d := 1; d < 60; d++ {
			kinds[fmt.Sprint("count-", d)] = func(b []byte) {
				c := binary.NativeEndian.Uint16(page(b, n)[pageCount:])
				if int(c) > d {
					binary.NativeEndian.PutUint16(page(b, n)[pageCount:], c-uint16(d))
				}
			}
		}
		for kind, f := range kinds {
			b := append([]byte(nil), file...)
			f(b)
			if string(b) == string(file) {
				continue
			}
			os.WriteFile(bad, b, 0o600)
			l, err := Open(bad, nil)
			if err != nil {
				continue
			}
			rep, err := l.Audit(ctx, nil)
			if err == nil && rep.Err() == nil {
				if got := state(l); got != want {
					t.Errorf("page %d %s: clean audit, wrong: tail %d", n, kind, rep.Position)
				}
			}
			l.Close()
		}
	}
}
