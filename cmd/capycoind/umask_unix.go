//go:build unix

package main

import "syscall"

// withUmask calls fn while new files are nobody else's. The mask is the whole
// process's, so this is for when nothing else makes files.
func withUmask(fn func() error) error {
	defer syscall.Umask(syscall.Umask(0o177))
	return fn()
}
