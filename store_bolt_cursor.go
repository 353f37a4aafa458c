package capycoin

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"unsafe"

	bolt "go.etcd.io/bbolt"

	"github.com/capycoin/capycoin/internal/pages"
)

// treeCursor goes through a bucket as a [bolt.Cursor] does, for whoever reads and,
// before a row is written, to see that bbolt will get there. bbolt goes down as
// long as a page says that it is a branch: where one leads round in circles, which
// an old copy of a page may, it goes on until the stack is gone, and that ends the
// process. This one goes no deeper than a tree can be. It panics where a page is
// damaged, as bbolt does: see guarded.
//
// Keys and values are of the mapped file, valid until the transaction ends. What
// the transaction itself has written it does not see.
type treeCursor struct {
	small *bolt.Cursor // of a bucket that has no pages of its own, and so no branches

	data     []byte // the pages of the file
	pageSize uint64
	root     uint64
	levels   []treeLevel // from the root down to a leaf
	room     [4]treeLevel

	ordered [3]uint64 // the leaves that order looked at last: one, and those beside it
}

// treeLevel is a place in a page.
type treeLevel struct {
	page  []byte
	index int
	count int32
	leaf  bool
}

func newTreeCursor(b *bolt.Bucket) *treeCursor {
	if b.Root() == 0 {
		return &treeCursor{small: b.Cursor()}
	}
	info := b.Tx().DB().Info()
	c := &treeCursor{pageSize: uint64(info.PageSize), root: uint64(b.Root())}
	// It stays where it is as long as a transaction that reads, and until one that
	// writes is committed.
	c.data = unsafe.Slice(*(**byte)(unsafe.Pointer(&info.Data)), b.Tx().Size())
	c.levels = c.room[:0]
	return c
}

// down adds the level of a page.
func (c *treeCursor) down(pgid uint64) *treeLevel {
	bad := func(format string, args ...any) {
		panic(fmt.Sprintf("page %d of the file %s", pgid, fmt.Sprintf(format, args...)))
	}
	total := uint64(len(c.data)) / c.pageSize
	if pgid < 2 || pgid >= total {
		bad("is led to, there are %d", total)
	}
	if len(c.levels) == pages.MaxDepth {
		bad("is more than %d pages down", pages.MaxDepth)
	}
	page := c.data[pgid*c.pageSize:]
	order := binary.NativeEndian
	if id := order.Uint64(page); id != pgid {
		bad("says that it is page %d", id)
	}
	more := uint64(order.Uint32(page[pages.OverflowAt:]))
	if more >= total-pgid {
		bad("says that %d pages belong to it", more)
	}
	size := (more + 1) * c.pageSize
	l := treeLevel{page: page[:size:size], count: int32(order.Uint16(page[pages.CountAt:]))}
	switch pages.Flags(page) {
	case pages.FlagLeaf:
		l.leaf = true
	case pages.FlagBranch:
		if l.count == 0 {
			bad("is a branch that leads nowhere")
		}
	default:
		bad("is neither branch nor leaf")
	}
	// It has as many pages as its elements need, as all of them are freed when it is
	// written anew: with more, some that belong to others.
	if end := l.end(); end > size || end+c.pageSize <= size {
		bad("has %d bytes, its elements need %d", size, end)
	}
	c.levels = append(c.levels, l)
	return &c.levels[len(c.levels)-1]
}

// end returns how many bytes a page has in use: its last element lies last.
func (l *treeLevel) end() uint64 {
	if l.count == 0 {
		return pages.HeaderSize
	}
	order := binary.NativeEndian
	at := pages.HeaderSize + (int(l.count)-1)*pages.ElementSize
	e := l.page[at : at+pages.ElementSize]
	end := uint64(at) + uint64(order.Uint32(e[l.fields():])) + uint64(order.Uint32(e[l.fields()+4:]))
	if l.leaf {
		end += uint64(order.Uint32(e[12:]))
	}
	return end
}

// child adds the level of the page that the branch there leads to. That begins
// with the key that leads to it: by its first key bbolt looks for the place of a
// page in its parent when it writes it. Where it does not find it, it adds the new
// page, and leaves the old one in the tree, though it counts as free from then on.
func (c *treeCursor) child() *treeLevel {
	l := &c.levels[len(c.levels)-1]
	pgid := binary.NativeEndian.Uint64(l.page[pages.HeaderSize+l.index*pages.ElementSize+8:])
	next := c.down(pgid)
	if next.count == 0 || !bytes.Equal(next.key(0), l.key(l.index)) {
		panic(fmt.Sprintf("page %d of the file does not begin with the key that leads to it", pgid))
	}
	return next
}

// key returns the key of an element.
func (l *treeLevel) key(index int) []byte {
	at := pages.HeaderSize + index*pages.ElementSize
	e := l.page[at+l.fields() : at+pages.ElementSize]
	at += int(binary.NativeEndian.Uint32(e))
	return l.page[at : at+int(binary.NativeEndian.Uint32(e[4:]))]
}

// fields returns where an element has a key's position and size.
func (l *treeLevel) fields() int {
	if l.leaf {
		return 4
	}
	return 0
}

// search returns the first key that is not before one, in the steps of bbolt.
func (l *treeLevel) search(key []byte) (index int, exact bool) {
	page, fields := l.page, l.fields()
	from, till := 0, int(l.count)
	for from < till {
		middle := int(uint(from+till) >> 1)
		at := pages.HeaderSize + middle*pages.ElementSize
		e := page[at+fields : at+fields+8]
		at += int(binary.NativeEndian.Uint32(e))
		order := bytes.Compare(page[at:at+int(binary.NativeEndian.Uint32(e[4:]))], key)
		if order < 0 {
			from = middle + 1
			continue
		}
		till = middle
		exact = exact || order == 0
	}
	return from, exact
}

