package boltfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/capycoin/capycoin/internal/osfile"
	"github.com/capycoin/capycoin/internal/pages"
	"github.com/capycoin/capycoin/internal/wire"
	"github.com/capycoin/capycoin/store"
)

// Options are the settings of openBolt.
type Options struct {
	// LockTimeout is how long to wait for another process to let go of the file.
	LockTimeout time.Duration
	// Begin gives a new journal its first record; a journal without one is damaged. Nil:
	// a journal may be empty.
	Begin func(store.Log) error
	// AnyRows is for rows that are no ledger's, and so have no checksum.
	AnyRows bool
}

// Open opens the store in a file. If the path names nothing it makes one.
func Open(path string, o Options) (*File, error) {
	lockTimeout, begin := o.LockTimeout, o.Begin
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := createBolt(path, begin); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, osfile.MarkFull(err)
		}
		info, err = os.Stat(path)
	}
	if err == nil {
		err = checkFile(info)
	}
	if err != nil {
		return nil, osfile.NotWritable(err)
	}
	s, err := OpenExisting(path, lockTimeout)
	if err != nil {
		return nil, err
	}
	s.anyRows = o.AnyRows
	err = s.check(begin != nil)
	if err == nil {
		err = s.syncNewest()
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// syncNewest makes sure that the newest commit is on the disk, before anybody is
// told of it. What is read may be in the system's memory alone: of a process that
// was killed before it had synced its meta page, or whose sync of that failed,
// after which the system takes the page for written. So the page is written again,
// as it is. The others of the commit were synced before bbolt wrote this one.
func (s *File) syncNewest() error {
	m, err := pages.CheckMetas(s.file, false)
	if err != nil {
		return err
	}
	page := make([]byte, m.PageSize)
	at := int64(m.Page) * int64(m.PageSize)
	if _, err = s.file.ReadAt(page, at); err == nil {
		_, err = s.file.WriteAt(page, at)
	}
	// A full disk that has no room even for what it has already is only synced.
	if err == nil || errors.Is(osfile.MarkFull(err), store.ErrDiskFull) {
		err = s.file.Sync()
	}
	if err != nil {
		return fmt.Errorf("syncing the newest commit: %w", err)
	}
	return nil
}

// OpenReadOnly opens the store in a file that stays as it is.
func OpenReadOnly(path string) (*File, error) {
	info, err := os.Stat(path)
	if err == nil {
		err = checkFile(info)
	}
	if err != nil {
		return nil, err
	}
	s, err := openBbolt(path, true, time.Second, lockAndCheck(path, time.Second))
	if err != nil {
		return nil, err
	}
	if err := s.check(true); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func checkFile(info fs.FileInfo) error {
	switch {
	case info.IsDir():
		return store.ErrIsDirectory
	case !info.Mode().IsRegular():
		return fmt.Errorf("%w: it is not a regular file", store.ErrNotLedger)
	case info.Size() == 0:
		return store.ErrEmptyFile
	}
	return nil
}

// createBolt makes a new file that is there whole or not at all: it is made
// under another name, synced, and then linked into place, which fails if
// another process was quicker.
func createBolt(path string, begin func(store.Log) error) error {
	temp := osfile.NewName(path)
	f, err := os.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return osfile.NotWritable(err)
	}
	defer os.Remove(temp)
	if err := f.Close(); err != nil {
		return err
	}
	s, err := openBbolt(temp, false, time.Second, func(*os.File) error { return nil })
	if err != nil {
		return err
	}
	err = s.create(FormatKey)
	if err == nil && begin != nil {
		err = begin(s)
	}
	if err == nil {
		err = s.file.Sync() // its size and all else that fdatasync may leave
	}
	if err := errors.Join(err, s.Close()); err != nil {
		return err
	}
	if err := os.Link(temp, path); err != nil {
		return err
	}
	return osfile.SyncDir(filepath.Dir(path))
}

// OpenExisting opens an existing file after a look at what bbolt trusts: bbolt
// would take an older meta page without a word where the newer one is damaged,
// and runs into a fault of the memory map where the file is cut short. (More
// of that in store_bolt_meta.go and store_bolt_check.go.)
func OpenExisting(path string, lockTimeout time.Duration) (*File, error) {
	return openBbolt(path, false, lockTimeout, lockAndCheck(path, lockTimeout))
}

func lockAndCheck(path string, timeout time.Duration) func(*os.File) error {
	return func(f *os.File) error {
		if err := osfile.LockNamed(f, path, timeout); err != nil {
			return err
		}
		return pages.CheckFile(f)
	}
}

// create makes the buckets of a new file, whose format goes under a key.
func (s *File) create(key []byte) error {
	return s.DB.Update(func(tx *bolt.Tx) error {
		for _, name := range [][]byte{MetaBucket, JournalBucket, Tables[store.TableAccounts],
			Tables[store.TableKeys], Tables[store.TableTokens], Tables[store.TableState]} {
			if _, err := tx.CreateBucket(name); err != nil {
				return err
			}
		}
		return tx.Bucket(MetaBucket).Put(key, FormatValue(FormatNumber))
	})
}

// openBbolt opens a file with bbolt, after look has seen it. Whatever fails
// or panics, the file is closed, and its lock gone, when it returns an error.
func openBbolt(path string, readOnly bool, lockTimeout time.Duration, look func(*os.File) error) (*File, error) {
	var file *os.File
	options := bolt.Options{
		ReadOnly:     readOnly,
		Timeout:      lockTimeout,
		FreelistType: bolt.FreelistMapType,
		OpenFile: func(name string, flag int, mode fs.FileMode) (*os.File, error) {
			f, err := os.OpenFile(name, flag&^os.O_CREATE, mode)
			if err != nil {
				return nil, osfile.NotWritable(err)
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
		return &File{DB: db, file: file}, nil
	case errors.Is(err, berrors.ErrTimeout):
		return nil, store.ErrLocked
	case errors.Is(err, store.ErrCorrupt) && file != nil:
		file.Close() // bbolt panicked and left it open; otherwise it is closed already
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum), errors.Is(err, berrors.ErrVersionMismatch):
		return nil, fmt.Errorf("%w: %w", store.ErrCorrupt, err)
	}
	return nil, err
}

var ErrUnfinished = fmt.Errorf("%w: it is a copy that is not finished", store.ErrNotLedger)

func FormatValue(number uint32) []byte {
	b := append([]byte(formatMagic), 0, 0, 0, 0)
	binary.BigEndian.PutUint32(b[len(formatMagic):], number)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, wire.Castagnoli))
}

