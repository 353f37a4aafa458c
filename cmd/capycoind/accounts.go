package main

import (
	"encoding/json"
	"errors"
	"net/url"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

func newAccounts(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "accounts",
		Short: "List the accounts, in order of opening",
		Args:  arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c := newClient(cmd, s)
			if s.json {
				return c.accounts(1000, func(page []account) (bool, error) {
					for _, a := range page {
						b, err := json.Marshal(a)
						if err != nil {
							return false, err
						}
						cmd.Println(string(b)) // a line each: there may be many
					}
					return true, nil
				})
			}
			w := newTable(cmd, "ACCOUNT", "FUNDS", "TRANSACTIONS", "CREATED")
			err := c.accounts(1000, func(page []account) (bool, error) {
				rows(w, page)
				return true, nil
			})
			return errors.Join(err, w.Flush())
		},
	}
	return withJSON(cmd, s)
}

func newAccount(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "account ID",
		Short: "Show an account",
		Args:  arguments("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var a account
			b, err := newClient(cmd, s).ask("GET", "/account/"+url.PathEscape(args[0]), "", nil, &a)
			if err != nil {
				return err
			}
			if s.json {
				cmd.Print(string(b))
				return nil
			}
			w := newTable(cmd, "ACCOUNT", "FUNDS", "TRANSACTIONS", "CREATED")
			rows(w, []account{a})
			return w.Flush()
		},
	}
	return withJSON(cmd, s)
}

func rows(w *tabwriter.Writer, accounts []account) {
	for _, a := range accounts {
		row(w, a.ID, a.Funds, a.Transactions, a.Created)
	}
}
