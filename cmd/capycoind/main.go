// Command capycoind serves a CapyCoin ledger over HTTP, and has the operator's
// commands. docs/operating.md describes both.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run runs a command and returns its exit status.
func run(args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.Execute()
	if err == nil {
		return 0
	}
	// The library's errors begin with its name, for programs of many parts.
	fmt.Fprintf(stderr, "capycoind: error: %s\n", strings.ReplaceAll(err.Error(), "capycoin: ", ""))
	if h := (*hinted)(nil); errors.As(err, &h) {
		fmt.Fprintf(stderr, "capycoind: hint: %s\n", h.hint)
	}
	return 1
}

// hinted is an error with a word on what to do about it.
type hinted struct {
	err  error
	hint string
}

func hint(err error, format string, args ...any) error {
	return &hinted{err, fmt.Sprintf(format, args...)}
}

func (h *hinted) Error() string { return h.err.Error() }
func (h *hinted) Unwrap() error { return h.err }
