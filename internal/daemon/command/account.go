package command

import (
	"github.com/spf13/cobra"

	"github.com/capycoin/capycoin/internal/cli"
)

// NewAccount returns the command that shows an account.
func NewAccount(s *Settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "account ID",
		Short: "Show an account",
		Args:  cli.Arguments("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := cli.ParseID("ID", args[0])
			if err != nil {
				return err
			}
			var a account
			b, err := newClient(cmd, s).ask("GET", "/account/"+id, "", nil, &a)
			if err != nil {
				return err
			}
			if s.JSON {
				cmd.Print(string(b))
				return nil
			}
			text, err := tableOfAccounts([]account{a}, true)
			cmd.Print(text)
			if a.PublicKey != nil && a.KeyVersion != nil {
				cmd.Printf("its payments are signed by the key %s, version %d\n", *a.PublicKey, *a.KeyVersion)
			}
			return err
		},
	}
	return cli.WithJSON(cmd, &s.JSON)
}
