package capycoin

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"hash/fnv"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// openBolt opens the store in a file. If the path names nothing it makes one,
// which begin gives its first record.
func openBolt(path string, lockTimeout time.Duration, begin func(Log) error) (*boltStore, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := createBolt(path, begin); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		info, err = os.Stat(path)
	}
	switch {
	case err != nil:
		return nil, notWritable(err)
	case info.IsDir():
		return nil, ErrIsDirectory
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%w: it is not a regular file", ErrNotLedger)
	case info.Size() == 0:
		return nil, ErrEmptyFile
	}
	s, err := openFile(path, lockTimeout)
	if err != nil {
		return nil, err
	}
	if err := s.check(begin != nil); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// createBolt makes a new file that is there whole or not at all: it is made
// under another name, synced, and then linked into place, which fails if
// another process was quicker.
func createBolt(path string, begin func(Log) error) error {
	var random [8]byte
	rand.Read(random[:])
	dir := filepath.Dir(path)
	temp := filepath.Join(dir, "."+filepath.Base(path)+"."+hex.EncodeToString(random[:])+".new")
	f, err := os.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return notWritable(err)
	}
	defer os.Remove(temp)
	if err := f.Close(); err != nil {
		return err
	}
	s, err := openBbolt(temp, time.Second, func(*os.File) error { return nil })
	if err != nil {
		return err
	}
	err = s.db.Update(func(tx *bolt.Tx) error {
		for _, name := range [][]byte{bucketMeta, bucketJournal, boltTables[TableAccounts],
			boltTables[TableKeys], boltTables[TableTokens], boltTables[TableState]} {
			if _, err := tx.CreateBucket(name); err != nil {
				return err
			}
		}
		return tx.Bucket(bucketMeta).Put(formatKey, formatValue(formatNumber))
	})
	if err == nil && begin != nil {
		err = begin(s)
	}
	if err == nil {
		err = s.file.Sync() // its size and all else that fdatasync may leave
	}
	if err := errors.Join(err, s.close()); err != nil {
		return err
	}
	if err := os.Link(temp, path); err != nil {
		return err
	}
	return syncDir(dir)
}

// openFile opens an existing file after a look at what bbolt trusts: bbolt
// would take an older meta page without a word where the newer one is damaged,
// and runs into a fault of the memory map where the file is cut short. (More
// of that in store_bolt_check.go.)
func openFile(path string, lockTimeout time.Duration) (*boltStore, error) {
	return openBbolt(path, lockTimeout, func(f *os.File) error {
		if err := lockFile(f, lockTimeout); err != nil {
			return err
		}
		return checkPages(f)
	})
}

// openBbolt opens a file with bbolt, after look has seen it. Whatever fails
// or panics, the file is closed, and its lock gone, when it returns an error.
func openBbolt(path string, lockTimeout time.Duration, look func(*os.File) error) (*boltStore, error) {
	var file *os.File
	options := bolt.Options{
		Timeout:      lockTimeout,
		FreelistType: bolt.FreelistMapType,
		OpenFile: func(name string, flag int, mode fs.FileMode) (*os.File, error) {
			f, err := os.OpenFile(name, flag&^os.O_CREATE, mode)
			if err != nil {
				return nil, notWritable(err)
			}
			if err := look(f); err != nil {
				return nil, errors.Join(err, f.Close())
			}
			file = f
			return f, nil
		},
	}
	// A map that the file outgrows has to be made anew, and that waits for all
	// readers. Address space costs nothing, but on Windows the file would
	// become as large as the map.
	if strconv.IntSize == 64 && runtime.GOOS != "windows" {
		size := int64(16 << 30) // a variable, as the constant is no int of 32 bits
		options.InitialMmapSize = int(size)
	}
	var db *bolt.DB
	open := func() (err error) {
		db, err = bolt.Open(path, 0o600, &options)
		return err
	}
	err := guarded(open)
	if errors.Is(err, syscall.ENOMEM) {
		// The process may not have that much address space.
		options.InitialMmapSize = 0
		err = guarded(open)
	}
	switch {
	case err == nil:
		return &boltStore{db: db, file: file}, nil
	case errors.Is(err, berrors.ErrTimeout):
		return nil, ErrLocked
	case errors.Is(err, ErrCorrupt) && file != nil:
		file.Close() // bbolt panicked and left it open; otherwise it is closed already
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum), errors.Is(err, berrors.ErrVersionMismatch):
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return nil, err
}

// notWritable marks the errors that say so.
func notWritable(err error) error {
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		return fmt.Errorf("%w: %w", ErrNotWritable, err)
	}
	return err
}

