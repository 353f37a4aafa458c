package salvage

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"

	"github.com/capycoin/capycoin/internal/journal"
	"github.com/capycoin/capycoin/internal/pages"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/store"
)

// Missing returns how many records can't be read.
func (s *Salvage) Missing() (n uint64) {
	for _, g := range s.Gaps {
		n += g.Last - g.First + 1
	}
	return n
}

// GapOf returns which gap a position is in, -1 if in none.
func (s *Salvage) GapOf(position uint64) int {
	i := sort.Search(len(s.Gaps), func(i int) bool { return s.Gaps[i].Last >= position })
	if i == len(s.Gaps) || position < s.Gaps[i].First {
		return -1
	}
	return i
}

// After calls fn with the records after a position that can be read.
func (s *Salvage) After(ctx context.Context, position uint64, fn func(*record.Record)) error {
	var r record.Record
	for _, run := range s.Plan {
		if run.Last <= position {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		var bad error
		err := s.Records(run, func(at uint64, data []byte) {
			if at > position && bad == nil {
				if bad = record.Decode(&r, at, data); bad == nil {
					fn(&r)
				}
			}
		})
		if err := errors.Join(err, bad); err != nil {
			return err
		}
	}
	return nil
}

// Unsure calls fn with the records that were found after the end of the journal,
// whether they were ever committed or not; with all of them, if there are two for
// a position.
func (s *Salvage) Unsure(ctx context.Context, fn func(*record.Record)) error {
	if s.Beyond.First == 0 {
		return nil
	}
	var found []journal.Raw
	for _, run := range s.Runs[believeNot] {
		if err := ctx.Err(); err != nil {
			return err
		}
		if run.Last <= s.End {
			continue
		}
		err := s.Records(run, func(position uint64, data []byte) {
			if position > s.End {
				found = append(found, journal.Raw{Position: position, Data: bytes.Clone(data)})
			}
		})
		if err != nil {
			return err
		}
	}
	slices.SortFunc(found, func(a, b journal.Raw) int {
		return cmp.Or(cmp.Compare(a.Position, b.Position), bytes.Compare(a.Data, b.Data))
	})
	found = slices.CompactFunc(found, func(a, b journal.Raw) bool { return a.Position == b.Position && bytes.Equal(a.Data, b.Data) })
	var r record.Record
	for _, f := range found {
		if err := record.Decode(&r, f.Position, f.Data); err != nil {
			return fmt.Errorf("reading what lies after the journal: %w", err)
		}
		fn(&r)
	}
	return nil
}

// Rows calls fn with what may be rows of a table in the file, old ones too; their bytes
// die when fn returns.
func (s *Salvage) Rows(ctx context.Context, table store.Table, fn func(key, value []byte)) error {
	page := make([]byte, s.PageSize)
	for pgid := uint64(2); pgid < s.Pages; pgid++ {
		if pgid%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if bit(s.Free, pgid) {
			continue
		}
		if _, err := s.File.ReadAt(page, int64(pgid)*s.PageSize); err != nil && !errors.Is(err, io.EOF) {
			continue
		}
		b := page
		if more := binary.NativeEndian.Uint32(page[pages.OverflowAt:]); pages.Flags(page) == pages.FlagLeaf && more > 0 && more <= pages.MaxOverflow {
			b = make([]byte, int64(more+1)*s.PageSize)
			s.File.ReadAt(b, int64(pgid)*s.PageSize)
		}
		if pages.Flags(b) != pages.FlagLeaf {
			continue
		}
		rowsOn(b, table, fn)
	}
	return nil
}

// rowsOn calls fn with the rows on a leaf. A small bucket lies in a leaf of the root, and
// is a page there.
func rowsOn(page []byte, table store.Table, fn func(key, value []byte)) {
	pages.Elements(page, func(key, value []byte) {
		if string(key) == string(table) && len(value) > 16+pages.HeaderSize && binary.NativeEndian.Uint64(value) == 0 {
			rowsOn(value[16:], table, fn)
			return
		}
		fn(key, value)
	})
}
