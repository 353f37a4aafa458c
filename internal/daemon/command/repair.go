package command

import (
	"encoding/json"
	"errors"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/cli"
)

// NewRepair returns the command that makes a damaged file whole.
func NewRepair(s *Settings) *cobra.Command {
	var cut, acceptRollback bool
	var witness string
	cmd := &cobra.Command{
		Use:   "repair [FILE]",
		Short: "Make a damaged file whole",
		Long: "repair audits FILE, or the one that --db names, which no server may have open, and\n" +
			"changes nothing if nothing is wrong. Otherwise it makes a new file of the journal's\n" +
			"records, folds and audits it, and puts it in the place of the damaged one, which it\n" +
			"keeps beside it.\n\n" +
			"If records of the journal are lost it names them, with the accounts that they have\n" +
			"touched, and changes nothing. With --cut the ledger ends before the first of them;\n" +
			"the later ones that can be read go to a file beside it, so that their payments can\n" +
			"be made again. With --accept-rollback it takes a file as it is whose last commit may\n" +
			"be lost, or that is behind its witness.",
		Args: cli.OneAtMost,
		RunE: func(cmd *cobra.Command, args []string) error {
			path := s.DB
			if len(args) == 1 {
				path = args[0]
			}
			p := s.progress(cmd)
			rep, err := capycoin.Repair(cmd.Context(), path, &capycoin.RepairOptions{
				Cut: cut, AcceptRollback: acceptRollback, Witness: witness,
				Progress: func(b capycoin.BuildProgress) { p.Show("%s: %d of %d", b.Stage, b.Done, b.Total) },
			})
			p.End()
			if err := printRepair(cmd, s, path, rep, err); err != nil {
				return err
			}
			return repairError(rep, err, path)
		},
		ValidArgsFunction: cli.CompleteFiles,
	}
	witnessFlag(cmd, &witness)
	cmd.Flags().BoolVar(&cut, "cut", false, "end the ledger before the first lost record")
	cmd.Flags().BoolVar(&acceptRollback, "accept-rollback", false, "take a file that may have lost its last commits as it is")
	return cli.WithJSON(cmd, &s.JSON)
}

// repairError says what to do about an error of a repair.
func repairError(rep capycoin.RepairReport, err error, path string) error {
	lost := len(rep.Lost) > 0 && rep.Lost[0].First > 1
	rolledBack := rep.RolledBack || errors.Is(err, capycoin.ErrRolledBack)
	switch {
	case err == nil:
		return nil
	case lost && rolledBack:
		return cli.Hint(err, "restore a newer copy; or run it again with --cut --accept-rollback, and make the payments after the first lost record again")
	case rolledBack && len(rep.Lost) == 0:
		return cli.Hint(err, "restore a newer copy; or run it again with --accept-rollback, and what is not in this file is lost")
	case lost:
		return cli.Hint(err, "restore a copy that has them; or run it again with --cut, and make the payments after that again")
	case errors.Is(err, capycoin.ErrCorrupt):
		return cli.Hint(err, "restore a copy: not enough of this file is left")
	case errors.Is(err, capycoin.ErrLocked):
		return cli.Hint(err, "stop the server that has it open")
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, capycoin.ErrNotLedger), errors.Is(err, capycoin.ErrIsDirectory):
		return err
	}
	return openError(err, path)
}

// repairLine is the answer in JSON.
type repairLine struct {
	File       string     `json:"file"`
	Healthy    bool       `json:"healthy"`
	Repaired   bool       `json:"repaired"`
	Damage     string     `json:"damage,omitempty"`
	KeptAs     string     `json:"kept_as,omitempty"`
	Position   uint64     `json:"position,omitempty"`
	Journal    uint64     `json:"journal,omitempty"`
	Lost       []lostLine `json:"lost,omitempty"`
	Seen       uint64     `json:"seen_by_witness,omitempty"`
	Unsure     []uint64   `json:"unsure,omitempty"`
	CutFile    string     `json:"cut_file,omitempty"`
	CutRecords uint64     `json:"cut_records,omitempty"`
	Accounts   []cutLine  `json:"accounts,omitempty"`
	Witness    string     `json:"witness,omitempty"`
	Error      string     `json:"error,omitempty"`
}

