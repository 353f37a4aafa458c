package capycoin

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
)

// TestDamagedPages damages each page of a ledger's file in each of several
// ways. The process lives, and either opening says so, or an answer does, or
// the audit does; or every answer is as it was, because the damage lies where
// nothing is.
func TestDamagedPages(t *testing.T) {
	if os.Getpagesize() != testPage {
		t.Skip("the pages of this machine have another size")
	}
	if testing.Short() {
		t.Skip("hundreds of ledgers")
	}
	path := filepath.Join(t.TempDir(), "coins.db")
	led, err := Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	ids := []uuid.UUID{DefaultSeedAccount()}
	for range 40 {
		acct, err := led.OpenAccount(ctx)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, acct.ID)
	}
	for n := range 10 {
		batch := make([]Transfer, 60)
		for i := range batch {
			batch[i] = Transfer{Sender: ids[0], Receiver: ids[1+(n+i)%40], Amount: 1, Key: fmt.Sprintf("%d-%d", n, i)}
		}
		if _, err := led.TransferBatch(ctx, batch, Atomic); err != nil {
			t.Fatal(err)
		}
		if n == 5 { // stale copies of the rows, and rows that lag
			if err := led.Close(); err != nil {
				t.Fatal(err)
			}
			if led, err = Open(path, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	want, err := allAnswers(led, ids)
	if err := errors.Join(err, led.Close()); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	pages := int(max(binary.NativeEndian.Uint64(file[metaPages:]), binary.NativeEndian.Uint64(file[testPage+metaPages:])))
	file = file[:pages*testPage]
	page := func(b []byte, n int) []byte { return b[n*testPage : (n+1)*testPage] }
	kinds := map[string]func(b []byte, n int){
		"zeroed": func(b []byte, n int) { clear(page(b, n)) },
		"ones":   func(b []byte, n int) { copy(page(b, n), bytes.Repeat([]byte{0xff}, testPage)) },
		"swapped": func(b []byte, n int) {
			o := 2 + (n+1)%(pages-2)
			copy(page(b, n), page(file, o))
			copy(page(b, o), page(file, n))
		},
		"another's":     func(b []byte, n int) { copy(page(b, n), page(file, 2+(n+3)%(pages-2))) },
		"half":          func(b []byte, n int) { clear(page(b, n)[testPage/2:]) },
		"header, id":    func(b []byte, n int) { page(b, n)[0] ^= 1 },
		"header, kind":  func(b []byte, n int) { page(b, n)[8] ^= 3 },
		"header, count": func(b []byte, n int) { page(b, n)[10] ^= 2 },
		"header, more":  func(b []byte, n int) { page(b, n)[12] ^= 1 },
		"element":       func(b []byte, n int) { page(b, n)[16+4] ^= 8 },
		"element, size": func(b []byte, n int) { page(b, n)[16+12] ^= 64 },
		"element, key":  func(b []byte, n int) { page(b, n)[16+8] ^= 1 },
		"middle":        func(b []byte, n int) { page(b, n)[testPage/2] ^= 16 },
		"late":          func(b []byte, n int) { page(b, n)[testPage-200] ^= 1 },
		"itself":        func(b []byte, n int) { binary.NativeEndian.PutUint64(page(b, n)[16+8:], uint64(n)) },
	}
	outcomes := make(map[string]int)
	for kind, damage := range kinds {
		for n := range pages {
			b := bytes.Clone(file)
			damage(b, n)
			if bytes.Equal(b, file) {
				continue
			}
			bad := filepath.Join(filepath.Dir(path), fmt.Sprintf("bad-%d-%s.db", n, kind))
			if err := os.WriteFile(bad, b, 0o600); err != nil {
				t.Fatal(err)
			}
			outcomes[tryDamaged(t, fmt.Sprintf("page %d, %s", n, kind), bad, ids, want)]++
			os.Remove(bad)
		}
	}
	t.Logf("%d pages: %v", pages, outcomes)
}

// tryDamaged opens a damaged file and asks it everything, and returns how the
// damage showed.
func tryDamaged(t *testing.T, name, path string, ids []uuid.UUID, want string) string {
	t.Helper()
	defer func() {
		if f, err := os.Open(path); err != nil {
			t.Error(err)
		} else if err := errors.Join(lockFile(f, 10*time.Millisecond), f.Close()); err != nil {
			t.Errorf("%s: the lock of the file was left: %v", name, err)
		}
	}()
	led, err := Open(path, nil)
	if err != nil {
		if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrNotLedger) && !errors.Is(err, ErrNewerFormat) {
			t.Errorf("%s: Open: got %v, want an error that says damaged", name, err)
		}
		return "refused"
	}
	defer func() {
		if err := led.Close(); err != nil {
			t.Logf("%s: Close: %v", name, err)
		}
	}()
	rep, err := led.Audit(context.Background(), nil)
	if err != nil || rep.Err() != nil {
		return "found by the audit"
	}
	got, err := allAnswers(led, ids)
	if err != nil {
		t.Errorf("%s: the audit was clean, then: %v", name, err)
		return "found later"
	}
	if got != want {
		t.Errorf("%s: the audit was clean, and an answer is wrong", name)
	}
	return "nothing lost"
}

// allAnswers asks a ledger everything about some accounts.
func allAnswers(led *Ledger, ids []uuid.UUID) (string, error) {
	ctx := context.Background()
	var b bytes.Buffer
	s, err := led.Supply(ctx)
	if err != nil {
		return "", err
	}
	fmt.Fprintln(&b, s)
	for acct, err := range led.Accounts(ctx) {
		if err != nil {
			return "", err
		}
		fmt.Fprintln(&b, acct)
	}
	for _, id := range ids {
		for tx, err := range led.Transactions(ctx, id, Range{Order: NewestFirst, Limit: MaxPage}) {
			if err != nil {
				return "", err
			}
			fmt.Fprintln(&b, tx)
		}
	}
	return b.String(), nil
}
