package boltfile

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"unsafe"

	bolt "go.etcd.io/bbolt"

	"github.com/capycoin/capycoin/internal/pages"
)

// Cursor goes through a bucket as a [bolt.Cursor] does, for whoever reads and,
// before a row is written, to see that bbolt will get there. bbolt goes down as
// long as a page says that it is a branch: where one leads round in circles, which
// an old copy of a page may, it goes on until the stack is gone, and that ends the
// process. This one goes no deeper than a tree can be. It panics where a page is
// damaged, as bbolt does: see guarded.
//
// Keys and values are of the mapped file, valid until the transaction ends. What
// the transaction itself has written it does not see.
type Cursor struct {
	Small *bolt.Cursor // of a bucket that has no pages of its own, and so no branches

	Data     []byte // the pages of the file
	pageSize uint64
	root     uint64
	Levels   []Level // from the root down to a leaf
	room     [4]Level

	ordered [3]uint64 // the leaves that order looked at last: one, and those beside it
}

// Level is a place in a page.
type Level struct {
	Page  []byte
	Index int
	Count int32
	leaf  bool
}

func NewCursor(b *bolt.Bucket) *Cursor {
	if b.Root() == 0 {
		return &Cursor{Small: b.Cursor()}
	}
	info := b.Tx().DB().Info()
	c := &Cursor{pageSize: uint64(info.PageSize), root: uint64(b.Root())}
	// It stays where it is as long as a transaction that reads, and until one that
	// writes is committed.
	c.Data = unsafe.Slice(*(**byte)(unsafe.Pointer(&info.Data)), b.Tx().Size())
	c.Levels = c.room[:0]
	return c
}

