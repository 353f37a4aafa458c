package main

import (
	"bytes"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/httpapi"
)

// socketTest is a ledger with a clock of its own, whose trusted side is on a socket.
type socketTest struct {
	t    *testing.T
	led  *capycoin.Ledger
	path string
	now  atomic.Pointer[time.Time]
}

// newSocketTest serves a new ledger; around is what stands around the handler, or nil.
func newSocketTest(t *testing.T, opts capycoin.Options, around func(http.Handler) http.Handler) *socketTest {
	t.Helper()
	s := &socketTest{t: t}
	s.set(time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC))
	opts.NoWitness, opts.Clock = true, func() time.Time { return *s.now.Load() }
	led, err := capycoin.Open(filepath.Join(t.TempDir(), "coins.db"), &opts)
	if err != nil {
		t.Fatal(err)
	}
	s.led = led
	iss, err := capycoin.NewTokenIssuer(led, nil)
	if err != nil {
		t.Fatal(err)
	}
	api, err := httpapi.New(led, iss, nil)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "capy") // its path has to be short
	if err != nil {
		t.Fatal(err)
	}
	s.path = filepath.Join(dir, "s")
	l, err := net.Listen("unix", s.path)
	if err != nil {
		t.Fatal(err)
	}
	handler := api.Trusted()
	if around != nil {
		handler = around(handler)
	}
	srv := httptest.NewUnstartedServer(handler)
	srv.Listener.Close()
	srv.Listener = l
	srv.Start()
	t.Cleanup(func() {
		srv.Close()
		if err := led.Close(); err != nil {
			t.Error(err)
		}
		os.RemoveAll(dir)
	})
	return s
}

func (s *socketTest) set(now time.Time) { s.now.Store(&now) }

// account opens an account, which is given coins unless the seed account has a key.
func (s *socketTest) account(funds capycoin.Coins) uuid.UUID {
	s.t.Helper()
	acct, err := s.led.OpenAccount(s.t.Context())
	if err == nil && funds > 0 {
		_, err = s.led.Transfer(s.t.Context(), capycoin.Transfer{Sender: capycoin.DefaultSeedAccount(), Receiver: acct.ID, Amount: funds})
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return acct.ID
}

// run runs a command against the socket.
func (s *socketTest) run(args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = run(append(args, "--socket", s.path), &out, &errs)
	return status, out.String(), errs.String()
}

// prints makes sure that a command prints this, and succeeds.
func (s *socketTest) prints(want string, args ...string) {
	s.t.Helper()
	status, stdout, stderr := s.run(args...)
	if status != 0 || stdout != want+"\n" || stderr != "" {
		s.t.Errorf("%s: status %d, printed %q and %q, want %q", strings.Join(args, " "), status, stdout, stderr, want+"\n")
	}
}
