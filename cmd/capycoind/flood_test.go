package main

import (
	"bufio"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/capycoin/capycoin/internal/harness"
)

// metric returns what a metric without labels says.
func (p *process) metric(name string) int64 {
	p.t.Helper()
	a, err := p.request("GET", "/metrics", "", "", "")
	if err != nil {
		p.t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindSubmatch(a.body)
	if m == nil {
		p.t.Fatalf("there is no metric %s", name)
	}
	v, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil {
		p.t.Fatal(err)
	}
	return int64(v)
}

// paced sends requests on a connection, one at each tick, and counts the
// answers by status, until it is told to stop. It connects again where the
// server has closed.
func paced(addr string, tick time.Duration, request func() string, count func(status int), stop <-chan struct{}) {
	var conn net.Conn
	var r *bufio.Reader
	hangUp := func() {
		if conn != nil {
			conn.Close()
			conn = nil
		}
	}
	defer hangUp()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
		}
		if conn == nil {
			var err error
			if conn, err = net.Dial("tcp", addr); err != nil {
				conn = nil
				count(0)
				continue
			}
			r = bufio.NewReader(conn)
			left := conn
			go func() {
				<-stop // it does not wait for its answer
				left.Close()
			}()
		}
		conn.SetDeadline(time.Now().Add(5 * time.Second))
		io.WriteString(conn, request())
		resp, err := http.ReadResponse(r, nil)
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
			count(resp.StatusCode)
		}
		if err != nil || resp.Close {
			hangUp()
		}
	}
}

// floodLatencies are how long the requests of a good client took.
type floodLatencies []time.Duration

// p99 returns what 99 of 100 took at most.
func (l floodLatencies) p99() time.Duration {
	s := slices.Sorted(slices.Values(l))
	return s[len(s)*99/100]
}

// tolerable says whether a p99 is within a factor of the quiet one. What is
// under a slice of the system's scheduler is that.
func tolerable(loaded, quiet time.Duration, factor int) bool {
	const slice = 2 * time.Millisecond
	return loaded <= time.Duration(factor)*max(quiet, slice)
}

// flood is bad requests of a kind.
type flood struct {
	name    string
	request func() string
	want    []int // the statuses they may be answered with
	hashes  bool  // they are worth a bcrypt
}

func floods(p *process, own, other holder) []flood {
	get := func(id, token string) string {
		return "GET /account/" + id + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token + "\r\n\r\n"
	}
	post := func(body string) string {
		return fmt.Sprintf("POST /account/%s/transaction HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s", own.ID, own.Token, len(body), body)
	}
	return []flood{
		{"unknown token", func() string {
			var b [128]byte
			rand.Read(b[:])
			return get(own.ID, fmt.Sprintf("%X", b))
		}, []int{401}, false},
		{"wrong token", func() string {
			var b [16]byte
			rand.Read(b[:])
			return get(own.ID, own.Token[:224]+fmt.Sprintf("%X", b))
		}, []int{401}, false},
		{"another's token", func() string { return get(own.ID, other.Token) }, []int{401}, false},
		{"malformed JSON", func() string { return post(`{"receiver":` + strings.Repeat("[", 1000)) }, []int{400}, false},
		{"more than one has", func() string { return post(`{"receiver":"` + other.ID + `","amount":9007199254740991}`) }, []int{422}, false},
		{"too large", func() string {
			return strings.Replace(post(""), "Content-Length: 0", "Content-Length: 999999999", 1) + strings.Repeat("x", 1000)
		}, []int{413}, false},
		{"no route", func() string { return "GET /" + strings.Repeat("x/", 1000) + " HTTP/1.1\r\nHost: x\r\n\r\n" }, []int{404}, false},
		{"no HTTP", func() string { return strings.Repeat("\x00", 1000) + "\r\n\r\n" }, []int{400}, false},
		{"sign-ups", func() string { return "POST /account HTTP/1.1\r\nHost: x\r\n\r\n" }, []int{200, 429, 503}, true},
	}
}

