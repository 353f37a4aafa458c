//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package capycoin

import (
	"os"
	"time"
)

// lockFile leaves the lock to bbolt: here the same open file can't take it
// twice.
func lockFile(*os.File, time.Duration) error { return nil }

// syncDir does nothing: here a folder can't be synced, the file system does
// what it does.
func syncDir(string) error { return nil }
