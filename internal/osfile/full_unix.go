//go:build !windows

package osfile

import "syscall"

// fullErrors are the errors of a disk without room, of a quota that is used
// up, and of a file that may not become longer.
var fullErrors = []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG}
