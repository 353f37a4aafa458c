package boltfile

import (
	"context"
	"encoding/binary"

	bolt "go.etcd.io/bbolt"

	"github.com/capycoin/capycoin/internal/pages"
	"github.com/capycoin/capycoin/store"
)

// View implements [store.Log].
func (s *File) View(_ context.Context, fn func(store.LogReader) error) error {
	return s.ViewTx(func(tx *bolt.Tx) error {
		b, err := BucketOf(tx, JournalBucket)
		if err != nil {
			return err
		}
		return fn(&Reader{bucket: b, cursor: NewCursor(b), first: 1})
	})
}

// Reader reads the journal in one transaction.
type Reader struct {
	bucket *bolt.Bucket
	cursor *Cursor
	search *Cursor // set for an audit: rows must be found by their keys, too
	// The row that was read last, as the next record asked for is often in it.
	key, value  []byte
	first, last uint64
}

// Record implements [store.LogReader].
func (r *Reader) Record(pos uint64) ([]byte, error) {
	run, err := r.find(pos)
	if err != nil {
		return nil, err
	}
	for run.Left > 0 && run.First <= pos {
		at := run.First
		record, err := run.Next()
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
const stepBack = 8 * pages.RowRecords

// find returns the row that a record is in, if there is one.
func (r *Reader) find(pos uint64) (found pages.JournalRow, err error) {
	switch {
	case r.first <= pos && pos <= r.last:
		return pages.OpenJournalRow(r.key, r.value)
	case pos < r.first && r.first-pos <= stepBack && r.last > 0:
		for pos < r.first {
			if r.key, r.value = r.cursor.Prev(); r.key == nil {
				break
			}
			if found, err = r.open(); err != nil {
				return pages.JournalRow{}, err
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
		return pages.JournalRow{}, nil
	}
	return r.open()
}

// open begins with the row where the cursor is.
func (r *Reader) open() (found pages.JournalRow, err error) {
	r.first, r.last = 1, 0
	if found, err = pages.OpenJournalRow(r.key, r.value); err == nil {
		r.first, r.last = found.First, found.First+uint64(found.Left)-1
	}
	return found, err
}

// Strict makes a reader one for an audit.
func (r *Reader) Strict() { r.search = NewCursor(r.bucket) }

// Scan implements [store.LogReader].
func (r *Reader) Scan(from uint64, fn func(pos uint64, record []byte) bool) error {
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
		run, err := pages.OpenJournalRow(k, v)
		if err != nil {
			return err
		}
		for run.Left > 0 {
			position := run.First
			record, err := run.Next()
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
