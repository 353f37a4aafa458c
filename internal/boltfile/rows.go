package boltfile

import (
	"bytes"
	"context"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/capycoin/capycoin/internal/wire"
	"github.com/capycoin/capycoin/store"
)

// Get implements [store.Folds].
func (s *File) Get(_ context.Context, table store.Table, key []byte) (value []byte, err error) {
	err = s.ViewTx(func(tx *bolt.Tx) error {
		b, err := BucketOf(tx, Tables[table])
		if err != nil {
			return err
		}
		k, v, err := s.seekRow(NewCursor(b), table, key)
		if bytes.Equal(k, key) {
			value = append(make([]byte, 0, len(v)), v...)
		}
		return err
	})
	return value, err
}

// Scan implements [store.Folds].
func (s *File) Scan(_ context.Context, table store.Table, from []byte, fn func(key, value []byte) bool) error {
	return s.ViewTx(func(tx *bolt.Tx) error {
		b, err := BucketOf(tx, Tables[table])
		if err != nil {
			return err
		}
		c := NewCursor(b)
		k, v, err := s.seekRow(c, table, from)
		for ; k != nil && err == nil; k, v = c.Next() {
			if !fn(k, v) {
				return nil
			}
		}
		return err
	})
}

// seekRow moves a cursor to the first row from a key on. A damaged key, of a row
// or of a branch, can make bbolt end a search where the row is not, and a row
// that is not found is a payment made twice or a token refused. So the row
// before has to be whole, too, and what was looked for between the two.
func (s *File) seekRow(c *Cursor, table store.Table, key []byte) (k, v []byte, err error) {
	k, v = c.Seek(key)
	if len(key) == 0 || bytes.Equal(k, key) {
		return k, v, nil
	}
	before, value := c.Prev()
	if before == nil {
		k, v = c.First()
	} else {
		if !s.anyRows {
			if _, err := wire.OpenRow(table, before, value); err != nil {
				return nil, nil, err
			}
		}
		k, v = c.Next()
	}
	if bytes.Compare(before, key) >= 0 || k != nil && bytes.Compare(k, key) < 0 {
		return nil, nil, fmt.Errorf("%w: table %s is out of order at row %x", store.ErrCorrupt, table, key)
	}
	return k, v, nil
}

// checkSeek makes sure that a search ends at a row that a scan has met: one for
// its key, and one for whatever comes after the row before it, nil for none.
// Between the two it can't but end there, as the keys of branches are in order.
func checkSeek(c *Cursor, before, key []byte) error {
	found, _ := c.Seek(key)
	if bytes.Equal(found, key) && before != nil {
		found, _ = c.Seek(append(bytes.Clone(before), 0))
	}
	if !bytes.Equal(found, key) {
		return fmt.Errorf("%w: row %x is there, and a search for it does not find it", store.ErrCorrupt, key)
	}
	return nil
}

// ScanStrictly is Scan for an audit: what it meets must be found, too.
func (s *File) ScanStrictly(_ context.Context, table store.Table, from []byte, fn func(key, value []byte) bool) error {
	return s.ViewTx(func(tx *bolt.Tx) error {
		b, err := BucketOf(tx, Tables[table])
		if err != nil {
			return err
		}
		c, search := NewCursor(b), NewCursor(b)
		var before []byte
		for k, v := c.Seek(from); k != nil; k, v = c.Next() {
			if err := checkSeek(search, before, k); err != nil {
				return err
			}
			if before = k; !fn(k, v) {
				return nil
			}
		}
		return nil
	})
}
