package capycoin

import (
	"context"
	"encoding/binary"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/capycoin/capycoin/store"
)

// View implements [Log].
func (s *boltStore) View(_ context.Context, fn func(store.LogReader) error) error {
	return s.view(func(tx *bolt.Tx) error {
		b, err := bucketOf(tx, bucketJournal)
		if err != nil {
			return err
		}
		return fn(&boltReader{bucket: b, cursor: newTreeCursor(b), first: 1})
	})
}

// boltReader reads the journal in one transaction.
type boltReader struct {
	bucket *bolt.Bucket
	cursor *treeCursor
	search *treeCursor // set for an audit: rows must be found by their keys, too
	// The row that was read last, as the next record asked for is often in it.
	key, value  []byte
	first, last uint64
}

// run takes the records out of a row.
type run struct {
	first uint64 // position of its first record
	left  int
	b     []byte
}

func openRun(key, value []byte) (run, error) {
	if len(key) != 8 || len(value) < 2 || value[0] == 0 {
		return run{}, fmt.Errorf("%w: the journal has a row %x of %d bytes", store.ErrCorrupt, key, len(value))
	}
	last, n := binary.BigEndian.Uint64(key), int(value[0])
	if uint64(n) > last {
		return run{}, fmt.Errorf("%w: row %d of the journal claims %d records", store.ErrCorrupt, last, n)
	}
	return run{first: last - uint64(n) + 1, left: n, b: value[1:]}, nil
}

func (r *run) next() ([]byte, error) {
	n, size := binary.Uvarint(r.b)
	if size <= 0 || n > uint64(len(r.b)-size) || (r.left == 1) != (n == uint64(len(r.b)-size)) {
		return nil, fmt.Errorf("%w: the row of the journal with record %d has no room for it", store.ErrCorrupt, r.first)
	}
	record := r.b[size : size+int(n)]
	r.b = r.b[size+int(n):]
	r.first++
	r.left--
	return record, nil
}

// Record implements [LogReader].
func (r *boltReader) Record(pos uint64) ([]byte, error) {
	run, err := r.find(pos)
	if err != nil {
		return nil, err
	}
	for run.left > 0 && run.first <= pos {
		at := run.first
		record, err := run.next()
		if err != nil {
			return nil, err
		}
		if at == pos {
			return record, nil
		}
	}
	return nil, nil
}

// stepBack is how far back a record may be to be looked for row by row, which
// is a third of what it costs to seek it: the chain of a busy account.
const stepBack = 8 * runRecords

// find returns the row that a record is in, if there is one.
func (r *boltReader) find(pos uint64) (found run, err error) {
	switch {
	case r.first <= pos && pos <= r.last:
		return openRun(r.key, r.value)
	case pos < r.first && r.first-pos <= stepBack && r.last > 0:
		for pos < r.first {
			if r.key, r.value = r.cursor.Prev(); r.key == nil {
				break
			}
			if found, err = r.open(); err != nil {
				return run{}, err
			}
		}
		if r.key != nil && pos <= r.last {
			return found, nil
		}
	}
	var seek [8]byte
	binary.BigEndian.PutUint64(seek[:], pos)
	if r.key, r.value = r.cursor.Seek(seek[:]); r.key == nil {
		r.first, r.last = 1, 0
		return run{}, nil
	}
	return r.open()
}

// open begins with the row where the cursor is.
func (r *boltReader) open() (found run, err error) {
	r.first, r.last = 1, 0
	if found, err = openRun(r.key, r.value); err == nil {
		r.first, r.last = found.first, found.first+uint64(found.left)-1
	}
	return found, err
}

// strictly makes a reader one for an audit.
func (r *boltReader) strictly() { r.search = newTreeCursor(r.bucket) }

// Scan implements [LogReader].
func (r *boltReader) Scan(from uint64, fn func(pos uint64, record []byte) bool) error {
	r.first, r.last = 1, 0 // the cursor goes elsewhere
	var seek [8]byte
	binary.BigEndian.PutUint64(seek[:], from)
	var before []byte
	for k, v := r.cursor.Seek(seek[:]); k != nil; k, v = r.cursor.Next() {
		if r.search != nil {
			if err := checkSeek(r.search, before, k); err != nil {
				return err
			}
			before = k
		}
		run, err := openRun(k, v)
		if err != nil {
			return err
		}
		for run.left > 0 {
			position := run.first
			record, err := run.next()
			if err != nil {
				return err
			}
			if position >= from && !fn(position, record) {
				return nil
			}
		}
	}
	return nil
}
