// Package journal reads the records of a log: one of them, a page, along a chain, the
// first since a time; as they are decoded or as they lie there; at a pace that leaves the
// disk to others, where nobody waits.
//
// It knows nothing of the state that the records make: whoever reads says from where and
// how far. All rooms that have a log may call it. It has no state and no locks; nothing
// here holds a View for longer than some milliseconds, or while a function of somebody
// outside the project runs.
package journal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/chain"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/store"
)

// Chain follows a chain inside one View.
type Chain struct {
	Log    store.LogReader
	ID     uuid.UUID // of the account whose chain it is; zero: the accounts opened
	Record record.Record
}

// at reads the record of the chain at a position.
func (r *Chain) at(position uint64) (chain.Link, error) {
	if err := At(r.Log, position, &r.Record); err != nil {
		return chain.Link{}, err
	}
	switch {
	case r.ID == uuid.UUID{} && r.Record.Kind == record.KindAccount:
		return r.Record.Body.(*record.Account).Link, nil
	case r.ID == uuid.UUID{} && r.Record.Kind == record.KindGenesis:
		return chain.Link{Ordinal: 1}, nil
	case r.Record.Kind == record.KindTransfer:
		if p := r.Record.Transfer.Of(r.ID); p != nil {
			return p.Link, nil
		}
	}
	return chain.Link{}, fmt.Errorf("%w: record %d is not in the chain of account %s that leads to it", store.ErrCorrupt, position, r.ID)
}

// step reads an older record of a chain, whose ordinal is known.
func (r *Chain) step(position uint64, ordinal int64) (chain.Link, error) {
	l, err := r.at(position)
	if err == nil && l.Ordinal != ordinal {
		err = fmt.Errorf("%w: record %d has ordinal %d, the chain that leads to it says %d", store.ErrCorrupt, position, l.Ordinal, ordinal)
	}
	return l, err
}

// Seek goes from the last record of a chain, at head, to the one with an
// ordinal, which the reader then has.
func (r *Chain) Seek(head uint64, count, ordinal int64) (chain.Link, error) {
	return chain.Seek(head, count, ordinal, r.step)
}

// Since returns the ordinal of the first record at or after a time; count+1 if
// there is none.
func (r *Chain) Since(head uint64, count, micros int64) (int64, error) {
	return chain.First(head, count, r.step, func() bool { return r.Record.Time >= micros })
}

// walkPage is how many records of a chain are read in one View. They lie
// anywhere in the journal, and each may be a read of the disk.
const walkPage = 128

// PageRecords is how many records are read in one View while replaying.
const PageRecords = 256

func At(lr store.LogReader, position uint64, r *record.Record) error {
	b, err := lr.Record(position)
	if err != nil {
		return err
	}
	if b == nil {
		return fmt.Errorf("%w: record %d is missing", store.ErrCorrupt, position)
	}
	return record.Decode(r, position, b)
}

const (
	// PageBytes is about how much a page of the journal has, and journalTime
	// how long it may take to read, where the file is not in memory.
	PageBytes   = 64 << 10
	journalTime = 25 * time.Millisecond
)

// ReadRaw reads the records after a position, up to end at most.
func ReadRaw(ctx context.Context, log store.Log, after, end uint64) (Page, error) {
	page := Page{End: end}
	if after >= end {
		return page, nil
	}
	var data []byte
	var ends []int
	err := log.View(ctx, func(r store.LogReader) error {
		start, next := time.Now(), after+1
		var bad error
		err := r.Scan(next, func(position uint64, record []byte) bool {
			if position != next {
				bad = fmt.Errorf("%w: record %d is missing, %d comes next", store.ErrCorrupt, next, position)
				return false
			}
			if data == nil {
				data = make([]byte, 0, PageBytes+len(record))
			}
			data = append(data, record...)
			ends = append(ends, len(data))
			next++
			full := len(data) >= PageBytes || len(ends)%64 == 0 && time.Since(start) > journalTime
			return position < end && !full
		})
		if bad == nil {
			bad = err
		}
		if bad == nil && len(ends) == 0 {
			bad = fmt.Errorf("%w: record %d is missing, the journal ends at %d", store.ErrCorrupt, next, end)
		}
		return bad
	})
	if err != nil {
		return Page{}, err
	}
	page.Records = make([]Raw, len(ends))
	from := 0
	for i, to := range ends {
		page.Records[i] = Raw{after + 1 + uint64(i), data[from:to:to]}
		from = to
	}
	return page, nil
}

