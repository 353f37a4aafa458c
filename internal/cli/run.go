// Package cli is what command lines of CapyCoin have in common, whatever they do: it
// runs a root command and tells how that ended, takes flags from the environment,
// checks arguments, and shows errors with hints, tables, and how far something is.
//
// What a command answers goes to standard output, everything else to standard error:
// an error as "NAME: error: …", and what to do about it as "NAME: hint: …", each a line
// in lower case without a full stop. The exit status is 0 or 1.
//
// It knows nothing of ledgers, servers and their flags, and imports no package of this
// module, so that a command that is only a client contains no store. Any command may
// use it. It has no locks: each value belongs to the command that made it, which uses
// it from one goroutine at a time.
package cli

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
