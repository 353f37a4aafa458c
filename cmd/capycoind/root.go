package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/capycoin/capycoin/internal/cli"
)

// settings are the flags that more than one command has.
type settings struct {
	db     string
	socket string
	json   bool
}

// socketPath returns where the trusted socket is. A path that begins with @
// would not be one: on Linux it stands for an abstract socket, which has no
// mode and lets everybody in.
func (s *settings) socketPath() string {
	path := s.socket
	if path == "" {
		path = s.db + ".sock"
	}
	if path[0] == '@' {
		path = "./" + path
	}
	return path
}

// progress shows how far a command is, unless it answers in JSON.
func (s *settings) progress(cmd *cobra.Command) *cli.Progress {
	if s.json {
		return &cli.Progress{}
	}
	return cli.NewProgress(cmd.ErrOrStderr())
}

// fromEnvironment are the flags that an environment variable can set, too.
var fromEnvironment = []string{"db", "listen", "socket", "supply", "tls-cert", "tls-key", "log", "log-level", "bcrypt-cost", "allow-uid", "cors-origin", "max-connections", "witness",
	"signup", "signup-per-address", "signup-total", "tokens-per-account", "trusted-proxies",
	"seed-key", "stipend", "stipend-window", "stipend-age", "stipend-cap"}

// witnessFlag gives a command about a file the flag --witness.
func witnessFlag(cmd *cobra.Command, path *string) {
	cmd.Flags().StringVar(path, "witness", "", "the `file` that says how far the ledger had come (default: FILE.witness)")
	cli.NotFromEnvironment(cmd.Flags().Lookup("witness"))
}

func newRoot() *cobra.Command {
	var s settings
	serve := newServe(&s)
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
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if err := cli.Environment(cmd.Flags(), fromEnvironment); err != nil {
				return err
			}
			if s.db == "" {
				return cli.Hint(errors.New("--db is empty"), "name the ledger's file, or leave it out for capycoin.db")
			}
			return nil
		},
	}
	root.PersistentFlags().StringVar(&s.db, "db", "capycoin.db", "the ledger's `file`")
	root.PersistentFlags().StringVar(&s.socket, "socket", "", "the trusted `socket` (default: the database's path and .sock)")
	root.Flags().AddFlagSet(serve.Flags())
	root.SetFlagErrorFunc(cli.FlagError)
	root.AddCommand(serve, newGrant(&s), newStipend(&s), newStipendPool(&s), newFee(&s), newKeygen(&s), newRekey(&s), newAccounts(&s), newAccount(&s), newToken(&s), newInvite(&s), newSupply(&s), newAudit(&s), newBackup(&s), newRestore(&s), newExport(&s), newImport(&s), newRepair(&s), newBench(&s), newVersion(&s))
	root.InitDefaultCompletionCmd("completion")
	for _, cmd := range root.Commands() {
		if cmd.Name() == "completion" { // a shell that it does not know got its help
			cmd.Args, cmd.RunE = cli.NoCommand, func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		}
	}
	return root
}
