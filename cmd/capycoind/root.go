package main

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
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

// fromEnvironment are the flags that an environment variable can set, too:
// CAPYCOIN_ and the flag's name in upper case, with _ for -.
var fromEnvironment = []string{"db", "listen", "socket", "supply", "tls-cert", "tls-key", "log", "log-level", "bcrypt-cost", "allow-uid", "cors-origin", "max-connections", "witness",
	"signup", "signup-per-address", "signup-total", "tokens-per-account", "trusted-proxies",
	"seed-key", "stipend", "stipend-window", "stipend-age", "stipend-cap"}

// notFromEnvironment marks a flag that is about a command's argument, and not
// about the server whose environment the command may run in.
const notFromEnvironment = "not from the environment"

// witnessFlag gives a command about a file the flag --witness.
func witnessFlag(cmd *cobra.Command, path *string) {
	cmd.Flags().StringVar(path, "witness", "", "the `file` that says how far the ledger had come (default: FILE.witness)")
	cmd.Flags().Lookup("witness").Annotations = map[string][]string{notFromEnvironment: {}}
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
		Args:          noCommand,
		RunE:          serve.RunE,
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if err := environment(cmd.Flags()); err != nil {
				return err
			}
			if s.db == "" {
				return hint(errors.New("--db is empty"), "name the ledger's file, or leave it out for capycoin.db")
			}
			return nil
		},
	}
	root.PersistentFlags().StringVar(&s.db, "db", "capycoin.db", "the ledger's `file`")
	root.PersistentFlags().StringVar(&s.socket, "socket", "", "the trusted `socket` (default: the database's path and .sock)")
	root.Flags().AddFlagSet(serve.Flags())
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(serve, newGrant(&s), newStipend(&s), newStipendPool(&s), newFee(&s), newKeygen(&s), newRekey(&s), newAccounts(&s), newAccount(&s), newToken(&s), newInvite(&s), newSupply(&s), newAudit(&s), newBackup(&s), newRestore(&s), newExport(&s), newImport(&s), newRepair(&s), newBench(&s), newVersion(&s))
	root.InitDefaultCompletionCmd("completion")
	for _, cmd := range root.Commands() {
		if cmd.Name() == "completion" { // a shell that it does not know got its help
			cmd.Args, cmd.RunE = noCommand, func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		}
	}
	return root
}

// noCommand refuses what is no command: the root itself takes no arguments.
func noCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return hint(fmt.Errorf("there is no command %q", args[0]), "%s --help lists all there are", cmd.CommandPath())
}

// environment takes flags that were not given from the environment.
func environment(flags *pflag.FlagSet) (err error) {
	flags.VisitAll(func(f *pflag.Flag) {
		name := "CAPYCOIN_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value := os.Getenv(name)
		if err != nil || f.Changed || value == "" || !slices.Contains(fromEnvironment, f.Name) || f.Annotations[notFromEnvironment] != nil {
			return
		}
		if bad := flags.Set(f.Name, value); bad != nil {
			err = badValue(name, value, f, bad)
		}
	})
	return err
}

var negative = regexp.MustCompile(`^unknown shorthand flag: .* in (-\d+)$`)

// flagError explains what a negative number is taken for.
func flagError(cmd *cobra.Command, err error) error {
	if m := negative.FindStringSubmatch(err.Error()); m != nil {
		return hint(fmt.Errorf("%s is negative", m[1]), "numbers here are whole, 1 or more; %s --help shows how it is used", cmd.CommandPath())
	}
	if bad := (*pflag.InvalidValueError)(nil); errors.As(err, &bad) && errors.As(err, new(*strconv.NumError)) {
		return badValue("--"+bad.GetFlag().Name, bad.GetValue(), bad.GetFlag(), err)
	}
	return hint(err, "%s --help shows how it is used", cmd.CommandPath())
}

// badValue explains what a flag, or the variable name in its place, takes.
func badValue(name, value string, f *pflag.Flag, err error) error {
	if f.Value.Type() == "bool" {
		return hint(fmt.Errorf("%s is %q", name, value), "it has to be true or false")
	}
	if !errors.As(err, new(*strconv.NumError)) {
		return fmt.Errorf("%s is %q: %w", name, value, err)
	}
	_, usage := pflag.UnquoteUsage(f)
	return hint(fmt.Errorf("%s is %q, which is no such number", name, value), "it says %s", usage)
}

// arguments makes a command take exactly the arguments that are named.
func arguments(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return hint(fmt.Errorf("%s is missing", names[len(args)]), "usage: %s", cmd.UseLine())
		case len(args) > len(names):
			return hint(fmt.Errorf("%q is one argument too many", args[len(names)]), "usage: %s", cmd.UseLine())
		}
		return nil
	}
}

// oneAtMost lets a command take one argument or none.
func oneAtMost(_ *cobra.Command, args []string) error {
	if len(args) > 1 {
		return fmt.Errorf("%q is one argument too many", args[1])
	}
	return nil
}

// parseID reads an id as the API does, and returns it as the API writes it.
func parseID(name, s string) (string, error) {
	id, err := uuid.Parse(s)
	if err != nil || len(s) != 36 && len(s) != 32 {
		return "", fmt.Errorf("%s is %q; it has to be a UUID, 32 hexadecimal digits with dashes or without", name, s)
	}
	return id.String(), nil
}

// withJSON gives a command the flag --json.
func withJSON(cmd *cobra.Command, s *settings) *cobra.Command {
	cmd.Flags().BoolVar(&s.json, "json", false, "answer in JSON")
	if cmd.ValidArgsFunction == nil {
		cmd.ValidArgsFunction = cobra.NoFileCompletions // ids and numbers are no files
	}
	return cmd
}
