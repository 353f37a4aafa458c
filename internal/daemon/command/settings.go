// Package command has the commands of capycoind, a file for each: a constructor returns
// the command, and a root takes those that it wants. All of them share the [Settings]
// that they are made with.
//
// Most ask a running server over its trusted socket, and know no more than its API
// tells. serve, audit FILE, restore, import, export FILE and repair open a ledger's file
// themselves; bench, keygen and version need neither. Each checks what it was told
// before it makes or changes anything, answers on standard output, as text or with
// --json as JSON, and returns an error with a hint where something can be done about it.
//
// It does not know the root, nor which of its commands that has, though hints name
// capycoind and its commands. Any root may take them, and is run by package cli, which
// tells their errors. It has no locks: a process runs one command.
package command

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/capycoin/capycoin/internal/cli"
)

// Settings are the flags that more than one command has. A root command and all its
// commands share one.
type Settings struct {
	DB     string // the ledger's file
	Socket string // of the trusted API; empty: the file's path and .sock
	JSON   bool   // --json was given
}

// AddTo gives a root command the flags that all its commands have, and has flags taken
// from the environment before any of them runs.
func (s *Settings) AddTo(root *cobra.Command) {
	root.PersistentFlags().StringVar(&s.DB, "db", "capycoin.db", "the ledger's `file`")
	root.PersistentFlags().StringVar(&s.Socket, "socket", "", "the trusted `socket` (default: the database's path and .sock)")
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		if err := cli.Environment(cmd.Flags(), fromEnvironment); err != nil {
			return err
		}
		if s.DB == "" {
			return cli.Hint(errors.New("--db is empty"), "name the ledger's file, or leave it out for capycoin.db")
		}
		return nil
	}
}

// fromEnvironment are the flags that an environment variable can set, too.
var fromEnvironment = []string{"db", "listen", "socket", "supply", "tls-cert", "tls-key", "log", "log-level", "bcrypt-cost", "allow-uid", "cors-origin", "max-connections", "witness",
	"signup", "signup-per-address", "signup-total", "tokens-per-account", "trusted-proxies",
	"seed-key", "stipend", "stipend-window", "stipend-age", "stipend-cap"}

// socketPath returns where the trusted socket is. A path that begins with @
// would not be one: on Linux it stands for an abstract socket, which has no
// mode and lets everybody in.
func (s *Settings) socketPath() string {
	path := s.Socket
	if path == "" {
		path = s.DB + ".sock"
	}
	if path[0] == '@' {
		path = "./" + path
	}
	return path
}

// progress shows how far a command is, unless it answers in JSON.
func (s *Settings) progress(cmd *cobra.Command) *cli.Progress {
	if s.JSON {
		return &cli.Progress{}
	}
	return cli.NewProgress(cmd.ErrOrStderr())
}

// witnessFlag gives a command about a file the flag --witness.
func witnessFlag(cmd *cobra.Command, path *string) {
	cmd.Flags().StringVar(path, "witness", "", "the `file` that says how far the ledger had come (default: FILE.witness)")
	cli.NotFromEnvironment(cmd.Flags().Lookup("witness"))
}
