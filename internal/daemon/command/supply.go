package command

import (
	"github.com/spf13/cobra"

	"github.com/capycoin/capycoin/internal/cli"
)

// NewSupply returns the command that shows the currency as a whole.
func NewSupply(s *Settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "supply",
		Short: "Show the currency as a whole",
		Args:  cli.Arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var supply struct {
				LedgerID     string `json:"ledger_id"`
				Supply       int64
				SeedFunds    int64 `json:"seed_account_funds"`
				Circulating  int64
				Accounts     int64
				Transactions int64
				Time         string
			}
			b, err := newClient(cmd, s).ask("GET", "/supply", "", nil, &supply)
			if err != nil {
				return err
			}
			if s.JSON {
				cmd.Print(string(b))
				return nil
			}
			w := cli.NewTable(cmd.OutOrStdout())
			w.Row("ledger", supply.LedgerID)
			w.Row("supply", supply.Supply)
			w.Row("seed account", supply.SeedFunds)
			w.Row("circulating", supply.Circulating)
			w.Row("accounts", supply.Accounts)
			w.Row("transactions", supply.Transactions)
			w.Row("time", supply.Time)
			return w.Flush()
		},
	}
	return cli.WithJSON(cmd, &s.JSON)
}
