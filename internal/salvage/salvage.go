// Package salvage finds the records that a damaged file still has, and says how far to
// believe that they were committed: [Open] reads all pages, [Salvage.Source] gives the
// records that count.
//
// It does not know bbolt, nor the state that records make: it trusts no page to say what
// it is, and takes a record wherever its checksum proves one. A repair calls it. It has no
// locks; a Salvage belongs to one goroutine, and the file must not change meanwhile.
package salvage

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sort"

	"github.com/capycoin/capycoin/internal/journal"
	"github.com/capycoin/capycoin/internal/pages"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/internal/wire"
	"github.com/capycoin/capycoin/store"
)

// A salvage reads the journal of a damaged file. It does not use bbolt and
// trusts nothing: it reads all pages of the file, and takes a record wherever it
// finds one that its checksum proves, which is over its position, too. Where a
// record was found says how far to believe that it was ever committed:
//
//   - In a page that the newest meta page leads to, among keys that the branches
//     above say are there: it was.
//   - In a page that the newest list of free pages does not have: it was. Such
//     pages are what is below a damaged branch. So it is in a page that names
//     itself as one that the newest meta page leads to, but lies elsewhere.
//   - In a page that the older meta page leads to: it was.
//   - In any page that says where it is, if the list of free pages is lost: it may
//     be what a commit left behind that never came to its end.
//   - Elsewhere it is just that, or of an earlier commit; none of these counts.
//
// The ledger's witness may prove some of these last ones, see take.
//
// A record of less belief counts where there is none of more, and none counts if
// two of the same belief differ.
type Salvage struct {
	File     *os.File
	PageSize int64
	Pages    uint64 // that the file has
	Newest   pages.Meta
	Lost     error // what is wrong with the metas: the last commit may be lost

	Keys  []Page   // of the journal's pages, by number; found from the newest meta
	Older []Page   // the same, from the older one, where they differ
	Free  []uint64 // a bit a page; nil: not known

	sequence, before uint64 // where the newest and the older commit say that the journal ends; 0: not known

	Runs   [beliefs][]Run    // what was found, of each belief
	Plan   []Run             // where the records are that count, in order; page 0: in extra
	extra  map[uint64][]byte // records that fill gaps
	End    uint64            // position of the journal's last record
	Gaps   []Positions       // which can't be read
	Beyond Positions         // records after the end that were found, none of them sure
	Broken map[uint64][]byte // what is left of records that can't be read
}

// Positions are those from first to last.
type Positions struct{ First, Last uint64 }

// Page is a page with the keys that it may have.
type Page struct{ Page, from, till uint64 }

// Run are consecutive records in a page.
type Run struct {
	Positions
	Page uint64
}

const (
	believeLed = iota
	believeUsed
	believeStrayed
	believeOlder
	believeUnsure
	believeNot
	beliefs
)

// salvageAhead is how far beyond a page a row may go that begins in it.
const salvageAhead = 4 << 10

// maxKind is more than the kinds of records and their versions that there are: a
// file of a later version is to be refused as that.
const maxKind = 31

// Open reads a file, which must not change meanwhile.
func Open(ctx context.Context, f *os.File, progress func(done, total uint64)) (*Salvage, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	s := &Salvage{File: f, extra: make(map[uint64][]byte), Broken: make(map[uint64][]byte)}
	s.Newest, err = pages.CheckMetas(f, true)
	if err != nil {
		if !errors.Is(err, store.ErrRolledBack) {
			return nil, err
		}
		s.Lost = err
	}
	s.PageSize = int64(s.Newest.PageSize)
	s.Pages = uint64((info.Size() + s.PageSize - 1) / s.PageSize)
	s.follow()
	if err := s.readPages(ctx, progress); err != nil {
		return nil, err
	}
	return s, s.settle()
}

// readPages finds all records that are anywhere in the file.
func (s *Salvage) readPages(ctx context.Context, progress func(done, total uint64)) error {
	const atOnce = 256
	buf := make([]byte, atOnce*s.PageSize+salvageAhead)
	named := uint64(0) // pages up to there belong to one that says where it is
	for first := uint64(0); first < s.Pages; first += atOnce {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := s.File.ReadAt(buf, int64(first)*s.PageSize)
		if err != nil && !errors.Is(err, io.EOF) {
			// The medium may not give these back. They are as good as zeroed.
			n = s.readSingly(buf, int64(first)*s.PageSize)
		}
		clear(buf[n:])
		for i := uint64(0); i < atOnce && first+i < s.Pages; i++ {
			window := buf[int64(i)*s.PageSize : min(int64(i+1)*s.PageSize+salvageAhead, int64(len(buf)))]
			pgid, id := first+i, binary.NativeEndian.Uint64(window)
			if id == pgid {
				named = pgid + min(pages.MaxOverflow, uint64(binary.NativeEndian.Uint32(window[pages.OverflowAt:])))
			}
			s.readPage(pgid, id, pgid <= named, window)
		}
		progress(min(first+atOnce, s.Pages), s.Pages)
	}
	return nil
}

