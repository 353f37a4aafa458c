//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package osfile

import (
	"io/fs"
	"os"
	"time"
)

// Lock leaves the lock to bbolt: here the same open file can't take it
// twice.
func Lock(*os.File, time.Duration) error { return nil }

// SameOwner does nothing: here a new file is its folder's.
func SameOwner(string, fs.FileInfo) error { return nil }

// SyncDir does nothing: here a folder can't be synced, the file system does
// what it does.
func SyncDir(string) error { return nil }
