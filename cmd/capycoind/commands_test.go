package main

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
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
