//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package osfile

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/capycoin/capycoin/store"
)

// Lock takes the lock that bbolt takes later (flock(2), which the same
// open file may take again), so that nobody writes while the file is checked.
func Lock(f *os.File, timeout time.Duration) error {
	for deadline := time.Now().Add(timeout); ; time.Sleep(min(10*time.Millisecond, timeout/4)) {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case errors.Is(err, syscall.EINTR):
		case !errors.Is(err, syscall.EWOULDBLOCK):
			return err
		case time.Now().After(deadline):
			return store.ErrLocked
		}
	}
}

// SameOwner gives a file the owner of another one: whoever repairs may be root,
// and the server not.
func SameOwner(path string, of fs.FileInfo) error {
	want, ok := of.Sys().(*syscall.Stat_t)
	info, err := os.Stat(path)
	if err != nil || !ok {
		return err
	}
	if have, ok := info.Sys().(*syscall.Stat_t); ok && have.Uid == want.Uid && have.Gid == want.Gid {
		return nil
	}
	return os.Chown(path, int(want.Uid), int(want.Gid))
}

// SyncDir makes the names in a folder durable.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
