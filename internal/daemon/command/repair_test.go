package command

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/capycoin/capycoin"
)

// TestRepairTellsOfTheWitness names as lost only what is nowhere in the file:
// records after the journal's end that may have been committed are in it.
func TestRepairTellsOfTheWitness(t *testing.T) {
	for _, tt := range []struct {
		seen, unsure uint64
		want         string
	}{
		{0, 0, ""},
		{9, 0, "records 7 to 9 are lost: the witness saw the last of them, and nothing is left in the file\n"},
		{7, 0, "record 7 is lost: the witness saw it, and nothing is left in the file\n"},
		{7, 7, ""},
		{7, 8, ""},
		{9, 7, "records 8 to 9 are lost: the witness saw the last of them, and nothing is left in the file\n"},
	} {
		rep := capycoin.RepairReport{Journal: 6, Seen: tt.seen, UnsureLast: tt.unsure}
		if tt.unsure > 0 {
			rep.UnsureFirst = 7
		}
		var out strings.Builder
		cmd := new(cobra.Command)
		cmd.SetOut(&out)
		printRepairText(cmd, "coins.db", rep)
		got, _, _ := strings.Cut(out.String(), "after the journal's last record")
		if got != tt.want {
			t.Errorf("seen %d, unsure up to %d: got %q, want %q", tt.seen, tt.unsure, got, tt.want)
		}
	}
}
