package cli

import (
	"fmt"
	"strconv"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
)

// NoCommand refuses what is no command, for a command that has others and takes no
// arguments itself.
func NoCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return Hint(fmt.Errorf("there is no command %q", args[0]), "%s --help lists all there are", cmd.CommandPath())
}

// Arguments makes a command take exactly the arguments that are named.
func Arguments(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return Hint(fmt.Errorf("%s is missing", names[len(args)]), "usage: %s", cmd.UseLine())
		case len(args) > len(names):
			return Hint(fmt.Errorf("%q is one argument too many", args[len(names)]), "usage: %s", cmd.UseLine())
		}
		return nil
	}
}

// OneAtMost lets a command take one argument or none.
func OneAtMost(_ *cobra.Command, args []string) error {
	if len(args) > 1 {
		return fmt.Errorf("%q is one argument too many", args[1])
	}
	return nil
}

// ParseID reads an id as the API does, and returns it as the API writes it.
func ParseID(name, s string) (string, error) {
	id, err := uuid.Parse(s)
	if err != nil || len(s) != 36 && len(s) != 32 {
		return "", fmt.Errorf("%s is %q; it has to be a UUID, 32 hexadecimal digits with dashes or without", name, s)
	}
	return id.String(), nil
}

// WholeNumber reads an argument that is a number.
func WholeNumber(name, s string, least, most int64) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("%s is %q; it has to be a whole number, %d to %d", name, s, least, most)
	}
	return n, nil
}

// WithJSON gives a command the flag --json, and returns the command.
func WithJSON(cmd *cobra.Command, json *bool) *cobra.Command {
	cmd.Flags().BoolVar(json, "json", false, "answer in JSON")
	if cmd.ValidArgsFunction == nil {
		cmd.ValidArgsFunction = cobra.NoFileCompletions // ids and numbers are no files
	}
	return cmd
}

// CompleteFiles is the completion of arguments that are files.
func CompleteFiles(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveDefault
}
