package capycoin

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"

	"github.com/capycoin/capycoin/store"
)

// bbolt trusts its pages, which have no checksum. A damaged record or row
// shows when it is decoded, but a damaged branch page can lead bbolt round in
// circles until the stack is gone, which no recover can catch, and a damaged
// list of free pages makes it write over pages in use. So these pages are
// checked before bbolt sees them: the meta pages, all branch pages, and the
// free list, about one page in a hundred and fifty. Leaf pages are not read,
// unless pages are missing in that.

// The layout of pages (bbolt, internal/common/page.go), in the byte order of
// the machine.
const (
	pageHeader   = 16
	pageFlags    = 8  // 2 bytes
	pageCount    = 10 // 2 bytes
	pageOverflow = 12 // 4 bytes: how many further pages belong to it

	flagBranch   = 0x01
	flagLeaf     = 0x02
	flagMeta     = 0x04
	flagFreelist = 0x10
	flagBucket   = 0x01 // of an element of a leaf

	// noFreelist is what a meta page has in the place of the list's page if there
	// is none. A ledger always has one.
	noFreelist = ^uint64(0)

	elementSize = 16 // of branches (position, key size, page) and leaves (flags, position, key size, value size)

	// maxDepth is more than a tree of the largest file has,
	maxDepth = 24
	// and maxOverflow than a page of branches or rows.
	maxOverflow = 64
)

// treeCheck goes through the pages of a file.
type treeCheck struct {
	file     *os.File
	pageSize int64
	pages    uint64
	used     []uint64 // a bit a page
	uses     uint64   // how many of them
	leaves   bool     // leaves are asked for the pages that belong to them
}

func (c *treeCheck) bad(pgid uint64, format string, args ...any) error {
	return fmt.Errorf("%w: page %d of the file %s", store.ErrCorrupt, pgid, fmt.Sprintf(format, args...))
}

// use notes that a page belongs to something; it may belong to one thing only.
func (c *treeCheck) use(pgid uint64) error {
	if pgid < 2 || pgid >= c.pages {
		return c.bad(pgid, "is led to, there are %d", c.pages)
	}
	if c.used[pgid/64]&(1<<(pgid%64)) != 0 {
		return c.bad(pgid, "is in use twice")
	}
	c.used[pgid/64] |= 1 << (pgid % 64)
	c.uses++
	return nil
}

