package bench

import (
	"context"
	"crypto/ed25519"
	"errors"
	"math"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/cli"
)

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
	b := &bench{dir: t.TempDir(), seed: 1, step: func(string, ...any) {}, watch: &cli.Progress{}}
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
			if err := capycoin.VerifyTransfer(s.ledger, 1, tr, capycoin.PublicKey(s.private[tr.Sender].Public().(ed25519.PublicKey))); err != nil || seen[tr.Key] {
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
	all := CaseNames()
	short := slices.DeleteFunc(slices.Clone(all), func(name string) bool { return name == "grown" || name == "million-callers-64" })
	for _, tt := range []struct {
		options Options
		want    []string
	}{
		{Options{}, short},
		{Options{Long: true}, all},
		{Options{Cases: []string{"page", "callers-1"}}, []string{"callers-1", "page"}},
		{Options{Cases: []string{"grown"}}, []string{"grown"}},
		{Options{Long: true, Cases: []string{"page"}}, []string{"grown", "million-callers-64", "page"}},
	} {
		var got []string
		for _, c := range tt.options.chosen() {
			got = append(got, c.name)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%v, long %t: %v, want %v", tt.options.Cases, tt.options.Long, got, tt.want)
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
			if _, err := http.ReadRequest(newClient(theirs, nil).r); err == nil {
				theirs.Write([]byte(answer))
			}
		}()
		client := newClient(ours, []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"))
		err := client.do()
		if want == "" && (err != nil || string(client.reply) != "hi") || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", answer, err, want)
		}
		ours.Close()
	}
}
