package command

import (
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/cli"
)

// NewImport returns the command that makes the ledger's file of such a text.
func NewImport(s *Settings) *cobra.Command {
	var witness string
	cmd := &cobra.Command{
		Use:   "import SRC",
		Short: "Make the ledger's file of an export",
		Long: "import makes the file that --db names of what export wrote, SRC: the same records\n" +
			"byte for byte. It checks every line, folds and audits the file, syncs it, and only\n" +
			"then gives it its name. It never replaces a file. With - as SRC the lines come\n" +
			"from standard input.",
		Args: cli.Arguments("SRC"),
		RunE: func(cmd *cobra.Command, args []string) error {
			in := cmd.InOrStdin()
			if args[0] != "-" {
				f, err := os.Open(args[0])
				if err != nil {
					return err
				}
				defer f.Close()
				in = f
			}
			rep, err := capycoin.Import(cmd.Context(), in, s.DB, madeOptions(s.progress(cmd), witness))
			if errors.Is(err, capycoin.ErrBadExport) {
				return cli.Hint(err, "it has to be what capycoind export wrote, to the last line; docs/export.md has the form")
			}
			if err != nil {
				return buildError(err)
			}
			return printBuilt(cmd, s, "imported to", s.DB, rep)
		},
		ValidArgsFunction: cli.CompleteFiles,
	}
	madeWitnessFlag(cmd, &witness)
	return cli.WithJSON(cmd, &s.JSON)
}
