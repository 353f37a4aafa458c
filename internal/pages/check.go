// Package pages has bbolt's pages and the rows of a ledger's journal in them, byte by
// byte, as they are read from a file: [CheckFile] makes sure of what bbolt would trust,
// [CheckMetas] of the two pages that everything hangs from, a [JournalRow] gives the
// records of a row.
//
// bbolt trusts its pages, which have no checksum. A damaged record or row
// shows when it is decoded, but a damaged branch page can lead bbolt round in
// circles until the stack is gone, which no recover can catch, and a damaged
// list of free pages makes it write over pages in use. So these pages are
// checked before bbolt sees them: the meta pages, all branch pages, and the
// free list, about one page in a hundred and fifty. Leaf pages are not read,
// unless pages are missing in that.
//
// It does not know bbolt's API, nor records: a file need not be one that bbolt can open.
// What opens a store calls it before bbolt does, and a salvage in bbolt's place. It has
// no state and no locks; the file has to be locked by whoever asks.
package pages

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"

	"github.com/capycoin/capycoin/store"
)

// The layout of pages (bbolt, internal/common/page.go), in the byte order of
// the machine.
const (
	HeaderSize = 16
	FlagsAt    = 8  // 2 bytes
	CountAt    = 10 // 2 bytes
	OverflowAt = 12 // 4 bytes: how many further pages belong to it

	FlagBranch   = 0x01
	FlagLeaf     = 0x02
	FlagFreelist = 0x10
	FlagBucket   = 0x01 // of an element of a leaf

	// NoFreelist is what a meta page has in the place of the list's page if there
	// is none. A ledger always has one.
	NoFreelist = ^uint64(0)

	ElementSize = 16 // of branches (position, key size, page) and leaves (flags, position, key size, value size)

	// MaxDepth is more than a tree of the largest file has,
	MaxDepth = 24
	// and maxOverflow than a page of branches or rows.
	MaxOverflow = 64
)

// Checker goes through the pages of a file.
type Checker struct {
	File     *os.File
	PageSize int64
	Pages    uint64
	Used     []uint64 // a bit a page
	uses     uint64   // how many of them
	leaves   bool     // leaves are asked for the pages that belong to them
}

func (c *Checker) bad(pgid uint64, format string, args ...any) error {
	return fmt.Errorf("%w: page %d of the file %s", store.ErrCorrupt, pgid, fmt.Sprintf(format, args...))
}

// Use notes that a page belongs to something; it may belong to one thing only.
func (c *Checker) Use(pgid uint64) error {
	if pgid < 2 || pgid >= c.Pages {
		return c.bad(pgid, "is led to, there are %d", c.Pages)
	}
	if c.Used[pgid/64]&(1<<(pgid%64)) != 0 {
		return c.bad(pgid, "is in use twice")
	}
	c.Used[pgid/64] |= 1 << (pgid % 64)
	c.uses++
	return nil
}

