// Package osfile has what a ledger's files need of the system: locks that other
// processes see, syncs of contents and of names, owners, names that nothing has, and
// which errors say that the disk is full or that something can't be written.
//
// It knows nothing of what is in the files, nor of bbolt, whose lock it takes: any file
// will do. Stores, the witness and what makes files call it. It has no state and no locks
// of its own in memory.
package osfile

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/capycoin/capycoin/store"
)

// NewName returns a name that nothing has, for a file that is to get another one
// when it is whole.
func NewName(path string) string {
	var random [8]byte
	rand.Read(random[:])
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+"."+hex.EncodeToString(random[:])+".new")
}

// NotWritable marks the errors that say so.
func NotWritable(err error) error {
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		return fmt.Errorf("%w: %w", store.ErrNotWritable, err)
	}
	return err
}

// MarkFull makes an error that says so an [store.ErrDiskFull].
func MarkFull(err error) error {
	if err == nil || errors.Is(err, store.ErrDiskFull) {
		return err
	}
	for _, full := range fullErrors {
		if errors.Is(err, full) || strings.HasSuffix(err.Error(), ": "+full.Error()) {
			return fmt.Errorf("%w: %w", store.ErrDiskFull, err)
		}
	}
	return err
}

// CheckFree returns fs.ErrExist if a path names something.
func CheckFree(path string) error {
	_, err := os.Lstat(path)
	switch {
	case err == nil:
		return fs.ErrExist
	case errors.Is(err, fs.ErrNotExist):
		return nil
	}
	return err
}

// LockNamed locks a file that must have a name still: whoever had it locked may
// have removed it.
func LockNamed(f *os.File, path string, timeout time.Duration) error {
	if err := Lock(f, timeout); err != nil {
		return err
	}
	have, err := f.Stat()
	if err != nil {
		return err
	}
	named, err := os.Stat(path)
	if err != nil || !os.SameFile(have, named) {
		return store.ErrLocked
	}
	return nil
}

// SameName says whether two paths are the same, going by their text.
func SameName(a, b string) bool {
	absA, errA := filepath.Abs(a)
	absB, errB := filepath.Abs(b)
	return errA == nil && errB == nil && absA == absB
}
