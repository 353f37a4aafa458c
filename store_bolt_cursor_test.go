package capycoin

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	bolt "go.etcd.io/bbolt"
)

// TestTreeCursor goes to and fro as bbolt's own cursor does, in trees of several
// depths, with rows that are longer than a page and leaves that have none left.
func TestTreeCursor(t *testing.T) {
	for _, size := range []int{0, 1, 5, 100, 3000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(7, uint64(size)))
			db, err := bolt.Open(filepath.Join(t.TempDir(), "tree.db"), 0o600, &bolt.Options{PageSize: 1024, NoSync: true})
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			key := func() []byte {
				k := make([]byte, 1+rng.IntN(12))
				for i := range k {
					k[i] = byte(rng.IntN(6))
				}
				return k
			}
			name := []byte("bucket")
			err = db.Update(func(tx *bolt.Tx) error {
				b, err := tx.CreateBucket(name)
				for range size {
					err = errors.Join(err, b.Put(key(), make([]byte, rng.IntN(60)*rng.IntN(60))))
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			moves := func(tx *bolt.Tx) error {
				b := tx.Bucket(name)
				theirs, ours := b.Cursor(), newTreeCursor(b)
				if size >= 100 && ours.small != nil {
					t.Fatal("the bucket has no pages")
				}
				theirs.First()
				ours.First()
				deepest := 0
				for n := range 20_000 {
					var k, v, k2, v2 []byte
					move := rng.IntN(12)
					switch seek := key(); {
					case move == 0:
						k, v = theirs.Seek(seek)
						k2, v2 = ours.Seek(seek)
					case move == 1 && rng.IntN(20) == 0:
						k, v = theirs.First()
						k2, v2 = ours.First()
					case move == 2 && rng.IntN(20) == 0:
						k, v = theirs.Last()
						k2, v2 = ours.Last()
					case n/100%2 == 0:
						k, v = theirs.Next()
						k2, v2 = ours.Next()
					default:
						k, v = theirs.Prev()
						k2, v2 = ours.Prev()
					}
					if !bytes.Equal(k, k2) || (k == nil) != (k2 == nil) || !bytes.Equal(v, v2) {
						t.Fatalf("step %d, move %d: got %x of %d bytes, want %x of %d", n, move, k2, len(v2), k, len(v))
					}
					deepest = max(deepest, len(ours.levels))
				}
				if size == 3000 && deepest < 3 {
					t.Errorf("the tree has %d levels only", deepest)
				}
				return nil
			}
			if err := db.View(moves); err != nil {
				t.Fatal(err)
			}
			// In a transaction that writes, before it does.
			if err := db.Update(moves); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// circle returns a file in which a page is a branch that leads to itself, as an
// old copy of a leaf may.
func circle(file []byte, pageSize, pgid int) []byte {
	file = bytes.Clone(file)
	page := file[pgid*pageSize : (pgid+1)*pageSize]
	clear(page[pageFlags:])
	order := binary.NativeEndian
	order.PutUint16(page[pageFlags:], flagBranch)
	order.PutUint16(page[pageCount:], 1)
	order.PutUint32(page[pageHeader:], elementSize)
	order.PutUint32(page[pageHeader+4:], 8)
	order.PutUint64(page[pageHeader+8:], uint64(pgid))
	return file
}

// TestLeafIsBranch puts a branch that leads to itself in the place of a leaf,
// before the file is opened and while it is open. bbolt would go down it until the
// stack is gone. Opening says so, or the audit does, and whatever else is asked for
// or paid comes to an end.
func TestLeafIsBranch(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine, a large ledger")
	}
	if os.Getpagesize() != testPage {
		t.Skip("the pages of this machine have another size")
	}
	d := newDamageLedger(t, testPage, false)
	f, err := os.Open(damagedFile(t, d.file))
	if err != nil {
		t.Fatal(err)
	}
	newest, err := checkMetas(f, false)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	use := func(path string) {
		led, err := Open(path, &Options{NoWitness: true, AccountCache: 16})
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Error(err)
			}
			return
		}
		defer led.Close()
		ctx := context.Background()
		rep, err := led.Audit(ctx, nil)
		if err == nil && rep.Err() == nil {
			t.Errorf("%s: the audit is clean", path)
		}
		askAll(led, d)
	}
	refused, live := 0, 0
	for pgid := 2; pgid < d.pages; pgid += 3 {
		if flagsOf(d.page(d.file, pgid)) != flagLeaf || d.free[pgid] || uint64(pgid) == newest.root {
			continue
		}
		bad := circle(d.file, testPage, pgid)
		path := damagedFile(t, bad)
		if led, err := Open(path, &Options{NoWitness: true}); err != nil {
			refused++
		} else {
			led.Close()
		}
		use(path)
		// While it is open.
		path = damagedFile(t, d.file)
		led, err := Open(path, &Options{NoWitness: true, AccountCache: 16})
		if err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt(d.page(bad, pgid), int64(pgid)*testPage); err != nil {
			t.Fatal(err)
		}
		f.Close()
		askAll(led, d)
		led.Close()
		live++
	}
	if live < 10 || refused == live {
		t.Errorf("%d leaves, of which opening refused %d", live, refused)
	}
}

// askAll reads and pays whatever there is, and looks at no answer.
func askAll(led *Ledger, d *damageLedger) {
	ctx := context.Background()
	d.answers(led)
	for i, id := range d.ids {
		led.Transfer(ctx, Transfer{Sender: DefaultSeedAccount(), Receiver: id, Amount: 1, Key: fmt.Sprint("circle ", i)})
	}
	for _, tr := range d.keyed {
		led.Transfer(ctx, tr)
	}
}
