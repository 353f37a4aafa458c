// Package boltfile is a Log and Folds in one bbolt file, opened safely: [Open] looks at
// what bbolt would trust before bbolt does, and reads go by a cursor that a damaged page
// can't lead astray. A file that is being made has another name until it is whole, see
// [OpenPartial].
//
// It knows nothing of records, nor of ledgers: rows and records are bytes, but for the
// checksum that a ledger's rows begin with. The library opens it, what makes files of
// journals, and an audit asks for more than a [store.Log] and [store.Folds] have:
// [File.ScanStrictly], [Reader.Strict], [File.ReadAhead].
//
// Locks: one mutex guards the times that [File.Stats] tells and whether the file can
// still be closed; the rows that wait for the next append are the writer's alone. The file
// itself is locked against other processes.
package boltfile

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

	"github.com/capycoin/capycoin/internal/pages"
	"github.com/capycoin/capycoin/store"
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
	FormatNumber = 4 // 1 had a row for each account and each key; 2 had no invites; 3 no public keys and fees
	formatMagic  = "capycoin"

	// boltMaxAppend bounds a commit: bbolt holds its pages in memory, and a
	// batch of MaxBatch transfers with the longest keys has to fit.
	boltMaxAppend = 8 << 20
)

var (
	MetaBucket    = []byte("meta")
	JournalBucket = []byte(pages.JournalBucket)
	FormatKey     = []byte("format")
	Tables        = map[store.Table][]byte{
		store.TableAccounts: []byte(store.TableAccounts),
		store.TableKeys:     []byte(store.TableKeys),
		store.TableTokens:   []byte(store.TableTokens),
		store.TableState:    []byte(store.TableState),
	}
)

// File keeps journal and rows in one bbolt file. It is a Log and Folds;
// rows that Put was given ride along with the next Append, in its transaction.
type File struct {
	DB   *bolt.DB
	file *os.File // db's own
	old  uint32   // its format, if that is an earlier one

	anyRows bool // they may be no ledger's, without a checksum

	pending []store.Row // the writer's
	arena   []byte

	mu     sync.Mutex
	spill  time.Duration
	write  time.Duration
	wedged bool // a transaction could not be ended, so db can't be closed
}

var (
	_ store.Log   = (*File)(nil)
	_ store.Folds = (*File)(nil)
)

// guarded calls fn, which reads pages. Pages carry no checksum, so what is
// damaged may make bbolt panic, or lead it beyond the end of the file, which
// is a fault of the memory map: either becomes ErrCorrupt.
func guarded(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: reading the file failed with: %v", store.ErrCorrupt, p)
		}
	}()
	return fn()
}

// ViewTx runs fn in a read transaction.
func (s *File) ViewTx(fn func(*bolt.Tx) error) error {
	var tx *bolt.Tx
	err := guarded(func() (err error) {
		if tx, err = s.begin(false); err != nil {
			return err
		}
		return fn(tx)
	})
	if tx != nil {
		tx.Rollback() // it reads no page
	}
	if errors.Is(err, berrors.ErrDatabaseNotOpen) {
		return store.ErrClosed
	}
	return err
}

// begin begins a transaction. That reads the meta pages; where they are gone,
// as from a file that was cut to nothing while it was open, bbolt panics and
// keeps the locks that it holds then, and whoever comes next would wait for
// ever. So they are unlocked for it.
func (s *File) begin(writable bool) (*bolt.Tx, error) {
	begun := false
	defer func() {
		if !begun {
			unlockAfterPanic(s.DB, writable)
		}
	}()
	tx, err := s.DB.Begin(writable)
	begun = true
	return tx, err
}

func BucketOf(tx *bolt.Tx, name []byte) (*bolt.Bucket, error) {
	b := tx.Bucket(name)
	if b == nil {
		return nil, fmt.Errorf("%w: bucket %s is missing", store.ErrCorrupt, name)
	}
	return b, nil
}

// Tail implements [store.Log].
func (s *File) Tail(context.Context) (tail uint64, err error) {
	err = s.ViewTx(func(tx *bolt.Tx) error {
		tail, err = boltTail(tx)
		return err
	})
	return tail, err
}

func boltTail(tx *bolt.Tx) (uint64, error) {
	b, err := BucketOf(tx, JournalBucket)
	if err != nil {
		return 0, err
	}
	var tail uint64
	if k, _ := NewCursor(b).reachEnd(); len(k) == 8 {
		tail = binary.BigEndian.Uint64(k)
	} else if k != nil {
		return 0, fmt.Errorf("%w: the journal has a key of %d bytes", store.ErrCorrupt, len(k))
	}
	// The end is kept in the root page, too: a damaged last leaf may look like
	// one with fewer rows, and what they say was acknowledged.
	if want := b.Sequence(); tail != want {
		return 0, fmt.Errorf("%w: the journal ends at record %d, it should at %d", store.ErrCorrupt, tail, want)
	}
	return tail, nil
}

// MaxAppend implements [store.Log].
func (s *File) MaxAppend() int { return boltMaxAppend }

