package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/capycoin/capycoin"
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
	var r benchResult
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
		{[]string{"callers-2"}, []string{`there is no case "callers-2"`, strings.Join(caseNames(), ", ")}},
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

// TestLoadTurns: a load that has used up what was made ready for it gets more, and
// neither that nor the end of it counts as time or as an error.
func TestLoadTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // so that the turns are the same ones on any machine
		const pause, ready = 50 * time.Millisecond, 100
		left, prepared := 0, 0
		l := load{
			prepare: func(context.Context) error {
				time.Sleep(pause)
				left, prepared = ready, prepared+1
				return nil
			},
			workers: []operation{func() (int, time.Duration, error) {
				if left == 0 {
					return 0, 0, errNoneLeft
				}
				if left--; left == 0 {
					time.Sleep(40 * time.Millisecond)
				}
				return 1, 0, nil
			}},
		}
		const d = 100 * time.Millisecond
		start := time.Now()
		n, perSecond, err := l.run(t.Context(), d, &latencies{})
		took := time.Since(start)
		// Each turn takes 40 ms: the time is over in the third one, with which it ends.
		if err != nil || prepared != 3 || n != int64(ready*prepared) {
			t.Errorf("%d operations in %d turns of %d: %v", n, prepared, ready, err)
		}
		if clock := float64(n) / perSecond; clock < d.Seconds() || math.Abs(clock-(took-pause*time.Duration(prepared)).Seconds()) > 1e-9 {
			t.Errorf("%v s were counted, of %v with %d preparations of %v", clock, took, prepared, pause)
		}

		bad := errors.New("bad")
		l.prepare = func(context.Context) error { return bad }
		if _, _, err := l.run(t.Context(), d, &latencies{}); !errors.Is(err, bad) {
			t.Errorf("got %v, want the error of preparing", err)
		}
	})
}

