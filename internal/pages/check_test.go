package pages_test

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/capycoin/capycoin/internal/pages"
	"github.com/capycoin/capycoin/store"
)

// TestFreelistBounded has a list of free pages claim a gigabyte of pages, which a
// file with a hole has: that is refused without the memory for them.
func TestFreelistBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "coins.db")
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		_, err := tx.CreateBucket([]byte(pages.JournalBucket))
		return err
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	newest, err := pages.CheckMetas(f, false)
	if err := errors.Join(err, pages.CheckFile(f)); err != nil {
		t.Fatal(err)
	}
	const total = 1 << 18
	pageSize := os.Getpagesize()
	page := make([]byte, pageSize)
	change := func(pgid uint64, change func()) {
		t.Helper()
		_, err := f.ReadAt(page, int64(pgid)*int64(pageSize))
		if err == nil {
			change()
			_, err = f.WriteAt(page, int64(pgid)*int64(pageSize))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	change(newest.Page, func() {
		binary.NativeEndian.PutUint64(page[pages.MetaPages:], total)
		binary.NativeEndian.PutUint64(page[pages.MetaSum:], pages.MetaChecksum(page))
	})
	change(newest.Freelist, func() { binary.NativeEndian.PutUint32(page[pages.OverflowAt:], total-100) })
	if err := f.Truncate(total * int64(pageSize)); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err = pages.CheckFile(f)
	runtime.ReadMemStats(&after)
	if !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("got %v, want ErrCorrupt", err)
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > 64<<20 {
		t.Errorf("it took %d bytes of memory", took)
	}
}