// Read reads a page with those that belong to it, which can't be more than most.
func (c *Checker) Read(pgid, most uint64) ([]byte, error) {
	if pgid < 2 || pgid >= c.Pages {
		return nil, c.bad(pgid, "is led to, there are %d", c.Pages)
	}
	b := make([]byte, c.PageSize)
	if _, err := c.File.ReadAt(b, int64(pgid)*c.PageSize); err != nil {
		return nil, err
	}
	if id := binary.NativeEndian.Uint64(b); id != pgid {
		return nil, c.bad(pgid, "says that it is page %d", id)
	}
	more := uint64(binary.NativeEndian.Uint32(b[OverflowAt:]))
	if more >= c.Pages-pgid || more > most {
		return nil, c.bad(pgid, "says that %d pages belong to it", more)
	}
	if more > 0 {
		b = append(b, make([]byte, int64(more)*c.PageSize)...)
		if _, err := c.File.ReadAt(b, int64(pgid)*c.PageSize); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func Flags(page []byte) uint16 { return binary.NativeEndian.Uint16(page[FlagsAt:]) }

// elements returns how many elements a page has, if it has room for them.
func (c *Checker) elements(pgid uint64, page []byte) (int, error) {
	n := int(binary.NativeEndian.Uint16(page[CountAt:]))
	if HeaderSize+n*ElementSize > len(page) {
		return 0, c.bad(pgid, "has no room for its %d elements", n)
	}
	return n, nil
}

// Child is a page that a branch leads to, and the keys that it may have: from
// one on, and before another, nil for any.
type Child struct {
	Page       uint64
	From, Till []byte
}

// Children returns the pages that a branch leads to, in the order of its keys.
// Among keys out of order a search would end anywhere.
func (c *Checker) Children(in Child, page []byte) ([]Child, error) {
	n, err := c.elements(in.Page, page)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, c.bad(in.Page, "is a branch that leads nowhere")
	}
	next := make([]Child, n)
	for i := range next {
		at := HeaderSize + i*ElementSize
		from := uint64(at) + uint64(binary.NativeEndian.Uint32(page[at:]))
		till := from + uint64(binary.NativeEndian.Uint32(page[at+4:]))
		if till > uint64(len(page)) {
			return nil, c.bad(in.Page, "has a key that lies outside")
		}
		next[i] = Child{Page: binary.NativeEndian.Uint64(page[at+8:]), From: page[from:till], Till: in.Till}
		if i > 0 {
			next[i-1].Till = next[i].From
		}
	}
	if in.From != nil && !bytes.Equal(next[0].From, in.From) {
		return nil, c.bad(in.Page, "does not begin with the key that leads to it") // see the cursor of a store
	}
	for i, one := range next {
		if bytes.Compare(one.From, in.From) < 0 || one.Till != nil && bytes.Compare(one.From, one.Till) >= 0 {
			return nil, c.bad(in.Page, "has its %d-th key out of order", i+1)
		}
	}
	return next, nil
}

// depth returns how many levels of branches a tree has.
func (c *Checker) depth(root uint64) (int, error) {
	for depth, pgid := 0, root; depth < MaxDepth; depth++ {
		page, err := c.Read(pgid, MaxOverflow)
		if err != nil {
			return 0, err
		}
		switch Flags(page) {
		case FlagLeaf:
			return depth, nil
		case FlagBranch:
			next, err := c.Children(Child{Page: pgid}, page)
			if err != nil {
				return 0, err
			}
			pgid = next[0].Page
		default:
			return 0, c.bad(pgid, "is neither branch nor leaf")
		}
	}
	return 0, c.bad(root, "leads more than %d pages down", MaxDepth)
}

// tree checks the branches of a tree whose leaves are a number of levels down,
// and calls leaf, if there is one, with its leaves.
func (c *Checker) tree(in Child, depth int, leaf func(pgid uint64, page []byte) error) error {
	pgid := in.Page
	if err := c.Use(pgid); err != nil {
		return err
	}
	if depth == 0 && leaf == nil && !c.leaves {
		return nil
	}
	page, err := c.Read(pgid, MaxOverflow)
	if err != nil {
		return err
	}
	for more := uint64(1); more < uint64(int64(len(page))/c.PageSize); more++ {
		if err := c.Use(pgid + more); err != nil {
			return err
		}
	}
	if depth == 0 {
		if Flags(page) != FlagLeaf {
			return c.bad(pgid, "is no leaf")
		}
		if leaf == nil {
			return nil
		}
		return leaf(pgid, page)
	}
	if Flags(page) != FlagBranch {
		return c.bad(pgid, "is no branch")
	}
	next, err := c.Children(in, page)
	if err != nil {
		return err
	}
	for _, child := range next {
		if err := c.tree(child, depth-1, leaf); err != nil {
			return err
		}
	}
	return nil
}

// RowsFault says what is wrong with the rows of a leaf: they lie one after the other
// within it, and their keys ascend and are before the key of the next leaf, nil for
// none. It returns where the last one ends.
func RowsFault(page, next []byte) (end int, fault string) {
	order := binary.NativeEndian
	n := int(order.Uint16(page[CountAt:]))
	end = HeaderSize + n*ElementSize
	if end > len(page) {
		return end, fmt.Sprintf("has no room for its %d elements", n)
	}
	var before []byte
	for i := range n {
		at := HeaderSize + i*ElementSize
		field := func(n int) int { return int(order.Uint32(page[at+4*n:])) }
		if at+field(1) != end {
			return end, fmt.Sprintf("does not have its %d-th row where the one before ends", i+1)
		}
		if room := uint(len(page) - end); uint(field(2)) > room || uint(field(3)) > room-uint(field(2)) {
			return end, fmt.Sprintf("has no room for its %d-th row", i+1)
		}
		key := page[end : end+field(2)]
		if i > 0 && bytes.Compare(before, key) >= 0 {
			return end, fmt.Sprintf("has its %d-th key out of order", i+1)
		}
		before = key
		end += field(2) + field(3)
	}
	if n > 0 && next != nil && bytes.Compare(before, next) >= 0 {
		return end, "has keys of the next one"
	}
	return end, ""
}

// small says whether the page that a small bucket is within the root page is as
// bbolt writes it, which reads it as if it were: of no number, a leaf, and as long as
// its rows are.
func small(page []byte) bool {
	order := binary.NativeEndian
	if len(page) < HeaderSize || order.Uint64(page) != 0 || Flags(page) != FlagLeaf || order.Uint32(page[OverflowAt:]) != 0 {
		return false
	}
	end, fault := RowsFault(page, nil)
	return fault == "" && end == len(page)
}

// buckets checks the trees of the buckets that a leaf of the root names.
func (c *Checker) buckets(pgid uint64, page []byte) error {
	if _, fault := RowsFault(page, nil); fault != "" {
		return c.bad(pgid, "%s", fault)
	}
	for i := range int(binary.NativeEndian.Uint16(page[CountAt:])) {
		at := HeaderSize + i*ElementSize
		field := func(n int) int { return int(binary.NativeEndian.Uint32(page[at+4*n:])) }
		value := at + field(1) + field(2) // the key comes first
		if field(0) != FlagBucket || field(3) < 16 {
			return c.bad(pgid, "has an element that is no bucket")
		}
		root := binary.NativeEndian.Uint64(page[value:])
		if root == 0 { // a small bucket lies in the leaf, in a page of no number
			if !small(page[value+16 : value+field(3)]) {
				return c.bad(pgid, "has a small bucket that is damaged")
			}
			continue
		}
		depth, err := c.depth(root)
		if err != nil {
			return err
		}
		if err := c.tree(Child{Page: root}, depth, nil); err != nil {
			return err
		}
	}
	return nil
}

// free checks that the free pages are free.
func (c *Checker) free(pgid uint64) error {
	if pgid == NoFreelist {
		return fmt.Errorf("%w: the file has no list of free pages", store.ErrCorrupt)
	}
	page, ids, err := c.Freelist(pgid)
	if err != nil {
		return err
	}
	for more := range uint64(int64(len(page)) / c.PageSize) {
		if err := c.Use(pgid + more); err != nil {
			return err
		}
	}
	for ; len(ids) > 0; ids = ids[8:] {
		if err := c.Use(binary.NativeEndian.Uint64(ids)); err != nil {
			return err
		}
	}
	return nil
}

// Freelist reads the list of free pages, whose numbers have 8 bytes each.
func (c *Checker) Freelist(pgid uint64) (page, ids []byte, err error) {
	page, err = c.Read(pgid, (HeaderSize+8+8*c.Pages)/uint64(c.PageSize))
	if err != nil {
		return nil, nil, err
	}
	if Flags(page) != FlagFreelist {
		return nil, nil, c.bad(pgid, "is no list of free pages")
	}
	n, ids := uint64(binary.NativeEndian.Uint16(page[CountAt:])), page[HeaderSize:]
	if n == 0xffff { // too many for that field
		n, ids = binary.NativeEndian.Uint64(ids), ids[8:]
	}
	if n > uint64(len(ids))/8 {
		return nil, nil, c.bad(pgid, "has no room for its %d free pages", n)
	}
	return page, ids[:8*n], nil
}

// CheckFile checks what bbolt would trust.
func CheckFile(f *os.File) error {
	newest, err := CheckMetas(f, false)
	if err != nil {
		return err
	}
	return checkTrees(f, newest)
}

// checkTrees checks that a file is as long as its meta page says, that its
// trees are trees, and that no page has two uses.
func checkTrees(f *os.File, m Meta) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if need := m.Pages * uint64(m.PageSize); m.Pages > maxPages || uint64(info.Size()) < need {
		return fmt.Errorf("%w: the file has %d bytes, its %d pages need %d", store.ErrCorrupt, info.Size(), m.Pages, need)
	}
	c := &Checker{File: f, PageSize: int64(m.PageSize), Pages: m.Pages}
	if err := c.all(m); err != nil {
		return err
	}
	if c.uses+2 < m.Pages {
		// All pages are in use or free, unless there are leaves of several pages.
		// Those may not be in the list of free pages, so they are looked at.
		c.leaves = true
		return c.all(m)
	}
	return nil
}

// all checks the trees and the list of free pages.
func (c *Checker) all(m Meta) error {
	c.Used, c.uses = make([]uint64, m.Pages/64+1), 0
	depth, err := c.depth(m.Root)
	if err != nil {
		return err
	}
	if err := c.tree(Child{Page: m.Root}, depth, c.buckets); err != nil {
		return err
	}
	return c.free(m.Freelist)
}
