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

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// Run runs a root command and returns the exit status of the process: 0 when it is
// done, 1 when anything was refused or failed, which it tells on stderr then, with a
// hint if the error has one.
func Run(root *cobra.Command, args []string, stdout, stderr io.Writer) int {
	// A signal ends a command in order. A second one is not waited for.
	ctx, restore := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer restore()
	context.AfterFunc(ctx, restore)

	out := &output{w: stdout}
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
	fmt.Fprintf(stderr, "%s: error: %s\n", root.Name(), text)
	if h := (*HintedError)(nil); errors.As(err, &h) {
		fmt.Fprintf(stderr, "%s: hint: %s\n", root.Name(), h.Hint)
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

// IsTerminal says whether what is written to w, also through the output that [Run]
// gives a command, goes to a terminal.
func IsTerminal(w io.Writer) bool {
	if out, ok := w.(*output); ok {
		w = out.w
	}
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
