// Command capycoind serves a CapyCoin ledger over HTTP, and has the operator's
// commands. docs/operating.md describes both.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run runs a command and returns its exit status: 0 when it is done, 1 when
// anything was refused or failed.
func run(args []string, stdout, stderr io.Writer) int {
	// A signal ends a command in order. A second one is not waited for.
	ctx, restore := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer restore()
	context.AfterFunc(ctx, restore)

	out := &output{w: stdout}
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil && out.err != nil {
		err = fmt.Errorf("writing the answer: %w", out.err)
	}
	if err == nil {
		return 0
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = errors.New("interrupted")
	}
	// The library's errors begin with its name, for programs of many parts, and
	// joined ones have a line each.
	text := strings.NewReplacer("capycoin: ", "", "\n", "; ").Replace(err.Error())
	fmt.Fprintf(stderr, "capycoind: error: %s\n", text)
	if h := (*hinted)(nil); errors.As(err, &h) {
		fmt.Fprintf(stderr, "capycoind: hint: %s\n", h.hint)
	}
	return 1
}

// output keeps the first error of writing: an answer that did not get out is
// no success.
type output struct {
	w   io.Writer
	err error
}

func (o *output) Write(b []byte) (int, error) {
	n, err := o.w.Write(b)
	if o.err == nil {
		o.err = err
	}
	return n, err
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
