package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/httpapi"
	"github.com/capycoin/capycoin/internal/daemon/serve"
)

// target is a ledger behind both servers of package serve, within the test's own
// process: what an attacker connects to.
type target struct {
	t       testing.TB
	dir     string
	led     *capycoin.Ledger
	iss     *capycoin.TokenIssuer
	public  *targetSide
	trusted *targetSide
	log     complaints
	own     holder    // the attacker's account
	other   holder    // one that the attacker may know of
	victim  uuid.UUID // one whose id and token the attacker can't know
	coins   capycoin.Coins
}

// complaints is a log of which the lines are kept that tell of a bug, in the
// handlers or in how they use net/http.
type complaints struct{ kept lockedBuffer }

func (c *complaints) Write(b []byte) (int, error) {
	for _, bug := range []string{"panic", "code=internal", "superfluous", "http: wrote more than"} {
		if bytes.Contains(b, []byte(bug)) {
			c.kept.Write(b)
			break
		}
	}
	return len(b), nil
}

// targetSide is one of the servers.
type targetSide struct {
	name     string
	srv      *http.Server
	listener net.Listener
	ended    chan error

	mu     sync.Mutex
	conns  map[net.Conn]http.ConnState // those that are open
	served []string                    // the methods that got to the handler
}

// newTarget opens a ledger and serves it, the public side on a network: tcp, or
// unix where connections are made faster than ports become free again. change
// may be nil, or change the servers before they serve.
func newTarget(t testing.TB, network string, change func(*http.Server)) *target {
	t.Helper()
	dir, err := os.MkdirTemp("", "capy")
	if err != nil {
		t.Fatal(err)
	}
	a := &target{t: t, dir: dir}
	logger := slog.New(slog.NewTextHandler(&a.log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	if a.led, err = capycoin.Open(filepath.Join(dir, "coins.db"), &capycoin.Options{Logger: logger}); err != nil {
		t.Fatal(err)
	}
	if a.iss, err = capycoin.NewTokenIssuer(a.led, &capycoin.TokenOptions{BcryptCost: 4}); err != nil {
		t.Fatal(err)
	}
	api, err := httpapi.New(a.led, a.iss, &httpapi.Options{Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	errorLog := log.New(&a.log, "", 0)
	a.public = a.serve("public", network, serve.PublicServer(api.Public(), errorLog), change)
	a.trusted = a.serve("trusted", "unix", serve.TrustedServer(api.Trusted(), errorLog), change)
	a.own, a.other = a.open(), a.open()
	a.victim = uuid.MustParse(a.open().ID)
	a.coins = capycoin.DefaultSupply
	return a
}

func (a *target) serve(name, network string, srv *http.Server, change func(*http.Server)) *targetSide {
	a.t.Helper()
	addr := "127.0.0.1:0"
	if network == "unix" {
		addr = filepath.Join(a.dir, name)
	}
	l, err := net.Listen(network, addr)
	if err != nil {
		a.t.Fatal(err)
	}
	s := &targetSide{name: name, srv: srv, listener: l, ended: make(chan error, 1), conns: make(map[net.Conn]http.ConnState)}
	handler, state := srv.Handler, srv.ConnState
	srv.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.served = append(s.served, r.Method)
		s.mu.Unlock()
		handler.ServeHTTP(w, r)
	})
	srv.ConnState = func(c net.Conn, to http.ConnState) {
		s.mu.Lock()
		if s.conns[c] = to; to == http.StateClosed {
			delete(s.conns, c)
		}
		s.mu.Unlock()
		if state != nil {
			state(c, to)
		}
	}
	if change != nil {
		change(srv)
	}
	go func() { s.ended <- srv.Serve(l) }()
	return s
}

// open opens an account of 1000 coins.
func (a *target) open() holder {
	a.t.Helper()
	acct, tok, err := a.iss.OpenAccount(context.Background())
	if err == nil {
		_, err = a.led.Transfer(context.Background(), capycoin.Transfer{Sender: capycoin.DefaultSeedAccount(), Receiver: acct.ID, Amount: 1000})
	}
	if err != nil {
		a.t.Fatal(err)
	}
	return holder{ID: acct.ID.String(), Token: tok.Secret}
}

// close ends the servers and has the books audited.
func (a *target) close() {
	a.t.Helper()
	for _, s := range []*targetSide{a.public, a.trusted} {
		s.srv.Close()
		if err := <-s.ended; err != http.ErrServerClosed {
			a.t.Errorf("%s: the server ended with %v", s.name, err)
		}
		// net/http holds some for half a second after Close (rstAvoidanceDelay).
		if err := s.alone(0); err != nil {
			a.t.Error(err)
		}
	}
	if err := a.whole(); err != nil {
		a.t.Error(err)
	}
	if err := a.led.Close(); err != nil {
		a.t.Error(err)
	}
	os.RemoveAll(a.dir)
}

// unharmed says what an attacker must not have been able to do.
func (a *target) unharmed() error {
	s, err := a.led.Supply(context.Background())
	if err != nil {
		return err
	}
	if s.Supply != a.coins || s.SeedFunds+s.Circulating != a.coins {
		return fmt.Errorf("the supply is %+v, was %d", s, a.coins)
	}
	v, err := a.led.Account(context.Background(), a.victim)
	if err != nil {
		return err
	}
	if v.Funds != 1000 || v.Transactions != 1 {
		return fmt.Errorf("an account that nobody knows of has changed: %+v", v)
	}
	if log := a.log.kept.String(); log != "" {
		return fmt.Errorf("the log has\n%s", log)
	}
	return nil
}

// whole audits the books.
func (a *target) whole() error {
	if err := a.unharmed(); err != nil {
		return err
	}
	r, err := a.led.Audit(context.Background(), nil)
	if err != nil {
		return err
	}
	if r.Supply != a.coins {
		return fmt.Errorf("the audit finds %d coins, there were %d", r.Supply, a.coins)
	}
	return r.Err()
}

// openConns returns how many connections the server has.
func (s *targetSide) openConns() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// handled returns how many requests got to the handler.
func (s *targetSide) handled() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.served)
}