// read reads a page with those that belong to it, which can't be more than most.
func (c *treeCheck) read(pgid, most uint64) ([]byte, error) {
	if pgid < 2 || pgid >= c.pages {
		return nil, c.bad(pgid, "is led to, there are %d", c.pages)
	}
	b := make([]byte, c.pageSize)
	if _, err := c.file.ReadAt(b, int64(pgid)*c.pageSize); err != nil {
		return nil, err
	}
	if id := binary.NativeEndian.Uint64(b); id != pgid {
		return nil, c.bad(pgid, "says that it is page %d", id)
	}
	more := uint64(binary.NativeEndian.Uint32(b[pageOverflow:]))
	if more >= c.pages-pgid || more > most {
		return nil, c.bad(pgid, "says that %d pages belong to it", more)
	}
	if more > 0 {
		b = append(b, make([]byte, int64(more)*c.pageSize)...)
		if _, err := c.file.ReadAt(b, int64(pgid)*c.pageSize); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func flagsOf(page []byte) uint16 { return binary.NativeEndian.Uint16(page[pageFlags:]) }

// elements returns how many elements a page has, if it has room for them.
func (c *treeCheck) elements(pgid uint64, page []byte) (int, error) {
	n := int(binary.NativeEndian.Uint16(page[pageCount:]))
	if pageHeader+n*elementSize > len(page) {
		return 0, c.bad(pgid, "has no room for its %d elements", n)
	}
	return n, nil
}

// child is a page that a branch leads to, and the keys that it may have: from
// one on, and before another, nil for any.
type child struct {
	pgid       uint64
	from, till []byte
}

// children returns the pages that a branch leads to, in the order of its keys.
// Among keys out of order a search would end anywhere.
func (c *treeCheck) children(in child, page []byte) ([]child, error) {
	n, err := c.elements(in.pgid, page)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, c.bad(in.pgid, "is a branch that leads nowhere")
	}
	next := make([]child, n)
	for i := range next {
		at := pageHeader + i*elementSize
		from := uint64(at) + uint64(binary.NativeEndian.Uint32(page[at:]))
		till := from + uint64(binary.NativeEndian.Uint32(page[at+4:]))
		if till > uint64(len(page)) {
			return nil, c.bad(in.pgid, "has a key that lies outside")
		}
		next[i] = child{pgid: binary.NativeEndian.Uint64(page[at+8:]), from: page[from:till], till: in.till}
		if i > 0 {
			next[i-1].till = next[i].from
		}
	}
	if in.from != nil && !bytes.Equal(next[0].from, in.from) {
		return nil, c.bad(in.pgid, "does not begin with the key that leads to it") // see [treeCursor.child]
	}
	for i, one := range next {
		if bytes.Compare(one.from, in.from) < 0 || one.till != nil && bytes.Compare(one.from, one.till) >= 0 {
			return nil, c.bad(in.pgid, "has its %d-th key out of order", i+1)
		}
	}
	return next, nil
}

// depth returns how many levels of branches a tree has.
func (c *treeCheck) depth(root uint64) (int, error) {
	for depth, pgid := 0, root; depth < maxDepth; depth++ {
		page, err := c.read(pgid, maxOverflow)
		if err != nil {
			return 0, err
		}
		switch flagsOf(page) {
		case flagLeaf:
			return depth, nil
		case flagBranch:
			next, err := c.children(child{pgid: pgid}, page)
			if err != nil {
				return 0, err
			}
			pgid = next[0].pgid
		default:
			return 0, c.bad(pgid, "is neither branch nor leaf")
		}
	}
	return 0, c.bad(root, "leads more than %d pages down", maxDepth)
}

// tree checks the branches of a tree whose leaves are a number of levels down,
// and calls leaf, if there is one, with its leaves.
func (c *treeCheck) tree(in child, depth int, leaf func(pgid uint64, page []byte) error) error {
	pgid := in.pgid
	if err := c.use(pgid); err != nil {
		return err
	}
	if depth == 0 && leaf == nil && !c.leaves {
		return nil
	}
	page, err := c.read(pgid, maxOverflow)
	if err != nil {
		return err
	}
	for more := uint64(1); more < uint64(int64(len(page))/c.pageSize); more++ {
		if err := c.use(pgid + more); err != nil {
			return err
		}
	}
	if depth == 0 {
		if flagsOf(page) != flagLeaf {
			return c.bad(pgid, "is no leaf")
		}
		if leaf == nil {
			return nil
		}
		return leaf(pgid, page)
	}
	if flagsOf(page) != flagBranch {
		return c.bad(pgid, "is no branch")
	}
	next, err := c.children(in, page)
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

// rowsFault says what is wrong with the rows of a leaf: they lie one after the other
// within it, and their keys ascend and are before the key of the next leaf, nil for
// none. It returns where the last one ends.
func rowsFault(page, next []byte) (end int, fault string) {
	order := binary.NativeEndian
	n := int(order.Uint16(page[pageCount:]))
	end = pageHeader + n*elementSize
	if end > len(page) {
		return end, fmt.Sprintf("has no room for its %d elements", n)
	}
	var before []byte
	for i := range n {
		at := pageHeader + i*elementSize
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
	if len(page) < pageHeader || order.Uint64(page) != 0 || flagsOf(page) != flagLeaf || order.Uint32(page[pageOverflow:]) != 0 {
		return false
	}
	end, fault := rowsFault(page, nil)
	return fault == "" && end == len(page)
}

// buckets checks the trees of the buckets that a leaf of the root names.
func (c *treeCheck) buckets(pgid uint64, page []byte) error {
	if _, fault := rowsFault(page, nil); fault != "" {
		return c.bad(pgid, "%s", fault)
	}
	for i := range int(binary.NativeEndian.Uint16(page[pageCount:])) {
		at := pageHeader + i*elementSize
		field := func(n int) int { return int(binary.NativeEndian.Uint32(page[at+4*n:])) }
		value := at + field(1) + field(2) // the key comes first
		if field(0) != flagBucket || field(3) < 16 {
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
		if err := c.tree(child{pgid: root}, depth, nil); err != nil {
			return err
		}
	}
	return nil
}

// free checks that the free pages are free.
func (c *treeCheck) free(pgid uint64) error {
	if pgid == noFreelist {
		return fmt.Errorf("%w: the file has no list of free pages", store.ErrCorrupt)
	}
	page, ids, err := c.freelist(pgid)
	if err != nil {
		return err
	}
	for more := range uint64(int64(len(page)) / c.pageSize) {
		if err := c.use(pgid + more); err != nil {
			return err
		}
	}
	for ; len(ids) > 0; ids = ids[8:] {
		if err := c.use(binary.NativeEndian.Uint64(ids)); err != nil {
			return err
		}
	}
	return nil
}

// freelist reads the list of free pages, whose numbers have 8 bytes each.
func (c *treeCheck) freelist(pgid uint64) (page, ids []byte, err error) {
	page, err = c.read(pgid, (pageHeader+8+8*c.pages)/uint64(c.pageSize))
	if err != nil {
		return nil, nil, err
	}
	if flagsOf(page) != flagFreelist {
		return nil, nil, c.bad(pgid, "is no list of free pages")
	}
	n, ids := uint64(binary.NativeEndian.Uint16(page[pageCount:])), page[pageHeader:]
	if n == 0xffff { // too many for that field
		n, ids = binary.NativeEndian.Uint64(ids), ids[8:]
	}
	if n > uint64(len(ids))/8 {
		return nil, nil, c.bad(pgid, "has no room for its %d free pages", n)
	}
	return page, ids[:8*n], nil
}

// checkPages checks what bbolt would trust.
func checkPages(f *os.File) error {
	newest, err := checkMetas(f, false)
	if err != nil {
		return err
	}
	return checkTrees(f, newest)
}

// checkTrees checks that a file is as long as its meta page says, that its
// trees are trees, and that no page has two uses.
func checkTrees(f *os.File, m boltMeta) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if need := m.pages * uint64(m.pageSize); m.pages > maxPages || uint64(info.Size()) < need {
		return fmt.Errorf("%w: the file has %d bytes, its %d pages need %d", store.ErrCorrupt, info.Size(), m.pages, need)
	}
	c := &treeCheck{file: f, pageSize: int64(m.pageSize), pages: m.pages}
	if err := c.all(m); err != nil {
		return err
	}
	if c.uses+2 < m.pages {
		// All pages are in use or free, unless there are leaves of several pages.
		// Those may not be in the list of free pages, so they are looked at.
		c.leaves = true
		return c.all(m)
	}
	return nil
}

// all checks the trees and the list of free pages.
func (c *treeCheck) all(m boltMeta) error {
	c.used, c.uses = make([]uint64, m.pages/64+1), 0
	depth, err := c.depth(m.root)
	if err != nil {
		return err
	}
	if err := c.tree(child{pgid: m.root}, depth, c.buckets); err != nil {
		return err
	}
	return c.free(m.freelist)
}
