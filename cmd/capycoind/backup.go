package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/httpapi"
	"github.com/capycoin/capycoin/internal/cli"
)

func newBackup(s *settings) *cobra.Command {
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
	return cli.WithJSON(cmd, &s.json)
}

// copyTo makes the copy, beside a server that has payments to make.
func (c *client) copyTo(cmd *cobra.Command, s *settings, path string) (capycoin.BuildReport, error) {
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
func backupToOutput(cmd *cobra.Command, s *settings, c *client) error {
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

// buildOptions shows how far the making of a file is.
func buildOptions(p *cli.Progress) *capycoin.BuildOptions {
	return &capycoin.BuildOptions{Progress: func(b capycoin.BuildProgress) {
		if b.Stage == "tokens" && b.Done == b.Total {
			p.End() // that is the last of it
			return
		}
		p.Show("%s: %d of %d", b.Stage, b.Done, b.Total)
	}}
}

// buildError says what to do about an error of making a file.
func buildError(err error) error {
	switch {
	case errors.Is(err, fs.ErrExist):
		return cli.Hint(err, "no file is ever replaced: choose another name, or move that file away")
	case errors.Is(err, capycoin.ErrLocked):
		return cli.Hint(err, "another command makes or reads that file, or a server has it open")
	case errors.Is(err, capycoin.ErrDiskFull):
		return cli.Hint(err, "make room and run it again")
	case errors.Is(err, capycoin.ErrWitness):
		return cli.Hint(err, "it has to be a witness, or no file; --witness names another place")
	case errors.As(err, new(*os.LinkError)):
		return cli.Hint(err, "the file system must have hard links; choose another one")
	}
	return err
}

// builtFile is a file that was made, as JSON.
type builtFile struct {
	File         string `json:"file"`
	LedgerID     string `json:"ledger_id"`
	Position     uint64 `json:"position"`
	Time         string `json:"time"`
	Accounts     int64  `json:"accounts"`
	Transactions int64  `json:"transactions"`
	Supply       int64  `json:"supply"`
	ResumedFrom  uint64 `json:"resumed_from"`
}

func printBuilt(cmd *cobra.Command, s *settings, did, path string, r capycoin.BuildReport) error {
	b := builtFile{
		File: path, LedgerID: r.Supply.LedgerID.String(), Position: r.Supply.Position,
		Time: r.Supply.Time.Format("2006-01-02T15:04:05.000000Z"), Accounts: r.Supply.Accounts,
		Transactions: r.Supply.Transactions, Supply: int64(r.Supply.Supply), ResumedFrom: r.Resumed,
	}
	if s.json {
		line, err := json.Marshal(b)
		cmd.Println(string(line))
		return err
	}
	if b.ResumedFrom > 0 {
		cmd.Printf("went on after record %d, where an earlier run was broken off\n", b.ResumedFrom)
	}
	cmd.Printf("%s %s: %d records, the last of %s; %d accounts, %d transactions, %d coins\nthe books are right\n",
		did, b.File, b.Position, r.Supply.Time.Format(time.RFC3339), b.Accounts, b.Transactions, b.Supply)
	return nil
}
