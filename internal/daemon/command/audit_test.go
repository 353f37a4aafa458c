package command

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/capycoin/capycoin/httpapi"
	"github.com/capycoin/capycoin/internal/cli"
)

// TestAuditShowsSome: an audit that finds a fault in each of many records shows
// the first ones as text.
func TestAuditShowsSome(t *testing.T) {
	var out bytes.Buffer
	cmd := new(cobra.Command)
	cmd.SetOut(&out)
	o := &auditOutput{cmd: cmd, progress: &cli.Progress{}}
	for n := range 5000 {
		if err := o.line(httpapi.AuditLine{Fault: &httpapi.AuditFault{Position: uint64(n), Kind: "chain"}}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if lines := strings.Count(out.String(), "\n"); lines != mostFaults+1 || !strings.Contains(out.String(), "--json has all") {
		t.Errorf("%d lines were printed, want %d, the last of which says that there are more", lines, mostFaults+1)
	}
}
