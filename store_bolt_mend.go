package capycoin

import (
	"bytes"
	"crypto/sha256"

	"github.com/capycoin/capycoin/internal/pages"
)

const (
	// mendRow is more than a row has, with its key.
	mendRow = 8 + pages.RowBytes + 1024
	// mendGap is the most records of a gap in a page that may have one wrong bit.
	mendGap = 4 * pages.RowRecords
)

// mend fills a gap from pages with one wrong bit. Bits rot one by one, and the
// checksums tell when the right one is turned back: of the some thousand that
// are tried, another one would have to give a record's checksum, once in 2^32,
// and then the records that follow would have to follow from that.
func (s *salvage) mend(gap positions) {
	for missing := range s.open(gap) {
		if missing.last-missing.first >= mendGap {
			continue
		}
		for _, k := range s.keys {
			// The rows are under the positions of their last records.
			if k.from <= missing.last+pages.RowRecords && missing.first < k.till && s.mendPage(k.page, missing) {
				break
			}
		}
	}
}

// open lists the parts of a gap that nothing was found for.
func (s *salvage) open(gap positions) func(func(positions) bool) {
	return func(yield func(positions) bool) {
		for next := gap.first; next <= gap.last; next++ {
			if len(s.extra[next]) > 0 {
				continue
			}
			p := positions{next, next}
			for p.last < gap.last && p.last-p.first < mendGap && len(s.extra[p.last+1]) == 0 {
				p.last++
			}
			if !yield(p) || p.last-p.first == mendGap {
				return // a large one
			}
			next = p.last
		}
	}
}

// mendPage looks for one bit of a page that makes all records of a gap good.
func (s *salvage) mendPage(page uint64, gap positions) bool {
	window := s.window(page)
	// Between the records before the gap and those after it.
	from, till := 0, int(s.pageSize)
	beside := false
	salvageRows(window, int(s.pageSize), func(_, position uint64, data []byte, good bool) {
		at := cap(window) - cap(data) // where it is in the window
		switch {
		case !good:
		case position < gap.first && gap.first-position <= 2*pages.RowRecords:
			from, beside = max(from, at+len(data)), true
		case position > gap.last && position-gap.last <= 2*pages.RowRecords:
			till, beside = min(till, at), true
		}
	})
	if !beside || from >= till || till-from > 4*mendRow {
		return false
	}
	start := max(0, from-mendRow)
	part := window[start:min(till+mendRow, len(window))]
	for bit := 8 * (from - start); bit < 8*(till-start); bit++ {
		part[bit/8] ^= 1 << (bit % 8)
		found := make(map[uint64][]byte)
		salvageRows(part, till-start, func(_, position uint64, data []byte, good bool) {
			if good && position >= gap.first && position <= gap.last {
				found[position] = bytes.Clone(data)
			}
		})
		part[bit/8] ^= 1 << (bit % 8)
		if uint64(len(found)) == gap.last-gap.first+1 {
			for position, data := range found {
				s.extra[position] = data
			}
			return true
		}
	}
	return false
}

// take lets the records after the end of the journal count, up to one that is known
// to have been committed, by its SHA-256: the meta page that led to them is lost.
// Of each of them one must have been found, no two that differ. It tells whether
// it did.
func (s *salvage) take(last uint64, sum [sha256.Size]byte) bool {
	if s.lost == nil {
		return false
	}
	found := make(map[uint64][]byte)
	for _, r := range s.runs[believeNot] {
		if r.last <= s.end || r.first > last {
			continue
		}
		if s.collect(r, positions{s.end + 1, last}, found) != nil {
			return false
		}
	}
	for position := s.end + 1; position <= last; position++ {
		if len(found[position]) == 0 {
			return false
		}
	}
	if sha256.Sum256(found[last]) != sum {
		return false
	}
	for position, data := range found {
		s.extra[position] = data
	}
	s.plan = append(s.plan, salvagedRun{positions{s.end + 1, last}, 0})
	s.end = last
	if s.beyond.first = last + 1; s.beyond.last <= last {
		s.beyond = positions{}
	}
	return true
}