// TestSignedTransfers: what is prepared is good, is taken once, and is topped up.
func TestSignedTransfers(t *testing.T) {
	if testing.Short() {
		t.Skip("signs tens of thousands of transfers")
	}
	t.Parallel()
	b := &bench{dir: t.TempDir(), seed: 1, step: func(string, ...any) {}, watch: &progress{}}
	defer func() {
		if err := b.close(); err != nil {
			t.Error(err)
		}
	}()
	s, err := b.signedWorld(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	check := func(some []capycoin.Transfer) {
		t.Helper()
		for _, tr := range some {
			if err := capycoin.VerifyTransfer(s.ledger, 1, tr, publicKeyOf(s.private[tr.Sender])); err != nil || seen[tr.Key] {
				t.Fatalf("the transfer with key %q: %v, or was there before", tr.Key, err)
			}
			seen[tr.Key] = true
		}
	}
	for range 2 {
		if err := s.prepare(t.Context()); err != nil {
			t.Fatal(err)
		}
		some, err := s.take(10)
		if err != nil {
			t.Fatal(err)
		}
		check(some)
		if _, err := s.take(len(s.signed)); !errors.Is(err, errNoneLeft) {
			t.Errorf("more than there are: got %v", err)
		}
		s.taken.Store(10)
	}
	check(s.signed[10:20])
	check(s.signed[len(s.signed)-10:])
}

func TestBenchChosen(t *testing.T) {
	all := caseNames()
	short := slices.DeleteFunc(slices.Clone(all), func(name string) bool { return name == "grown" || name == "million-callers-64" })
	for _, tt := range []struct {
		flags benchFlags
		names []string
		want  []string
	}{
		{benchFlags{}, nil, short},
		{benchFlags{long: true}, nil, all},
		{benchFlags{}, []string{"page", "callers-1"}, []string{"callers-1", "page"}},
		{benchFlags{}, []string{"grown"}, []string{"grown"}},
		{benchFlags{long: true}, []string{"page"}, []string{"grown", "million-callers-64", "page"}},
	} {
		var got []string
		for _, c := range tt.flags.chosen(tt.names) {
			got = append(got, c.name)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%v of %+v: %v, want %v", tt.names, tt.flags, got, tt.want)
		}
	}
}

func TestMedian(t *testing.T) {
	for _, tt := range []struct {
		of   []float64
		want float64
	}{
		{[]float64{3}, 3}, {[]float64{4, 1}, 2.5}, {[]float64{9, 1, 2}, 2}, {[]float64{100, 1, 2, 4}, 3},
	} {
		before := slices.Clone(tt.of)
		if got := median(tt.of); got != tt.want || !slices.Equal(tt.of, before) {
			t.Errorf("the median of %v is %v, want %v", before, got, tt.want)
		}
	}
}

func TestLatencies(t *testing.T) {
	last := 0
	for v := uint64(0); v < 1<<62; v += v/100 + 1 {
		b := bucketOf(v)
		if b != last && b != last+1 {
			t.Fatalf("%d ns is in bucket %d, after %d", v, b, last)
		}
		if m := middleOf(b); math.Abs(m-float64(v)) > float64(v)/64+0.5 {
			t.Errorf("%d ns is in a bucket around %v", v, m)
		}
		last = b
	}
	if b := bucketOf(1<<63 - 1); b >= len(latencies{}.buckets) {
		t.Errorf("the longest time is in bucket %d of %d", b, len(latencies{}.buckets))
	}

	var l, rest latencies
	if got := l.quantile(0.5); got != 0 {
		t.Errorf("the median of nothing is %v", got)
	}
	l.add(-time.Second) // the clock went back: as good as no time
	for i := 2; i <= 60; i++ {
		l.add(time.Duration(i) * time.Millisecond)
	}
	for i := 61; i <= 100; i++ {
		rest.add(time.Duration(i) * time.Millisecond)
	}
	l.merge(&rest)
	if l.n != 100 || l.most != 100*time.Millisecond {
		t.Errorf("%d times up to %s, want 100 up to 100ms", l.n, l.most)
	}
	for _, tt := range []struct{ q, want float64 }{{0, 0}, {0.01, 0}, {0.5, 50_000}, {0.99, 99_000}, {1, 100_000}} {
		if got := l.quantile(tt.q); math.Abs(got-tt.want) > tt.want/32 {
			t.Errorf("quantile %v of 1 to 100 ms is %v µs, want about %v", tt.q, got, tt.want)
		}
	}
}

func TestFigures(t *testing.T) {
	for v, want := range map[float64]string{0: "0.00", 0.754: "0.75", 9.5: "9.50", 86.04: "86.0", 139.4: "139", 1e6: "1000000"} {
		if got := figure(v); got != want {
			t.Errorf("%v is written %s, want %s", v, got, want)
		}
	}
	for name, want := range map[string]string{"callers-64": "0.75", "account": "1000000/s", "fdatasync": "-"} {
		if got := targetOf(name); got != want {
			t.Errorf("the target of %s is %s, want %s", name, got, want)
		}
	}
	if diskWarning(19) == "" || diskWarning(20) != "" {
		t.Error("a sync of 19 µs has to be warned of, one of 20 µs not")
	}
}

// TestBenchClient: what is no good answer is an error, and no figure.
func TestBenchClient(t *testing.T) {
	for answer, want := range map[string]string{
		"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nX: y\r\n\r\nhi":            "",
		"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy": `"HTTP/1.1 503 Service Unavailable": busy`,
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n":    "no Content-Length",
		"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n":                   "Content-Length is",
		"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort":                 "unexpected EOF",
		"": "EOF",
	} {
		ours, theirs := net.Pipe()
		go func() {
			defer theirs.Close()
			if _, err := http.ReadRequest(newBenchClient(theirs, nil).r); err == nil {
				theirs.Write([]byte(answer))
			}
		}()
		client := newBenchClient(ours, []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"))
		err := client.do()
		if want == "" && (err != nil || string(client.reply) != "hi") || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", answer, err, want)
		}
		ours.Close()
	}
}
