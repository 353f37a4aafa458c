package command

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/httpapi"
	"github.com/capycoin/capycoin/internal/cli"
)

// NewAudit returns the command that audits the books, of a server or in a file.
func NewAudit(s *Settings) *cobra.Command {
	var witness string
	cmd := &cobra.Command{
		Use:   "audit [FILE]",
		Short: "Replay the books and compare everything with them",
		Long: "audit asks the running server to replay the journal and compare everything with\n" +
			"it, while it goes on serving. With a FILE it does so itself; no server may have\n" +
			"the file open. It says whether the file lacks what its witness saw.",
		Args: cli.OneAtMost,
		RunE: func(cmd *cobra.Command, args []string) error {
			out := &auditOutput{cmd: cmd, json: s.JSON, progress: s.progress(cmd)}
			if len(args) == 1 {
				if witness == "" {
					witness = args[0] + ".witness"
				}
				return auditFile(cmd, args[0], witness, out)
			}
			return auditServer(newClient(cmd, s), out)
		},
	}
	cmd.ValidArgsFunction = cli.CompleteFiles
	witnessFlag(cmd, &witness)
	return cli.WithJSON(cmd, &s.JSON)
}

// auditOutput prints an audit.
type auditOutput struct {
	cmd      *cobra.Command
	json     bool
	progress *cli.Progress
	done     bool
	faults   int // printed
}

// mostFaults is how many faults are printed as text. One damaged row may lead to
// one of each record.
const mostFaults = 1000

// line prints a line, and returns an error if it is the last and says that
// something is wrong.
func (o *auditOutput) line(l httpapi.AuditLine, raw []byte) error {
	if o.json {
		o.cmd.Println(string(raw))
	}
	switch {
	case l.Progress != nil:
		o.progress.Show("%s: %d of %d", l.Progress.Stage, l.Progress.Done, l.Progress.Total)
	case l.Fault != nil && !o.json:
		if o.faults++; o.faults > mostFaults {
			if o.faults == mostFaults+1 {
				o.cmd.Println("fault: there are more, which are only counted; --json has all of them")
			}
			return nil
		}
		o.progress.End()
		f := capycoin.AuditFault{Position: l.Fault.Position, Kind: l.Fault.Kind, Detail: l.Fault.Detail}
		if l.Fault.Account != "" {
			f.Account, _ = uuid.Parse(l.Fault.Account) // only shown
		}
		o.cmd.Printf("fault: %s\n", f)
	case l.Error != "":
		o.done = true
		return errors.New("the audit did not get to the end: " + l.Error)
	case l.Report != nil:
		o.progress.End()
		o.done = true
		r := l.Report
		if !o.json {
			o.cmd.Printf("%d records up to %d, %d accounts, %d transactions, %d idempotency keys, %d live tokens, %d live invites, %d coins, in %.1f s\n",
				r.Records, r.Position, r.Accounts, r.Transactions, r.Keys, r.Tokens, r.Invites, r.Supply, r.Seconds)
			if r.Signatures > 0 || r.Fees > 0 || r.Stipends > 0 {
				o.cmd.Printf("%d signatures verified, %d coins of fees, %d stipends\n", r.Signatures, r.Fees, r.Stipends)
			}
		}
		if r.FaultCount > 0 {
			return cli.Hint(fmt.Errorf("the books have %d faults", r.FaultCount), "docs/operating.md says what to do about it; capycoind repair makes a damaged file whole")
		}
		if !o.json {
			o.cmd.Println("the books are right")
		}
	}
	return nil
}

func auditServer(c *client, o *auditOutput) error {
	resp, err := c.open("POST", "/audit", "", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	defer o.progress.End()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var l httpapi.AuditLine
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return fmt.Errorf("reading the server's answer: %w", err)
		}
		if err := o.line(l, lines.Bytes()); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil || !o.done {
		return errors.Join(errors.New("the server's answer ended before the audit did"), err)
	}
	return nil
}

// auditFile audits a file that no server has open, a copy most likely: if it has
// a witness the two are compared, if not it gets none.
func auditFile(cmd *cobra.Command, path, witness string, o *auditOutput) (err error) {
	if _, err := os.Stat(path); err != nil {
		return err // Open would make one
	}
	led, err := capycoin.Open(path, &capycoin.Options{NoWitness: true})
	switch {
	case errors.Is(err, capycoin.ErrLocked):
		return cli.Hint(err, "a server has it open; leave the path out to have that server audit it")
	case errors.Is(err, capycoin.ErrNotLedger), errors.Is(err, capycoin.ErrIsDirectory):
		return err // "choose another with --db" is not for here
	case errors.Is(err, capycoin.ErrNotWritable):
		return cli.Hint(err, "an audit folds what was not folded yet, so it has to write: run it as the user that owns the file, with the right to write (chmod u+w FILE), or audit a copy")
	case err != nil:
		return openError(err, path)
	}
	defer func() { err = errors.Join(err, led.Close()) }()
	defer o.progress.End()
	var wrong error
	err = httpapi.Audit(cmd.Context(), led, func(l httpapi.AuditLine) {
		raw, err := json.Marshal(l)
		if err == nil {
			err = o.line(l, raw)
		}
		wrong = errors.Join(wrong, err)
	})
	behind := led.CheckWitness(cmd.Context(), witness)
	if errors.Is(behind, fs.ErrNotExist) {
		behind = nil
	}
	return errors.Join(err, wrong, openError(behind, path))
}
