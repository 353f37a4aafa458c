package main

import "github.com/spf13/cobra"

func newSupply(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "supply",
		Short: "Show the currency as a whole",
		Args:  arguments(),
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
			if s.json {
				cmd.Print(string(b))
				return nil
			}
			w := newTable(cmd)
			row(w, "ledger", supply.LedgerID)
			row(w, "supply", supply.Supply)
			row(w, "seed account", supply.SeedFunds)
			row(w, "circulating", supply.Circulating)
			row(w, "accounts", supply.Accounts)
			row(w, "transactions", supply.Transactions)
			row(w, "time", supply.Time)
			return w.Flush()
		},
	}
	return withJSON(cmd, s)
}
