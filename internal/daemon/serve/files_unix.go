//go:build unix

package serve

import (
	"math"
	"syscall"
)

// fileLimit returns how many files the process may have open at once. Go has
// raised that to what the system allows.
func fileLimit() int {
	var l syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) != nil || uint64(l.Cur) > math.MaxInt32 {
		return math.MaxInt32
	}
	return int(l.Cur)
}
