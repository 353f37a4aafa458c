package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/capycoin/capycoin/internal/daemon/bench"
)

// runBenchForTest runs the command in a folder of its own, which has to be
// empty afterwards.
func runBenchForTest(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	dir := t.TempDir()
	var out, errs bytes.Buffer
	status = run(append([]string{"bench", "--dir", dir}, args...), &out, &errs)
	wantEmpty(t, dir)
	return status, out.String(), errs.String()
}

// wantEmpty makes sure that bench left nothing in a folder.
func wantEmpty(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range left {
		t.Errorf("bench left %s in its folder", e.Name())
	}
}

// closedPipe is a reader that has gone away.
type closedPipe struct{}

func (closedPipe) Write([]byte) (int, error) { return 0, syscall.EPIPE }

// TestBenchUnread: when nobody reads the progress any more, it ends in order.
func TestBenchUnread(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	start := time.Now()
	if status := run([]string{"bench", "--dir", dir, "--seconds", "60", "callers-64"}, io.Discard, closedPipe{}); status != 1 {
		t.Errorf("status %d, want 1", status)
	}
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("it went on for %s", took)
	}
	wantEmpty(t, dir)
}

// TestBench runs a case of each sort for a moment.
func TestBench(t *testing.T) {
	t.Parallel()
	names := []string{"callers-1", "callers-64", "signed-64", "signed-batch-8192", "account", "http-post-64", "http-get-64"}
	status, stdout, stderr := runBenchForTest(t, append([]string{"--seconds", "0.2", "--json"}, names...)...)
	if status != 0 {
		t.Fatalf("status %d: %s", status, stderr)
	}
	lines := slices.Collect(strings.Lines(stdout))
	want := append([]string{"fdatasync"}, names...)
	if len(lines) != len(want) {
		t.Fatalf("got %d lines, want %d:\n%s", len(lines), len(want), stdout)
	}
	for i, line := range lines {
		checkBenchLine(t, line, want[i])
	}
	for _, name := range []string{"plain", "signed", "http"} {
		if !strings.Contains(stderr, "audited the ledger "+name+":") {
			t.Errorf("no audit of the ledger %s is told of: %s", name, stderr)
		}
	}
}

// checkBenchLine looks at a line of --json.
func checkBenchLine(t *testing.T, line, name string) {
	t.Helper()
	var r bench.Result
	d := json.NewDecoder(strings.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	var members map[string]any
	if err := json.Unmarshal([]byte(line), &members); err != nil || len(members) != 8 {
		t.Errorf("%d members, want 8: %s", len(members), line)
	}
	if r.Name != name || r.PerSecond <= 0 || r.P50 <= 0 || r.P99 < r.P50 {
		t.Errorf("want figures of %s: %s", name, line)
	}
	limited := name != "fdatasync" && name != "account"
	if limited != (r.Limit != nil) || limited != (r.LimitPerSecond != nil) || limited != (r.Ratio != nil) {
		t.Errorf("a limit is wanted: %t: %s", limited, line)
	}
	if limited && r.Ratio != nil && r.LimitPerSecond != nil {
		want := r.PerSecond / *r.LimitPerSecond
		if math.Abs(*r.Ratio-want) > 0.001*want+0.0001 { // all three are rounded
			t.Errorf("the ratio is not the quotient, %v: %s", want, line)
		}
	}
	writes := strings.HasPrefix(name, "callers-") || strings.HasPrefix(name, "signed-") || name == "http-post-64"
	// Some find room in pages that are free.
	if writes != (r.BytesEach != nil) || writes && (*r.BytesEach < 40 && r.PerSecond > 500 || *r.BytesEach > 20_000) {
		t.Errorf("bytes a transfer are wanted: %t: %s", writes, line)
	}
}

// TestBenchRequire: what is not fast enough is named, below a table that is
// whole.
func TestBenchRequire(t *testing.T) {
	t.Parallel()
	status, stdout, stderr := runBenchForTest(t, "callers-64", "http-post-64", "--seconds", "0.1", "--require", "1000")
	if status != 1 {
		t.Errorf("status %d, want 1", status)
	}
	for _, want := range []string{"error: callers-64 has the ratio ", "required is 750.00; http-post-64 has the ratio ", "required is 500.00\n"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("no %q in %s", want, stderr)
		}
	}
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if len(lines) != 4 || !strings.HasPrefix(lines[0], "CASE ") || !strings.HasPrefix(lines[3], "http-post-64 ") {
		t.Errorf("got this table:\n%s", stdout)
	}
}

// TestBenchRefuses is about what can't be measured.
func TestBenchRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args []string
		want []string
	}{
		{[]string{"callers-2"}, []string{`there is no case "callers-2"`, strings.Join(bench.CaseNames(), ", ")}},
		{[]string{"--seconds", "0"}, []string{"--seconds is 0; it has to be 0.1 to 600"}},
		{[]string{"--seconds", "0.09"}, []string{"--seconds is 0.09; it has to be 0.1 to 600"}},
		{[]string{"--seconds", "601"}, []string{"--seconds is 601; it has to be 0.1 to 600"}},
		{[]string{"--seconds", "NaN"}, []string{"--seconds is NaN; it has to be 0.1 to 600"}},
		{[]string{"--require", "-1"}, []string{"--require is -1; it has to be 0 or more"}},
		{[]string{"--require", "NaN"}, []string{"--require is NaN; it has to be 0 or more"}},
		{[]string{"--dir", file + "s"}, []string{"--dir: ", "files", "name a folder that is there"}},
		{[]string{"--dir", file}, []string{"--dir: ", "is no folder"}},
	} {
		status, stdout, stderr := runBenchForTest(t, tt.args...)
		if status != 1 || stdout != "" {
			t.Errorf("%v: got status %d and %q, want 1 and nothing", tt.args, status, stdout)
		}
		for _, want := range tt.want {
			if !strings.Contains(stderr, want) {
				t.Errorf("%v: no %q in %s", tt.args, want, stderr)
			}
		}
	}
}

// TestBenchInterrupted: whether it prepares a case or measures one, an interrupt ends it soon and leaves
// nothing behind.
func TestBenchInterrupted(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"keys-1024", "signed-64", "http-get-64"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			cmd := newRoot()
			cmd.SetArgs([]string{"bench", name, "--seconds", "2", "--dir", dir})
			cmd.SetOut(t.Output())
			cmd.SetErr(t.Output())
			start := time.Now()
			if err := cmd.ExecuteContext(ctx); err == nil {
				t.Error("it came to an end")
			}
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("it took %s to end", took)
			}
			wantEmpty(t, dir)
		})
	}
}