type lostLine struct {
	First    uint64            `json:"first"`
	Last     uint64            `json:"last"`
	Accounts []lostAccountLine `json:"accounts"`
}

type lostAccountLine struct {
	Account  string `json:"account_id"`
	Position uint64 `json:"position"`
	By       string `json:"by"`
	Guess    bool   `json:"guess"`
}

type cutLine struct {
	Account string `json:"account_id"`
	Before  int64  `json:"funds_before"`
	After   int64  `json:"funds_after"`
	Gone    bool   `json:"gone"`
}

func printRepair(cmd *cobra.Command, s *Settings, path string, r capycoin.RepairReport, failed error) error {
	if !s.JSON {
		printRepairText(cmd, path, r)
		return nil
	}
	l := repairLine{
		File: path, Healthy: r.Healthy, Repaired: r.Repaired, Damage: r.Damage, KeptAs: r.KeptAs, Journal: r.Journal, Seen: r.Seen,
		CutFile: r.CutFile, CutRecords: r.CutRecords, Witness: r.Witness,
	}
	if r.Healthy || r.Repaired {
		l.Position = r.Audit.Position
	}
	if r.UnsureFirst > 0 {
		l.Unsure = []uint64{r.UnsureFirst, r.UnsureLast}
	}
	for _, lost := range r.Lost {
		one := lostLine{First: lost.First, Last: lost.Last, Accounts: []lostAccountLine{}}
		for _, a := range lost.Accounts {
			one.Accounts = append(one.Accounts, lostAccountLine{a.Account.String(), a.Position, a.By, a.Guess})
		}
		l.Lost = append(l.Lost, one)
	}
	for _, a := range r.Accounts {
		l.Accounts = append(l.Accounts, cutLine{a.Account.String(), int64(a.Before), int64(a.After), a.Gone})
	}
	if failed != nil {
		l.Error = failed.Error()
	}
	line, err := json.Marshal(l)
	cmd.Println(string(line))
	return err
}

func printRepairText(cmd *cobra.Command, path string, r capycoin.RepairReport) {
	if r.Healthy {
		cmd.Printf("%s: nothing is wrong: %d records, %d accounts; it stays as it is\n", path, r.Audit.Records, r.Audit.Accounts)
	}
	if r.Damage != "" {
		cmd.Printf("found: %s\n", r.Damage)
	}
	for _, l := range r.Lost {
		if l.First == l.Last {
			cmd.Printf("record %d is lost\n", l.First)
		} else {
			cmd.Printf("records %d to %d are lost\n", l.First, l.Last)
		}
		for _, a := range l.Accounts {
			sure := ""
			if a.Guess {
				sure = ", which may be wrong"
			}
			cmd.Printf("  record %d touched account %s: %s%s\n", a.Position, a.Account, a.By, sure)
		}
	}
	switch first := max(r.Journal, r.UnsureLast) + 1; { // what may have been committed is in the file
	case r.Seen == first:
		cmd.Printf("record %d is lost: the witness saw it, and nothing is left in the file\n", first)
	case r.Seen > first:
		cmd.Printf("records %d to %d are lost: the witness saw the last of them, and nothing is left in the file\n", first, r.Seen)
	}
	if r.UnsureFirst > 0 {
		cmd.Printf("after the journal's last record, %d, there are records up to %d that may have been committed or not\n", r.Journal, r.UnsureLast)
	}
	if r.CutRecords > 0 {
		cmd.Printf("%d records that are not in the ledger any more are in %s\n", r.CutRecords, r.CutFile)
	}
	for _, a := range r.Accounts {
		if a.Gone {
			cmd.Printf("  account %s is gone, it had %d coins\n", a.Account, a.Before)
		} else {
			cmd.Printf("  account %s had %d coins, and has %d\n", a.Account, a.Before, a.After)
		}
	}
	if r.Witness != "" {
		cmd.Printf("the witness %s was made anew\n", r.Witness)
	}
	if r.Repaired {
		cmd.Printf("repaired %s: %d records, %d accounts, %d coins; the damaged file is %s\n",
			path, r.Audit.Records, r.Audit.Accounts, r.Audit.Supply, r.KeptAs)
		cmd.Println("the books are right")
	}
}
