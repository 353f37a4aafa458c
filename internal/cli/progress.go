package cli

import (
	"fmt"
	"io"
	"time"
)

// Progress shows how far a long command is, if somebody watches. The zero Progress
// shows nothing.
type Progress struct {
	w     io.Writer // nil: nobody watches
	shown time.Time
	dirty bool
}

// NewProgress shows it on w, the standard error of a command, if that is a terminal.
func NewProgress(w io.Writer) *Progress {
	if IsTerminal(w) {
		return &Progress{w: w}
	}
	return &Progress{}
}

// Show puts a line in the place of the last one, ten times a second at most.
func (p *Progress) Show(format string, args ...any) {
	if p.w == nil || time.Since(p.shown) < 100*time.Millisecond {
		return
	}
	p.shown, p.dirty = time.Now(), true
	fmt.Fprintf(p.w, "\r\x1b[K"+format, args...)
}

// End clears the line.
func (p *Progress) End() {
	if p.dirty {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.dirty = false
	}
}
