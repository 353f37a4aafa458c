package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/httpapi"
	"github.com/capycoin/capycoin/internal/cli"
)

// NewBackup returns the command that copies a server's ledger to a file.
func NewBackup(s *Settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backup DEST",
		Short: "Copy the ledger to a new file while the server serves",
		Long: "backup reads the journal from the running server and makes a new file of it, with\n" +
			"all that is in the ledger by now: it folds and audits the copy, syncs it, and only\n" +
			"then gives it its name. It never replaces a file. One that is broken off leaves a\n" +
			"part, .DEST.partial, and goes on with it when it is run again. With - as DEST the\n" +
			"finished copy goes to standard output.",
		Args: cli.Arguments("DEST"),
		RunE: func(cmd *cobra.Command, args []string) error {
			inBackground()
			c := newClient(cmd, s)
			if args[0] == "-" {
				return backupToOutput(cmd, s, c)
			}
			rep, err := c.copyTo(cmd, s, args[0])
			if err != nil {
				return buildError(err)
			}
			return printBuilt(cmd, s, "copied to", args[0], rep)
		},
		ValidArgsFunction: cli.CompleteFiles,
	}
	return cli.WithJSON(cmd, &s.JSON)
}

// copyTo makes the copy, beside a server that has payments to make.
func (c *client) copyTo(cmd *cobra.Command, s *Settings, path string) (capycoin.BuildReport, error) {
	o := buildOptions(s.progress(cmd))
	o.Background = true
	return capycoin.Build(cmd.Context(), path, c.journal, o)
}

// journal is a [capycoin.JournalSource] of the running server.
func (c *client) journal(_ context.Context, after uint64) (capycoin.JournalPage, error) {
	resp, err := c.open("GET", fmt.Sprintf("/journal?after=%d", after), "", nil)
	if err != nil {
		return capycoin.JournalPage{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return capycoin.JournalPage{}, c.unreachable("GET", err)
	}
	page, err := httpapi.ParseJournal(after, resp.Header, body)
	if err != nil {
		return capycoin.JournalPage{}, fmt.Errorf("reading the server's answer: %w", err)
	}
	return page, nil
}

// backupToOutput makes the copy in a file that is removed before the first byte
// of it goes out, so that none stays behind.
func backupToOutput(cmd *cobra.Command, s *Settings, c *client) error {
	if cli.IsTerminal(cmd.OutOrStdout()) {
		return cli.Hint(errors.New("standard output is a terminal"), "redirect it to a file or a command")
	}
	dir, err := os.MkdirTemp("", "capycoin-backup-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "backup.db")
	if _, err := c.copyTo(cmd, s, path); err != nil {
		return buildError(err)
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	os.RemoveAll(dir) // not on Windows, where it is done in the end
	if _, err := io.Copy(cmd.OutOrStdout(), f); err != nil {
		return fmt.Errorf("writing the copy: %w", err)
	}
	return nil
}
