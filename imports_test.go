package capycoin_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// modulePath is the path of this module.
const modulePath = "github.com/capycoin/capycoin"

// libraryModules are the modules that a program gets with package capycoin.
// The list is kept this short because everybody who embeds a ledger takes all
// of it. x/sys comes with bbolt.
var libraryModules = []string{
	modulePath,
	"github.com/google/uuid",
	"github.com/hashicorp/golang-lru/v2",
	"go.etcd.io/bbolt",
	"golang.org/x/crypto",
	"golang.org/x/sync",
	"golang.org/x/sys",
}

// listedPackage is what these tests read of the output of go list.
type listedPackage struct {
	ImportPath string
	Standard   bool
	Imports    []string
	Module     *struct{ Path string }
}

// goList returns the packages that go list names.
func goList(t *testing.T, dir string, env []string, args ...string) []listedPackage {
	t.Helper()
	args = append([]string{"list", "-json=ImportPath,Standard,Imports,Module"}, args...)
	out := runCommand(t, dir, env, "go", args...)
	var pkgs []listedPackage
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listedPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("go %s: %v", strings.Join(args, " "), err)
		}
		pkgs = append(pkgs, p)
	}
	if len(pkgs) == 0 {
		t.Fatalf("go %s lists no package", strings.Join(args, " "))
	}
	return pkgs
}

// runCommand runs a command in dir, with env added to the environment, and
// returns what it printed to its standard output.
func runCommand(t *testing.T, dir string, env []string, name string, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("needs the command %s: %v", name, err)
	}
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if stderr.Len() == 0 {
			stderr = stdout
		}
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, &stderr)
	}
	return stdout.Bytes()
}

// modulesOutside returns the modules of pkgs that are not in allowed, each with
// the first package that belongs to it.
func modulesOutside(pkgs []listedPackage, allowed []string) []string {
	var outside, seen []string
	for _, p := range pkgs {
		if p.Standard || p.Module == nil || slices.Contains(allowed, p.Module.Path) || slices.Contains(seen, p.Module.Path) {
			continue
		}
		seen = append(seen, p.Module.Path)
		outside = append(outside, fmt.Sprintf("%s (package %s)", p.Module.Path, p.ImportPath))
	}
	return outside
}

// platforms are the systems that the import rule is checked for: an import may
// stand in a file that is built on one of them only.
var platforms = []string{"linux", "darwin", "windows"}

// arrows are all imports between the packages of this module, by their paths below
// it; "" is the library itself. A new arrow is a decision: docs/architecture.md has the
// picture, and docs/decisions/0030 the reasons. Examples import what they show.
var arrows = map[string][]string{
	"store":             {},
	"internal/wire":     {"store"},
	"internal/chain":    {"internal/wire"},
	"internal/sign":     {},
	"internal/osfile":   {"store"},
	"internal/record":   {"store", "internal/wire", "internal/chain"},
	"internal/boltfile": {"store", "internal/wire", "internal/osfile", "internal/pages"},
	"internal/salvage":  {"store", "internal/wire", "internal/pages", "internal/record", "internal/journal"},
	"internal/witness":  {"store", "internal/wire", "internal/osfile", "internal/record", "internal/journal"},
	"internal/journal":  {"store", "internal/chain", "internal/record"},
	"internal/keyindex": {"store", "internal/wire"},
	"internal/accounts": {"store", "internal/wire", "internal/chain"},
	"internal/example":  {"internal/wire", "internal/record", "internal/chain", "internal/sign", "internal/accounts", "internal/keyindex"},
	"internal/pages":    {"store"},
	"internal/secret":   {"store"},
	"internal/tune":     {},

	"internal/books":  {"store", "internal/wire", "internal/chain", "internal/sign", "internal/record", "internal/accounts", "internal/keyindex", "internal/journal"},
	"internal/engine": {"store", "internal/wire", "internal/record", "internal/books", "internal/witness"},
	"internal/audit":  {"store", "internal/wire", "internal/chain", "internal/sign", "internal/record", "internal/accounts", "internal/keyindex", "internal/journal"},

	"internal/copying": {"store", "internal/osfile", "internal/record", "internal/accounts", "internal/journal", "internal/boltfile", "internal/salvage", "internal/witness", "internal/books", "internal/engine", "internal/audit"},

	"":          {"store", "internal/wire", "internal/sign", "internal/record", "internal/journal", "internal/boltfile", "internal/witness", "internal/secret", "internal/books", "internal/engine", "internal/audit", "internal/copying", "internal/tune"},
	"storetest": {""},

	"httpapi":                 {""},
	"internal/cli":            {},
	"internal/daemon/serve":   {"", "httpapi", "internal/cli"},
	"internal/daemon/bench":   {"", "httpapi", "internal/cli", "internal/daemon/serve"},
	"internal/daemon/command": {"", "httpapi", "internal/cli", "internal/daemon/serve", "internal/daemon/bench"},
	"cmd/capycoind":           {"internal/cli", "internal/daemon/command"},
	"internal/harness":        {},
	"internal/plants":         {},
	"internal/curve":          {},
}

