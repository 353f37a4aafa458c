package capycoin

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/capycoin/capycoin/store"
)

// JournalRecord is a record of the journal, byte for byte as it lies there.
// docs/format.md says what the bytes mean.
type JournalRecord struct {
	Position uint64
	Data     []byte
}

// JournalPage is a part of a journal.
type JournalPage struct {
	Records []JournalRecord // in order, without a gap
	End     uint64          // the position of the journal's last record
}

// JournalSource returns the records that follow a position, in order and from
// the very next one on: as many as it likes, but at least one if there is any.
// [Ledger.JournalPage] is one, [JournalFile.Page] another, and what fetches
// pages from elsewhere can be one, too.
type JournalSource func(ctx context.Context, after uint64) (JournalPage, error)

const (
	// journalBytes is about how much a page of the journal has, and journalTime
	// how long it may take to read, where the file is not in memory.
	journalBytes = 64 << 10
	journalTime  = 25 * time.Millisecond
)

// JournalPage returns the committed records after a position, about 64 KiB of
// them; none if the journal ends there or before. It does not look into them:
// that is for whoever uses them.
func (l *Ledger) JournalPage(ctx context.Context, after uint64) (JournalPage, error) {
	if err := ctx.Err(); err != nil {
		return JournalPage{}, err
	}
	if err := l.Err(); err != nil {
		return JournalPage{}, err
	}
	page, err := readJournalPage(ctx, l.log, after, l.position())
	return page, l.failed(err)
}

// Journal lists the committed records after a position, to the end of the
// journal, reading a page at a time. An error ends the listing.
func (l *Ledger) Journal(ctx context.Context, after uint64) iter.Seq2[JournalRecord, error] {
	return func(yield func(JournalRecord, error) bool) {
		for {
			page, err := l.JournalPage(ctx, after)
			if err != nil {
				yield(JournalRecord{}, err)
				return
			}
			if len(page.Records) == 0 {
				return
			}
			for _, r := range page.Records {
				if !yield(r, nil) {
					return
				}
				after = r.Position
			}
		}
	}
}

// readJournalPage reads the records after a position, up to end at most.
func readJournalPage(ctx context.Context, log store.Log, after, end uint64) (JournalPage, error) {
	page := JournalPage{End: end}
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
				data = make([]byte, 0, journalBytes+len(record))
			}
			data = append(data, record...)
			ends = append(ends, len(data))
			next++
			full := len(data) >= journalBytes || len(ends)%64 == 0 && time.Since(start) > journalTime
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
		return JournalPage{}, err
	}
	page.Records = make([]JournalRecord, len(ends))
	from := 0
	for i, to := range ends {
		page.Records[i] = JournalRecord{after + 1 + uint64(i), data[from:to:to]}
		from = to
	}
	return page, nil
}

// JournalFile is the journal of a ledger's file, which is read and not changed.
type JournalFile struct{ store *boltStore }

// OpenJournal opens the journal of a file that nobody has open. Nothing is
// written to it, so it may lie on a medium that can only be read. Its errors
// are those of [Open].
func OpenJournal(path string) (*JournalFile, error) {
	s, err := openToRead(path)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	return &JournalFile{s}, nil
}

// Page returns the records after a position, as [Ledger.JournalPage] does.
func (f *JournalFile) Page(ctx context.Context, after uint64) (JournalPage, error) {
	if err := ctx.Err(); err != nil {
		return JournalPage{}, err
	}
	end, err := f.store.Tail(ctx)
	if err != nil {
		return JournalPage{}, err
	}
	return readJournalPage(ctx, f.store, after, end)
}

// Close closes the file.
func (f *JournalFile) Close() error { return f.store.close() }
