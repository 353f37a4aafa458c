package plants

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestNewKind does what docs/architecture.md says of a new kind of record: a file and a
// line in each room, here for one that is not in the tree. A room that is forgotten is told
// of by the test of its table.
func TestNewKind(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles four packages")
	}
	files := map[string]string{
		"internal/record/vote.go":       "record.go.txt",
		"internal/books/vote.go":        "books.go.txt",
		"internal/audit/vote.go":        "audit.go.txt",
		"internal/copying/vote_test.go": "copying_test.go.txt",
	}
	lines := []plant{
		{file: "internal/record/kinds.go", edits: []edit{{
			`	KindStipend:    {"stipend"`, `	KindVote:       {"vote", 1, 1, func() Body { return new(Vote) }},
	KindStipend:    {"stipend"`}}},
		{file: "internal/books/kinds.go", edits: []edit{{
			`	record.KindStipend:    {`, `	record.KindVote:       {applyVote, nil},
	record.KindStipend:    {`}}},
		{file: "internal/audit/kinds.go", edits: []edit{{
			`	record.KindStipend:    `, `	record.KindVote:       (*auditor).vote,
	record.KindStipend:    `}}},
	}
	// run runs the tests with the kind in all rooms but one, which lacks its line.
	run := func(without string, args ...string) (output string, passed bool) {
		t.Helper()
		dir, replace := t.TempDir(), make(map[string]string)
		put := func(name, source string) {
			real, err := filepath.Abs(filepath.Join(root, filepath.FromSlash(name)))
			if err != nil {
				t.Fatal(err)
			}
			made := filepath.Join(dir, filepath.Base(filepath.Dir(name))+"-"+filepath.Base(name))
			if err := os.WriteFile(made, []byte(source), 0o600); err != nil {
				t.Fatal(err)
			}
			replace[real] = made
		}
		for name, from := range files {
			source, err := os.ReadFile(filepath.Join("testdata", "kind", from))
			if err != nil {
				t.Fatal(err)
			}
			put(name, string(source))
		}
		for _, p := range lines {
			if p.file == without {
				continue
			}
			source, err := p.sow()
			if err != nil {
				t.Fatal(err)
			}
			put(p.file, source)
		}
		names, err := json.Marshal(map[string]any{"Replace": replace})
		if err != nil {
			t.Fatal(err)
		}
		overlay := filepath.Join(dir, "overlay.json")
		if err := os.WriteFile(overlay, names, 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), "go", append([]string{"test", "-v", "-count=1", "-overlay=" + overlay, "-run=^(TestKinds|TestVote)$"}, args...)...)
		cmd.Dir = root
		b, err := cmd.CombinedOutput()
		return string(b), err == nil
	}
	if output, passed := run("", "./internal/record", "./internal/books", "./internal/audit", "./internal/copying"); !passed || !strings.Contains(output, "--- PASS: TestVote ") {
		t.Errorf("with the kind:\n%s", output)
	}
	for _, room := range []string{"books", "audit"} {
		if output, passed := run("internal/"+room+"/kinds.go", "./internal/"+room); passed {
			t.Errorf("%s lacks its line, and nobody says so:\n%s", room, output)
		}
	}
}
