//go:build darwin || freebsd || linux

package serve

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// lockSocket keeps other servers from making a socket at a path. Each of them
// takes only a moment. The lock is a file of its own, which is there as long as
// somebody has it, and which other users can't open: who can read a folder can
// lock it, too, and keep it locked.
func lockSocket(path string) (unlock func(), err error) {
	path += ".lock"
	for deadline := time.Now().Add(2 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
		if errors.Is(err, fs.ErrNotExist) {
			err = &os.PathError{Op: "open", Path: filepath.Dir(path), Err: syscall.ENOENT} // what is missing is the folder
		}
		if err != nil {
			return nil, err
		}
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil && isAt(f, path) {
			return func() { os.Remove(path); f.Close() }, nil
		}
		f.Close()
		switch {
		case err == nil, errors.Is(err, syscall.EINTR): // nil: whose it was has just removed it
		case !errors.Is(err, syscall.EWOULDBLOCK) || time.Now().After(deadline):
			return nil, &os.PathError{Op: "lock", Path: path, Err: err}
		}
	}
}

// isAt says whether a file is the one at a path.
func isAt(f *os.File, path string) bool {
	mine, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(path)
	return err == nil && os.SameFile(mine, there)
}
