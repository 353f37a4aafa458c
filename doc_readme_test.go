package capycoin_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the session in README.md with what the server answers")

// TestReadmeSession runs the commands of the session in README.md against a
// real server, in one shell and in their order, and compares what they print
// with what stands there. Ids, tokens and times differ from run to run: what
// has the same form is taken for the same, but it must then be the same
// wherever README.md repeats it.
func TestReadmeSession(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs the server")
	}
	for _, tool := range []string{"sh", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs the command %s: %v", tool, err)
		}
	}
	var blocks []block
	var steps []step
	for _, b := range fencedBlocks(t, "README.md") {
		if b.lang == "console" {
			blocks = append(blocks, b)
			steps = append(steps, b.steps(t)...)
		}
	}
	if len(steps) < 15 {
		t.Fatalf("README.md has a session of %d commands, want at least 15", len(steps))
	}

	srv := startServer(t)
	got := runSession(t, srv, steps)
	if *update {
		rewriteSession(t, blocks, got)
		return
	}
	same := make(map[string]string)
	for i, s := range steps {
		if err := matchOutput(s.output, got[i], same); err != nil {
			t.Errorf("README.md:%d: $ %s\n%v\nprinted\n%swant\n%s", s.line, s.command, err, got[i], s.output)
		}
	}
}

// step is a command of a session with what it prints.
type step struct {
	line    int
	command string
	output  string
}

// steps returns the commands of a console block.
func (b block) steps(t *testing.T) []step {
	t.Helper()
	var steps []step
	for i, line := range strings.SplitAfter(b.text, "\n") {
		if command, ok := strings.CutPrefix(line, "$ "); ok {
			steps = append(steps, step{line: b.line + i, command: strings.TrimSuffix(command, "\n")})
			continue
		}
		if len(steps) == 0 {
			t.Fatalf("README.md:%d: a console block begins without a command", b.line)
		}
		last := &steps[len(steps)-1]
		if more, ok := strings.CutPrefix(line, "> "); ok && last.output == "" {
			last.command += "\n" + strings.TrimSuffix(more, "\n")
			continue
		}
		last.output += line
	}
	return steps
}

// runSession runs the commands in one shell and returns what each printed, to
// either stream. A command that fails is no error: some are there to fail.
func runSession(t *testing.T, srv *server, steps []step) []string {
	t.Helper()
	const mark = "\x1e"
	var script strings.Builder
	for _, s := range steps {
		command := strings.ReplaceAll(s.command, "go run ./cmd/capycoind", srv.binary)
		command = strings.ReplaceAll(command, "localhost:8000", srv.addr)
		fmt.Fprintf(&script, "%s\nprintf '\\036'\n", command)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh")
	cmd.Dir = srv.dir
	cmd.Stdin = strings.NewReader(script.String())
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("the session: %v\n%s", err, &out)
	}
	text := strings.ReplaceAll(out.String(), "\r\n", "\n")
	text = strings.ReplaceAll(text, srv.addr, "localhost:8000")
	parts := strings.Split(text, mark)
	if len(parts) != len(steps)+1 {
		t.Fatalf("the session printed %d marks, want %d:\n%s", len(parts)-1, len(steps), text)
	}
	for i, p := range parts[:len(steps)] {
		if p != "" && !strings.HasSuffix(p, "\n") {
			parts[i] += "\n" // a JSON answer ends without one
		}
	}
	return parts[:len(steps)]
}

// rewriteSession puts what the commands printed into README.md.
func rewriteSession(t *testing.T, blocks []block, got []string) {
	t.Helper()
	data, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for _, b := range blocks {
		var now strings.Builder
		for _, s := range b.steps(t) {
			fmt.Fprintf(&now, "$ %s\n%s", strings.ReplaceAll(s.command, "\n", "\n> "), got[0])
			got = got[1:]
		}
		text = strings.Replace(text, "```console\n"+b.text+"```", "```console\n"+now.String()+"```", 1)
	}
	writeFile(t, "README.md", []byte(text))
}

// varying are the forms of what differs from run to run.
var varying = regexp.MustCompile(strings.Join([]string{
	`\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b`,
	`\b[0-9A-F]{256}\b`,
	`\b[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z`,
	`\b[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT\b`,
	`\bX-Request-Id: [0-9a-f]+-[0-9a-f]+`,
	`"next_cursor":"[^"]+"`,
	`\bcursor=[^&>]+`,
}, "|"))

var alphanumeric = regexp.MustCompile(`[0-9A-Za-z]`)

// form returns what two varying parts must have in common to stand for each
// other: their length and punctuation, and the version of a UUID.
func form(s string) string {
	if strings.Contains(s, "cursor") { // base64url, whose - and _ are digits too
		return fmt.Sprintf("cursor of %d", len(s))
	}
	version := ""
	if len(s) == 36 {
		version = s[14:15]
	}
	return version + alphanumeric.ReplaceAllString(s, "0")
}

