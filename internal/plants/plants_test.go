package plants

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/capycoin/capycoin/internal/harness"
)

// plant is a fault and the test that has to find it.
type plant struct {
	name  string
	shows string // the defect or the harness, as docs/reliability.md names it

	file  string
	edits []edit // of the file

	pkg  string // such as ./httpapi
	test string
	says string // a regular expression that what the failing test prints has to match
	look string // for how long a harness may look that ends when it has found something; "": as long as every day
}

// edit puts new in the place of old, which the file has to have once.
type edit struct{ old, new string }

// root is the top of the tree.
const root = "../.."

// sow returns the file of a plant with the fault in it.
func (p *plant) sow() (string, error) {
	b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(p.file)))
	if err != nil {
		return "", err
	}
	source := strings.ReplaceAll(string(b), "\r\n", "\n")
	for _, e := range p.edits {
		if n := strings.Count(source, e.old); n != 1 {
			return "", fmt.Errorf("%s has the text to be replaced %d times, it has to have it once:\n%s", p.file, n, e.old)
		}
		source = strings.Replace(source, e.old, e.new, 1)
	}
	return source, nil
}

// Why a plant is not caught.
var (
	errCompile  = errors.New("the program does not compile with it")
	errMissed   = errors.New("NOT CAUGHT: the test passes with it")
	errNotThere = errors.New("there is no such test")
	errSkipped  = errors.New("the test was skipped")
	errOther    = errors.New("the test fails, but for something else")
)

// grow compiles the program with the plant and runs the test. It returns nil
// if that catches it.
func (p *plant) grow(ctx context.Context, dir string) (output string, err error) {
	source, err := p.sow()
	if err != nil {
		return "", err
	}
	real, err := filepath.Abs(filepath.Join(root, filepath.FromSlash(p.file)))
	if err != nil {
		return "", err
	}
	changed, overlay := filepath.Join(dir, filepath.Base(p.file)), filepath.Join(dir, "overlay.json")
	names, err := json.Marshal(map[string]any{"Replace": map[string]string{real: changed}})
	if err = errors.Join(err, os.WriteFile(changed, []byte(source), 0o600), os.WriteFile(overlay, names, 0o600)); err != nil {
		return "", err
	}
	args := []string{"test", "-v", "-vet=off", "-ldflags=-w", "-gcflags=-N -l", "-count=1", "-timeout=2m", "-overlay=" + overlay, "-run=^" + p.test + "$", p.pkg}
	if p.pkg == "." {
		// What is found need not be made smaller.
		args = append(args, "-rapid.shrinktime=1ms", "-rapid.nofailfile")
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), harness.Variable+"="+p.look)
	cmd.WaitDelay = 5 * time.Second
	b, err := cmd.CombinedOutput()
	return string(b), p.caught(string(b), err)
}

// caught tells by what go test printed, and how it ended, whether the plant was
// caught.
func (p *plant) caught(output string, err error) error {
	exit := (*exec.ExitError)(nil)
	switch {
	case err != nil && !errors.As(err, &exit):
		return err
	case strings.Contains(output, "[build failed]") || strings.Contains(output, "[setup failed]"):
		return errCompile
	case !strings.Contains(output, "=== RUN   "+p.test+"\n"):
		return errNotThere
	case err == nil && strings.Contains(output, "--- SKIP: "+p.test+" "):
		return errSkipped
	case err == nil:
		return errMissed
	case !regexp.MustCompile(p.says).MatchString(output):
		return fmt.Errorf("%w; it does not say %s", errOther, p.says)
	}
	return nil
}

// Variable is the environment variable that makes TestPlants run: "all" with every
// plant, any other value with the first one of each defect and each harness.
const Variable = "CAPYCOIN_PLANTS"

// TestPlants puts in one fault after the other and runs the test that has to
// find it.
func TestPlants(t *testing.T) {
	if os.Getenv(Variable) == "" {
		t.Skipf("compiles the program %d times; set %s=1", len(plants), Variable)
	}
	done := make(chan bool, len(plants))
	t.Cleanup(func() { harness.Count(t, "planted faults caught", len(done)) })
	shown := make(map[string]bool)
	for _, p := range plants {
		if shown[p.shows] && os.Getenv(Variable) != "all" {
			continue
		}
		shown[p.shows] = true
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			output, err := p.grow(t.Context(), t.TempDir())
			switch {
			case errors.Is(err, errSkipped):
				t.Skipf("%s: what it needs is missing here:\n%s", p.test, shorten(output))
			case err != nil:
				t.Fatalf("%s, %s in %s: %v\n%s", p.shows, p.test, p.pkg, err, shorten(output))
			}
			done <- true
			t.Logf("%s: %s found it, in %v", p.shows, p.test, time.Since(start).Round(100*time.Millisecond))
		})
	}
}

