package capycoin

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// The buckets of the file.
//
//	bucket    key                                value
//	meta      "format"                           "capycoin" · format number 4 · CRC-32C of both 4
//	journal   position of the last record, 8     number of records 1 · each: length uvarint, record
//	accounts  ┐
//	keys      ├ the rows of Folds (rows.go)
//	tokens    │
//	state     ┘
//
// The sequence number of the journal's bucket is the position of its last
// record. A row of the journal holds up to runRecords consecutive records of one
// commit: fewer and longer rows take less room and less time than a row for
// each record (docs/decisions has the figures).
const (
	formatNumber = 2 // 1 had a row for each account and each key
	formatMagic  = "capycoin"

	runRecords = 8
	runBytes   = 1024

	// boltMaxAppend bounds a commit: bbolt holds its pages in memory, and a
	// batch of MaxBatch transfers with the longest keys has to fit.
	boltMaxAppend = 8 << 20
)

var (
	bucketMeta    = []byte("meta")
	bucketJournal = []byte("journal")
	formatKey     = []byte("format")
	boltTables    = map[Table][]byte{
		TableAccounts: []byte(TableAccounts),
		TableKeys:     []byte(TableKeys),
		TableTokens:   []byte(TableTokens),
		TableState:    []byte(TableState),
	}
)

// boltStore keeps journal and rows in one bbolt file. It is a Log and Folds;
// rows that Put was given ride along with the next Append, in its transaction.
type boltStore struct {
	db   *bolt.DB
	file *os.File // db's own
	old  bool     // it is in format 1

	pending []Row // the writer's
	arena   []byte

	mu     sync.Mutex
	spill  time.Duration
	write  time.Duration
	wedged bool // a transaction could not be ended, so db can't be closed
}

var (
	_ Log   = (*boltStore)(nil)
	_ Folds = (*boltStore)(nil)
)

// guarded calls fn, which reads pages. Pages carry no checksum, so what is
// damaged may make bbolt panic, or lead it beyond the end of the file, which
// is a fault of the memory map: either becomes ErrCorrupt.
func guarded(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: reading the file failed with: %v", ErrCorrupt, p)
		}
	}()
	return fn()
}

// view runs fn in a read transaction.
func (s *boltStore) view(fn func(*bolt.Tx) error) error {
	err := guarded(func() error { return s.db.View(fn) })
	if errors.Is(err, berrors.ErrDatabaseNotOpen) {
		return ErrClosed
	}
	return err
}

func bucketOf(tx *bolt.Tx, name []byte) (*bolt.Bucket, error) {
	b := tx.Bucket(name)
	if b == nil {
		return nil, fmt.Errorf("%w: bucket %s is missing", ErrCorrupt, name)
	}
	return b, nil
}

// Tail implements [Log].
func (s *boltStore) Tail(context.Context) (tail uint64, err error) {
	err = s.view(func(tx *bolt.Tx) error {
		tail, err = boltTail(tx)
		return err
	})
	return tail, err
}

func boltTail(tx *bolt.Tx) (uint64, error) {
	b, err := bucketOf(tx, bucketJournal)
	if err != nil {
		return 0, err
	}
	var tail uint64
	if k, _ := b.Cursor().Last(); len(k) == 8 {
		tail = binary.BigEndian.Uint64(k)
	} else if k != nil {
		return 0, fmt.Errorf("%w: the journal has a key of %d bytes", ErrCorrupt, len(k))
	}
	// The end is kept in the root page, too: a damaged last leaf may look like
	// one with fewer rows, and what they say was acknowledged.
	if want := b.Sequence(); tail != want {
		return 0, fmt.Errorf("%w: the journal ends at record %d, it should at %d", ErrCorrupt, tail, want)
	}
	return tail, nil
}

// MaxAppend implements [Log].
func (s *boltStore) MaxAppend() int { return boltMaxAppend }

