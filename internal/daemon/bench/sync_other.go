//go:build !linux

package bench

import "os"

// fdatasync is the call that bbolt makes durable with.
func fdatasync(f *os.File) error { return f.Sync() }
