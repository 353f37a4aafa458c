//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package capycoin

import (
	"io/fs"
	"os"
	"time"
)

// lockFile leaves the lock to bbolt: here the same open file can't take it
// twice.
func lockFile(*os.File, time.Duration) error { return nil }

// sameOwner does nothing: here a new file is its folder's.
func sameOwner(string, fs.FileInfo) error { return nil }

// syncDir does nothing: here a folder can't be synced, the file system does
// what it does.
func syncDir(string) error { return nil }
