//go:build !unix

package serve

import "math"

// fileLimit returns how many files the process may have open at once: here the
// system has no such limit.
func fileLimit() int { return math.MaxInt32 }