// alone waits until the server has no more than n connections.
func (s *targetSide) alone(n int) error {
	for deadline := time.Now().Add(5 * time.Second); s.openConns() > n; time.Sleep(20 * time.Microsecond) {
		if time.Now().After(deadline) {
			return fmt.Errorf("%s: %d connections are open, want %d", s.name, s.openConns(), n)
		}
	}
	return nil
}

// halfConn is a connection of which the sending half can be closed alone.
type halfConn interface {
	net.Conn
	CloseWrite() error
}

func (s *targetSide) dial() (halfConn, error) {
	conn, err := net.Dial(s.listener.Addr().Network(), s.listener.Addr().String())
	if err != nil {
		return nil, err
	}
	return conn.(halfConn), nil
}

// last is a request after which the server closes the connection.
const last = "GET /supply HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

// send sends bytes in pieces of some length (0: all at once) on a connection of
// their own, and returns what the server answered until it closed it. A
// connection on which it waits for more is closed for sending after patience.
func (s *targetSide) send(b []byte, piece int, patience time.Duration) ([]byte, error) {
	conn, err := s.dial()
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	const limit = 20 * time.Second
	conn.SetDeadline(time.Now().Add(limit))
	sent := make(chan struct{})
	go func() { // the server need not read all before it answers
		defer close(sent)
		for rest := b; len(rest) > 0; {
			n := len(rest)
			if piece > 0 {
				n = min(n, piece)
			}
			if _, err := conn.Write(rest[:n]); err != nil {
				return // it has hung up
			}
			rest = rest[n:]
		}
		if patience == 0 {
			conn.CloseWrite()
		}
	}()
	defer func() { <-sent }()
	if patience > 0 {
		timer := time.AfterFunc(patience, func() { conn.CloseWrite() })
		defer timer.Stop()
	}
	got, err := io.ReadAll(conn)
	if ne, ok := err.(net.Error); ok && ne.Timeout() {
		return got, fmt.Errorf("the connection was neither answered nor closed in %v; so far: %q", limit, got)
	}
	return got, nil // a reset is an end, too
}

