package boltfile_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"
	"unsafe"

	bolt "go.etcd.io/bbolt"

	"github.com/capycoin/capycoin/internal/boltfile"
	"github.com/capycoin/capycoin/internal/pages"
	"github.com/capycoin/capycoin/store"
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
				theirs, ours := b.Cursor(), boltfile.NewCursor(b)
				if size >= 100 && ours.Small != nil {
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
					deepest = max(deepest, len(ours.Levels))
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

// TestBesideBent has rows written and removed on a page beside one that does not
// begin with the key that leads to it, or on one that has no rows left.
func TestBesideBent(t *testing.T) {
	ctx := t.Context()
	order := binary.NativeEndian
	for _, tt := range []struct {
		name         string
		bent, change int // of the pages below a branch
		empty        bool
		last         bool // the last key of the page is after the next page
		remove       bool
		fails        bool
	}{
		{name: "nothing is bent", bent: -1, change: 3, remove: true},
		{name: "the page before", bent: 2, change: 3, remove: true, fails: true},
		{name: "the page after", bent: 4, change: 3, remove: true, fails: true},
		{name: "the page after the first", bent: 1, change: 0, remove: true, fails: true},
		{name: "another", bent: 6, change: 3, remove: true},
		{name: "itself", bent: 3, change: 3, fails: true},
		{name: "before it, nothing removed", bent: 2, change: 3},
		{name: "no rows", bent: 3, change: 3, empty: true, fails: true},
		{name: "its last key", bent: 3, change: 3, last: true, fails: true},
		{name: "the last key of the page before", bent: 2, change: 3, last: true, remove: true, fails: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "coins.db")
			db, err := bolt.Open(path, 0o600, &bolt.Options{PageSize: 1024})
			if err != nil {
				t.Fatal(err)
			}
			err = db.Update(func(tx *bolt.Tx) error {
				_, err := tx.CreateBucket(boltfile.Tables[store.TableTokens])
				return err
			})
			if err := errors.Join(err, db.Close()); err != nil {
				t.Fatal(err)
			}
			open := func() *boltfile.File {
				s, err := boltfile.OpenExisting(path, time.Second)
				if err != nil {
					t.Fatal(err)
				}
				return s
			}
			s := open()
			var rows []store.Row
			for n := range 3000 {
				rows = append(rows, store.Row{Table: store.TableTokens, Key: binary.BigEndian.AppendUint64(nil, uint64(n)<<8), Value: []byte("value")})
			}
			if err := errors.Join(s.Put(ctx, rows), s.Flush(ctx)); err != nil {
				t.Fatal(err)
			}
			// The keys on the page that is changed, and where what is bent lies.
			var keys [][]byte
			var at int64
			err = s.ViewTx(func(tx *bolt.Tx) error {
				b, err := boltfile.BucketOf(tx, boltfile.Tables[store.TableTokens])
				if err != nil {
					return err
				}
				c := boltfile.NewCursor(b)
				c.First()
				c.Levels = c.Levels[:len(c.Levels)-1]
				branch := &c.Levels[len(c.Levels)-1]
				branch.Index = tt.change
				for leaf, i := c.Child(), 0; i < int(leaf.Count); i++ {
					keys = append(keys, bytes.Clone(leaf.Key(i)))
				}
				if tt.bent < 0 {
					return nil
				}
				element := branch.Page[pages.HeaderSize+tt.bent*pages.ElementSize:]
				at = int64(uintptr(unsafe.Pointer(&element[0]))-uintptr(unsafe.Pointer(&c.Data[0]))) + int64(order.Uint32(element)) + 7
				child := int64(order.Uint64(element[8:])) * 1024
				switch {
				case tt.empty:
					at = child + pages.CountAt
				case tt.last:
					branch = &c.Levels[len(c.Levels)-2]
					branch.Index = tt.bent
					c.Levels = c.Levels[:len(c.Levels)-1]
					leaf := c.Child()
					at = child + int64(cap(leaf.Page)-cap(leaf.Key(int(leaf.Count)-1)))
				}
				return nil
			})
			if err := errors.Join(err, s.Close()); err != nil {
				t.Fatal(err)
			}
			if tt.bent >= 0 {
				f, err := os.OpenFile(path, os.O_RDWR, 0)
				if err != nil {
					t.Fatal(err)
				}
				to := []byte{1}
				if tt.empty {
					to = []byte{0, 0}
				}
				_, err = f.WriteAt(to, at)
				if err := errors.Join(err, pages.CheckFile(f), f.Close()); err != nil {
					t.Fatal(err)
				}
			}
			s = open()
			rows = nil
			for _, k := range keys[1:] {
				row := store.Row{Table: store.TableTokens, Key: k, Value: []byte("another")}
				if tt.remove {
					row.Value = nil
				}
				rows = append(rows, row)
			}
			err = errors.Join(s.Put(ctx, rows), s.Flush(ctx))
			if tt.fails != errors.Is(err, store.ErrCorrupt) || !tt.fails && err != nil {
				t.Errorf("got %v", err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(pages.CheckFile(f), f.Close()); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}
