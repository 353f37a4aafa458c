package main

import (
	"context"
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/cli"
)

func newExport(s *settings) *cobra.Command {
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

func newImport(s *settings) *cobra.Command {
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
			rep, err := capycoin.Import(cmd.Context(), in, s.db, madeOptions(s.progress(cmd), witness))
			if errors.Is(err, capycoin.ErrBadExport) {
				return cli.Hint(err, "it has to be what capycoind export wrote, to the last line; docs/export.md has the form")
			}
			if err != nil {
				return buildError(err)
			}
			return printBuilt(cmd, s, "imported to", s.db, rep)
		},
		ValidArgsFunction: cli.CompleteFiles,
	}
	madeWitnessFlag(cmd, &witness)
	return cli.WithJSON(cmd, &s.json)
}
