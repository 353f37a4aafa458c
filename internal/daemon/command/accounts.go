package command

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/capycoin/capycoin/internal/cli"
)

// NewAccounts returns the command that lists the accounts.
func NewAccounts(s *Settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "accounts",
		Short: "List the accounts, in order of opening",
		Long: "accounts lists all accounts in order of opening, the seed account first. With\n" +
			"--json there is an object for each, a line each.",
		Args: cli.Arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			format := tableOfAccounts
			if s.JSON {
				format = linesOfAccounts
			}
			header := true
			return newClient(cmd, s).accounts(1000, func(page []account) (bool, error) {
				text, err := format(page, header)
				header = false
				cmd.Print(text)
				return true, err
			})
		},
	}
	return cli.WithJSON(cmd, &s.JSON)
}

// tableOfAccounts is a page of a table. Its columns are as wide as they ever
// have to be, so that a page need not know the next one.
func tableOfAccounts(page []account, header bool) (string, error) {
	var b strings.Builder
	if header {
		fmt.Fprintf(&b, "%-36s  %16s  %12s  %s\n", "ACCOUNT", "FUNDS", "TRANSACTIONS", "CREATED")
	}
	for _, a := range page {
		fmt.Fprintf(&b, "%-36s  %16d  %12d  %s\n", a.ID, a.Funds, a.Transactions, a.Created)
	}
	return b.String(), nil
}

// linesOfAccounts is a page of JSON lines.
func linesOfAccounts(page []account, _ bool) (string, error) {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	for _, a := range page {
		if err := encoder.Encode(a); err != nil {
			return b.String(), err
		}
	}
	return b.String(), nil
}
