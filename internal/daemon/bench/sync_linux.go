package bench

import (
	"os"

	"golang.org/x/sys/unix"
)

// fdatasync is the call that bbolt makes durable with.
func fdatasync(f *os.File) error { return unix.Fdatasync(int(f.Fd())) }