// ReadPage reads the records from a position on, as many as there are and
// page has room for.
func ReadPage(ctx context.Context, log store.Log, from uint64, page []record.Record) (n int, err error) {
	err = log.View(ctx, func(r store.LogReader) error {
		var bad error
		err := r.Scan(from, func(position uint64, b []byte) bool {
			if position != from+uint64(n) {
				bad = fmt.Errorf("%w: record %d is missing, %d comes next", store.ErrCorrupt, from+uint64(n), position)
				return false
			}
			if bad = record.Decode(&page[n], position, b); bad != nil {
				return false
			}
			n++
			return n < len(page)
		})
		return errors.Join(bad, err)
	})
	return n, err
}

// Read reads one record that has to be there.
func Read(ctx context.Context, log store.Log, position uint64, r *record.Record) error {
	return log.View(ctx, func(lr store.LogReader) error { return At(lr, position, r) })
}

// Walk calls fn with the records of a chain from one of them back, until it
// returns false or the chain's start has been reached.
func Walk(ctx context.Context, log store.Log, id uuid.UUID, position uint64, ordinal int64, fn func(r *record.Record, ordinal int64) bool) error {
	return WalkPaced(ctx, log, id, position, ordinal, fn, func() error { return nil })
}

// WalkPaced is walk with something to do after each View.
func WalkPaced(ctx context.Context, log store.Log, id uuid.UUID, position uint64, ordinal int64,
	fn func(r *record.Record, ordinal int64) bool, between func() error) error {
	for position != 0 {
		err := log.View(ctx, func(lr store.LogReader) error {
			r := Chain{Log: lr, ID: id}
			for n := 0; n < walkPage && position != 0; n++ {
				at, err := r.step(position, ordinal)
				if err != nil {
					return err
				}
				position, ordinal = at.Prev, ordinal-1
				if !fn(&r.Record, at.Ordinal) {
					position = 0
				}
			}
			return nil
		})
		if err == nil {
			err = between()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// FirstSince returns the position of the first record at or after a time, or the one
// after the end.
func FirstSince(ctx context.Context, log store.Log, end uint64, micros int64) (position uint64, err error) {
	low, high := uint64(1), end+1 // it is one of these
	err = log.View(ctx, func(lr store.LogReader) error {
		var r record.Record
		for low < high {
			middle := low + (high-low)/2
			if err := At(lr, middle, &r); err != nil {
				return err
			}
			if r.Time < micros {
				low = middle + 1
			} else {
				high = middle
			}
		}
		return nil
	})
	return low, err
}

// Raw is a record of the journal, byte for byte as it lies there.
type Raw struct {
	Position uint64
	Data     []byte
}

// Page is a part of a journal.
type Page struct {
	Records []Raw  // in order, without a gap
	End     uint64 // the position of the journal's last record
}

// Source returns the records that follow a position, in order and from the very next one
// on: as many as it likes, but at least one if there is any.
type Source func(ctx context.Context, after uint64) (Page, error)

// OfLog returns the records of a log as a source.
func OfLog(log store.Log) Source {
	return func(ctx context.Context, after uint64) (Page, error) {
		if err := ctx.Err(); err != nil {
			return Page{}, err
		}
		end, err := log.Tail(ctx)
		if err != nil {
			return Page{}, err
		}
		return ReadRaw(ctx, log, after, end)
	}
}