// shorten leaves out the middle of what a test printed at length.
func shorten(output string) string {
	const most = 4000
	if len(output) <= 2*most {
		return output
	}
	return output[:most] + "\n[…]\n" + output[len(output)-most:]
}

// TestTable: every plant can still be put in, the tests that have to find them
// are there, and no defect and no harness is without a plant.
func TestTable(t *testing.T) {
	seen, shown := make(map[string]bool), make(map[string]bool)
	for _, p := range plants {
		if seen[p.name] || !regexp.MustCompile(`^[a-z0-9-]+$`).MatchString(p.name) {
			t.Errorf("%q: names are of a-z, 0-9 and -, and different", p.name)
		}
		seen[p.name], shown[p.shows] = true, true
		if !slices.Contains(subjects, p.shows) {
			t.Errorf("%s: it is said to show %q, which is none of the defects and harnesses", p.name, p.shows)
		}
		if _, err := p.sow(); err != nil {
			t.Errorf("%s: %v", p.name, err)
		}
		if len(p.edits) == 0 || slices.ContainsFunc(p.edits, func(e edit) bool { return e.old == e.new }) {
			t.Errorf("%s: it changes nothing", p.name)
		}
		if _, err := regexp.Compile(p.says); err != nil || p.says == "" {
			t.Errorf("%s: what the test says is %q: %v", p.name, p.says, err)
		}
		if !hasTest(t, p.pkg, p.test) {
			t.Errorf("%s: there is no %s in %s", p.name, p.test, p.pkg)
		}
	}
	for _, s := range subjects {
		if !shown[s] {
			t.Errorf("%s has no plant", s)
		}
	}
}

// TestDocument: docs/reliability.md has a line for each defect and each harness, and
// the plants that it names there are plants for that.
func TestDocument(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(root, "docs", "reliability.md"))
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]bool)
	for _, p := range plants {
		all[p.name] = true
	}
	lines := make(map[string]bool)
	for line := range strings.Lines(string(b)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) != 4 || strings.Contains(line, "---") || strings.Contains(line, "planted |") {
			continue
		}
		subject := strings.TrimSpace(cells[0])
		if _, err := strconv.Atoi(subject); err == nil {
			subject = "defect " + subject
		}
		lines[subject] = true
		for name := range strings.SplitSeq(cells[3], ",") {
			if name = strings.TrimSpace(name); !all[name] {
				t.Errorf("%s: there is no plant %q", subject, name)
			}
		}
	}
	for _, s := range subjects {
		if !lines[s] {
			t.Errorf("docs/reliability.md has no line for %s", s)
		}
	}
}

// hasTest tells whether a package has a test, an example or a fuzz target of
// that name.
func hasTest(t *testing.T, pkg, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(pkg), "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), "\nfunc "+name+"(") {
			return true
		}
	}
	return false
}

// TestCaught: what counts as caught is that the test that was named failed, and
// for what the plant does.
func TestCaught(t *testing.T) {
	p := plant{test: "TestX", says: "coins .* lost"}
	failed := new(exec.ExitError)
	for _, tt := range []struct {
		output string
		err    error
		want   error
	}{
		{"=== RUN   TestX\n    x_test.go:1: 3 coins are lost\n--- FAIL: TestX (0.00s)\nFAIL\n", failed, nil},
		{"=== RUN   TestX\nunexpected fault address; coins were lost\nFAIL\n", failed, nil},
		{"=== RUN   TestX\n    x_test.go:1: no file\n--- FAIL: TestX (0.00s)\nFAIL\n", failed, errOther},
		{"=== RUN   TestX\n--- PASS: TestX (0.00s)\nPASS\n", nil, errMissed},
		{"=== RUN   TestX\n    x_test.go:1: needs strace\n--- SKIP: TestX (0.00s)\nPASS\n", nil, errSkipped},
		{"testing: warning: no tests to run\nPASS\n", nil, errNotThere},
		{"=== RUN   TestXY\n--- FAIL: TestXY (0.00s)\n coins are lost\n", failed, errNotThere},
		{"./judge.go:5:2: undefined: coins are lost\nFAIL\tx [build failed]\n", failed, errCompile},
		{"", exec.ErrNotFound, exec.ErrNotFound},
	} {
		if got := p.caught(tt.output, tt.err); !errors.Is(got, tt.want) {
			t.Errorf("ended with %v, having printed %q: got %v, want %v", tt.err, tt.output, got, tt.want)
		}
	}
}
