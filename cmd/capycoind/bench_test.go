package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"
	"time"
)

// runBenchForTest runs the command in a folder of its own, which has to be
// empty afterwards.
func runBenchForTest(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	dir := t.TempDir()
	var out, errs bytes.Buffer
	status = run(append([]string{"bench", "--dir", dir}, args...), &out, &errs)
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(left) > 0 {
		t.Errorf("bench left %s in its folder", left[0].Name())
	}
	return status, out.String(), errs.String()
}

// TestBench runs a case of each sort for a moment.
func TestBench(t *testing.T) {
	status, stdout, stderr := runBenchForTest(t, "--seconds", "0.1", "--json", "callers-1", "account", "http-post-64", "http-get-64")
	if status != 0 {
		t.Fatalf("status %d: %s", status, stderr)
	}
	want := []string{"fdatasync", "callers-1", "account", "http-post-64", "http-get-64"}
	lines := bufio.NewScanner(strings.NewReader(stdout))
	for i := 0; lines.Scan(); i++ {
		var r benchResult
		d := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		d.DisallowUnknownFields()
		if err := d.Decode(&r); err != nil {
			t.Fatalf("line %s: %v", lines.Text(), err)
		}
		var members map[string]any
		if err := json.Unmarshal(lines.Bytes(), &members); err != nil || len(members) != 8 {
			t.Errorf("line %s has %d members, want 8", lines.Text(), len(members))
		}
		if i >= len(want) || r.Name != want[i] || r.PerSecond <= 0 || r.P50 <= 0 && r.Name != "account" || r.P99 < r.P50 {
			t.Errorf("line %d is %s, want figures of %s", i, lines.Text(), want)
		}
		limited := r.Name != "fdatasync" && r.Name != "account"
		if limited != (r.Limit != nil && r.LimitPerSecond != nil && r.Ratio != nil) {
			t.Errorf("line %s: a limit is wanted: %v", lines.Text(), limited)
		}
		if limited && math.Abs(*r.Ratio - r.PerSecond / *r.LimitPerSecond) > 1e-9 {
			t.Errorf("line %s: the ratio is not the quotient", lines.Text())
		}
		if writes := r.Name == "callers-1" || r.Name == "http-post-64"; writes != (r.BytesEach != nil) || writes && (*r.BytesEach < 60 || *r.BytesEach > 20_000) {
			t.Errorf("line %s: bytes_each", lines.Text())
		}
	}
	if !strings.Contains(stderr, "audited the ledger of plain") || !strings.Contains(stderr, "audited the ledger of http") {
		t.Errorf("no audit is told of: %s", stderr)
	}
}

// TestBenchTable shows what a person sees, and a target that no machine meets.
func TestBenchTable(t *testing.T) {
	defer func(was float64) { benchCases[0].target = was }(benchCases[0].target)
	benchCases[0].target = 1000
	status, stdout, stderr := runBenchForTest(t, "--seconds", "0.1", "--require", "0.5", benchCases[0].name)
	if status != 1 || !strings.Contains(stderr, "error: "+benchCases[0].name+" reaches ") {
		t.Errorf("status %d, want 1 and the case named: %s", status, stderr)
	}
	if !strings.HasPrefix(stdout, "CASE ") || strings.Count(stdout, "\n") != 3 || !strings.Contains(stdout, "1000.00") {
		t.Errorf("got this table: %s", stdout)
	}
}

// TestBenchRefuses is about what can't be measured.
func TestBenchRefuses(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"callers-2"}, `there is no case "callers-2"`},
		{[]string{"--seconds", "0"}, "--seconds is 0; it has to be 0.1 to 600"},
		{[]string{"--seconds", "NaN"}, "--seconds is NaN; it has to be 0.1 to 600"},
		{[]string{"--require", "1.5"}, "--require is 1.5; it has to be 0 to 1"},
		{[]string{"--dir", "/nowhere/at/all"}, "no such file or directory"},
	} {
		status, stdout, stderr := runBenchForTest(t, tt.args...)
		if status != 1 || stdout != "" || !strings.Contains(stderr, tt.want) {
			t.Errorf("%v: got status %d, %q and %q, want 1, nothing and %q", tt.args, status, stdout, stderr, tt.want)
		}
	}
}

func TestMedian(t *testing.T) {
	for _, tt := range []struct {
		v    []float64
		want float64
	}{{[]float64{3}, 3}, {[]float64{9, 1, 4, 2}, 3}, {[]float64{5, 1, 2}, 2}} {
		if got := median(tt.v); got != tt.want {
			t.Errorf("median(%v): got %v, want %v", tt.v, got, tt.want)
		}
	}
}

// TestLatencies adds times of which the quantiles are known.
func TestLatencies(t *testing.T) {
	var l, m latencies
	for i := range 1000 {
		into := &l
		if i%2 == 0 {
			into = &m
		}
		into.add(time.Duration(i+1) * time.Microsecond)
	}
	l.merge(&m)
	for q, want := range map[float64]float64{0.5: 500, 0.99: 990, 0.1: 100} {
		if got := l.quantile(q); got < want || got > want*1.08 {
			t.Errorf("quantile %v: got %v µs, want %v or up to 1/16 more", q, got, want)
		}
	}
	if l.most != time.Millisecond {
		t.Errorf("the longest: got %v, want 1ms", l.most)
	}
	if got := new(latencies).quantile(0.5); got != 0 {
		t.Errorf("of nothing: got %v, want 0", got)
	}
}
