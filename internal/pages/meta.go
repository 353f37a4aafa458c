package pages

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"

	"github.com/capycoin/capycoin/store"
)

// The layout of a bbolt meta page, in the byte order of the machine. It
// follows a page header, and there are two of them, pages 0 and 1. Transaction
// n writes page n modulo 2, after all its other pages are durable; that page is
// what makes it count. So the one with the higher transaction is the state of
// the file, and the other one that of the commit before.
//
// When the power goes while a meta page is written the disk has the old one or
// the new: it is 80 bytes at the start of a sector, and disks write sectors
// whole. What is neither is damage, and then nothing in the file tells whether
// the commit that it was of had been acknowledged.
const (
	MetaHeader   = HeaderSize
	metaMagic    = 0xED0CDAED
	metaVersion  = 2
	MetaPageSize = MetaHeader + 8  // 4 bytes
	MetaRoot     = MetaHeader + 16 // 8 bytes: the page of the root bucket
	MetaFreelist = MetaHeader + 32 // 8 bytes: the page of the free list
	MetaPages    = MetaHeader + 40 // 8 bytes: how many pages the file has
	MetaTxid     = MetaHeader + 48 // 8 bytes
	MetaSum      = MetaHeader + 56 // 8 bytes: FNV-1a of the meta up to here
	MetaEnd      = MetaHeader + 64

	// bbolt takes the page size of the system: 4 KiB, 16 and 64 are in use.
	minPageSize, maxPageSize = 1 << 10, 64 << 10
	// maxPages is more than any disk has, and times a page size is no overflow.
	maxPages = 1 << 44
)

type Meta struct {
	magic          bool
	Wrong          string // what is, in words; empty: nothing
	PageSize       uint32
	Pages, Txid    uint64
	Page           uint64 // 0 or 1
	Root, Freelist uint64
}

// ReadMeta reads the meta page that is to be number page. With mend one wrong bit
// of it is turned back first.
func ReadMeta(f *os.File, page uint64, pageSize int64, mend bool) (Meta, error) {
	var b [MetaEnd]byte
	m := Meta{Page: page}
	if _, err := f.ReadAt(b[:], int64(page)*pageSize); errors.Is(err, io.EOF) {
		m.Wrong = "is cut off"
		return m, nil
	} else if err != nil {
		return m, err
	}
	if mend {
		mendMeta(b[:])
	}
	order := binary.NativeEndian
	m.magic = order.Uint32(b[MetaHeader:]) == metaMagic
	m.PageSize = order.Uint32(b[MetaPageSize:])
	m.Root, m.Freelist = order.Uint64(b[MetaRoot:]), order.Uint64(b[MetaFreelist:])
	m.Pages, m.Txid = order.Uint64(b[MetaPages:]), order.Uint64(b[MetaTxid:])
	switch {
	case b == [MetaEnd]byte{}:
		m.Wrong = "is zeroed"
	case !m.magic:
		m.Wrong = "does not begin as one"
	case order.Uint64(b[MetaSum:]) != MetaChecksum(b[:]):
		m.Wrong = "does not match its checksum"
	case order.Uint32(b[MetaHeader+4:]) != metaVersion:
		m.Wrong = fmt.Sprintf("is of version %d of bbolt's format", order.Uint32(b[MetaHeader+4:]))
	}
	return m, nil
}

// mendMeta turns back one bit, if a meta page matches its checksum then: by chance
// one in 2^55 would.
func mendMeta(b []byte) {
	good := func() bool { return binary.NativeEndian.Uint64(b[MetaSum:]) == MetaChecksum(b) }
	if good() {
		return
	}
	for bit := 8 * MetaHeader; bit < 8*MetaEnd; bit++ {
		b[bit/8] ^= 1 << (bit % 8)
		if good() {
			return
		}
		b[bit/8] ^= 1 << (bit % 8)
	}
}