// readSingly reads what can be read of a part of the file.
func (s *Salvage) readSingly(buf []byte, at int64) int {
	clear(buf)
	for i := int64(0); i < int64(len(buf)); i += 512 {
		s.File.ReadAt(buf[i:min(i+512, int64(len(buf)))], at+i)
	}
	return len(buf)
}

// readPage takes in the records of a page, named says whether it is one that
// says where it is.
func (s *Salvage) readPage(pgid, id uint64, named bool, window []byte) {
	led, ok := FindPage(s.Keys, pgid)
	strayed, isStrayed := FindPage(s.Keys, id)
	older, isOlder := FindPage(s.Older, pgid)
	salvageRows(window, int(s.PageSize), func(row, position uint64, data []byte, good bool) {
		within := func(k Page, ok bool) bool { return ok && k.from <= row && row < k.till }
		belief := believeNot
		switch {
		case within(led, ok):
			belief = believeLed
		case s.Free != nil && !bit(s.Free, pgid) && named && pgid < s.Newest.Pages:
			belief = believeUsed
		case pgid != id && within(strayed, isStrayed):
			belief = believeStrayed
		case within(older, isOlder):
			belief = believeOlder
		case s.Free == nil && named:
			belief = believeUnsure
		}
		if !good {
			if belief <= believeUsed && len(s.Broken) < 1<<16 {
				s.Broken[position] = bytes.Clone(data)
			}
			return
		}
		runs := &s.Runs[belief]
		if n := len(*runs); n > 0 && (*runs)[n-1].Page == pgid && (*runs)[n-1].Last+1 == position {
			(*runs)[n-1].Last = position
			return
		}
		*runs = append(*runs, Run{Positions{position, position}, pgid})
	})
}

// FindPage looks for a page in a list that is sorted.
func FindPage(keys []Page, page uint64) (Page, bool) {
	i, ok := slices.BinarySearchFunc(keys, page, func(k Page, page uint64) int { return cmp.Compare(k.Page, page) })
	if !ok {
		return Page{}, false
	}
	return keys[i], true
}

// salvageRows calls fn with the records of the rows that begin in a page: the
// row's key, the record's position, and whether its checksum is right. It does
// not go by what the page says of itself: it looks at each byte whether a row
// begins there.
func salvageRows(window []byte, pageSize int, fn func(row, position uint64, data []byte, good bool)) {
	for at := 0; at < pageSize && at+10+record.HeaderLen < len(window); at++ {
		// The first bytes of a position are zero, and then a small number of records.
		if window[at] != 0 || window[at+1] != 0 || window[at+8] == 0 || window[at+8] > pages.RowRecords {
			continue
		}
		row := binary.BigEndian.Uint64(window[at:])
		run, err := pages.OpenJournalRow(window[at:at+8], window[at+8:])
		if err != nil || row > wire.MaxPosition {
			continue
		}
		run.Left++ // so that it is not the last one that has to end with the window
		sound := false
		for range run.Left - 1 {
			position := run.First
			data, err := run.Next()
			if err != nil || len(data) < record.HeaderLen || len(data) > salvageAhead || data[0] == 0 || data[0] > maxKind || data[1] == 0 || data[1] > maxKind {
				break
			}
			good := record.CRC(position, data) == binary.BigEndian.Uint32(data[record.CRCOffset:])
			sound = sound || good
			fn(row, position, data, good)
		}
		if sound {
			at = len(window) - len(run.B) - 1
		}
	}
}

// settle finds out which records count.
func (s *Salvage) settle() error {
	for b := range s.Runs {
		runs := s.Runs[b]
		sort.Slice(runs, func(i, j int) bool { return runs[i].First < runs[j].First })
	}
	s.settleEnd()
	if s.End == 0 {
		return fmt.Errorf("%w: it has no record at all", store.ErrCorrupt)
	}
	// A page that is led to comes first; whatever is left open is looked for.
	next := uint64(1)
	for _, r := range s.Runs[believeLed] {
		if r.Last < next || r.First > s.End {
			continue
		}
		if r.First > next {
			if err := s.fill(Positions{next, r.First - 1}); err != nil {
				return err
			}
		}
		r.First, r.Last = max(r.First, next), min(r.Last, s.End)
		s.Plan = append(s.Plan, r)
		next = r.Last + 1
	}
	if next <= s.End {
		if err := s.fill(Positions{next, s.End}); err != nil {
			return err
		}
	}
	return nil
}

