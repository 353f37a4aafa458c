package main

import (
	"github.com/spf13/cobra"

	"github.com/capycoin/capycoin/internal/cli"
)

// newRoot returns the command that has all others. Without one of them it serves.
func newRoot() *cobra.Command {
	var s Settings
	serve := NewServe(&s)
	root := &cobra.Command{
		Use:   "capycoind",
		Short: "A ledger of a closed-circulation currency, and its server",
		Long: "capycoind serves the ledger in a file: a public HTTP API on a TCP address and a\n" +
			"trusted one on a Unix socket, over which the other commands reach it.\n" +
			"Without a command it serves.\n\n" +
			"An environment variable can stand for a flag: CAPYCOIN_DB for --db and so on.",
		Args:          cli.NoCommand,
		RunE:          serve.RunE,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	s.AddTo(root)
	root.Flags().AddFlagSet(serve.Flags())
	root.SetFlagErrorFunc(cli.FlagError)
	root.AddCommand(serve, NewGrant(&s), NewStipend(&s), NewStipendPool(&s), NewFee(&s), NewKeygen(&s), NewRekey(&s), NewAccounts(&s), NewAccount(&s), NewToken(&s), NewInvite(&s), NewSupply(&s), NewAudit(&s), NewBackup(&s), NewRestore(&s), NewExport(&s), NewImport(&s), NewRepair(&s), NewBench(&s), NewVersion(&s))
	root.InitDefaultCompletionCmd("completion")
	for _, cmd := range root.Commands() {
		if cmd.Name() == "completion" { // a shell that it does not know got its help
			cmd.Args, cmd.RunE = cli.NoCommand, func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		}
	}
	return root
}
