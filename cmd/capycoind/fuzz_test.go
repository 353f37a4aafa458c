package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/capycoin/capycoin/internal/harness"
)

// prober sends whatever bytes to a target and looks whether it is whole.
type prober struct {
	t          testing.TB
	a          *target
	inputs     int // to this target
	requests   int // that got to a handler, of all targets
	goroutines int // there were when the target was new
}

const (
	auditEvery = 1000  // inputs
	renewEvery = 20000 // inputs, as accounts are opened all the time
)

// The lowest bits of an input's first byte.
const (
	toTrusted = 1 << iota // to the trusted side
	hangUp                // the sending half is closed at once
	inPieces              // bytes come in small pieces
)

func newProber(t testing.TB) *prober {
	p := &prober{t: t}
	p.renew()
	return p
}

func (p *prober) renew() {
	if p.a != nil {
		p.a.close()
	}
	p.a = newTarget(p.t, "unix", func(srv *http.Server) {
		handler := srv.Handler
		srv.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, "/debug/pprof/") {
				r.URL.RawQuery = "seconds=0" // or it would rightly take what it is told
			}
			handler.ServeHTTP(w, r)
		})
	})
	p.inputs, p.goroutines = 0, runtime.NumGoroutine()
}

// probe sends an input. Names between @ in it stand for what the attacker knows.
func (p *prober) probe(how byte, input string) error {
	a := p.a
	b := []byte(strings.NewReplacer("@own@", a.own.ID, "@token@", a.own.Token, "@other@", a.other.ID, "@seed@", seedID,
		"@unknown@", uuid.NewString()).Replace(input))
	side, piece, patience := a.public, 0, time.Duration(0)
	if how&toTrusted != 0 {
		side = a.trusted
	}
	if how&inPieces != 0 {
		piece = 1 + len(b)/7
	}
	if how&hangUp == 0 {
		b, patience = append(b, last...), time.Millisecond
	}
	got, err := side.attack(b, piece, patience)
	if err != nil {
		return fmt.Errorf("%s: %w", side.name, err)
	}
	p.requests += len(got)
	if p.inputs++; p.inputs%auditEvery != 0 {
		return a.unharmed()
	}
	for _, s := range []*targetSide{a.public, a.trusted} {
		if err := s.alone(0); err != nil {
			return err
		}
	}
	if n := runtime.NumGoroutine(); n > p.goroutines+20 {
		return fmt.Errorf("%d goroutines run, there were %d", n, p.goroutines)
	}
	if err := a.whole(); err != nil {
		return err
	}
	if p.inputs >= renewEvery {
		p.renew()
	}
	return nil
}

// A valid request, and what it may be made of.
const (
	transferJSON = `{"receiver":"@other@","amount":1}`
	trustedJSON  = `{"sender":"@seed@","receiver":"@other@","amount":1}`
	bearerLine   = "Authorization: Bearer @token@\r\n"
)

// valid returns a request in form of a route that openapi.yaml documents.
func valid(route string) string {
	method, path, _ := strings.Cut(route, " ")
	body := ""
	switch route {
	case "POST /account/{account_id}/transaction":
		body = transferJSON
	case "POST /transaction":
		body = trustedJSON
	case "POST /account/{account_id}/transactions":
		body = `{"transactions":[` + transferJSON + `],"atomic":true}`
	case "POST /transactions":
		body = `{"transactions":[` + trustedJSON + `],"atomic":true}`
	case "POST /account/{account_id}/token":
		body = `{"label":"x"}`
	}
	head := bearerLine
	if path == "/account" {
		head = ""
	}
	if body != "" {
		head += fmt.Sprintf("Content-Type: application/json\r\nContent-Length: %d\r\n", filled(body))
	}
	path = strings.NewReplacer("{account_id}", "@own@", "{transaction_id}", "@unknown@", "{token_id}", "@unknown@", "{profile}", "goroutine").Replace(path)
	return method + " " + path + " HTTP/1.1\r\nHost: x\r\n" + head + "\r\n" + body
}

// filled returns how long a text is when its names are replaced, of which each
// is an id.
func filled(s string) int {
	for _, name := range []string{"@own@", "@other@", "@seed@", "@unknown@"} {
		s = strings.ReplaceAll(s, name, seedID)
	}
	return len(s)
}

