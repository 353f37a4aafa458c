package salvage

import (
	"encoding/binary"
	"slices"
	"sort"

	"github.com/capycoin/capycoin/internal/pages"
)

// follow finds out which pages the metas lead to.
func (s *Salvage) follow() {
	c := &pages.Checker{File: s.File, PageSize: s.PageSize, Pages: min(s.Pages, s.Newest.Pages), Used: make([]uint64, s.Pages/64+1)}
	s.sequence, s.Keys = s.followMeta(c, s.Newest)
	s.readFree(c)
	if older, err := pages.ReadMeta(s.File, 1-s.Newest.Page, s.PageSize, true); err == nil && older.Wrong == "" && s.Lost == nil {
		c.Used = slices.Clone(c.Used)
		s.before, s.Older = s.followMeta(c, older)
		if s.before == 0 { // its root is used again: what it led to is not known
			s.Older = nil
		}
	}
}

// followMeta returns where the journal of a meta page ends and the pages that it
// has. What is damaged is left out.
func (s *Salvage) followMeta(c *pages.Checker, m pages.Meta) (sequence uint64, keys []Page) {
	root, sequence := s.journal(c, m.Root, 0)
	if root == 0 {
		return sequence, append(keys, Page{m.Root, 0, ^uint64(0)}) // it lies in the root, or nobody knows where
	}
	s.branch(c, pages.Child{Page: root}, 0, &keys)
	sort.Slice(keys, func(i, j int) bool { return keys[i].Page < keys[j].Page })
	return sequence, keys
}

// journal looks for the journal's bucket from a page of the root's tree on.
func (s *Salvage) journal(c *pages.Checker, pgid uint64, depth int) (root, sequence uint64) {
	page, err := c.Read(pgid, pages.MaxOverflow)
	if err != nil || c.Use(pgid) != nil || depth > pages.MaxDepth {
		return 0, 0
	}
	if pages.Flags(page) == pages.FlagBranch {
		next, _ := c.Children(pages.Child{Page: pgid}, page)
		for _, in := range next {
			if root, sequence = s.journal(c, in.Page, depth+1); root != 0 {
				return root, sequence
			}
		}
		return 0, 0
	}
	pages.Elements(page, func(key, value []byte) {
		if string(key) == pages.JournalBucket && len(value) >= 16 {
			root, sequence = binary.NativeEndian.Uint64(value), binary.NativeEndian.Uint64(value[8:])
		}
	})
	return root, sequence
}

// branch collects the pages below one. Whatever is no good branch may have rows.
func (s *Salvage) branch(c *pages.Checker, in pages.Child, depth int, keys *[]Page) {
	if c.Use(in.Page) != nil || depth > pages.MaxDepth {
		return
	}
	page, err := c.Read(in.Page, pages.MaxOverflow)
	if err == nil && pages.Flags(page) == pages.FlagBranch {
		if next, err := c.Children(in, page); err == nil {
			for _, in := range next {
				s.branch(c, in, depth+1, keys)
			}
			return
		}
	}
	k := Page{in.Page, 0, ^uint64(0)}
	if len(in.From) == 8 {
		k.from = binary.BigEndian.Uint64(in.From)
	}
	if len(in.Till) == 8 {
		k.till = binary.BigEndian.Uint64(in.Till)
	}
	*keys = append(*keys, k)
	for more := 1; int64(more)*s.PageSize < int64(len(page)); more++ { // rows may begin there
		*keys = append(*keys, Page{in.Page + uint64(more), k.from, k.till})
	}
}

// readFree reads the list of free pages, unless it can't be one.
func (s *Salvage) readFree(c *pages.Checker) {
	_, ids, err := c.Freelist(s.Newest.Freelist)
	if err != nil {
		return
	}
	free := make([]uint64, s.Pages/64+1)
	for last := uint64(1); len(ids) > 0; ids = ids[8:] {
		id := binary.NativeEndian.Uint64(ids)
		if id <= last || id >= c.Pages {
			return // it is in order
		}
		free[id/64] |= 1 << (id % 64)
		last = id
	}
	s.Free = free
}

func bit(set []uint64, n uint64) bool { return n/64 < uint64(len(set)) && set[n/64]&(1<<(n%64)) != 0 }