// Append implements [store.Log].
func (s *File) Append(_ context.Context, after uint64, records [][]byte) error {
	return s.update(func(tx *bolt.Tx) error {
		tail, err := boltTail(tx)
		if err != nil {
			return err
		}
		if tail != after {
			return store.ErrFenced
		}
		return s.putRuns(tx, after, records)
	})
}

// putRuns writes records as the rows that follow a position.
func (s *File) putRuns(tx *bolt.Tx, after uint64, records [][]byte) error {
	b, err := BucketOf(tx, JournalBucket)
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
		for n < len(records) && n < pages.RowRecords && (n == 0 || len(arena)-start+len(records[n]) < pages.RowBytes) {
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
// before the commit means that nothing was written; settle says what one from
// it means. Rows that were not written stay pending.
func (s *File) update(fn func(*bolt.Tx) error) error {
	var tx *bolt.Tx
	err := guarded(func() (err error) {
		tx, err = s.begin(true)
		return err
	})
	if errors.Is(err, store.ErrCorrupt) {
		return err
	}
	if err != nil {
		if errors.Is(err, berrors.ErrDatabaseNotOpen) {
			err = store.ErrClosed
		}
		return fmt.Errorf("%w: %w", store.ErrNotWritten, err)
	}
	err = guarded(func() error {
		if err := fn(tx); err != nil {
			return err
		}
		return s.putPending(tx)
	})
	if err != nil {
		s.rollback(tx)
		if errors.Is(err, store.ErrFenced) || errors.Is(err, store.ErrCorrupt) {
			return err
		}
		return fmt.Errorf("%w: %w", store.ErrNotWritten, err)
	}
	txid := uint64(tx.ID())
	err = guarded(tx.Commit)
	if err != nil {
		s.rollback(tx) // where bbolt has not done so
		return s.settle(txid, err)
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
func (s *File) rollback(tx *bolt.Tx) {
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

func (s *File) putPending(tx *bolt.Tx) error {
	var table store.Table
	var b *bolt.Bucket
	var c *Cursor
	for i := range s.pending {
		row := &s.pending[i]
		if b == nil || row.Table != table {
			var err error
			if b, err = BucketOf(tx, Tables[row.Table]); err != nil {
				return err
			}
			table, c = row.Table, NewCursor(b)
		}
		c.reach(row.Key, row.Value == nil)
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

// Put implements [store.Folds].
func (s *File) Put(_ context.Context, rows []store.Row) error {
	s.pending = append(s.pending, rows...)
	return nil
}

// Flush implements [store.Folds].
func (s *File) Flush(context.Context) error {
	if len(s.pending) == 0 {
		return nil
	}
	return s.update(func(*bolt.Tx) error { return nil })
}

// Stats are numbers about a file for whoever watches it.
type Stats struct {
	SpillTime time.Duration // that bbolt took to lay out pages
	WriteTime time.Duration // that bbolt took to write and sync
	FileSize  int64         // bytes
	FileUsed  int64         // bytes of it that have ever been used: it grows in large steps
	FreePages int           // pages of it that hold nothing
}

// Stats returns what is known now.
func (s *File) Stats() (st Stats) {
	s.mu.Lock()
	st.SpillTime, st.WriteTime = s.spill, s.write
	s.mu.Unlock()
	if info, err := s.file.Stat(); err == nil { // not after close
		st.FileSize = info.Size()
	}
	s.ViewTx(func(tx *bolt.Tx) error { st.FileUsed = tx.Size(); return nil }) // nor this
	pages := s.DB.Stats()
	st.FreePages = pages.FreePageN + pages.PendingPageN
	return st
}

// RowsAreOld says whether the file is of a format whose rows can't be read: upgrade
// drops them.
func (s *File) RowsAreOld() bool { return s.old == 1 }

// DropPending forgets the rows that Put was given and that were not written.
func (s *File) DropPending() { s.pending = s.pending[:0] }

// Upgrade brings a file of an earlier format to the present one. All that is in
// a file of format 2 is as it is now; of format 1 what is folded from the journal
// goes, and is folded from it again.
func (s *File) Upgrade() error {
	if s.old == 0 {
		return nil
	}
	err := s.update(func(tx *bolt.Tx) error {
		for _, name := range Tables {
			if s.old > 1 {
				break
			}
			if err := tx.DeleteBucket(name); err != nil {
				return err
			}
			if _, err := tx.CreateBucket(name); err != nil {
				return err
			}
		}
		return tx.Bucket(MetaBucket).Put(FormatKey, FormatValue(FormatNumber))
	})
	if err != nil {
		return fmt.Errorf("bringing the file to format %d: %w", FormatNumber, err)
	}
	s.old = 0
	return nil
}

// Close gives the file back. It waits for open transactions.
func (s *File) Close() error {
	s.mu.Lock()
	wedged := s.wedged
	s.mu.Unlock()
	if wedged {
		// bbolt would wait for a transaction that can't end. Closing the file
		// lets go of its lock; the memory map stays until the process ends.
		return s.file.Close()
	}
	return s.DB.Close()
}
