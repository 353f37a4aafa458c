// Command capycoind serves a CapyCoin ledger over HTTP, and has the operator's
// commands. docs/operating.md describes both.
package main

import (
	"io"
	"os"

	"github.com/capycoin/capycoin/internal/cli"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run runs a command and returns its exit status.
func run(args []string, stdout, stderr io.Writer) int {
	return cli.Run(newRoot(), args, stdout, stderr)
}
