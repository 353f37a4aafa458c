package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/capycoin/capycoin"
)

// keyFile makes a key file.
func keyFile(t *testing.T) (path string, key capycoin.PublicKey) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "key.pem")
	var out, errs bytes.Buffer
	if status := run([]string{"keygen", path}, &out, &errs); status != 0 {
		t.Fatalf("keygen: status %d, %s", status, &errs)
	}
	key, err := capycoin.ParsePublicKey(strings.TrimSpace(out.String()))
	if err != nil {
		t.Fatal(err)
	}
	return path, key
}

// TestSignedByTheLedgersTime: a payment is signed for the time of the ledger, which
// need not be that of this machine's clock, nor of the server's.
func TestSignedByTheLedgersTime(t *testing.T) {
	t.Parallel()
	path, key := keyFile(t)
	for _, ahead := range []time.Duration{0, 48 * time.Hour, -48 * time.Hour, 400 * 24 * time.Hour} {
		t.Run(ahead.String(), func(t *testing.T) {
			t.Parallel()
			s := newSocketTest(t, capycoin.Options{SeedKey: key}, nil)
			s.set(time.Now().Add(ahead))
			to := s.account(0)
			grant, stdout, stderr := s.run("grant", to.String(), "5", "--sign-with", path)
			stipend, _, stipendErr := s.run("stipend", "100", "5", "--sign-with", path)
			if grant != 0 || stipend != 0 {
				t.Errorf("got %d %q %q, %d %q", grant, stdout, stderr, stipend, stipendErr)
			}
			s.set(time.Now()) // the clock is set right, and the ledger's time stays ahead
			if grant, _, stderr := s.run("grant", to.String(), "5", "--sign-with", path); ahead >= 0 && grant != 0 {
				t.Errorf("with the clock set right: %d %q", grant, stderr)
			}
		})
	}
}

// TestUnansweredGrant: who signs without a key of their own learns which one it was,
// and with it pays once.
func TestUnansweredGrant(t *testing.T) {
	t.Parallel()
	path, key := keyFile(t)
	var found atomic.Bool // again; until then answers get lost
	s := newSocketTest(t, capycoin.Options{SeedKey: key}, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if found.Load() || r.Method != http.MethodPost {
				next.ServeHTTP(w, r)
				return
			}
			next.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		})
	})
	s.set(time.Now())
	to := s.account(0).String()
	status, stdout, stderr := s.run("grant", to, "5", "--sign-with", path)
	_, after, told := strings.Cut(stderr, "repeat it with --key ")
	once, _, _ := strings.Cut(after, ", which pays once")
	if status != 1 || stdout != "" || !told {
		t.Fatalf("got %d %q %q, want a key to repeat it with", status, stdout, stderr)
	}
	found.Store(true)
	status, stdout, stderr = s.run("grant", to, "5", "--sign-with", path, "--key", once)
	if status != 0 || !strings.HasPrefix(stdout, "had already paid 5 to "+to) {
		t.Errorf("repeated: got %d %q %q, want it paid once", status, stdout, stderr)
	}
}
