package capycoin_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	bolt "go.etcd.io/bbolt"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/accounts"
	"github.com/capycoin/capycoin/internal/boltfile"
	"github.com/capycoin/capycoin/internal/example"
	"github.com/capycoin/capycoin/internal/keyindex"
	"github.com/capycoin/capycoin/internal/pages"
	"github.com/capycoin/capycoin/store"
)

// newFile makes a ledger with a few transfers and returns its path.
func newFile(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "coins.db")
	led, err := capycoin.Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	acct, err := led.OpenAccount(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := led.Transfer(ctx, capycoin.Transfer{Sender: capycoin.DefaultSeedAccount(), Receiver: acct.ID, Amount: 5}); err != nil {
			t.Fatal(err)
		}
	}
	if err := led.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// patch changes a file's bytes in place.
func patch(t testing.TB, path string, change func(b []byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, change(b), 0o600); err != nil {
		t.Fatal(err)
	}
}

// inBolt changes a ledger's file with bbolt.
func inBolt(t testing.TB, path string, change func(*bolt.Tx) error) {
	t.Helper()
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Update(change), db.Close()); err != nil {
		t.Fatal(err)
	}
}

const testPage = 4096 // of a bbolt file, on the machines that run tests

func needsTestPage(t *testing.T) {
	t.Helper()
	if os.Getpagesize() != testPage {
		t.Skip("the pages of this machine have another size")
	}
}

// TestOpenRefuses opens what is no ledger, or not the one asked for: each has
// an error of its own, the file is as it was, and its lock is gone.
func TestOpenRefuses(t *testing.T) {
	needsTestPage(t)
	newer := func(b []byte) int { // offset of the newer meta page
		txid := func(at int) uint64 { return binary.NativeEndian.Uint64(b[at+pages.MetaTxid:]) }
		if txid(testPage) > txid(0) {
			return testPage
		}
		return 0
	}
	bytesOf := func(change func(b []byte) []byte) func(t *testing.T, path string) {
		return func(t *testing.T, path string) { patch(t, path, change) }
	}
	for name, tt := range map[string]struct {
		change func(t *testing.T, path string)
		opts   *capycoin.Options
		want   error
	}{
		"another supply":       {nil, &capycoin.Options{Supply: 7}, capycoin.ErrSupplyMismatch},
		"another seed account": {nil, &capycoin.Options{SeedAccount: uuid.New()}, capycoin.ErrSeedMismatch},
		"a directory": {func(t *testing.T, path string) {
			if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o700)); err != nil {
				t.Fatal(err)
			}
		}, nil, store.ErrIsDirectory},
		"no bytes":          {bytesOf(func([]byte) []byte { return nil }), nil, store.ErrEmptyFile},
		"one byte":          {bytesOf(func([]byte) []byte { return []byte{0} }), nil, store.ErrNotLedger},
		"text":              {bytesOf(func([]byte) []byte { return bytes.Repeat([]byte("not a ledger\n"), 5000) }), nil, store.ErrNotLedger},
		"SQLite":            {bytesOf(func(b []byte) []byte { clear(b); copy(b, "SQLite format 3\x00"); return b }), nil, store.ErrNotLedger},
		"cut short":         {bytesOf(func(b []byte) []byte { return b[:5*testPage] }), nil, store.ErrCorrupt},
		"cut to the metas":  {bytesOf(func(b []byte) []byte { return b[:2*testPage] }), nil, store.ErrCorrupt},
		"cut within a meta": {bytesOf(func(b []byte) []byte { return b[:testPage+20] }), nil, store.ErrCorrupt},
		"newer meta zeroed": {bytesOf(func(b []byte) []byte { at := newer(b); clear(b[at : at+testPage]); return b }), nil, store.ErrCorrupt},
		"older meta zeroed": {bytesOf(func(b []byte) []byte { at := testPage - newer(b); clear(b[at : at+testPage]); return b }), nil, store.ErrCorrupt},
		"newer meta, a bit": {bytesOf(func(b []byte) []byte { b[newer(b)+pages.MetaPages] ^= 1; return b }), nil, store.ErrCorrupt},
		"newer meta stale": {bytesOf(func(b []byte) []byte {
			// What a disk gives that lost the last writes of this page.
			at := newer(b)
			binary.NativeEndian.PutUint64(b[at+pages.MetaTxid:], binary.NativeEndian.Uint64(b[at+pages.MetaTxid:])-4)
			resealMeta(b[at:])
			return b
		}), nil, store.ErrCorrupt},
		"another program's bbolt file": {func(t *testing.T, path string) {
			inBolt(t, path, func(tx *bolt.Tx) error { return tx.DeleteBucket(boltfile.MetaBucket) })
		}, nil, store.ErrNotLedger},
		"format number damaged": {func(t *testing.T, path string) {
			inBolt(t, path, func(tx *bolt.Tx) error {
				v := boltfile.FormatValue(2)
				v[len(v)-1] ^= 1
				return tx.Bucket(boltfile.MetaBucket).Put(boltfile.FormatKey, v)
			})
		}, nil, store.ErrCorrupt},
		"a newer format": {func(t *testing.T, path string) {
			inBolt(t, path, func(tx *bolt.Tx) error {
				return tx.Bucket(boltfile.MetaBucket).Put(boltfile.FormatKey, boltfile.FormatValue(boltfile.FormatNumber+1))
			})
		}, nil, store.ErrNewerFormat},
		"no journal": {func(t *testing.T, path string) {
			inBolt(t, path, func(tx *bolt.Tx) error { return tx.DeleteBucket(boltfile.JournalBucket) })
		}, nil, store.ErrCorrupt},
		"empty journal": {func(t *testing.T, path string) {
			inBolt(t, path, func(tx *bolt.Tx) error {
				if err := tx.DeleteBucket(boltfile.JournalBucket); err != nil {
					return err
				}
				_, err := tx.CreateBucket(boltfile.JournalBucket)
				return err
			})
		}, nil, store.ErrCorrupt},
		"journal without its end": {func(t *testing.T, path string) {
			inBolt(t, path, func(tx *bolt.Tx) error {
				c := tx.Bucket(boltfile.JournalBucket).Cursor()
				c.Last()
				return c.Delete()
			})
		}, nil, store.ErrCorrupt},
		"last row of keys damaged": {func(t *testing.T, path string) {
			inBolt(t, path, func(tx *bolt.Tx) error {
				key := example.KeyRowKey([]keyindex.Entry{{Hash: 1, Position: 3}})
				return tx.Bucket(boltfile.Tables[store.TableKeys]).Put(key, []byte{1, 2, 3, 4, 5})
			})
		}, nil, store.ErrCorrupt},
		"state row damaged": {func(t *testing.T, path string) {
			inBolt(t, path, func(tx *bolt.Tx) error {
				b := tx.Bucket(boltfile.Tables[store.TableState])
				v := bytes.Clone(b.Get(accounts.StateKey))
				v[5] ^= 1
				return b.Put(accounts.StateKey, v)
			})
		}, nil, store.ErrCorrupt},
	} {
		t.Run(name, func(t *testing.T) {
			path := newFile(t)
			if tt.change != nil {
				tt.change(t, path)
			}
			before, _ := os.ReadFile(path) // fails for a directory
			for range 2 {                  // twice: the first try has let go of everything
				led, err := capycoin.Open(path, tt.opts)
				if led != nil {
					led.Close()
				}
				if !errors.Is(err, tt.want) {
					t.Fatalf("got error %v, want %v", err, tt.want)
				}
				if !strings.Contains(err.Error(), path) {
					t.Errorf("the error %q does not name the file", err)
				}
			}
			if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
				t.Error("the file has changed")
			}
			filesLeft(t, path)
		})
	}
}