// settleEnd finds out where the journal ends. What the newest commit says counts
// if it can be, going by the commit before it.
func (s *Salvage) settleEnd() {
	found := uint64(0)
	for b, runs := range s.Runs {
		for _, r := range runs {
			if b <= believeUsed {
				found = max(found, r.Last)
			}
		}
	}
	s.End = max(found, s.before)
	if s.End == 0 {
		// Neither the tree nor the list is left.
		for _, r := range s.Runs[believeUnsure] {
			s.End = max(s.End, r.Last)
		}
	}
	if s.sequence > s.End && (s.before == 0 || s.sequence <= s.before+record.MaxCommit) && s.sequence-s.End <= 1<<32 {
		s.End = s.sequence
	}
	for _, r := range s.Runs[believeNot] {
		if r.Last <= s.End || s.Lost == nil {
			continue
		}
		if first := max(r.First, s.End+1); s.Beyond.First == 0 || first < s.Beyond.First {
			s.Beyond.First = first
		}
		s.Beyond.Last = max(s.Beyond.Last, r.Last)
	}
}

// fill looks for records that no page has which is led to.
func (s *Salvage) fill(gap Positions) error {
	for b := believeUsed; b < believeNot; b++ {
		for _, r := range s.Runs[b] {
			if r.Last < gap.First || r.First > gap.Last {
				continue
			}
			if b == believeUnsure && s.Lost == nil {
				s.Lost = &pages.LostMetaError{What: "neither a tree nor the list of free pages says which of the records that are found count, and later ones may be lost"}
			}
			if err := s.collect(r, gap, s.extra); err != nil {
				return err
			}
		}
	}
	// In few pieces: a gap may be large.
	add := func(p Positions, here bool) {
		if here {
			s.Plan = append(s.Plan, Run{p, 0})
		} else {
			s.Gaps = append(s.Gaps, p)
		}
	}
	s.mend(gap)
	var have []uint64
	for position, data := range s.extra {
		if len(data) > 0 && position >= gap.First && position <= gap.Last {
			have = append(have, position)
		}
	}
	slices.Sort(have)
	next := gap.First
	for i := 0; i < len(have); {
		j := i
		for j+1 < len(have) && have[j+1] == have[j]+1 {
			j++
		}
		if have[i] > next {
			add(Positions{next, have[i] - 1}, false)
		}
		add(Positions{have[i], have[j]}, true)
		next, i = have[j]+1, j+1
	}
	if next <= gap.Last {
		add(Positions{next, gap.Last}, false)
	}
	return nil
}

// collect takes those records of a run that are within some positions. Of two
// that differ neither counts.
func (s *Salvage) collect(r Run, within Positions, found map[uint64][]byte) error {
	return s.Records(r, func(position uint64, data []byte) {
		have, ok := found[position]
		switch {
		case position < within.First || position > within.Last:
		case !ok:
			found[position] = bytes.Clone(data)
		case !bytes.Equal(have, data):
			found[position] = nil
		}
	})
}

// Records calls fn with the records of a run, whose bytes die when fn returns.
func (s *Salvage) Records(r Run, fn func(position uint64, data []byte)) error {
	if r.Page == 0 {
		for position := r.First; position <= r.Last; position++ {
			fn(position, s.extra[position])
		}
		return nil
	}
	next := r.First
	salvageRows(s.window(r.Page), int(s.PageSize), func(_, position uint64, data []byte, good bool) {
		if good && position == next && position <= r.Last {
			fn(position, data)
			next++
		}
	})
	if next <= r.Last {
		return fmt.Errorf("%w: page %d of the file reads differently each time", store.ErrCorrupt, r.Page)
	}
	return nil
}

// window reads a page and what a row that begins in it may need of the next one.
func (s *Salvage) window(page uint64) []byte {
	window := make([]byte, s.PageSize+salvageAhead)
	if _, err := s.File.ReadAt(window, int64(page)*s.PageSize); err != nil && !errors.Is(err, io.EOF) {
		s.readSingly(window, int64(page)*s.PageSize)
	}
	return window
}

// Source returns the records up to a position, all of which must count.
func (s *Salvage) Source(end uint64) journal.Source {
	return func(ctx context.Context, after uint64) (page journal.Page, err error) {
		page.End = end
		i := sort.Search(len(s.Plan), func(i int) bool { return s.Plan[i].Last > after })
		for size := 0; size < journal.PageBytes && i < len(s.Plan); i++ {
			if err := ctx.Err(); err != nil {
				return page, err
			}
			err := s.Records(s.Plan[i], func(position uint64, data []byte) {
				if position > after && position <= end {
					page.Records = append(page.Records, journal.Raw{Position: position, Data: bytes.Clone(data)})
					size += len(data)
				}
			})
			if err != nil {
				return page, err
			}
		}
		if n := len(page.Records); n > 0 && page.Records[0].Position != after+1 {
			return page, fmt.Errorf("%w: record %d can't be read", store.ErrCorrupt, after+1)
		}
		return page, nil
	}
}
