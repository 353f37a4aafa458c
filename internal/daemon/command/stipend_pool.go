package command

import (
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/cli"
)

// NewStipendPool returns the commands about the stipend that is paid from the fees.
func NewStipendPool(s *Settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "stipend-pool",
		Short: "Pay out the fees to active accounts, and show what was paid",
		Args:  cli.NoCommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newStipendPoolRun(s), newStipendPoolShow(s))
	return cmd
}

// poolStipend is the stipend of a day as the server has it.
type poolStipend struct {
	Day      string  `json:"day"`
	Window   int     `json:"window"`
	MinAge   int     `json:"min_age"`
	Cap      *int64  `json:"cap"`
	Payees   int64   `json:"payees"`
	Share    int64   `json:"share"`
	Funds    int64   `json:"funds"`
	Paid     int64   `json:"paid"`
	Position *uint64 `json:"position"`
	Done     bool    `json:"done"`
}

// pool is the account of the fees and the last stipend from it.
type pool struct {
	Account string       `json:"fee_account_id"`
	Funds   int64        `json:"fee_account_funds"`
	Last    *poolStipend `json:"last"`
}

func newStipendPoolRun(s *Settings) *cobra.Command {
	var window, age int
	var highest int64
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Pay this day's stipend, if nobody has",
		Long: "run pays the coins in the account of the fees in equal shares to the accounts that\n" +
			"were active before this day began, UTC: once a day, however often it is run, and\n" +
			"whether or not the server does it by itself (serve --stipend). One that was broken\n" +
			"off is gone on with. The rules that are not named are those the server was started\n" +
			"with; those of a stipend that was begun stay what they were.",
		Args: cli.Arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			request := make(map[string]any)
			for _, f := range []struct {
				flag, member string
				value        int64
				least, most  int64
				more         string
			}{
				{"window", "window", int64(window), 1, capycoin.MaxStipendDays, ""},
				{"age", "min_age", int64(age), 1, capycoin.MaxStipendDays, ""},
				{"cap", "cap", highest, 0, int64(capycoin.MaxSupply), ", where 0 is none"},
			} {
				if !cmd.Flags().Changed(f.flag) {
					continue
				}
				if f.value < f.least || f.value > f.most {
					return fmt.Errorf("--%s is %d; it has to be %d to %d%s", f.flag, f.value, f.least, f.most, f.more)
				}
				request[f.member] = f.value
			}
			if dryRun {
				request["dry_run"] = true
			}
			c := newClient(cmd, s)
			c.again = "run it again: it goes on where it was, and pays nobody twice"
			c.http.Transport.(*http.Transport).ResponseHeaderTimeout = 0 // there is no telling how many are paid
			var before pool
			if _, err := c.ask("GET", "/stipend", "", nil, &before); err != nil {
				return err
			}
			var now poolStipend
			b, err := c.ask("POST", "/stipend", "", request, &now)
			if err != nil {
				return err
			}
			if s.JSON {
				cmd.Print(string(b))
				return nil
			}
			cmd.Println(now.outcome(before.Last, dryRun))
			return nil
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&dryRun, "dry-run", false, "pay nothing, and say what would be paid")
	flags.IntVar(&window, "window", 0, "active is who sent a transaction in so many `days`, 1 to 365 (default: the server's, 7 of itself)")
	flags.IntVar(&age, "age", 0, "paid is who was opened so many `days` before the day began, 1 to 365 (default: the server's, 1 of itself)")
	flags.Int64Var(&highest, "cap", 0, "the highest share, in `coins`, 1 to the supply; 0 is none (default: the server's, none of itself)")
	return cli.WithJSON(cmd, &s.JSON)
}

// outcome says what was paid, or why nothing was. Before is the last stipend that
// had been begun until then.
func (p *poolStipend) outcome(before *poolStipend, dryRun bool) string {
	rest := p.Funds - p.Share*p.Payees
	switch {
	case p.Position == nil && p.Payees == 0:
		return fmt.Sprintf("nothing is paid for %s: no account is active, which means: sent a transaction in the %s before that day began, UTC, and was opened %s before it or earlier; the %d coins stay",
			p.Day, days(p.Window), days(p.MinAge), p.Funds)
	case p.Share == 0 && p.Funds == 0:
		return fmt.Sprintf("nothing is paid for %s: the account of the fees has no coins", p.Day)
	case p.Share == 0:
		return fmt.Sprintf("nothing is paid for %s: the account of the fees has %d coins, fewer than the %d active accounts; they stay", p.Day, p.Funds, p.Payees)
	case p.Position == nil && dryRun:
		return fmt.Sprintf("would pay for %s: %d each to %d accounts, %d coins; %d stay", p.Day, p.Share, p.Payees, p.Share*p.Payees, rest)
	case !p.Done:
		return fmt.Sprintf("begun for %s, and not at its end: %d each, paid to %d accounts of %d; the next run goes on", p.Day, p.Share, p.Paid, p.Payees)
	case before != nil && before.Position != nil && *before.Position == *p.Position && before.Done:
		return fmt.Sprintf("had already paid for %s: %d each to %d accounts, %d coins", p.Day, p.Share, p.Payees, p.Share*p.Payees)
	}
	return fmt.Sprintf("paid for %s: %d each to %d accounts, %d coins; %d stay", p.Day, p.Share, p.Payees, p.Share*p.Payees, rest)
}

func days(n int) string {
	if n == 1 {
		return "1 day"
	}
	return fmt.Sprintf("%d days", n)
}

func newStipendPoolShow(s *Settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Show the account of the fees and the last stipend",
		Args:  cli.Arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var now pool
			b, err := newClient(cmd, s).ask("GET", "/stipend", "", nil, &now)
			if err != nil {
				return err
			}
			if s.JSON {
				cmd.Print(string(b))
				return nil
			}
			w := cli.NewTable(cmd.OutOrStdout())
			w.Row("fee account", now.Account)
			w.Row("its funds", now.Funds)
			last := now.Last
			if last == nil {
				w.Row("last stipend", "none")
				return w.Flush()
			}
			highest := "none"
			if last.Cap != nil {
				highest = fmt.Sprint(*last.Cap)
			}
			w.Row("last stipend", last.Day)
			w.Row("  share", last.Share)
			w.Row("  highest share", highest)
			w.Row("  accounts", last.Payees)
			w.Row("  of them paid", last.Paid)
			w.Row("  active within", days(last.Window))
			w.Row("  opened before", days(last.MinAge))
			return w.Flush()
		},
	}
	return cli.WithJSON(cmd, &s.JSON)
}