// serverOwn are the statuses that net/http answers by itself to what is no
// request that it could hand on.
var serverOwn = []int{400, 417, 431, 501, 505}

// answers reads what the server answered, and says what is not as it should be.
// methods are those that got to the handler, in order.
func answers(b []byte, methods []string) ([]*http.Response, error) {
	var all []*http.Response
	r := bufio.NewReader(bytes.NewReader(b))
	for {
		if _, err := r.Peek(1); err == io.EOF {
			break
		}
		own := len(all) >= len(methods) // of the server itself
		req := &http.Request{Method: "GET"}
		if !own {
			req.Method = methods[len(all)]
		}
		resp, err := http.ReadResponse(r, req)
		if err != nil {
			return all, fmt.Errorf("answer %d is not HTTP: %w: %.300q", len(all), err, b)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return all, fmt.Errorf("answer %d is cut off: %w: %.300q", len(all), err, b)
		}
		resp.Body = io.NopCloser(bytes.NewReader(body))
		if resp.StatusCode == http.StatusContinue && len(body) == 0 {
			continue
		}
		if err := fit(resp, body, req.Method, own); err != nil {
			return all, fmt.Errorf("answer %d: %w: %d %v %.300q", len(all), err, resp.StatusCode, resp.Header, body)
		}
		all = append(all, resp)
		if own {
			break
		}
	}
	if r.Buffered() > 0 {
		return all, fmt.Errorf("after %d answers there is more: %.300q", len(all), b)
	}
	if len(all) < len(methods) {
		return all, fmt.Errorf("%d requests have %d answers: %.300q", len(methods), len(all), b)
	}
	return all, nil
}

// fit says what is wrong with an answer.
func fit(resp *http.Response, body []byte, method string, own bool) error {
	if own {
		if !slices.Contains(serverOwn, resp.StatusCode) || !resp.Close {
			return fmt.Errorf("not what the server would answer by itself")
		}
		return nil
	}
	if ids := resp.Header.Values("X-Request-Id"); len(ids) != 1 {
		return fmt.Errorf("X-Request-Id is %q", ids)
	}
	switch {
	case resp.StatusCode == http.StatusInternalServerError:
		return fmt.Errorf("a bug")
	case resp.StatusCode >= 400 && method != http.MethodHead:
		var p struct {
			Status int
			Code   string
		}
		if err := json.Unmarshal(body, &p); err != nil || p.Status != resp.StatusCode || p.Code == "" || resp.Header.Get("Content-Type") != "application/problem+json" {
			return fmt.Errorf("no problem that says so: %v", err)
		}
	case resp.StatusCode < 200 || resp.StatusCode >= 300 && resp.StatusCode < 400:
		return fmt.Errorf("nothing here is answered so")
	}
	return nil
}

// attack sends bytes to a side, and returns the answers with what is not as it
// should be. It is the only one who talks to the side meanwhile.
func (s *targetSide) attack(b []byte, piece int, patience time.Duration) ([]*http.Response, error) {
	s.mu.Lock()
	s.served = s.served[:0]
	s.mu.Unlock()
	out, err := s.send(b, piece, patience)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return answers(out, s.served)
}

var documented = regexp.MustCompile(`(?m)^(?:  (/\S*):|    (get|post|put|delete):|      x-sides: \[(.*)\])$`)

// routes lists what openapi.yaml documents for a side, "" for both: GET /supply
// and so on, the parameters of paths in braces. Another test holds it against
// the handlers.
func routes(t testing.TB, side string) (all []string) {
	t.Helper()
	paths, _, _ := strings.Cut(string(httpapi.OpenAPI()), "\ncomponents:")
	var path, method string
	for _, m := range documented.FindAllStringSubmatch(paths, -1) {
		switch {
		case m[1] != "":
			path = m[1]
		case m[2] != "":
			method = strings.ToUpper(m[2])
		case strings.Contains(m[3], side):
			all = append(all, method+" "+path)
		}
	}
	if len(all) < 12 {
		t.Fatalf("openapi.yaml has %d routes for the side %q, want more", len(all), side)
	}
	return all
}