// TestHarnessFlood floods a server with bad requests, 400 a second of a kind: a
// good client's p99 stays within three times the one without (where it has the
// machine to itself), none costs a bcrypt or a record, and each is answered as it
// should be. Sign-ups cost what they may.
func TestHarnessFlood(t *testing.T) {
	if testing.Short() {
		t.Skip("measures times")
	}
	budget := harness.Budget(t, 0)
	p := newProcess(t, "--bcrypt-cost", "10", "--supply", "1000000000")
	good, own, other := p.open(100_000_000), p.open(10), p.open(10)
	for _, h := range []holder{good, own, other} {
		p.ask("GET", "/account/"+h.ID, h.Token, "", "", nil) // its token is remembered
	}
	bad := 0
	for start := time.Now(); ; {
		for _, f := range floods(p, own, other) {
			ratios := ""
			ok := false
			for try := 0; try < 6 && !ok; try++ { // the machine may be busy with something else
				quiet, loaded, n := p.measure(f, good, other)
				ok, bad = !harness.Alone() || tolerable(loaded, quiet, 3), bad+n
				ratios += fmt.Sprintf(" %v/%v", loaded.Round(10*time.Microsecond), quiet.Round(10*time.Microsecond))
			}
			t.Logf("%s: p99 with and without:%s", f.name, ratios)
			if !ok {
				t.Errorf("%s: the p99 of a good client is more than three times the quiet one:%s", f.name, ratios)
			}
		}
		if t.Failed() || time.Since(start) >= budget {
			break
		}
	}
	p.auditClean()
	harness.Count(t, "bad requests in floods", bad)
}

// measure lets a good client pay and look, with bad requests beside it and
// without in turn, and returns its p99 without and with them, and how many they
// were.
func (p *process) measure(f flood, good, other holder) (quiet, loaded time.Duration, bad int) {
	p.t.Helper()
	const rounds, slice, workers, tick = 3, 80 * time.Millisecond, 16, 40 * time.Millisecond
	hashes, records := p.metric("capycoin_bcrypt_runs_total"), p.metric("capycoin_journal_records")
	var before, during floodLatencies
	var answered, odd, firstOdd atomic.Int64
	paid := int64(0)
	client := func(l *floodLatencies) {
		for start := time.Now(); time.Since(start) < slice; {
			began := time.Now()
			p.ask("POST", "/account/"+good.ID+"/transaction", good.Token, "", fmt.Sprintf(`{"receiver":%q,"amount":1}`, other.ID), nil)
			*l = append(*l, time.Since(began))
			paid++
			began = time.Now()
			p.ask("GET", "/account/"+good.ID, good.Token, "", "", nil)
			*l = append(*l, time.Since(began))
		}
	}
	for range rounds {
		client(&before)
		stop := make(chan struct{})
		var wg sync.WaitGroup
		for range workers {
			wg.Go(func() {
				paced(p.addr, tick, f.request, func(status int) {
					answered.Add(1)
					if !slices.Contains(f.want, status) {
						odd.Add(1)
						firstOdd.CompareAndSwap(0, int64(status))
					}
				}, stop)
			})
		}
		time.Sleep(tick) // so that all are at it
		client(&during)
		close(stop)
		wg.Wait()
	}
	if odd.Load() > 0 {
		p.t.Errorf("%s: %d of %d were answered otherwise than %v, the first one %d", f.name, odd.Load(), answered.Load(), f.want, firstOdd.Load())
	}
	if !f.hashes {
		if n := p.metric("capycoin_bcrypt_runs_total") - hashes; n != 0 {
			p.t.Errorf("%s: bcrypt ran %d times for %d of them", f.name, n, answered.Load())
		}
		if n := p.metric("capycoin_journal_records") - records - paid; n != 0 {
			p.t.Errorf("%s: %d records were written for %d of them", f.name, n, answered.Load())
		}
	}
	return before.p99(), during.p99(), int(answered.Load())
}
