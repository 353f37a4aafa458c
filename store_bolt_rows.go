package capycoin

import (
	"bytes"
	"context"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/capycoin/capycoin/internal/wire"
	"github.com/capycoin/capycoin/store"
)

// Get implements [Folds].
func (s *boltStore) Get(_ context.Context, table store.Table, key []byte) (value []byte, err error) {
	err = s.view(func(tx *bolt.Tx) error {
		b, err := bucketOf(tx, boltTables[table])
		if err != nil {
			return err
		}
		k, v, err := s.seekRow(newTreeCursor(b), table, key)
		if bytes.Equal(k, key) {
			value = append(make([]byte, 0, len(v)), v...)
		}
		return err
	})
	return value, err
}

// Scan implements [Folds].
func (s *boltStore) Scan(_ context.Context, table store.Table, from []byte, fn func(key, value []byte) bool) error {
	return s.view(func(tx *bolt.Tx) error {
		b, err := bucketOf(tx, boltTables[table])
		if err != nil {
			return err
		}
		c := newTreeCursor(b)
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
func (s *boltStore) seekRow(c *treeCursor, table store.Table, key []byte) (k, v []byte, err error) {
	k, v = c.Seek(key)
	if len(key) == 0 || bytes.Equal(k, key) {
		return k, v, nil
	}
	before, value := c.Prev()
	if before == nil {
		k, v = c.First()
	} else {
		if s.sealed {
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
func checkSeek(c *treeCursor, before, key []byte) error {
	found, _ := c.Seek(key)
	if bytes.Equal(found, key) && before != nil {
		found, _ = c.Seek(append(bytes.Clone(before), 0))
	}
	if !bytes.Equal(found, key) {
		return fmt.Errorf("%w: row %x is there, and a search for it does not find it", store.ErrCorrupt, key)
	}
	return nil
}

// scanStrictly is Scan for an audit: what it meets must be found, too.
func (s *boltStore) scanStrictly(_ context.Context, table store.Table, from []byte, fn func(key, value []byte) bool) error {
	return s.view(func(tx *bolt.Tx) error {
		b, err := bucketOf(tx, boltTables[table])
		if err != nil {
			return err
		}
		c, search := newTreeCursor(b), newTreeCursor(b)
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
