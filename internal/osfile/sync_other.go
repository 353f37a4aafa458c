//go:build !linux

package osfile

import "os"

// DataSync makes the content of a file durable.
func DataSync(f *os.File) error { return f.Sync() }