// Append implements [Log].
func (s *boltStore) Append(_ context.Context, after uint64, records [][]byte) error {
	return s.update(func(tx *bolt.Tx) error {
		tail, err := boltTail(tx)
		if err != nil {
			return err
		}
		if tail != after {
			return ErrFenced
		}
		return s.putRuns(tx, after, records)
	})
}

// putRuns writes records as the rows that follow a position.
func (s *boltStore) putRuns(tx *bolt.Tx, after uint64, records [][]byte) error {
	b, err := bucketOf(tx, bucketJournal)
	if err != nil {
		return err
	}
	b.FillPercent = 1 // rows are only ever appended; bbolt does not remember this
	size := 0
	for _, r := range records {
		size += len(r) + binary.MaxVarintLen64 + 1
	}
	// bbolt takes the values as they lie here until the commit, so this must
	// not move.
	if cap(s.arena) < size {
		s.arena = make([]byte, 0, size)
	}
	arena := s.arena[:0]
	var key [8]byte
	total := len(records)
	for position := after; len(records) > 0; {
		start, n := len(arena), 0
		arena = append(arena, 0)
		for n < len(records) && n < runRecords && (n == 0 || len(arena)-start+len(records[n]) < runBytes) {
			arena = binary.AppendUvarint(arena, uint64(len(records[n])))
			arena = append(arena, records[n]...)
			n++
		}
		arena[start] = byte(n)
		position += uint64(n)
		records = records[n:]
		binary.BigEndian.PutUint64(key[:], position)
		if err := b.Put(key[:], arena[start:]); err != nil {
			return err
		}
	}
	return b.SetSequence(after + uint64(total))
}

// update makes one write transaction of fn and the pending rows. An error
// before the commit means that nothing was written; one from it, that the
// outcome is unknown: bbolt may have written the page that makes it count.
func (s *boltStore) update(fn func(*bolt.Tx) error) error {
	tx, err := s.db.Begin(true)
	if err != nil {
		if errors.Is(err, berrors.ErrDatabaseNotOpen) {
			err = ErrClosed
		}
		return fmt.Errorf("%w: %w", ErrNotWritten, err)
	}
	err = guarded(func() error {
		if err := fn(tx); err != nil {
			return err
		}
		return s.putPending(tx)
	})
	if err != nil {
		s.rollback(tx)
		if errors.Is(err, ErrFenced) || errors.Is(err, ErrCorrupt) {
			return err
		}
		return fmt.Errorf("%w: %w", ErrNotWritten, err)
	}
	err = guarded(tx.Commit)
	if err != nil {
		s.rollback(tx) // where bbolt has not done so
		return fmt.Errorf("committing: %w", err)
	}
	s.pending = s.pending[:0]
	stats := tx.Stats()
	s.mu.Lock()
	s.spill += stats.GetSpillTime()
	s.write += stats.GetWriteTime()
	s.mu.Unlock()
	return nil
}

// rollback ends a transaction, even one in which bbolt has panicked.
func (s *boltStore) rollback(tx *bolt.Tx) {
	err := guarded(func() error {
		if err := tx.Rollback(); !errors.Is(err, berrors.ErrTxClosed) {
			return err
		}
		return nil
	})
	if err != nil {
		s.mu.Lock()
		s.wedged = true
		s.mu.Unlock()
	}
}