// matchOutput compares what a command printed with what it should have. In
// same it keeps which varying part of want stands for which of got.
func matchOutput(want, got string, same map[string]string) error {
	wantFixed, gotFixed := varying.Split(want, -1), varying.Split(got, -1)
	wantVarying, gotVarying := varying.FindAllString(want, -1), varying.FindAllString(got, -1)
	for i := range min(len(wantFixed), len(gotFixed)) {
		if wantFixed[i] != gotFixed[i] {
			return fmt.Errorf("printed %q where it should be %q", gotFixed[i], wantFixed[i])
		}
		if i >= len(wantVarying) || i >= len(gotVarying) {
			continue
		}
		w, g := wantVarying[i], gotVarying[i]
		if form(w) != form(g) {
			return fmt.Errorf("printed %s where it should be like %s", g, w)
		}
		if known, ok := same[w]; ok && known != g {
			return fmt.Errorf("printed %s for %s, which was %s before", g, w, known)
		}
		same[w] = g
	}
	if len(wantFixed) != len(gotFixed) {
		return fmt.Errorf("printed %d ids, tokens and times, want %d", len(gotVarying), len(wantVarying))
	}
	// Two different accounts must not have become one.
	back := make(map[string]string, len(same))
	for w, g := range same {
		if other, ok := back[g]; ok && len(g) != len("2006-01-02T15:04:05.000000Z") && !strings.HasSuffix(g, "GMT") {
			return fmt.Errorf("%s stands for both %s and %s", g, w, other)
		}
		back[g] = w
	}
	return nil
}

// TestMatchOutput: the comparison above does see differences.
func TestMatchOutput(t *testing.T) {
	const (
		idA, idB = "ab62ad1e-eeaa-406a-acdb-4a43c63fda25", "4e9b616a-f11e-48b6-8c2f-9534d482e48e"
		idX, idY = "00000000-eeaa-406a-acdb-4a43c63fda25", "11111111-f11e-48b6-8c2f-9534d482e48e"
		tx       = "019a0000-0000-7000-8000-000000000001"
		at, then = "2022-08-15T13:24:23.136285Z", "2026-03-01T00:00:00.000001Z"
	)
	tests := []struct {
		name      string
		want, got string
		ok        bool
	}{
		{"nothing", "", "", true},
		{"equal", "funds 5\n", "funds 5\n", true},
		{"another number", "funds 5\n", "funds 6\n", false},
		{"more", "funds 5\n", "funds 5\n\n", false},
		{"other ids and times", idA + " " + idB + " " + at, idX + " " + idY + " " + then, true},
		{"one id for two", idA + " " + idB, idX + " " + idX, false},
		{"two ids for one", idA + " " + idA, idX + " " + idY, false},
		{"one time for two", at + " " + then, then + " " + then, true},
		{"another version", idA, tx, false},
		{"a time for an id", idA, at, false},
		{"a time without a fraction", at, "2022-08-15T13:24:23Z", false},
		{"an id too many", idA, idX + " " + idY, false},
		{"an id missing", idA + idB, idX, false},
	}
	for _, tt := range tests {
		err := matchOutput(tt.want, tt.got, make(map[string]string))
		if (err == nil) != tt.ok {
			t.Errorf("%s: matchOutput(%q, %q) = %v, want ok %v", tt.name, tt.want, tt.got, err, tt.ok)
		}
	}
}

// server is a capycoind that was built from this tree, running on a new ledger.
type server struct {
	binary string
	dir    string // where it runs; its ledger is capycoin.db
	addr   string // host and port
}

// startServer builds and starts a server, and stops it when the test is over.
func startServer(t *testing.T) *server {
	t.Helper()
	// Not t.TempDir: a socket's path is at most some 100 bytes long.
	dir, err := os.MkdirTemp("", "capy-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	srv := &server{binary: filepath.Join(t.TempDir(), "capycoind"), dir: dir, addr: freeAddr(t)}
	runCommand(t, ".", nil, "go", "build", "-o", srv.binary, "./cmd/capycoind")

	cmd := exec.Command(srv.binary, "--listen", srv.addr)
	cmd.Dir = dir
	var logged bytes.Buffer
	cmd.Stdout, cmd.Stderr = &logged, &logged
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		select {
		case err := <-exited:
			if err != nil {
				t.Errorf("the server ended with %v\n%s", err, &logged)
			}
		case <-time.After(20 * time.Second):
			cmd.Process.Kill()
			t.Errorf("the server did not end within 20 s\n%s", &logged)
		}
	})
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		select {
		case err := <-exited:
			exited <- nil
			t.Fatalf("the server ended with %v\n%s", err, &logged)
		default:
		}
		resp, err := http.Get("http://" + srv.addr + "/readyz")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return srv
			}
		}
		if time.Now().After(deadline) {
			t.Fatal("the server was not ready within 20 s")
		}
	}
}

// freeAddr returns a local address that nobody listens on at this moment, with a port
// that the system gives to nobody who asks for any: those begin at 32768, or further up.
func freeAddr(t *testing.T) string {
	t.Helper()
	for range 1000 {
		addr := net.JoinHostPort("localhost", strconv.Itoa(20_000+rand.IntN(12_000)))
		if l, err := net.Listen("tcp", addr); err == nil {
			l.Close()
			return addr
		}
	}
	t.Fatal("no port is free")
	return ""
}

// block is a fenced block of a Markdown file.
type block struct {
	lang string
	text string // what stands between the fences
	line int    // of the first line of text, from 1
}

// fencedBlocks returns the fenced blocks of a Markdown file.
func fencedBlocks(t *testing.T, name string) []block {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var blocks []block
	open := false
	for i, line := range strings.SplitAfter(string(data), "\n") {
		if lang, ok := strings.CutPrefix(line, "```"); ok {
			if !open {
				blocks = append(blocks, block{lang: strings.TrimSpace(lang), line: i + 2})
			}
			open = !open
			continue
		}
		if open {
			blocks[len(blocks)-1].text += line
		}
	}
	if open {
		t.Fatalf("%s: a fenced block has no end", name)
	}
	return blocks
}