// check makes sure that the file is a ledger of a known format.
func (s *File) check(begun bool) error {
	return s.ViewTx(func(tx *bolt.Tx) error {
		meta := tx.Bucket(MetaBucket)
		if meta == nil {
			return fmt.Errorf("%w: it is a bbolt file of something else", store.ErrNotLedger)
		}
		if meta.Get(PartialKey) != nil {
			return ErrUnfinished
		}
		v := meta.Get(FormatKey)
		n := len(formatMagic)
		if len(v) < n || string(v[:n]) != formatMagic {
			return fmt.Errorf("%w: it is a bbolt file of something else", store.ErrNotLedger)
		}
		if len(v) != n+8 || string(FormatValue(binary.BigEndian.Uint32(v[n:]))) != string(v) {
			return fmt.Errorf("%w: the format number does not match its checksum", store.ErrCorrupt)
		}
		number := binary.BigEndian.Uint32(v[n:])
		if number < 1 || number > FormatNumber {
			return fmt.Errorf("%w: it is %d, this version knows 1 to %d", store.ErrNewerFormat, number, FormatNumber)
		}
		if number < FormatNumber {
			s.old = number
		}
		tail, err := boltTail(tx)
		if err == nil && tail == 0 && begun {
			err = fmt.Errorf("%w: the journal is empty", store.ErrCorrupt)
		}
		return err
	})
}