func (s *boltStore) putPending(tx *bolt.Tx) error {
	var table Table
	var b *bolt.Bucket
	for i := range s.pending {
		row := &s.pending[i]
		if b == nil || row.Table != table {
			var err error
			if b, err = bucketOf(tx, boltTables[row.Table]); err != nil {
				return err
			}
			table = row.Table
		}
		var err error
		if row.Value == nil {
			err = b.Delete(row.Key)
		} else {
			err = b.Put(row.Key, row.Value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Put implements [Folds].
func (s *boltStore) Put(_ context.Context, rows []Row) error {
	s.pending = append(s.pending, rows...)
	return nil
}

// Flush implements [Folds].
func (s *boltStore) Flush(context.Context) error {
	if len(s.pending) == 0 {
		return nil
	}
	return s.update(func(*bolt.Tx) error { return nil })
}

// Get implements [Folds].
func (s *boltStore) Get(_ context.Context, table Table, key []byte) (value []byte, err error) {
	err = s.view(func(tx *bolt.Tx) error {
		b, err := bucketOf(tx, boltTables[table])
		if err != nil {
			return err
		}
		if v := b.Get(key); v != nil {
			value = append(make([]byte, 0, len(v)), v...)
		}
		return nil
	})
	return value, err
}

// Scan implements [Folds].
func (s *boltStore) Scan(_ context.Context, table Table, from []byte, fn func(key, value []byte) bool) error {
	return s.view(func(tx *bolt.Tx) error {
		b, err := bucketOf(tx, boltTables[table])
		if err != nil {
			return err
		}
		c := b.Cursor()
		for k, v := c.Seek(from); k != nil; k, v = c.Next() {
			if !fn(k, v) {
				return nil
			}
		}
		return nil
	})
}

// View implements [Log].
func (s *boltStore) View(_ context.Context, fn func(LogReader) error) error {
	return s.view(func(tx *bolt.Tx) error {
		b, err := bucketOf(tx, bucketJournal)
		if err != nil {
			return err
		}
		return fn(&boltReader{cursor: b.Cursor(), first: 1})
	})
}

// boltReader reads the journal in one transaction.
type boltReader struct {
	cursor *bolt.Cursor
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
		return run{}, fmt.Errorf("%w: the journal has a row %x of %d bytes", ErrCorrupt, key, len(value))
	}
	last, n := binary.BigEndian.Uint64(key), int(value[0])
	if uint64(n) > last {
		return run{}, fmt.Errorf("%w: row %d of the journal claims %d records", ErrCorrupt, last, n)
	}
	return run{first: last - uint64(n) + 1, left: n, b: value[1:]}, nil
}

func (r *run) next() ([]byte, error) {
	n, size := binary.Uvarint(r.b)
	if size <= 0 || n > uint64(len(r.b)-size) || (r.left == 1) != (n == uint64(len(r.b)-size)) {
		return nil, fmt.Errorf("%w: the row of the journal with record %d has no room for it", ErrCorrupt, r.first)
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

// Scan implements [LogReader].
func (r *boltReader) Scan(from uint64, fn func(pos uint64, record []byte) bool) error {
	r.first, r.last = 1, 0 // the cursor goes elsewhere
	var seek [8]byte
	binary.BigEndian.PutUint64(seek[:], from)
	for k, v := r.cursor.Seek(seek[:]); k != nil; k, v = r.cursor.Next() {
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

// stats fills in what the store knows.
func (s *boltStore) stats(st *Stats) {
	s.mu.Lock()
	st.SpillTime, st.WriteTime = s.spill, s.write
	s.mu.Unlock()
	if info, err := s.file.Stat(); err == nil { // not after close
		st.FileSize = info.Size()
	}
	s.view(func(tx *bolt.Tx) error { st.FileUsed = tx.Size(); return nil }) // nor this
	pages := s.db.Stats()
	st.FreePages = pages.FreePageN + pages.PendingPageN
}

// upgrade brings a file of format 1 to the present one. What is folded from the
// journal goes, and is folded from it again.
func (s *boltStore) upgrade() error {
	if !s.old {
		return nil
	}
	err := s.update(func(tx *bolt.Tx) error {
		for _, name := range boltTables {
			if err := tx.DeleteBucket(name); err != nil {
				return err
			}
			if _, err := tx.CreateBucket(name); err != nil {
				return err
			}
		}
		return tx.Bucket(bucketMeta).Put(formatKey, formatValue(formatNumber))
	})
	s.old = err != nil
	return err
}

// close gives the file back. It waits for open transactions.
func (s *boltStore) close() error {
	s.mu.Lock()
	wedged := s.wedged
	s.mu.Unlock()
	if wedged {
		// bbolt would wait for a transaction that can't end. Closing the file
		// lets go of its lock; the memory map stays until the process ends.
		return s.file.Close()
	}
	return s.db.Close()
}
