package command

import (
	"context"
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/cli"
)

// NewExport returns the command that writes the journal as text.
func NewExport(s *Settings) *cobra.Command {
	return &cobra.Command{
		Use:   "export [FILE]",
		Short: "Write the journal as lines of JSON",
		Long: "export asks the running server for the whole journal and writes it on standard\n" +
			"output as lines of JSON (docs/export.md), of which import makes the same ledger.\n" +
			"With a FILE it reads that itself, and changes nothing; no server may have the file\n" +
			"open.",
		Args: cli.OneAtMost,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			inBackground()
			source := newClient(cmd, s).journal
			if len(args) == 1 {
				journal, err := capycoin.OpenJournal(args[0])
				if errors.Is(err, capycoin.ErrLocked) {
					return cli.Hint(err, "a server has it open; leave the path out to ask that server")
				}
				if err != nil {
					return err
				}
				defer func() { err = errors.Join(err, journal.Close()) }()
				source = journal.Page
			}
			p := s.progress(cmd)
			if cli.IsTerminal(os.Stdout) {
				p = &cli.Progress{} // the lines go there
			}
			defer p.End()
			return capycoin.Export(cmd.Context(), cmd.OutOrStdout(), func(ctx context.Context, after uint64) (capycoin.JournalPage, error) {
				page, err := source(ctx, after)
				p.Show("exporting: %d of %d", after, page.End)
				return page, err
			})
		},
		ValidArgsFunction: cli.CompleteFiles,
	}
}
