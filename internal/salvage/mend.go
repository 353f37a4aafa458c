package salvage

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
func (s *Salvage) mend(gap Positions) {
	for missing := range s.open(gap) {
		if missing.Last-missing.First >= mendGap {
			continue
		}
		for _, k := range s.Keys {
			// The rows are under the positions of their last records.
			if k.from <= missing.Last+pages.RowRecords && missing.First < k.till && s.mendPage(k.Page, missing) {
				break
			}
		}
	}
}

// open lists the parts of a gap that nothing was found for.
func (s *Salvage) open(gap Positions) func(func(Positions) bool) {
	return func(yield func(Positions) bool) {
		for next := gap.First; next <= gap.Last; next++ {
			if len(s.extra[next]) > 0 {
				continue
			}
			p := Positions{next, next}
			for p.Last < gap.Last && p.Last-p.First < mendGap && len(s.extra[p.Last+1]) == 0 {
				p.Last++
			}
			if !yield(p) || p.Last-p.First == mendGap {
				return // a large one
			}
			next = p.Last
		}
	}
}

// mendPage looks for one bit of a page that makes all records of a gap good.
func (s *Salvage) mendPage(page uint64, gap Positions) bool {
	window := s.window(page)
	// Between the records before the gap and those after it.
	from, till := 0, int(s.PageSize)
	beside := false
	salvageRows(window, int(s.PageSize), func(_, position uint64, data []byte, good bool) {
		at := cap(window) - cap(data) // where it is in the window
		switch {
		case !good:
		case position < gap.First && gap.First-position <= 2*pages.RowRecords:
			from, beside = max(from, at+len(data)), true
		case position > gap.Last && position-gap.Last <= 2*pages.RowRecords:
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
			if good && position >= gap.First && position <= gap.Last {
				found[position] = bytes.Clone(data)
			}
		})
		part[bit/8] ^= 1 << (bit % 8)
		if uint64(len(found)) == gap.Last-gap.First+1 {
			for position, data := range found {
				s.extra[position] = data
			}
			return true
		}
	}
	return false
}

// Take lets the records after the end of the journal count, up to one that is known
// to have been committed, by its SHA-256: the meta page that led to them is lost.
// Of each of them one must have been found, no two that differ. It tells whether
// it did.
func (s *Salvage) Take(last uint64, sum [sha256.Size]byte) bool {
	if s.Lost == nil {
		return false
	}
	found := make(map[uint64][]byte)
	for _, r := range s.Runs[believeNot] {
		if r.Last <= s.End || r.First > last {
			continue
		}
		if s.collect(r, Positions{s.End + 1, last}, found) != nil {
			return false
		}
	}
	for position := s.End + 1; position <= last; position++ {
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
	s.Plan = append(s.Plan, Run{Positions{s.End + 1, last}, 0})
	s.End = last
	if s.Beyond.First = last + 1; s.Beyond.Last <= last {
		s.Beyond = Positions{}
	}
	return true
}
