package command

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/capycoin/capycoin/internal/cli"
)

// TestEnvironment: the variables that docs/operating.md names for flags are those that
// are read, and each flag of the server has one.
func TestEnvironment(t *testing.T) {
	text, err := os.ReadFile("../../../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := make(map[string]string)
	for _, m := range regexp.MustCompile("(?m)^\\| `--([a-z-]+)` \\| `(CAPYCOIN_[A-Z_]+)` \\|").FindAllStringSubmatch(string(text), -1) {
		documented[m[1]] = m[2]
	}
	NewServe(new(Settings)).Flags().VisitAll(func(f *pflag.Flag) {
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
