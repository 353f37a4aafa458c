package main

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// settings are the flags that more than one command has.
type settings struct {
	db     string
	socket string
	json   bool
}

// socketPath returns where the trusted socket is.
func (s *settings) socketPath() string {
	if s.socket != "" {
		return s.socket
	}
	return s.db + ".sock"
}

// fromEnvironment are the flags that an environment variable can set, too:
// CAPYCOIN_ and the flag's name in upper case, with _ for -.
var fromEnvironment = []string{"db", "listen", "socket", "supply", "tls-cert", "tls-key", "log", "log-level", "bcrypt-cost"}

func newRoot() *cobra.Command {
	var s settings
	serve := newServe(&s)
	root := &cobra.Command{
		Use:   "capycoind",
		Short: "A ledger of a closed-circulation currency, and its server",
		Long: "capycoind serves the ledger in a file: a public HTTP API on a TCP address and a\n" +
			"trusted one on a Unix socket, over which the other commands reach it.\n" +
			"Without a command it serves.",
		Args:              noCommand,
		RunE:              serve.RunE,
		SilenceErrors:     true,
		SilenceUsage:      true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return environment(cmd.Flags()) },
	}
	root.PersistentFlags().StringVar(&s.db, "db", "capycoin.db", "the ledger's `file`")
	root.PersistentFlags().StringVar(&s.socket, "socket", "", "the trusted `socket` (default: the database's path and .sock)")
	root.Flags().AddFlagSet(serve.Flags())
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(serve, newGrant(&s), newStipend(&s), newAccounts(&s), newAccount(&s), newToken(&s), newSupply(&s), newAudit(&s), newVersion())
	return root
}

// noCommand refuses what is no command: the root itself takes no arguments.
func noCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return hint(fmt.Errorf("there is no command %q", args[0]), "capycoind --help lists all there are")
}

// environment takes flags that were not given from the environment.
func environment(flags *pflag.FlagSet) (err error) {
	flags.VisitAll(func(f *pflag.Flag) {
		name := "CAPYCOIN_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value := os.Getenv(name)
		if err != nil || f.Changed || value == "" || !slices.Contains(fromEnvironment, f.Name) {
			return
		}
		if bad := flags.Set(f.Name, value); bad != nil {
			err = fmt.Errorf("%s is %q: %w", name, value, bad)
		}
	})
	return err
}

var negative = regexp.MustCompile(`in -\d`)

// flagError explains what a negative number is taken for.
func flagError(_ *cobra.Command, err error) error {
	if negative.MatchString(err.Error()) {
		return hint(err, "numbers here are whole and not negative")
	}
	return err
}

// arguments makes a command take exactly the arguments that are named.
func arguments(names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return fmt.Errorf("%s is missing", names[len(args)])
		case len(args) > len(names):
			return fmt.Errorf("%q is one argument too many", args[len(names)])
		}
		return nil
	}
}

// withJSON gives a command the flag --json.
func withJSON(cmd *cobra.Command, s *settings) *cobra.Command {
	cmd.Flags().BoolVar(&s.json, "json", false, "answer in JSON")
	return cmd
}
