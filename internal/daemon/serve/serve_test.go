package serve

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/cli"
)

// TestStopCause: who is told that the server stopped is told what to do, which is
// another thing for damage than for an outcome that is not known.
func TestStopCause(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{nil, ""},
		{capycoin.ErrClosed, ""},
		{fmt.Errorf("%w: %w", capycoin.ErrStopped, capycoin.ErrOutcomeUnknown), "start the server again"},
		{fmt.Errorf("%w: %w", capycoin.ErrStopped, capycoin.ErrCorrupt), "capycoind repair"},
	} {
		var h *cli.HintedError
		switch err := stopCause(c.err); {
		case c.want == "" && err != nil:
			t.Errorf("%v: got %v, want nothing", c.err, err)
		case c.want != "" && (!errors.As(err, &h) || !strings.Contains(h.Hint, c.want)):
			t.Errorf("%v: got %v with hint %+v, want one with %q", c.err, err, h, c.want)
		}
	}
}
