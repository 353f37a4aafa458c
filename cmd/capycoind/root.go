package main

import (
	"github.com/spf13/cobra"

	"github.com/capycoin/capycoin/internal/cli"
	"github.com/capycoin/capycoin/internal/daemon/command"
)

// newRoot returns the command that has all others. Without one of them it serves.
func newRoot() *cobra.Command {
	var s command.Settings
	serve := command.NewServe(&s)
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
	root.AddCommand(serve,
		command.NewGrant(&s), command.NewStipend(&s), command.NewStipendPool(&s), command.NewFee(&s),
		command.NewKeygen(&s), command.NewRekey(&s),
		command.NewAccounts(&s), command.NewAccount(&s), command.NewToken(&s), command.NewInvite(&s), command.NewSupply(&s),
		command.NewAudit(&s), command.NewBackup(&s), command.NewRestore(&s), command.NewExport(&s), command.NewImport(&s), command.NewRepair(&s),
		command.NewBench(&s), command.NewVersion(&s))
	root.InitDefaultCompletionCmd("completion")
	for _, cmd := range root.Commands() {
		if cmd.Name() == "completion" { // a shell that it does not know got its help
			cmd.Args, cmd.RunE = cli.NoCommand, func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		}
	}
	return root
}
