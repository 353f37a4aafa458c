package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// progress shows how far a long command is, if somebody watches: on standard
// error, if that is a terminal.
type progress struct {
	w     io.Writer // nil: nobody watches
	shown time.Time
	dirty bool
}

func newProgress(cmd *cobra.Command, s *settings) *progress {
	if f, ok := cmd.ErrOrStderr().(*os.File); ok && !s.json && term.IsTerminal(int(f.Fd())) {
		return &progress{w: f}
	}
	return &progress{}
}

func (p *progress) show(format string, args ...any) {
	if p.w == nil || time.Since(p.shown) < 100*time.Millisecond {
		return
	}
	p.shown, p.dirty = time.Now(), true
	fmt.Fprintf(p.w, "\r\x1b[K"+format, args...)
}

// end clears the line.
func (p *progress) end() {
	if p.dirty {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.dirty = false
	}
}