// oddities are requests that servers are known to stumble over.
func oddities() []string {
	post := "POST /account/@own@/transaction HTTP/1.1\r\nHost: x\r\n" + bearerLine
	n := filled(transferJSON)
	chunk := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", n, transferJSON)
	return []string{
		post + "Transfer-Encoding: chunked\r\n\r\n" + chunk,
		post + "Transfer-Encoding: chunked\r\nTrailer: X-A\r\n\r\n" + strings.TrimSuffix(chunk, "\r\n") + "X-A: b\r\n\r\n",
		post + fmt.Sprintf("Transfer-Encoding: chunked\r\nContent-Length: %d\r\n\r\n", n) + chunk,
		post + fmt.Sprintf("Content-Length: %d\r\nContent-Length: %d\r\n\r\n", n, n+1) + transferJSON,
		post + fmt.Sprintf("Content-Length: +%d\r\n\r\n", n) + transferJSON,
		post + "Transfer-Encoding: identity\r\n\r\n" + chunk,
		post + "Transfer-Encoding: \x0bchunked\r\n\r\n" + chunk,
		post + "Transfer-Encoding : chunked\r\n\r\n" + chunk,
		post + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx",
		post + "Transfer-Encoding: chunked\r\n\r\n-1\r\nx\r\n0\r\n\r\n",
		post + fmt.Sprintf("Expect: 100-continue\r\nContent-Length: %d\r\n\r\n", n) + transferJSON,
		post + "Expect: 200-ok\r\n\r\n",
		post + fmt.Sprintf("Content-Type: text/plain\r\nContent-Length: %d\r\n\r\n", n) + transferJSON,
		strings.Repeat(valid("GET /supply"), 20),
		"HEAD /account/@own@/transactions?limit=3&order=desc HTTP/1.1\r\nHost: x\r\n" + bearerLine + "\r\n",
		"GET /supply\r\n", "GET /supply HTTP/1.0\r\n\r\n", "GET /supply HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
		"GET http://capycoind/accounts HTTP/1.1\r\nHost: x\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
		"CONNECT /transaction HTTP/1.1\r\nHost: x\r\n\r\n", "CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n", "GET / HTTP/1.1\nHost: x\n\n", "GET / HTTP/1.1\r\nHost: x\r\nX: \x00\r\n\r\n",
		"GET /%2e%2e/accounts HTTP/1.1\r\nHost: x\r\n\r\n", "GET //accounts HTTP/1.1\r\nHost: x\r\n\r\n", "GET /account/@own@;x HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /account/@own@ HTTP/1.1\r\nHost: x\r\n" + bearerLine + "Authentication: Bearer @token@\r\n\r\n",
		"GET /account/@own@/transactions?start=2022-08-15&cursor=x&limit=%zz HTTP/1.1\r\nHost: x\r\n" + bearerLine + "\r\n",
	}
}

func seeds(t testing.TB) []string {
	all := oddities()
	for _, r := range routes(t, "") {
		all = append(all, valid(r))
	}
	return all
}

// inTarget is a fuzz test's F, of which most may not be called within the target:
// there a target's servers are made anew now and then.
type inTarget struct{ testing.TB }

func (inTarget) Helper()                           {}
func (inTarget) Error(args ...any)                 { panic(fmt.Sprint(args...)) }
func (inTarget) Errorf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
func (inTarget) Fatal(args ...any)                 { panic(fmt.Sprint(args...)) }
func (inTarget) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

// FuzzHTTP sends whatever bytes to both servers, over a connection: what comes
// back is HTTP, or the connection is closed; nothing is answered 500; no
// connection and no goroutine is left; and the books are whole.
func FuzzHTTP(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add(byte(0), s)
		f.Add(byte(toTrusted|hangUp), s)
	}
	p := newProber(inTarget{f})
	f.Cleanup(func() { p.a.close() })
	f.Fuzz(func(t *testing.T, how byte, input string) {
		if err := p.probe(how, input); err != nil {
			t.Fatal(err)
		}
	})
}

// pieces are what requests are changed with.
var pieces = []string{"\r\n", "\n", "\r", "\x00", " ", "\t", ":", "\r\n\r\n", "0\r\n\r\n", "Content-Length: 5\r\n", "Content-Length: -1\r\n",
	"Transfer-Encoding: chunked\r\n", "Transfer-Encoding: xchunked\r\n", "Connection: close\r\n", "Connection: keep-alive\r\n", "Expect: 100-continue\r\n",
	"Host: y\r\n", "HTTP/1.0", "HTTP/1.1", "HTTP/2.0", "HTTP/0.9", "GET ", "POST ", "HEAD ", "DELETE ", "OPTIONS * ", "/", "//", "/../", "%2e", "%2f", "%00", ";", "?", "&",
	"@own@", "@other@", "@unknown@", "@seed@", "@token@", bearerLine, "Authentication: Bearer @token@\r\n", "Idempotency-Key: k\r\n", "Idempotency-Key: \"k\r\n",
	"Content-Type: text/plain\r\n", "{", "}", "\"", ",", "-1", "0", "1e9", "9223372036854775808", "\xff", "\u017f", "ffffffffffffffff"}

// mutate changes a request in a few places.
func mutate(rng *rand.Rand, s string, all []string) string {
	for range rng.IntN(5) {
		at := rng.IntN(len(s) + 1)
		end := min(len(s), at+1+rng.IntN(1+rng.IntN(40)))
		switch rng.IntN(8) {
		case 0:
			s = s[:at] + s[end:]
		case 1:
			s = s[:at] + string(byte(rng.IntN(256))) + s[end:]
		case 2:
			s = s[:end] + s[at:]
		case 3:
			s = s[:at] + strings.Repeat(pieces[rng.IntN(len(pieces))], 1+rng.IntN(200)) + s[at:]
		case 4:
			s += all[rng.IntN(len(all))]
		case 5:
			s = s[:at]
		default:
			s = s[:at] + pieces[rng.IntN(len(pieces))] + s[at:]
		}
		if s == "" {
			break
		}
	}
	return s
}

// TestHarnessHTTPFuzz is FuzzHTTP with inputs made by chance from requests in
// form and from odd ones, as long as it is given.
func TestHarnessHTTPFuzz(t *testing.T) {
	budget := harness.Budget(t, 3*time.Second)
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 0))
	all := seeds(t)
	before := goleak.IgnoreCurrent()
	p := newProber(t)
	defer func() {
		p.a.close()
		goleak.VerifyNone(t, before)
	}()
	inputs := 0
	for start := time.Now(); time.Since(start) < budget; inputs++ {
		how, input := byte(rng.UintN(8)), mutate(rng, all[rng.IntN(len(all))], all)
		if err := p.probe(how, input); err != nil {
			t.Fatalf("seed %d, input %d, %d, %q: %v", seed, inputs, how, input, err)
		}
	}
	harness.Count(t, "connections fuzzed", inputs)
	harness.Count(t, "requests fuzzed", p.requests)
}
