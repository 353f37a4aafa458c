package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/capycoin/capycoin/internal/cli"
)

// TestEmptyAndOddValues: a flag that a script left empty is refused where its absence
// is a decision, and what is no key file gets no advice about its mode.
func TestEmptyAndOddValues(t *testing.T) {
	dir := t.TempDir()
	db, text := filepath.Join(dir, "c.db"), filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte("no key\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"serve", "--seed-key", ""}, `--seed-key is "": capycoin: not a public key`},
		{[]string{"fee", "set", "--flat", "1", "--exempt", ""}, "--exempt is empty"},
		{[]string{"keygen", "-"}, `FILE is "-"`},
		{[]string{"keygen", "--public", "-"}, `FILE is "-"`},
		{[]string{"keygen", "--public", text}, "it has no key in PEM"},
		{[]string{"serve", "--stipend=maybe"}, `--stipend is "maybe"; it has to be true or false`},
		{[]string{"serve", "--stipend-age", "x"}, `--stipend-age is "x", which is no such number`},
		{[]string{"stipend-pool", "run", "--cap", "-1"}, "--cap is -1; it has to be 0 to 9007199254740991, where 0 is none"},
	} {
		root := newRoot()
		root.SetArgs(append(tt.args, "--db", db))
		err := root.Execute()
		if err == nil {
			t.Errorf("%q was taken", tt.args)
			continue
		}
		got := err.Error()
		if h := (*cli.HintedError)(nil); errors.As(err, &h) {
			got += "; " + h.Hint
		}
		if !strings.Contains(got, tt.want) {
			t.Errorf("%q: got %q, want %q", tt.args, got, tt.want)
		}
	}
	if _, err := os.Stat(db); err == nil {
		t.Error("a ledger was made")
	}
}

// TestBadEnvironment: a variable is refused in the same words as its flag.
func TestBadEnvironment(t *testing.T) {
	for name, want := range map[string]string{
		"CAPYCOIN_STIPEND":     `CAPYCOIN_STIPEND is "x"`,
		"CAPYCOIN_STIPEND_CAP": `CAPYCOIN_STIPEND_CAP is "x", which is no such number`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, "x")
			root := newRoot()
			root.SetArgs([]string{"serve", "--db", filepath.Join(t.TempDir(), "c.db")})
			if err := root.Execute(); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "strconv") {
				t.Errorf("got %v, want %q", err, want)
			}
		})
	}
}