// filesLeft makes sure that there is nothing beside a ledger but its witness.
func filesLeft(t *testing.T, path string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 2 || entries[1].Name() != filepath.Base(path)+".witness" {
		t.Errorf("files were left behind: %v, %v", entries, err)
	}
}

// resealMeta gives a meta page the checksum that it should have.
func resealMeta(page []byte) {
	binary.NativeEndian.PutUint64(page[pages.MetaSum:], pages.MetaChecksum(page))
}

// TestLocked opens a file that is open: the second one is told so, in the time
// it was given, and gets in when the first has closed.
func TestLocked(t *testing.T) {
	path := newFile(t)
	led, err := capycoin.Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if _, err := capycoin.Open(path, &capycoin.Options{LockTimeout: 50 * time.Millisecond}); !errors.Is(err, store.ErrLocked) {
		t.Errorf("got %v, want ErrLocked", err)
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("it took %v, want about 50 ms", took)
	}
	done := make(chan error)
	go func() {
		second, err := capycoin.Open(path, &capycoin.Options{LockTimeout: time.Minute})
		if err == nil {
			err = second.Close()
		}
		done <- err
	}()
	time.Sleep(20 * time.Millisecond)
	if err := led.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("the one that waited: %v", err)
	}
}

// TestLockedReplaced puts another file in the place of one that somebody waits
// for, as a repair does: who waited does not get the one that has no name any more.
// On a busy machine it may not wait yet, and opens the new one; then the other is
// given more time to begin.
func TestLockedReplaced(t *testing.T) {
	for begins := 50 * time.Millisecond; ; begins *= 4 {
		err := openReplaced(t, begins)
		if errors.Is(err, store.ErrLocked) {
			return
		}
		if begins > 3*time.Second {
			t.Fatalf("got %v, want ErrLocked", err)
		}
	}
}

// openReplaced is how a file is opened that is replaced some time after that began.
func openReplaced(t *testing.T, begins time.Duration) error {
	path := newFile(t)
	led, err := capycoin.Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		second, err := capycoin.Open(path, &capycoin.Options{LockTimeout: time.Minute})
		if err == nil {
			err = errors.Join(errors.New("it was opened"), second.Close())
		}
		done <- err
	}()
	time.Sleep(begins)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(path+".new", b, 0o600), os.Rename(path+".new", path), led.Close()); err != nil {
		t.Fatal(err)
	}
	return <-done
}

// TestCreatedOnce opens a path that names nothing from many goroutines at
// once: all get the same ledger, one after the other.
func TestCreatedOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "coins.db")
	var wg sync.WaitGroup
	var mu sync.Mutex
	ids := make(map[uuid.UUID]int)
	for range 16 {
		wg.Go(func() {
			led, err := capycoin.Open(path, &capycoin.Options{LockTimeout: time.Minute})
			if err != nil {
				t.Error(err)
				return
			}
			s, err := led.Supply(context.Background())
			if err := errors.Join(err, led.Close()); err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			ids[s.LedgerID]++
		})
	}
	wg.Wait()
	if len(ids) != 1 {
		t.Errorf("got ledgers %v, want one", ids)
	}
	filesLeft(t, path)
}

// TestFileMode checks that nobody else can read the books.
func TestFileMode(t *testing.T) {
	info, err := os.Stat(newFile(t))
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o600 {
		t.Errorf("got mode %v, want 0600", got)
	}
}

// TestNoFolder names the folder that is not there.
func TestNoFolder(t *testing.T) {
	_, err := capycoin.Open(filepath.Join(t.TempDir(), "no", "coins.db"), nil)
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want an error that says that the folder is not there", err)
	}
}
