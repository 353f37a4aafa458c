package capycoin_test

import (
	"archive/zip"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// consumerVersion is the version under which the tree is offered to the
// scratch module.
const consumerVersion = "v0.0.1"

// TestConsumer does what a program does that uses this module: a scratch module
// requires it, builds the program that stands in README.md, and runs it. The
// module comes from a file-system proxy made from the tree, so that the test
// sees what users get: no nested module, no replaced path, no file too many.
func TestConsumer(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a program and all it depends on")
	}
	t.Parallel()
	proxy, scratch := t.TempDir(), t.TempDir()
	writeModule(t, ".", proxy)
	writeFile(t, filepath.Join(scratch, "main.go"), []byte(readmeProgram(t)))
	writeFile(t, filepath.Join(scratch, "go.mod"),
		fmt.Appendf(nil, "module example.com/consumer\n\ngo 1.26.0\n\nrequire %s %s\n", modulePath, consumerVersion))
	// The hashes of what it depends on are known here, so the checksum
	// database need not be asked.
	sums, err := os.ReadFile("go.sum")
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(scratch, "go.sum"), sums)

	// A module cache of its own, or the tree of an earlier run would be found
	// under the same version. What the machine's own cache has is taken from
	// there, and only the rest from where the machine gets its modules.
	machine := strings.Split(string(runCommand(t, ".", nil, "go", "env", "GOMODCACHE", "GOPROXY")), "\n")
	cached := filepath.Join(strings.TrimSpace(machine[0]), "cache", "download")
	// No -trimpath: with it the standard library would be compiled once more.
	env := []string{
		"GOPROXY=" + strings.Join([]string{fileURL(proxy), fileURL(cached), strings.TrimSpace(machine[1])}, ","),
		"GONOSUMDB=" + modulePath,
		"GONOPROXY=none",
		"GOPRIVATE=",
		"GOMODCACHE=" + t.TempDir(),
		"GOFLAGS=-mod=mod -modcacherw",
		"GOWORK=off",
	}

	for _, m := range modulesOutside(goList(t, scratch, env, "-deps", "."), append([]string{"example.com/consumer"}, libraryModules...)) {
		t.Errorf("the program gets module %s", m)
	}
	binary := filepath.Join(scratch, "consumer")
	if runtime.GOOS == "windows" {
		binary += ".exe"
	}
	runCommand(t, scratch, env, "go", "build", "-o", binary, ".")

	// The second run finds the ledger that the first one made.
	want := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12} 5\n$`)
	var seen []string
	for range 2 {
		got := string(runCommand(t, scratch, nil, binary))
		if !want.MatchString(got) {
			t.Errorf("the program of README.md printed %q, want a transaction id and 5", got)
		}
		seen = append(seen, got)
	}
	if seen[0] == seen[1] {
		t.Errorf("both runs printed %q, want two transactions", seen[0])
	}
	if _, err := os.Stat(filepath.Join(scratch, "coins.db")); err != nil {
		t.Errorf("the program made no ledger: %v", err)
	}
}

// readmeProgram returns the one Go program in README.md.
func readmeProgram(t *testing.T) string {
	t.Helper()
	var programs []string
	for _, b := range fencedBlocks(t, "README.md") {
		if b.lang == "go" && strings.HasPrefix(b.text, "package main\n") {
			programs = append(programs, b.text)
		}
	}
	if len(programs) != 1 {
		t.Fatalf("README.md has %d Go programs, want 1", len(programs))
	}
	return programs[0]
}

// writeModule writes the module in root to a file-system module proxy, as
// version consumerVersion. See go.dev/ref/mod#goproxy-protocol.
func writeModule(t *testing.T, root, proxy string) {
	t.Helper()
	dir := filepath.Join(proxy, filepath.FromSlash(modulePath), "@v")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "list"), []byte(consumerVersion+"\n"))
	writeFile(t, filepath.Join(dir, consumerVersion+".mod"), mod)
	writeFile(t, filepath.Join(dir, consumerVersion+".info"),
		fmt.Appendf(nil, `{"Version":%q,"Time":%q}`, consumerVersion, time.Now().UTC().Format(time.RFC3339)))

	file, err := os.Create(filepath.Join(dir, consumerVersion+".zip"))
	if err != nil {
		t.Fatal(err)
	}
	w := zip.NewWriter(file)
	files := moduleFiles(t, root)
	if !slices.Contains(files, "go.mod") || !slices.Contains(files, "capycoin.go") {
		t.Fatalf("the module in %s is not whole: it has %d files", root, len(files))
	}
	for _, name := range files {
		data, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		f, err := w.Create(path.Join(modulePath+"@"+consumerVersion, name))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
}

// moduleFiles returns the paths, with slashes, of the files of the module in
// root: all regular ones, without those of nested modules, hidden folders and
// what a build or a run of the server leaves behind.
func moduleFiles(t *testing.T, root string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name == root {
				return nil
			}
			if strings.HasPrefix(d.Name(), ".") || d.Name() == "vendor" {
				return filepath.SkipDir
			}
			if _, err := os.Stat(filepath.Join(name, "go.mod")); err == nil {
				return filepath.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() {
			return nil
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if rel == "capycoind" || slices.Contains([]string{".db", ".test", ".prof", ".exe"}, path.Ext(rel)) {
			return nil
		}
		files = append(files, rel)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// fileURL returns the file URL of an absolute path.
func fileURL(name string) string {
	name = filepath.ToSlash(name)
	if !strings.HasPrefix(name, "/") { // a drive letter
		name = "/" + name
	}
	return "file://" + name
}
