package main

import (
	"bytes"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/capycoin/capycoin/internal/cli"
)

// leaves returns the commands that do something by themselves, with their words.
func leaves(cmd *cobra.Command, words ...string) map[string]*cobra.Command {
	all := make(map[string]*cobra.Command)
	for _, c := range cmd.Commands() {
		mine := append(slices.Clone(words), c.Name())
		if c.Name() == "completion" || c.Name() == "help" {
			continue
		}
		if len(c.Commands()) == 0 {
			all[strings.Join(mine, " ")] = c
		}
		for name, leaf := range leaves(c, mine...) {
			all[name] = leaf
		}
	}
	return all
}

// TestCommands: what is the same of all commands: they have help with their usage, say
// what they answer in JSON, complete no files where none are meant, and refuse what is
// one too many, missing or unknown before they ask a server.
func TestCommands(t *testing.T) {
	all := leaves(newRoot())
	if len(all) < 20 {
		t.Fatalf("there are %d commands, want more", len(all))
	}
	argument := regexp.MustCompile(`^[A-Z_]+$`)
	for name, cmd := range all {
		words := strings.Fields(name)
		try := func(args ...string) (status int, stdout, stderr string) {
			var out, errs bytes.Buffer
			status = run(append(append(slices.Clone(words), "--socket", "no/such/socket"), args...), &out, &errs)
			return status, out.String(), errs.String()
		}
		if status, stdout, _ := try("--help"); status != 0 || !strings.Contains(stdout, "Usage:\n  capycoind "+name) {
			t.Errorf("%s --help: status %d, %q", name, status, stdout)
		}
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s: it is said to %q", name, cmd.Short)
		}
		if status, _, stderr := try("--no-such-flag"); status != 1 || !strings.Contains(stderr, "unknown flag: --no-such-flag\ncapycoind: hint: capycoind "+name+" --help") {
			t.Errorf("%s with an unknown flag: status %d, %q", name, status, stderr)
		}
		if name == "bench" { // which takes any number of cases, but those that there are
			continue
		}
		if name != "serve" && name != "export" && cmd.Flags().Lookup("json") == nil {
			t.Errorf("%s has no --json", name)
		}
		if name != "serve" && cmd.ValidArgsFunction == nil {
			t.Errorf("%s does not say how to complete its arguments", name)
		}
		if status, _, stderr := try("a", "b", "c", "d"); status != 1 || !strings.Contains(stderr, "too many") && !strings.Contains(stderr, "there is no command") {
			t.Errorf("%s with four arguments: status %d, %q", name, status, stderr)
		}
		if rest := strings.Fields(cmd.Use)[1:]; len(rest) > 0 && argument.MatchString(rest[0]) {
			if status, _, stderr := try(); status != 1 || !strings.Contains(stderr, rest[0]+" is missing") || !strings.Contains(stderr, "hint: usage: capycoind "+name) {
				t.Errorf("%s without arguments: status %d, %q", name, status, stderr)
			}
		}
	}
}

// TestEnvironment: the variables that docs/operating.md names for flags are those that
// are read, and each flag of the server has one.
func TestEnvironment(t *testing.T) {
	text, err := os.ReadFile("../../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := make(map[string]string)
	for _, m := range regexp.MustCompile("(?m)^\\| `--([a-z-]+)` \\| `(CAPYCOIN_[A-Z_]+)` \\|").FindAllStringSubmatch(string(text), -1) {
		documented[m[1]] = m[2]
	}
	serve, _, err := newRoot().Find([]string{"serve"})
	if err != nil {
		t.Fatal(err)
	}
	serve.Flags().VisitAll(func(f *pflag.Flag) {
		want := "CAPYCOIN_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		if f.Name != "help" && documented[f.Name] != want {
			t.Errorf("docs/operating.md has %q for --%s, want %s", documented[f.Name], f.Name, want)
		}
	})
	for name, variable := range documented {
		t.Setenv(variable, "17")
		flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
		value := flags.String(name, "", "")
		if err := cli.Environment(flags, fromEnvironment); err != nil || *value != "17" {
			t.Errorf("%s is not read: %v", variable, err)
		}
		t.Setenv(variable, "")
	}
}