// MetaChecksum is the checksum that a meta page should have.
func MetaChecksum(page []byte) uint64 {
	sum := fnv.New64a()
	sum.Write(page[MetaHeader:MetaSum])
	return sum.Sum64()
}

// LostMetaError says that one meta page is left, which may be that of the
// commit before the last.
type LostMetaError struct{ What string }

func (e *LostMetaError) Error() string { return fmt.Sprintf("%v: %s", store.ErrCorrupt, e.What) }

func (e *LostMetaError) Unwrap() []error { return []error{store.ErrCorrupt, store.ErrRolledBack} }

// CheckMetas makes sure that both meta pages are whole and of transactions that
// follow each other, as they are at any time after a crash too, and returns the
// newer one. With an error that is [store.ErrRolledBack] it returns the newest there is.
// Mend is as of readMeta.
func CheckMetas(f *os.File, mend bool) (Meta, error) {
	first, err := ReadMeta(f, 0, 0, mend)
	if err != nil {
		return Meta{}, err
	}
	var second Meta
	size := int64(first.PageSize)
	switch {
	case first.Wrong != "": // the page size is not known then
		for size = minPageSize; err == nil; size *= 2 {
			if second, err = ReadMeta(f, 1, size, mend); second.magic || size == maxPageSize {
				break
			}
		}
	case size < minPageSize || size > maxPageSize || size&(size-1) != 0:
		return Meta{}, fmt.Errorf("%w: meta page 0 is of a file with pages of %d bytes", store.ErrCorrupt, size)
	default:
		second, err = ReadMeta(f, 1, size, mend)
	}
	if err != nil {
		return Meta{}, err
	}
	if second.Wrong == "" && int64(second.PageSize) != size {
		return Meta{}, fmt.Errorf("%w: meta page 1 is of a file with pages of %d bytes, and lies where they have %d", store.ErrCorrupt, second.PageSize, size)
	}
	if !first.magic && !second.magic {
		if hasPages(f) {
			return Meta{}, fmt.Errorf("%w: both meta pages of the file are lost", store.ErrCorrupt)
		}
		return Meta{}, store.ErrNotLedger
	}
	switch {
	case first.Wrong != "" && second.Wrong != "":
		return Meta{}, fmt.Errorf("%w: both meta pages of the file are damaged: page 0 %s, page 1 %s", store.ErrCorrupt, first.Wrong, second.Wrong)
	case first.Wrong != "":
		return second, oneMeta(first, second)
	case second.Wrong != "":
		return first, oneMeta(second, first)
	}
	newer, older := first, second
	if second.Txid > first.Txid {
		newer, older = second, first
	}
	if newer.Txid-older.Txid != 1 {
		return newer, &LostMetaError{What: fmt.Sprintf("the meta pages are of transactions %d and %d, which do not follow each other: one is old, and the last commit may be lost",
			older.Txid, newer.Txid)}
	}
	return newer, nil
}

// oneMeta is the error of a file of whose meta pages one is left.
func oneMeta(bad, good Meta) error {
	return &LostMetaError{What: fmt.Sprintf("meta page %d of the file %s; meta page %d is of transaction %d, and the commit after it may be lost",
		bad.Page, bad.Wrong, good.Page, good.Txid)}
}

// hasPages says whether there are pages of bbolt where the first two behind the
// meta pages are to be.
func hasPages(f *os.File) bool {
	for size := int64(minPageSize); size <= maxPageSize; size *= 2 {
		var b [HeaderSize]byte
		n := 0
		for id := uint64(2); id < 4; id++ {
			_, err := f.ReadAt(b[:], int64(id)*size)
			kind := Flags(b[:])
			if err == nil && binary.NativeEndian.Uint64(b[:]) == id && (kind == FlagBranch || kind == FlagLeaf || kind == FlagFreelist) {
				n++
			}
		}
		if n == 2 {
			return true
		}
	}
	return false
}
