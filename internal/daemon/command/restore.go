package command

import (
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/cli"
)

// NewRestore returns the command that makes the ledger's file of a backup.
func NewRestore(s *Settings) *cobra.Command {
	var witness string
	cmd := &cobra.Command{
		Use:   "restore SRC",
		Short: "Make the ledger's file of a backup",
		Long: "restore makes the file that --db names of a backup, SRC: it copies the journal,\n" +
			"folds and audits it, syncs it, and only then gives it its name. It never replaces\n" +
			"a file, and does not change the backup, which nobody may have open. With - as SRC\n" +
			"the backup comes from standard input.",
		Args: cli.Arguments("SRC"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			src := args[0]
			if src == "-" {
				if src, err = keepInput(cmd, s.DB); err != nil {
					return err
				}
				defer os.Remove(src)
			}
			rep, err := capycoin.Restore(cmd.Context(), src, s.DB, madeOptions(s.progress(cmd), witness))
			switch {
			case errors.Is(err, capycoin.ErrNotLedger), errors.Is(err, capycoin.ErrIsDirectory), errors.Is(err, capycoin.ErrEmptyFile):
				return cli.Hint(err, "name a file that capycoind backup made, or a copy of a file that no server had open")
			case errors.Is(err, capycoin.ErrCorrupt):
				return cli.Hint(err, "take another backup; docs/operating.md says what else there is")
			case err != nil:
				return buildError(err)
			}
			return printBuilt(cmd, s, "restored to", s.DB, rep)
		},
		ValidArgsFunction: cli.CompleteFiles,
	}
	madeWitnessFlag(cmd, &witness)
	return cli.WithJSON(cmd, &s.JSON)
}

// keepInput puts standard input into a file in the folder of another one.
func keepInput(cmd *cobra.Command, path string) (name string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".capycoin-restore-*") // of mode 0600
	if err != nil {
		return "", err
	}
	_, err = io.Copy(f, cmd.InOrStdin())
	if err = errors.Join(err, f.Close()); err != nil {
		os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}