// down adds the level of a page.
func (c *Cursor) down(pgid uint64) *Level {
	bad := func(format string, args ...any) {
		panic(fmt.Sprintf("page %d of the file %s", pgid, fmt.Sprintf(format, args...)))
	}
	total := uint64(len(c.Data)) / c.pageSize
	if pgid < 2 || pgid >= total {
		bad("is led to, there are %d", total)
	}
	if len(c.Levels) == pages.MaxDepth {
		bad("is more than %d pages down", pages.MaxDepth)
	}
	page := c.Data[pgid*c.pageSize:]
	order := binary.NativeEndian
	if id := order.Uint64(page); id != pgid {
		bad("says that it is page %d", id)
	}
	more := uint64(order.Uint32(page[pages.OverflowAt:]))
	if more >= total-pgid {
		bad("says that %d pages belong to it", more)
	}
	size := (more + 1) * c.pageSize
	l := Level{Page: page[:size:size], Count: int32(order.Uint16(page[pages.CountAt:]))}
	switch pages.Flags(page) {
	case pages.FlagLeaf:
		l.leaf = true
	case pages.FlagBranch:
		if l.Count == 0 {
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
	c.Levels = append(c.Levels, l)
	return &c.Levels[len(c.Levels)-1]
}

// end returns how many bytes a page has in use: its last element lies last.
func (l *Level) end() uint64 {
	if l.Count == 0 {
		return pages.HeaderSize
	}
	order := binary.NativeEndian
	at := pages.HeaderSize + (int(l.Count)-1)*pages.ElementSize
	e := l.Page[at : at+pages.ElementSize]
	end := uint64(at) + uint64(order.Uint32(e[l.fields():])) + uint64(order.Uint32(e[l.fields()+4:]))
	if l.leaf {
		end += uint64(order.Uint32(e[12:]))
	}
	return end
}

// Child adds the level of the page that the branch there leads to. That begins
// with the key that leads to it: by its first key bbolt looks for the place of a
// page in its parent when it writes it. Where it does not find it, it adds the new
// page, and leaves the old one in the tree, though it counts as free from then on.
func (c *Cursor) Child() *Level {
	l := &c.Levels[len(c.Levels)-1]
	pgid := binary.NativeEndian.Uint64(l.Page[pages.HeaderSize+l.Index*pages.ElementSize+8:])
	next := c.down(pgid)
	if next.Count == 0 || !bytes.Equal(next.Key(0), l.Key(l.Index)) {
		panic(fmt.Sprintf("page %d of the file does not begin with the key that leads to it", pgid))
	}
	return next
}

// Key returns the key of an element.
func (l *Level) Key(index int) []byte {
	at := pages.HeaderSize + index*pages.ElementSize
	e := l.Page[at+l.fields() : at+pages.ElementSize]
	at += int(binary.NativeEndian.Uint32(e))
	return l.Page[at : at+int(binary.NativeEndian.Uint32(e[4:]))]
}

// fields returns where an element has a key's position and size.
func (l *Level) fields() int {
	if l.leaf {
		return 4
	}
	return 0
}

// search returns the first key that is not before one, in the steps of bbolt.
func (l *Level) search(key []byte) (index int, exact bool) {
	page, fields := l.Page, l.fields()
	from, till := 0, int(l.Count)
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
func (c *Cursor) row() (key, value []byte) {
	l := &c.Levels[len(c.Levels)-1]
	if l.Index < 0 || l.Index >= int(l.Count) {
		return nil, nil
	}
	at := uint64(pages.HeaderSize + l.Index*pages.ElementSize)
	order := binary.NativeEndian
	e := l.Page[at : at+pages.ElementSize]
	from := at + uint64(order.Uint32(e[4:]))
	till := from + uint64(order.Uint32(e[8:]))
	key = l.Page[from:till:till]
	if order.Uint32(e)&pages.FlagBucket != 0 {
		return key, nil
	}
	end := till + uint64(order.Uint32(e[12:]))
	return key, l.Page[till:end:end]
}

// Seek moves to the first row whose key is not before one.
func (c *Cursor) Seek(key []byte) (k, v []byte) {
	if c.Small != nil {
		return c.Small.Seek(key)
	}
	if l := c.leaf(key); l.Index == int(l.Count) {
		return c.Next()
	}
	return c.row()
}

// leaf goes down to the leaf where a key is or is to be.
func (c *Cursor) leaf(key []byte) *Level {
	c.Levels = c.Levels[:0]
	l := c.down(c.root)
	for !l.leaf {
		index, exact := l.search(key)
		if !exact && index > 0 {
			index--
		}
		if l.Index = index; index == int(l.Count) {
			panic(fmt.Sprintf("a branch of the file has its keys out of order at %x", key))
		}
		l = c.Child()
	}
	l.Index, _ = l.search(key)
	return l
}

// First moves to the first row.
func (c *Cursor) First() (k, v []byte) {
	if c.Small != nil {
		return c.Small.First()
	}
	c.Levels = c.Levels[:0]
	c.down(c.root)
	return c.first()
}

// Last moves to the last row.
func (c *Cursor) Last() (k, v []byte) {
	if c.Small != nil {
		return c.Small.Last()
	}
	c.Levels = c.Levels[:0]
	l := c.down(c.root)
	l.Index = int(l.Count) - 1
	return c.last()
}

// first goes down to the first row there. Only a root may have none.
func (c *Cursor) first() (k, v []byte) {
	l := &c.Levels[len(c.Levels)-1]
	for !l.leaf {
		l = c.Child()
	}
	return c.row()
}

// last goes down to the last row there.
func (c *Cursor) last() (k, v []byte) {
	l := &c.Levels[len(c.Levels)-1]
	for !l.leaf {
		l = c.Child()
		l.Index = int(l.Count) - 1
	}
	return c.row()
}

// Next moves to the next row. It is nil at the end, and the cursor stays there.
func (c *Cursor) Next() (k, v []byte) {
	if c.Small != nil {
		return c.Small.Next()
	}
	for i := len(c.Levels) - 1; i >= 0; i-- {
		if l := &c.Levels[i]; l.Index+1 < int(l.Count) {
			l.Index++
			c.Levels = c.Levels[:i+1]
			return c.first()
		}
	}
	return nil, nil
}

// Prev moves to the row before. It is nil at the start, and the cursor stays
// there.
func (c *Cursor) Prev() (k, v []byte) {
	if c.Small != nil {
		return c.Small.Prev()
	}
	for i := len(c.Levels) - 1; i >= 0; i-- {
		if l := &c.Levels[i]; l.Index > 0 {
			l.Index--
			c.Levels = c.Levels[:i+1]
			return c.last()
		}
	}
	return nil, nil
}

// reachEnd returns the last row, and is reach for one after it.
func (c *Cursor) reachEnd() (key, value []byte) {
	key, value = c.Last()
	if c.Small == nil {
		c.order(&c.Levels[len(c.Levels)-1])
	}
	return key, value
}

// reach makes sure that bbolt, which searches as Seek does, gets to where the row
// of a key is or is to be, and that the rows there are in order: it may divide the
// page among them. Where it removes a row it may join the page with the one before
// or after it, and so on upwards: those have to be whole as well.
func (c *Cursor) reach(key []byte, remove bool) {
	if c.Small != nil {
		return
	}
	c.order(c.leaf(key))
	for i := len(c.Levels) - 2; remove && i >= 0; i-- {
		at := c.Levels[i].Index
		for _, beside := range []int{at - 1, at + 1} {
			c.Levels = c.Levels[:i+1]
			if l := &c.Levels[i]; beside >= 0 && beside < int(l.Count) {
				l.Index = beside
				c.order(c.Child())
			}
		}
	}
}

// order makes sure that the rows of a leaf are as bbolt writes them. Of branches the
// keys were in order when the file was opened.
func (c *Cursor) order(l *Level) {
	pgid := binary.NativeEndian.Uint64(l.Page)
	if !l.leaf || slices.Contains(c.ordered[:], pgid) {
		return
	}
	if _, fault := pages.RowsFault(l.Page, c.next()); fault != "" {
		panic(fmt.Sprintf("page %d of the file %s", pgid, fault))
	}
	c.ordered = [3]uint64{pgid, c.ordered[0], c.ordered[1]}
}

// next returns the key that the next leaf begins with, nil if there is none.
func (c *Cursor) next() []byte {
	for i := len(c.Levels) - 2; i >= 0; i-- {
		if l := &c.Levels[i]; l.Index+1 < int(l.Count) {
			return l.Key(l.Index + 1)
		}
	}
	return nil
}
