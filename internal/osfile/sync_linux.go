package osfile

import (
	"errors"
	"os"
	"syscall"
)

// DataSync makes the content of a file durable that has kept its size, without
// what the file system notes about it, such as when it was changed.
func DataSync(f *os.File) error {
	for {
		if err := syscall.Fdatasync(int(f.Fd())); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
