package capycoin_test

import (
	"context"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	markdownLink    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	markdownHeading = regexp.MustCompile(`(?m)^#{1,6} (.+)$`)
	notInAnchor     = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// readMarkdown returns a Markdown file without its fenced blocks.
func readMarkdown(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for _, b := range fencedBlocks(t, name) {
		text = strings.Replace(text, "```"+b.lang+"\n"+b.text+"```", "", 1)
	}
	return text
}

// anchors returns what the headings of a Markdown file can be linked as.
func anchors(t *testing.T, name string) []string {
	t.Helper()
	var all []string
	for _, m := range markdownHeading.FindAllStringSubmatch(readMarkdown(t, name), -1) {
		a := notInAnchor.ReplaceAllString(strings.ToLower(m[1]), "")
		all = append(all, strings.ReplaceAll(a, " ", "-"))
	}
	return all
}

// TestLinks: from README.md a reader gets to every file under docs and to every
// example, and no link within the tree leads nowhere.
func TestLinks(t *testing.T) {
	seen := map[string]bool{"README.md": true}
	for queue := []string{"README.md", "NEWS.md"}; len(queue) > 0; queue = queue[1:] {
		page := queue[0]
		for _, m := range markdownLink.FindAllStringSubmatch(readMarkdown(t, page), -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			name := page
			if target != "" {
				name = path.Join(path.Dir(page), target)
			}
			if _, err := os.Stat(filepath.FromSlash(name)); err != nil {
				t.Errorf("%s links to %s: %v", page, m[1], err)
				continue
			}
			if path.Ext(name) != ".md" {
				seen[name] = true
				continue
			}
			if anchor != "" && !slices.Contains(anchors(t, name), anchor) {
				t.Errorf("%s links to %s, which has no such heading", page, m[1])
			}
			if !seen[name] {
				seen[name] = true
				queue = append(queue, name)
			}
		}
	}

	err := filepath.WalkDir("docs", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !seen[filepath.ToSlash(name)] {
			t.Errorf("no page that README.md leads to links to %s", filepath.ToSlash(name))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	examples, err := filepath.Glob("examples/*")
	if err != nil || len(examples) == 0 {
		t.Fatalf("there are no examples: %v", err)
	}
	for _, name := range examples {
		if name = filepath.ToSlash(name); !seen[name] && !seen[name+"/main.go"] {
			t.Errorf("no page that README.md leads to links to %s", name)
		}
	}
}

// TestNamedTests: the tests that docs/security.md names are there.
func TestNamedTests(t *testing.T) {
	have := make(map[string]bool)
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, "_test.go") {
			return err
		}
		text, err := os.ReadFile(name)
		for _, m := range regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`).FindAllStringSubmatch(string(text), -1) {
			have[m[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	named := names(regexp.MustCompile("`((?:Test|Fuzz)\\w+)`").FindAllStringSubmatch(readMarkdown(t, "docs/security.md"), -1))
	if len(named) < 40 {
		t.Errorf("docs/security.md names %d tests, want at least 40", len(named))
	}
	for _, name := range named {
		if !have[name] {
			t.Errorf("docs/security.md names %s, which is no test", name)
		}
	}
}

// TestReadmeCommands: the two commands that a newcomer types first stand in
// README.md as commands, where .ci/run finds the second one.
func TestReadmeCommands(t *testing.T) {
	var commands []string
	for _, b := range fencedBlocks(t, "README.md") {
		if b.lang != "sh" {
			continue
		}
		for line := range strings.Lines(b.text) {
			if command, ok := strings.CutPrefix(line, "$ "); ok {
				commands = append(commands, strings.TrimSpace(command))
			}
		}
	}
	for _, want := range []string{"go run ./cmd/capycoind", "go test ./..."} {
		if !slices.Contains(commands, want) {
			t.Errorf("README.md has the commands %q, want %q among them", commands, want)
		}
	}
}

// TestReliabilityDocument: every test that docs/reliability.md names is there, and
// every harness is named.
func TestReliabilityDocument(t *testing.T) {
	document := readMarkdown(t, "docs/reliability.md")
	var there []string
	function := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(\w+ \*testing\.`)
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, "_test.go") {
			return err
		}
		source, err := os.ReadFile(name)
		for _, m := range function.FindAllStringSubmatch(string(source), -1) {
			there = append(there, m[1])
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	named := names(regexp.MustCompile("`((?:Test|Fuzz)\\w+)`").FindAllStringSubmatch(document, -1))
	if len(named) < 30 {
		t.Errorf("docs/reliability.md names %d tests, want more", len(named))
	}
	for _, n := range named {
		if !slices.Contains(there, n) {
			t.Errorf("docs/reliability.md names %s, and there is no such test", n)
		}
	}
	for _, n := range there {
		if strings.HasPrefix(n, "TestHarness") && !slices.Contains(named, n) {
			t.Errorf("docs/reliability.md does not name %s", n)
		}
	}
}

// TestOperatingManual compares docs/operating.md with a running server: every
// metric, flag and command has its line there, and no others have.
func TestOperatingManual(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs the server")
	}
	manual := readMarkdown(t, "docs/operating.md")
	inManual := func(pattern string) []string {
		var all []string
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(manual, -1) {
			all = append(all, m[1])
		}
		return all
	}
	srv := startServer(t)

	metrics := regexp.MustCompile(`(?m)^# TYPE (capycoin_\w+) `).FindAllStringSubmatch(scrape(t, srv), -1)
	if len(metrics) < 10 {
		t.Errorf("the server has %d metrics of its own, want at least 10", len(metrics))
	}
	compareNames(t, "metric", names(metrics), inManual("(?m)^\\| `(capycoin_\\w+)[`{]"))

	help := func(args ...string) string {
		out, err := exec.Command(srv.binary, append(args, "--help")...).CombinedOutput()
		if err != nil {
			t.Fatalf("capycoind %s --help: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	flags := regexp.MustCompile(`(?m)^ +(?:-\w, )?--([a-z-]+)`).FindAllStringSubmatch(help("serve"), -1)
	compareNames(t, "flag", slices.DeleteFunc(names(flags), func(s string) bool { return s == "help" }),
		inManual("(?m)^\\| `--([a-z-]+)"))

	_, list, _ := strings.Cut(help(), "Commands:\n")
	commands := regexp.MustCompile(`(?m)^  ([a-z-]+) `).FindAllStringSubmatch(strings.Split(list, "\n\n")[0], -1)
	compareNames(t, "command", slices.DeleteFunc(names(commands), func(s string) bool { return s == "help" }),
		inManual("(?m)^\\| `capycoind ([a-z-]+)"))
}

// names returns the first groups of matches.
func names(matches [][]string) []string {
	var all []string
	for _, m := range matches {
		all = append(all, m[1])
	}
	return all
}

// compareNames says which names the program and the manual do not have in
// common.
func compareNames(t *testing.T, kind string, program, manual []string) {
	t.Helper()
	if len(program) == 0 {
		t.Errorf("the program names no %s", kind)
	}
	for _, n := range program {
		if !slices.Contains(manual, n) {
			t.Errorf("%s %s is not in docs/operating.md", kind, n)
		}
	}
	for _, n := range manual {
		if !slices.Contains(program, n) {
			t.Errorf("%s %s is in docs/operating.md only", kind, n)
		}
	}
}

// scrape returns the server's metrics, after a request of each outcome so that
// those with labels are there.
func scrape(t *testing.T, srv *server) string {
	t.Helper()
	client := &http.Client{
		Timeout: 10 * time.Second,
		Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(srv.dir, "capycoin.db.sock"))
		}},
	}
	defer client.CloseIdleConnections()
	seed := "4e9b616a-f11e-48b6-8c2f-9534d482e48e"
	refused := `{"sender": "` + seed + `", "receiver": "` + seed + `", "amount": 1}`
	resp, err := client.Post("http://localhost/transaction", "application/json", strings.NewReader(refused))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("a transfer from the seed account to itself: status %d, want 422", resp.StatusCode)
	}
	resp, err = client.Get("http://localhost/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("metrics: status %d, %v", resp.StatusCode, err)
	}
	return string(text)
}
