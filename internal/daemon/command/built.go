package command

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/cli"
)

// What backup, restore and import have in common: each makes a file.

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

func printBuilt(cmd *cobra.Command, s *Settings, did, path string, r capycoin.BuildReport) error {
	b := builtFile{
		File: path, LedgerID: r.Supply.LedgerID.String(), Position: r.Supply.Position,
		Time: r.Supply.Time.Format("2006-01-02T15:04:05.000000Z"), Accounts: r.Supply.Accounts,
		Transactions: r.Supply.Transactions, Supply: int64(r.Supply.Supply), ResumedFrom: r.Resumed,
	}
	if s.JSON {
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

// madeWitnessFlag gives a command that makes a ledger's file the flag --witness.
// It is not taken from the environment: who tries a backup out beside a server
// must not make that one's witness anew.
func madeWitnessFlag(cmd *cobra.Command, path *string) {
	witnessFlag(cmd, path)
	cmd.Flags().Lookup("witness").Usage = "the `file` of the witness that is made (default: the database's path and .witness)"
}

func madeOptions(p *cli.Progress, witness string) *capycoin.BuildOptions {
	o := buildOptions(p)
	o.Witness = witness
	return o
}
