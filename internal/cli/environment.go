package cli

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// notFromEnvironment marks a flag that no variable stands for.
const notFromEnvironment = "not from the environment"

// NotFromEnvironment marks a flag that is about a command's argument, and not
// about the server whose environment the command may run in.
func NotFromEnvironment(f *pflag.Flag) {
	f.Annotations = map[string][]string{notFromEnvironment: {}}
}

// Environment takes flags that were not given from the environment, those that are
// named. A flag's variable is CAPYCOIN_ and its name in upper case, with _ for -.
func Environment(flags *pflag.FlagSet, named []string) (err error) {
	flags.VisitAll(func(f *pflag.Flag) {
		name := "CAPYCOIN_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value := os.Getenv(name)
		if err != nil || f.Changed || value == "" || !slices.Contains(named, f.Name) || f.Annotations[notFromEnvironment] != nil {
			return
		}
		if bad := flags.Set(f.Name, value); bad != nil {
			err = badValue(name, value, f, bad)
		}
	})
	return err
}

var negative = regexp.MustCompile(`^unknown shorthand flag: .* in (-\d+)$`)

// FlagError is for [cobra.Command.SetFlagErrorFunc]: it says what a flag takes, and
// explains what a negative number is taken for.
func FlagError(cmd *cobra.Command, err error) error {
	if m := negative.FindStringSubmatch(err.Error()); m != nil {
		return Hint(fmt.Errorf("%s is negative", m[1]), "numbers here are whole, 1 or more; %s --help shows how it is used", cmd.CommandPath())
	}
	if bad := (*pflag.InvalidValueError)(nil); errors.As(err, &bad) && errors.As(err, new(*strconv.NumError)) {
		return badValue("--"+bad.GetFlag().Name, bad.GetValue(), bad.GetFlag(), err)
	}
	return Hint(err, "%s --help shows how it is used", cmd.CommandPath())
}

// badValue explains what a flag, or the variable name in its place, takes.
func badValue(name, value string, f *pflag.Flag, err error) error {
	if f.Value.Type() == "bool" {
		return Hint(fmt.Errorf("%s is %q", name, value), "it has to be true or false")
	}
	if !errors.As(err, new(*strconv.NumError)) {
		return fmt.Errorf("%s is %q: %w", name, value, err)
	}
	_, usage := pflag.UnquoteUsage(f)
	return Hint(fmt.Errorf("%s is %q, which is no such number", name, value), "it says %s", usage)
}
