package boltfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/capycoin/capycoin/internal/osfile"
	"github.com/capycoin/capycoin/store"
)

// A file that is being made from records is called .NAME.partial, and has what
// makes it a ledger, its format, under another key. So nobody takes a part for
// the whole, and one that was finished for one to go on with: it may have two
// names then, where a process ended between giving it its own and taking this
// one away.

var PartialKey = []byte("partial")

func PartialName(path string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".partial")
}

// OpenPartial opens a file that is being made, and returns how many records it
// has. If there is none, or what is there can't be gone on with, it makes one.
func OpenPartial(path string) (s *File, tail uint64, err error) {
	s, tail, err = GoOn(path)
	switch {
	case err == nil || errors.Is(err, store.ErrLocked):
		return s, tail, err
	case errors.Is(err, fs.ErrNotExist):
	case s != nil:
		if err := s.Remove(path); err != nil {
			return nil, 0, err
		}
	default:
		if err := os.Remove(path); err != nil {
			return nil, 0, osfile.NotWritable(err)
		}
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, 0, osfile.NotWritable(err)
	}
	if err := f.Close(); err != nil {
		return nil, 0, err
	}
	s, err = openBbolt(path, false, time.Second, func(f *os.File) error { return osfile.LockNamed(f, path, time.Second) })
	if err != nil {
		return nil, 0, err
	}
	if err := s.create(PartialKey); err != nil {
		return nil, 0, errors.Join(err, s.Remove(path))
	}
	return s, 0, nil
}

// GoOn opens a file that was begun. The store is there beside an error if it
// can be opened but not gone on with.
func GoOn(path string) (s *File, tail uint64, err error) {
	if info, err := os.Lstat(path); err != nil {
		return nil, 0, err
	} else if !info.Mode().IsRegular() {
		return nil, 0, store.ErrNotLedger
	}
	s, err = OpenExisting(path, time.Second)
	if err != nil {
		return nil, 0, err
	}
	err = s.ViewTx(func(tx *bolt.Tx) error {
		meta := tx.Bucket(MetaBucket)
		if meta == nil || string(meta.Get(PartialKey)) != string(FormatValue(FormatNumber)) {
			return store.ErrNotLedger
		}
		for _, name := range Tables {
			if _, err := BucketOf(tx, name); err != nil {
				return err
			}
		}
		tail, err = boltTail(tx)
		return err
	})
	return s, tail, err
}

// Publish makes a ledger of a file that was being made, and gives it its name.
// The store is closed.
func (s *File) Publish(temp, path string) error {
	err := s.update(func(tx *bolt.Tx) error {
		meta, err := BucketOf(tx, MetaBucket)
		if err != nil {
			return err
		}
		return errors.Join(meta.Delete(PartialKey), meta.Put(FormatKey, FormatValue(FormatNumber)))
	})
	if err == nil {
		err = s.file.Sync() // its size and all else that fdatasync may leave
	}
	if err == nil {
		err = os.Link(temp, path)
	}
	if err = errors.Join(err, s.Remove(temp)); err != nil {
		return fmt.Errorf("giving %s its name: %w", path, err)
	}
	return osfile.SyncDir(filepath.Dir(path))
}

// Remove takes away the name of a file that is being made, and closes it.
func (s *File) Remove(path string) error {
	removed := os.Remove(path) // with the lock held: nobody else has the file
	err := s.Close()
	if removed != nil {
		removed = os.Remove(path) // Windows does not remove a file that is open
	}
	return errors.Join(err, removed)
}