// TestArrows: packages of this module import what the table says, on all systems
// together, no more and no less.
func TestArrows(t *testing.T) {
	got := make(map[string][]string)
	for _, goos := range platforms {
		for _, p := range goList(t, ".", []string{"GOOS=" + goos, "CGO_ENABLED=0"}, "./...") {
			name := below(p.ImportPath)
			if strings.HasPrefix(name, "examples/") {
				continue
			}
			got[name] = append(got[name], []string{}...)
			for _, path := range p.Imports {
				if path == modulePath || strings.HasPrefix(path, modulePath+"/") {
					got[name] = append(got[name], below(path))
				}
			}
		}
	}
	for name, imports := range got {
		want, ok := arrows[name]
		if !ok {
			t.Errorf("package %q has no line in the table of arrows", name)
		}
		for _, path := range slices.Compact(slices.Sorted(slices.Values(imports))) {
			if !slices.Contains(want, path) {
				t.Errorf("package %q imports %q, for which there is no arrow", name, path)
			}
		}
		for _, path := range want {
			if !slices.Contains(imports, path) {
				t.Errorf("there is an arrow from %q to %q, which is not imported", name, path)
			}
		}
	}
	for name := range arrows {
		if _, ok := got[name]; !ok {
			t.Errorf("the table of arrows has package %q, which is not there", name)
		}
	}
}

// below returns a package's path below the module's.
func below(path string) string {
	return strings.TrimPrefix(strings.TrimPrefix(path, modulePath), "/")
}

// TestImportsOfTheLibrary: who embeds a ledger gets the standard library and
// the few modules named above, and no package testing.
func TestImportsOfTheLibrary(t *testing.T) {
	for _, goos := range platforms {
		pkgs := goList(t, ".", []string{"GOOS=" + goos, "CGO_ENABLED=0"}, "-deps", ".")
		for _, m := range modulesOutside(pkgs, libraryModules) {
			t.Errorf("%s: package capycoin depends on module %s", goos, m)
		}
		for _, p := range pkgs {
			if p.ImportPath == "testing" {
				t.Errorf("%s: package capycoin depends on package testing", goos)
			}
		}
	}
}

// TestImportsOfStoretest: the author of a store tests it with what the library
// brings anyway.
func TestImportsOfStoretest(t *testing.T) {
	for _, m := range modulesOutside(goList(t, ".", nil, "-deps", "./storetest"), libraryModules) {
		t.Errorf("package storetest depends on module %s", m)
	}
}

// TestImportsOfTheAPI: package httpapi adds the Prometheus client to that, with
// what it brings, and nothing of the command.
func TestImportsOfTheAPI(t *testing.T) {
	direct := append([]string{
		"github.com/prometheus/client_golang",
		"github.com/prometheus/client_model",
		"golang.org/x/time",
	}, libraryModules...)
	for _, goos := range platforms {
		env := []string{"GOOS=" + goos, "CGO_ENABLED=0"}
		prometheus := goList(t, ".", env, "-deps", "github.com/prometheus/client_golang/prometheus/promhttp")
		allowed := slices.Clone(direct)
		for _, p := range prometheus {
			if p.Module != nil {
				allowed = append(allowed, p.Module.Path)
			}
		}
		pkgs := goList(t, ".", env, "-deps", "./httpapi")
		for _, m := range modulesOutside(pkgs, allowed) {
			t.Errorf("%s: package httpapi depends on module %s", goos, m)
		}
		byPath := make(map[string]listedPackage, len(pkgs))
		for _, p := range pkgs {
			byPath[p.ImportPath] = p
			if p.ImportPath == "testing" {
				t.Errorf("%s: package httpapi depends on package testing", goos)
			}
		}
		var imported []listedPackage
		for _, path := range byPath[modulePath+"/httpapi"].Imports {
			imported = append(imported, byPath[path])
		}
		if len(imported) == 0 {
			t.Fatalf("%s: package httpapi imports nothing", goos)
		}
		for _, m := range modulesOutside(imported, direct) {
			t.Errorf("%s: package httpapi imports module %s itself", goos, m)
		}
	}
}

// TestNothingImportsTheCommand: what a program could use is in the library or
// in package httpapi.
func TestNothingImportsTheCommand(t *testing.T) {
	const cmd = modulePath + "/cmd/"
	found := false
	for _, p := range goList(t, ".", nil, "./...") {
		if strings.HasPrefix(p.ImportPath, cmd) {
			found = true
			continue
		}
		for _, path := range p.Imports {
			if strings.HasPrefix(path, cmd) {
				t.Errorf("%s imports %s", p.ImportPath, path)
			}
		}
	}
	if !found {
		t.Errorf("there is no package under %s to look for", cmd)
	}
}