// row returns the row where the cursor is, nil if there is none.
func (c *treeCursor) row() (key, value []byte) {
	l := &c.levels[len(c.levels)-1]
	if l.index < 0 || l.index >= int(l.count) {
		return nil, nil
	}
	at := uint64(pages.HeaderSize + l.index*pages.ElementSize)
	order := binary.NativeEndian
	e := l.page[at : at+pages.ElementSize]
	from := at + uint64(order.Uint32(e[4:]))
	till := from + uint64(order.Uint32(e[8:]))
	key = l.page[from:till:till]
	if order.Uint32(e)&pages.FlagBucket != 0 {
		return key, nil
	}
	end := till + uint64(order.Uint32(e[12:]))
	return key, l.page[till:end:end]
}

// Seek moves to the first row whose key is not before one.
func (c *treeCursor) Seek(key []byte) (k, v []byte) {
	if c.small != nil {
		return c.small.Seek(key)
	}
	if l := c.leaf(key); l.index == int(l.count) {
		return c.Next()
	}
	return c.row()
}

// leaf goes down to the leaf where a key is or is to be.
func (c *treeCursor) leaf(key []byte) *treeLevel {
	c.levels = c.levels[:0]
	l := c.down(c.root)
	for !l.leaf {
		index, exact := l.search(key)
		if !exact && index > 0 {
			index--
		}
		if l.index = index; index == int(l.count) {
			panic(fmt.Sprintf("a branch of the file has its keys out of order at %x", key))
		}
		l = c.child()
	}
	l.index, _ = l.search(key)
	return l
}

// First moves to the first row.
func (c *treeCursor) First() (k, v []byte) {
	if c.small != nil {
		return c.small.First()
	}
	c.levels = c.levels[:0]
	c.down(c.root)
	return c.first()
}

// Last moves to the last row.
func (c *treeCursor) Last() (k, v []byte) {
	if c.small != nil {
		return c.small.Last()
	}
	c.levels = c.levels[:0]
	l := c.down(c.root)
	l.index = int(l.count) - 1
	return c.last()
}

// first goes down to the first row there. Only a root may have none.
func (c *treeCursor) first() (k, v []byte) {
	l := &c.levels[len(c.levels)-1]
	for !l.leaf {
		l = c.child()
	}
	return c.row()
}

// last goes down to the last row there.
func (c *treeCursor) last() (k, v []byte) {
	l := &c.levels[len(c.levels)-1]
	for !l.leaf {
		l = c.child()
		l.index = int(l.count) - 1
	}
	return c.row()
}

// Next moves to the next row. It is nil at the end, and the cursor stays there.
func (c *treeCursor) Next() (k, v []byte) {
	if c.small != nil {
		return c.small.Next()
	}
	for i := len(c.levels) - 1; i >= 0; i-- {
		if l := &c.levels[i]; l.index+1 < int(l.count) {
			l.index++
			c.levels = c.levels[:i+1]
			return c.first()
		}
	}
	return nil, nil
}

// Prev moves to the row before. It is nil at the start, and the cursor stays
// there.
func (c *treeCursor) Prev() (k, v []byte) {
	if c.small != nil {
		return c.small.Prev()
	}
	for i := len(c.levels) - 1; i >= 0; i-- {
		if l := &c.levels[i]; l.index > 0 {
			l.index--
			c.levels = c.levels[:i+1]
			return c.last()
		}
	}
	return nil, nil
}

// reachEnd returns the last row, and is reach for one after it.
func (c *treeCursor) reachEnd() (key, value []byte) {
	key, value = c.Last()
	if c.small == nil {
		c.order(&c.levels[len(c.levels)-1])
	}
	return key, value
}

// reach makes sure that bbolt, which searches as Seek does, gets to where the row
// of a key is or is to be, and that the rows there are in order: it may divide the
// page among them. Where it removes a row it may join the page with the one before
// or after it, and so on upwards: those have to be whole as well.
func (c *treeCursor) reach(key []byte, remove bool) {
	if c.small != nil {
		return
	}
	c.order(c.leaf(key))
	for i := len(c.levels) - 2; remove && i >= 0; i-- {
		at := c.levels[i].index
		for _, beside := range []int{at - 1, at + 1} {
			c.levels = c.levels[:i+1]
			if l := &c.levels[i]; beside >= 0 && beside < int(l.count) {
				l.index = beside
				c.order(c.child())
			}
		}
	}
}

// order makes sure that the rows of a leaf are as bbolt writes them. Of branches the
// keys were in order when the file was opened.
func (c *treeCursor) order(l *treeLevel) {
	pgid := binary.NativeEndian.Uint64(l.page)
	if !l.leaf || slices.Contains(c.ordered[:], pgid) {
		return
	}
	if _, fault := pages.RowsFault(l.page, c.next()); fault != "" {
		panic(fmt.Sprintf("page %d of the file %s", pgid, fault))
	}
	c.ordered = [3]uint64{pgid, c.ordered[0], c.ordered[1]}
}

// next returns the key that the next leaf begins with, nil if there is none.
func (c *treeCursor) next() []byte {
	for i := len(c.levels) - 2; i >= 0; i-- {
		if l := &c.levels[i]; l.index+1 < int(l.count) {
			return l.key(l.index + 1)
		}
	}
	return nil
}
