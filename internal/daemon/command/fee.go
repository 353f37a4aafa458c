package command

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/cli"
)

// NewFee returns the commands about what transfers cost.
func NewFee(s *Settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "fee",
		Short: "Set and show what transfers cost",
		Args:  cli.NoCommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newFeeSet(s), newFeeShow(s))
	return cmd
}

// feePolicy is a policy as the server takes it.
type feePolicy struct {
	Flat        int64    `json:"flat"`
	BasisPoints int64    `json:"basis_points"`
	Min         int64    `json:"min"`
	Max         *int64   `json:"max"`
	Exempt      []string `json:"exempt"`
}

// currentPolicy is the policy in force as the server has it.
type currentPolicy struct {
	feePolicy
	Since   *string `json:"since"`
	Account string  `json:"fee_account_id"`
	Funds   int64   `json:"fee_account_funds"`
}

const maxBasisPoints = 10_000

func newFeeSet(s *Settings) *cobra.Command {
	var p feePolicy
	var highest int64
	var none bool
	cmd := &cobra.Command{
		Use:   "set",
		Short: "Set what transfers cost from now on",
		Long: "set replaces the whole policy: what is not named is not in it any more. The fee of\n" +
			"an amount is --flat, and --basis-points of the amount, rounded up to a whole coin;\n" +
			"at least --min, and at most --max. The sender pays it beside the amount. There is\n" +
			"none where the sender or the receiver is exempt, as the seed account always is.",
		Args: cli.Arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			given := ""
			for _, name := range []string{"flat", "basis-points", "min", "max", "exempt"} {
				if cmd.Flags().Changed(name) {
					given = name
				}
			}
			switch {
			case none && given != "":
				return cli.Hint(fmt.Errorf("--none and --%s don't go together", given), "--none is for no fee at all")
			case !none && given == "":
				return cli.Hint(errors.New("nothing says what the fee is to be"), "name one or more of --flat, --basis-points, --min, --max and --exempt; or --none for no fee")
			}
			if cmd.Flags().Changed("exempt") && len(p.Exempt) == 0 {
				return cli.Hint(errors.New("--exempt is empty"), "name accounts, or leave it out where none is exempt")
			}
			if cmd.Flags().Changed("max") {
				p.Max = &highest
			}
			if err := p.check(none); err != nil {
				return err
			}
			c := newClient(cmd, s)
			c.again = "capycoind fee show tells; it can be set again as well"
			var now currentPolicy
			b, err := c.ask("PUT", "/fee/policy", "", p, &now)
			if err != nil {
				return err
			}
			return now.print(cmd, s, b)
		},
	}
	flags := cmd.Flags()
	flags.Int64Var(&p.Flat, "flat", 0, "how many `coins` are part of each fee, 0 to the supply")
	flags.Int64Var(&p.BasisPoints, "basis-points", 0, "how many hundredths of a percent of the amount, a `number` 0 to 10000")
	flags.Int64Var(&p.Min, "min", 0, "the least fee, in `coins`, 0 to the supply")
	flags.Int64Var(&highest, "max", 0, "the highest fee, in `coins`, 1 to the supply (default: there is none)")
	flags.StringSliceVar(&p.Exempt, "exempt", nil, "`accounts` that neither pay a fee nor cause one, at most 64; with commas between them, or the flag once for each")
	flags.BoolVar(&none, "none", false, "no fee")
	return cli.WithJSON(cmd, &s.JSON)
}

// check looks at what can be seen here; the server knows the supply.
func (p *feePolicy) check(none bool) error {
	for _, f := range []struct {
		name        string
		value       int64
		least, most int64
	}{
		{"flat", p.Flat, 0, int64(capycoin.MaxSupply)},
		{"basis-points", p.BasisPoints, 0, maxBasisPoints},
		{"min", p.Min, 0, int64(capycoin.MaxSupply)},
	} {
		if f.value < f.least || f.value > f.most {
			return fmt.Errorf("--%s is %d; it has to be %d to %d", f.name, f.value, f.least, f.most)
		}
	}
	if p.Max != nil {
		if *p.Max < 1 || *p.Max > int64(capycoin.MaxSupply) {
			return cli.Hint(fmt.Errorf("--max is %d; it has to be 1 to %d", *p.Max, capycoin.MaxSupply), "leave it out for a fee without a bound")
		}
		if p.Min > *p.Max {
			return fmt.Errorf("--min is %d; it has to be at most --max, which is %d", p.Min, *p.Max)
		}
	}
	if len(p.Exempt) > capycoin.MaxFeeExempt {
		return fmt.Errorf("--exempt has %d accounts; it has to be at most %d", len(p.Exempt), capycoin.MaxFeeExempt)
	}
	for i, s := range p.Exempt {
		id, err := cli.ParseID("--exempt", s)
		if err != nil {
			return err
		}
		p.Exempt[i] = id
	}
	if p.Exempt == nil {
		p.Exempt = []string{}
	}
	if !none && p.Flat == 0 && p.BasisPoints == 0 && p.Min == 0 {
		return cli.Hint(errors.New("that is no fee: neither --flat nor --basis-points nor --min is more than 0"), "the whole policy is replaced, so name all of it; or say --none")
	}
	return nil
}

func newFeeShow(s *Settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Show what transfers cost",
		Args:  cli.Arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var now currentPolicy
			b, err := newClient(cmd, s).ask("GET", "/fee/policy", "", nil, &now)
			if err != nil {
				return err
			}
			return now.print(cmd, s, b)
		},
	}
	return cli.WithJSON(cmd, &s.JSON)
}

// print shows a policy; answer is the server's.
func (p *currentPolicy) print(cmd *cobra.Command, s *Settings, answer []byte) error {
	if s.JSON {
		cmd.Print(string(answer))
		return nil
	}
	w := cli.NewTable(cmd.OutOrStdout())
	if p.Flat == 0 && p.BasisPoints == 0 && p.Min == 0 {
		w.Row("fee", "none")
	} else {
		highest, exempt := "none", "none"
		if p.Max != nil {
			highest = fmt.Sprint(*p.Max)
		}
		if len(p.Exempt) > 0 {
			exempt = strings.Join(p.Exempt, ", ")
		}
		w.Row("flat", p.Flat)
		w.Row("basis points", p.BasisPoints)
		w.Row("least fee", p.Min)
		w.Row("highest fee", highest)
		w.Row("exempt", exempt)
	}
	since := "the beginning"
	if p.Since != nil {
		since = *p.Since
	}
	w.Row("since", since)
	w.Row("fee account", p.Account)
	w.Row("its funds", p.Funds)
	return w.Flush()
}
