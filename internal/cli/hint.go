package cli

import "fmt"

// HintedError is an error with a word on what to do about it.
type HintedError struct {
	Err  error
	Hint string
}

// Hint returns err with a hint, a line in lower case without a full stop.
func Hint(err error, format string, args ...any) error {
	return &HintedError{err, fmt.Sprintf(format, args...)}
}

func (h *HintedError) Error() string { return h.Err.Error() }
func (h *HintedError) Unwrap() error { return h.Err }
