package capycoin

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
	metaHeader   = pageHeader
	metaMagic    = 0xED0CDAED
	metaVersion  = 2
	metaPageSize = metaHeader + 8  // 4 bytes
	metaRoot     = metaHeader + 16 // 8 bytes: the page of the root bucket
	metaFreelist = metaHeader + 32 // 8 bytes: the page of the free list
	metaPages    = metaHeader + 40 // 8 bytes: how many pages the file has
	metaTxid     = metaHeader + 48 // 8 bytes
	metaSum      = metaHeader + 56 // 8 bytes: FNV-1a of the meta up to here
	metaEnd      = metaHeader + 64

	// bbolt takes the page size of the system: 4 KiB, 16 and 64 are in use.
	minPageSize, maxPageSize = 1 << 10, 64 << 10
	// maxPages is more than any disk has, and times a page size is no overflow.
	maxPages = 1 << 44
)

type boltMeta struct {
	magic          bool
	wrong          string // what is, in words; empty: nothing
	pageSize       uint32
	pages, txid    uint64
	page           uint64 // 0 or 1
	root, freelist uint64
}

// readMeta reads the meta page that is to be number page. With mend one wrong bit
// of it is turned back first.
func readMeta(f *os.File, page uint64, pageSize int64, mend bool) (boltMeta, error) {
	var b [metaEnd]byte
	m := boltMeta{page: page}
	if _, err := f.ReadAt(b[:], int64(page)*pageSize); errors.Is(err, io.EOF) {
		m.wrong = "is cut off"
		return m, nil
	} else if err != nil {
		return m, err
	}
	if mend {
		mendMeta(b[:])
	}
	order := binary.NativeEndian
	m.magic = order.Uint32(b[metaHeader:]) == metaMagic
	m.pageSize = order.Uint32(b[metaPageSize:])
	m.root, m.freelist = order.Uint64(b[metaRoot:]), order.Uint64(b[metaFreelist:])
	m.pages, m.txid = order.Uint64(b[metaPages:]), order.Uint64(b[metaTxid:])
	switch {
	case b == [metaEnd]byte{}:
		m.wrong = "is zeroed"
	case !m.magic:
		m.wrong = "does not begin as one"
	case order.Uint64(b[metaSum:]) != metaChecksum(b[:]):
		m.wrong = "does not match its checksum"
	case order.Uint32(b[metaHeader+4:]) != metaVersion:
		m.wrong = fmt.Sprintf("is of version %d of bbolt's format", order.Uint32(b[metaHeader+4:]))
	}
	return m, nil
}

// mendMeta turns back one bit, if a meta page matches its checksum then: by chance
// one in 2^55 would.
func mendMeta(b []byte) {
	good := func() bool { return binary.NativeEndian.Uint64(b[metaSum:]) == metaChecksum(b) }
	if good() {
		return
	}
	for bit := 8 * metaHeader; bit < 8*metaEnd; bit++ {
		b[bit/8] ^= 1 << (bit % 8)
		if good() {
			return
		}
		b[bit/8] ^= 1 << (bit % 8)
	}
}

// metaChecksum is the checksum that a meta page should have.
func metaChecksum(page []byte) uint64 {
	sum := fnv.New64a()
	sum.Write(page[metaHeader:metaSum])
	return sum.Sum64()
}

// lostMetaError says that one meta page is left, which may be that of the
// commit before the last.
type lostMetaError struct{ what string }

func (e *lostMetaError) Error() string { return fmt.Sprintf("%v: %s", store.ErrCorrupt, e.what) }

func (e *lostMetaError) Unwrap() []error { return []error{store.ErrCorrupt, store.ErrRolledBack} }

// checkMetas makes sure that both meta pages are whole and of transactions that
// follow each other, as they are at any time after a crash too, and returns the
// newer one. With an error that is [ErrRolledBack] it returns the newest there is.
// Mend is as of readMeta.
func checkMetas(f *os.File, mend bool) (boltMeta, error) {
	first, err := readMeta(f, 0, 0, mend)
	if err != nil {
		return boltMeta{}, err
	}
	var second boltMeta
	size := int64(first.pageSize)
	switch {
	case first.wrong != "": // the page size is not known then
		for size = minPageSize; err == nil; size *= 2 {
			if second, err = readMeta(f, 1, size, mend); second.magic || size == maxPageSize {
				break
			}
		}
	case size < minPageSize || size > maxPageSize || size&(size-1) != 0:
		return boltMeta{}, fmt.Errorf("%w: meta page 0 is of a file with pages of %d bytes", store.ErrCorrupt, size)
	default:
		second, err = readMeta(f, 1, size, mend)
	}
	if err != nil {
		return boltMeta{}, err
	}
	if second.wrong == "" && int64(second.pageSize) != size {
		return boltMeta{}, fmt.Errorf("%w: meta page 1 is of a file with pages of %d bytes, and lies where they have %d", store.ErrCorrupt, second.pageSize, size)
	}
	if !first.magic && !second.magic {
		if hasPages(f) {
			return boltMeta{}, fmt.Errorf("%w: both meta pages of the file are lost", store.ErrCorrupt)
		}
		return boltMeta{}, store.ErrNotLedger
	}
	switch {
	case first.wrong != "" && second.wrong != "":
		return boltMeta{}, fmt.Errorf("%w: both meta pages of the file are damaged: page 0 %s, page 1 %s", store.ErrCorrupt, first.wrong, second.wrong)
	case first.wrong != "":
		return second, oneMeta(first, second)
	case second.wrong != "":
		return first, oneMeta(second, first)
	}
	newer, older := first, second
	if second.txid > first.txid {
		newer, older = second, first
	}
	if newer.txid-older.txid != 1 {
		return newer, &lostMetaError{fmt.Sprintf("the meta pages are of transactions %d and %d, which do not follow each other: one is old, and the last commit may be lost",
			older.txid, newer.txid)}
	}
	return newer, nil
}

// oneMeta is the error of a file of whose meta pages one is left.
func oneMeta(bad, good boltMeta) error {
	return &lostMetaError{fmt.Sprintf("meta page %d of the file %s; meta page %d is of transaction %d, and the commit after it may be lost",
		bad.page, bad.wrong, good.page, good.txid)}
}

// hasPages says whether there are pages of bbolt where the first two behind the
// meta pages are to be.
func hasPages(f *os.File) bool {
	for size := int64(minPageSize); size <= maxPageSize; size *= 2 {
		var b [pageHeader]byte
		n := 0
		for id := uint64(2); id < 4; id++ {
			_, err := f.ReadAt(b[:], int64(id)*size)
			kind := flagsOf(b[:])
			if err == nil && binary.NativeEndian.Uint64(b[:]) == id && (kind == flagBranch || kind == flagLeaf || kind == flagFreelist) {
				n++
			}
		}
		if n == 2 {
			return true
		}
	}
	return false
}
