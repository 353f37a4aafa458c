package capycoin_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/pages"
	"github.com/capycoin/capycoin/store"
)

// circle returns a file in which a page is a branch that leads to itself, as an
// old copy of a leaf may.
func circle(file []byte, pageSize, pgid int) []byte {
	file = bytes.Clone(file)
	page := file[pgid*pageSize : (pgid+1)*pageSize]
	clear(page[pages.FlagsAt:])
	order := binary.NativeEndian
	order.PutUint16(page[pages.FlagsAt:], pages.FlagBranch)
	order.PutUint16(page[pages.CountAt:], 1)
	order.PutUint32(page[pages.HeaderSize:], pages.ElementSize)
	order.PutUint32(page[pages.HeaderSize+4:], 8)
	order.PutUint64(page[pages.HeaderSize+8:], uint64(pgid))
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
	t.Parallel()
	needsTestPage(t)
	d := newDamageLedger(t, testPage, false)
	f, err := os.Open(damagedFile(t, d.file))
	if err != nil {
		t.Fatal(err)
	}
	newest, err := pages.CheckMetas(f, false)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	use := func(path string) {
		led, err := capycoin.Open(path, &capycoin.Options{NoWitness: true, AccountCache: 16})
		if err != nil {
			if !errors.Is(err, store.ErrCorrupt) {
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
		d.answers(led)
		d.goOn(led)
	}
	refused, live := 0, 0
	for pgid := 2; pgid < d.pages; pgid += 3 {
		if pages.Flags(d.page(d.file, pgid)) != pages.FlagLeaf || d.free[pgid] || uint64(pgid) == newest.Root {
			continue
		}
		bad := circle(d.file, testPage, pgid)
		path := damagedFile(t, bad)
		if led, err := capycoin.Open(path, &capycoin.Options{NoWitness: true}); err != nil {
			refused++
		} else {
			led.Close()
		}
		use(path)
		// While it is open.
		path = damagedFile(t, d.file)
		led, err := capycoin.Open(path, &capycoin.Options{NoWitness: true, AccountCache: 16})
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
		d.answers(led)
		d.goOn(led)
		led.Close()
		live++
	}
	if live < 10 || refused == live {
		t.Errorf("%d leaves, of which opening refused %d", live, refused)
	}
}

// bentKeys returns files in which one key of a branch is a little smaller or
// larger, but in order with those beside it.
func (d *damageLedger) bentKeys(pgid int) (files [][]byte) {
	page := d.page(d.file, pgid)
	key := func(i int) []byte {
		if i < 0 || i >= d.elements(page) {
			return nil
		}
		at, _ := d.element(page, i)
		return page[at[0] : at[0]+at[1]]
	}
	for i := range d.elements(page) {
		for _, by := range []byte{1, 0xff} {
			bent := bytes.Clone(key(i))
			bent[len(bent)-1] += by
			if bytes.Compare(bent, key(i-1)) <= 0 || key(i+1) != nil && bytes.Compare(bent, key(i+1)) >= 0 {
				continue
			}
			file := bytes.Clone(d.file)
			at, _ := d.element(page, i)
			copy(d.page(file, pgid)[at[0]:], bent)
			files = append(files, file)
		}
	}
	return files
}

// TestBentBranchKey bends each key of each branch, before the file is opened and
// while it is open, as little as a bit does that a search does not mind. When
// bbolt writes the page below it would not find that key, and leave the page that
// it frees in the tree. So it is named, and what can be paid all the same leaves
// the file no worse.
func TestBentBranchKey(t *testing.T) {
	if testing.Short() {
		t.Skip("hundreds of ledgers")
	}
	t.Parallel()
	needsTestPage(t)
	d := newDamageLedger(t, 1024, true)
	unbent := func(path string) {
		if err := pagesFault(path); err != nil && strings.Contains(err.Error(), "in use twice") {
			t.Errorf("%s: what was written has made it worse: %v", path, err)
		}
	}
	refused, live := 0, 0
	for pgid := 2; pgid < d.pages; pgid++ {
		if d.free[pgid] || pages.Flags(d.page(d.file, pgid)) != pages.FlagBranch {
			continue
		}
		for _, bad := range d.bentKeys(pgid) {
			path := damagedFile(t, bad)
			led, err := capycoin.Open(path, &capycoin.Options{NoWitness: true, AccountCache: 16})
			if err != nil {
				if refused++; !errors.Is(err, store.ErrCorrupt) {
					t.Error(err)
				}
			} else {
				if rep, err := led.Audit(t.Context(), nil); err == nil && rep.Err() == nil {
					t.Errorf("page %d: the audit is clean", pgid)
				}
				d.goOn(led)
				led.Close()
				unbent(path)
			}
			// While it is open.
			path = damagedFile(t, d.file)
			if led, err = capycoin.Open(path, &capycoin.Options{NoWitness: true, AccountCache: 16}); err != nil {
				t.Fatal(err)
			}
			if err := rot(path, d.file, bad, d.pageSize); err != nil {
				t.Fatal(err)
			}
			d.goOn(led)
			led.Close()
			unbent(path)
			live++
		}
	}
	if live < 50 || refused == live {
		t.Errorf("%d keys, of which opening refused %d", live, refused)
	}
}

// TestBentSmallBuckets flips each bit of the root page and of the headers of what
// lies in it: the buckets of a new ledger are pages within the page. Opening says so, or
// the audit, or the ledger stays whole when these grow into pages of their own.
func TestBentSmallBuckets(t *testing.T) {
	if testing.Short() {
		t.Skip("hundreds of ledgers")
	}
	t.Parallel()
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "coins.db")
	if err := emptyLedger(path, 1024); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	m, err := pages.CheckMetas(f, false)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	root := file[m.Root*1024 : (m.Root+1)*1024]
	d := &damageLedger{pageSize: 1024}
	n := d.elements(root)
	at := []int{}
	for i := range pages.HeaderSize + n*pages.ElementSize {
		at = append(at, i)
	}
	for i := range n {
		_, value := d.element(root, i)
		for n := range min(value[1], 16+pages.HeaderSize+pages.ElementSize) {
			at = append(at, value[0]+n)
		}
	}
	refused, whole := 0, 0
	for _, at := range at {
		for bit := range 8 {
			bent := bytes.Clone(file)
			bent[int(m.Root)*1024+at] ^= 1 << bit
			path := damagedFile(t, bent)
			led, err := capycoin.Open(path, &capycoin.Options{NoWitness: true})
			if err != nil {
				if refused++; !saysDamaged(err) {
					t.Errorf("byte %d, bit %d: %v", at, bit, err)
				}
				continue
			}
			if rep, err := led.Audit(ctx, nil); err != nil || rep.Err() != nil {
				refused++
				led.Close()
				continue
			}
			whole++
			d.ids = []uuid.UUID{capycoin.DefaultSeedAccount()}
			for range 60 {
				acct, err := led.OpenAccount(ctx)
				if err != nil {
					t.Errorf("byte %d, bit %d: %v", at, bit, err)
					break
				}
				d.ids = append(d.ids, acct.ID)
			}
			if err := d.goesOn(led, path); err != nil {
				t.Errorf("byte %d, bit %d: %v", at, bit, err)
			}
		}
	}
	if refused < 100 || whole < 10 {
		t.Errorf("%d were refused, %d whole", refused, whole)
	}
}
