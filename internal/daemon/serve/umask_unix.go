//go:build unix

package serve

import "syscall"

// withUmask calls fn while new files lack the rights in a mask. The mask is the
// whole process's, so this is for when nothing else makes files.
func withUmask(mask int, fn func() error) error {
	defer syscall.Umask(syscall.Umask(mask))
	return fn()
}
