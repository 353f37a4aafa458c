package capycoin

import (
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/uuid"
)

// TestTail lowers or raises the number of rows that a page claims to have, in a
// copy of the file as a killed process leaves it. Records that are hidden so
// are missed when the file is opened, or by the audit.
func TestTail(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "coins.db")
	led, err := Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := led.OpenAccount(ctx)
	for range 29 {
		if _, err := led.Transfer(ctx, Transfer{Sender: DefaultSeedAccount(), Receiver: a.ID, Amount: 10}); err != nil {
			t.Fatal(err)
		}
	}
	var ids []uuid.UUID
	ids = append(ids, a.ID)
	file, _ := os.ReadFile(path) // as after kill -9
	led.Close()
	pages := int(max(binary.NativeEndian.Uint64(file[metaPages:]), binary.NativeEndian.Uint64(file[testPage+metaPages:])))
	silent := 0
	for n := 2; n < pages; n++ {
		for bit := 0; bit < 5; bit++ {
			b := append([]byte(nil), file...)
			b[n*testPage+pageCount] ^= 1 << bit
			bad := filepath.Join(t.TempDir(), "bad.db")
			os.WriteFile(bad, b, 0o600)
			l, err := Open(bad, nil)
			if err != nil {
				continue
			}
			rep, err := l.Audit(ctx, nil)
			acct, _ := l.Account(ctx, ids[0])
			if err == nil && rep.Err() == nil && acct.Funds != 290 {
				silent++
				t.Errorf("page %d, count bit %d: Open ok, audit clean, funds %d instead of 290, tail %d", n, bit, acct.Funds, rep.Position)
			}
			l.Close()
		}
	}
}
