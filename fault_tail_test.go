package capycoin_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/boltfile"
	"github.com/capycoin/capycoin/internal/pages"
)

// TestTail lowers or raises the number of rows that a page claims to have, and
// takes the last ones from the journal, in a copy of the file as a killed process
// leaves it. Records that are hidden so are missed when the file is opened, or by
// the audit.
func TestTail(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "coins.db")
	led, err := capycoin.Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := led.OpenAccount(ctx)
	for range 29 {
		if _, err := led.Transfer(ctx, capycoin.Transfer{Sender: capycoin.DefaultSeedAccount(), Receiver: a.ID, Amount: 10}); err != nil {
			t.Fatal(err)
		}
	}
	file, _ := os.ReadFile(path) // as after kill -9
	led.Close()
	total := int(max(binary.NativeEndian.Uint64(file[pages.MetaPages:]), binary.NativeEndian.Uint64(file[testPage+pages.MetaPages:])))
	try := func(what string, change func(path string, b []byte)) {
		bad := filepath.Join(t.TempDir(), "bad.db")
		change(bad, append([]byte(nil), file...))
		l, err := capycoin.Open(bad, nil)
		if err != nil {
			return
		}
		defer l.Close()
		rep, err := l.Audit(ctx, nil)
		acct, _ := l.Account(ctx, a.ID)
		if err == nil && rep.Err() == nil && acct.Funds != 290 {
			t.Errorf("%s: Open ok, audit clean, funds %d instead of 290, tail %d", what, acct.Funds, rep.Position)
		}
	}
	for n := 2; n < total; n++ {
		for bit := range 5 {
			try(fmt.Sprintf("page %d, count bit %d", n, bit), func(path string, b []byte) {
				b[n*testPage+pages.CountAt] ^= 1 << bit
				os.WriteFile(path, b, 0o600)
			})
		}
	}
	// Rows that are gone from a page which is in order, as an old copy of it is.
	for rows := 1; rows < 10; rows++ {
		try(fmt.Sprintf("%d rows less", rows), func(path string, b []byte) {
			os.WriteFile(path, b, 0o600)
			inBolt(t, path, func(tx *bolt.Tx) error {
				b := tx.Bucket(boltfile.JournalBucket)
				var err error
				for range rows {
					k, _ := b.Cursor().Last()
					err = errors.Join(err, b.Delete(bytes.Clone(k)))
				}
				return err
			})
		})
	}
}