func formatValue(number uint32) []byte {
	b := append([]byte(formatMagic), 0, 0, 0, 0)
	binary.BigEndian.PutUint32(b[len(formatMagic):], number)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// check makes sure that the file is a ledger of a known format.
func (s *boltStore) check(begun bool) error {
	return s.view(func(tx *bolt.Tx) error {
		meta := tx.Bucket(bucketMeta)
		if meta == nil {
			return fmt.Errorf("%w: it is a bbolt file of something else", ErrNotLedger)
		}
		v := meta.Get(formatKey)
		n := len(formatMagic)
		if len(v) < n || string(v[:n]) != formatMagic {
			return fmt.Errorf("%w: it is a bbolt file of something else", ErrNotLedger)
		}
		if len(v) != n+8 || string(formatValue(binary.BigEndian.Uint32(v[n:]))) != string(v) {
			return fmt.Errorf("%w: the format number does not match its checksum", ErrCorrupt)
		}
		number := binary.BigEndian.Uint32(v[n:])
		if number < 1 || number > formatNumber {
			return fmt.Errorf("%w: it is %d, this version knows 1 to %d", ErrNewerFormat, number, formatNumber)
		}
		s.old = number < formatNumber
		tail, err := boltTail(tx)
		if err == nil && tail == 0 && begun {
			err = fmt.Errorf("%w: the journal is empty", ErrCorrupt)
		}
		return err
	})
}

// The layout of a bbolt meta page, in the byte order of the machine. It
// follows a page header, and there are two of them, of which the one with the
// higher transaction counts.
const (
	metaHeader   = 16
	metaMagic    = 0xED0CDAED
	metaVersion  = 2
	metaPageSize = metaHeader + 8  // 4 bytes
	metaRoot     = metaHeader + 16 // 8 bytes: the page of the root bucket
	metaFreelist = metaHeader + 32 // 8 bytes: the page of the free list
	metaPages    = metaHeader + 40 // 8 bytes: how many pages the file has
	metaTxid     = metaHeader + 48 // 8 bytes
	metaSum      = metaHeader + 56 // 8 bytes: FNV-1a of the meta up to here
	metaEnd      = metaHeader + 64
)

type boltMeta struct {
	magic, valid bool
	pageSize     uint32
	pages, txid  uint64

	root, freelist uint64
}

func readMeta(f *os.File, at int64) (m boltMeta, err error) {
	var b [metaEnd]byte
	if _, err := f.ReadAt(b[:], at); errors.Is(err, io.EOF) {
		return m, nil
	} else if err != nil {
		return m, err
	}
	order := binary.NativeEndian
	m.magic = order.Uint32(b[metaHeader:]) == metaMagic
	m.valid = m.magic && order.Uint32(b[metaHeader+4:]) == metaVersion && order.Uint64(b[metaSum:]) == metaChecksum(b[:])
	m.pageSize = order.Uint32(b[metaPageSize:])
	m.root, m.freelist = order.Uint64(b[metaRoot:]), order.Uint64(b[metaFreelist:])
	m.pages, m.txid = order.Uint64(b[metaPages:]), order.Uint64(b[metaTxid:])
	return m, nil
}

// metaChecksum is the checksum that a meta page should have.
func metaChecksum(page []byte) uint64 {
	sum := fnv.New64a()
	sum.Write(page[metaHeader:metaSum])
	return sum.Sum64()
}

// checkPages makes sure that both meta pages are whole and of transactions
// that follow each other, as they are at any time after a crash too, that the
// file is as long as they say, and that its trees are trees.
func checkPages(f *os.File) error {
	first, err := readMeta(f, 0)
	if err != nil {
		return err
	}
	var second boltMeta
	if first.valid {
		second, err = readMeta(f, int64(first.pageSize))
	} else {
		// The page size is not known then.
		for size := int64(1024); size <= 64<<10 && !second.magic && err == nil; size *= 2 {
			second, err = readMeta(f, size)
		}
	}
	if err != nil {
		return err
	}
	if !first.magic && !second.magic {
		return ErrNotLedger
	}
	if !first.valid || !second.valid {
		return fmt.Errorf("%w: a meta page of the file is damaged", ErrCorrupt)
	}
	newer, older := first, second
	if second.txid > first.txid {
		newer, older = second, first
	}
	if newer.txid != older.txid+1 || newer.pageSize != older.pageSize {
		return fmt.Errorf("%w: the meta pages are of transactions %d and %d", ErrCorrupt, older.txid, newer.txid)
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if need := newer.pages * uint64(newer.pageSize); newer.pages > 1<<48 || uint64(info.Size()) < need {
		return fmt.Errorf("%w: the file has %d bytes, it needs %d", ErrCorrupt, info.Size(), need)
	}
	return checkTrees(f, newer)
}
