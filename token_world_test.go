package capycoin

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
)

// tokenClock is a clock that a test sets.
type tokenClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *tokenClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *tokenClock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = t
}

func (c *tokenClock) advance(d time.Duration) { c.set(c.Now().Add(d)) }

// tokenWorld is a ledger with a TokenIssuer, on a clock of its own.
type tokenWorld struct {
	t     testing.TB
	path  string
	clock *tokenClock
	led   *Ledger
	iss   *TokenIssuer
}

// newTokenWorld makes a ledger that is audited when the test ends, unless the
// test closed it itself.
func newTokenWorld(t testing.TB) *tokenWorld {
	t.Helper()
	w := &tokenWorld{
		t:     t,
		path:  filepath.Join(t.TempDir(), "coins.db"),
		clock: &tokenClock{now: time.Date(2026, 3, 4, 5, 6, 7, 89_012_000, time.UTC)},
	}
	w.open()
	t.Cleanup(func() {
		if errors.Is(w.led.Err(), ErrClosed) {
			return
		}
		w.close()
	})
	return w
}

func (w *tokenWorld) open() {
	w.t.Helper()
	led, err := Open(w.path, &Options{Clock: w.clock.Now})
	if err != nil {
		w.t.Fatalf("Open: %v", err)
	}
	w.led = led
	w.iss = w.issuer(nil)
}

// close audits the ledger and closes it.
func (w *tokenWorld) close() {
	w.t.Helper()
	report, err := w.led.Audit(context.Background(), nil)
	if err != nil {
		w.t.Errorf("Audit: %v", err)
	} else if err := report.Err(); err != nil {
		w.t.Errorf("Audit: %v; %+v", err, report.Faults)
	}
	if err := w.led.Close(); err != nil {
		w.t.Errorf("Close: %v", err)
	}
}

func (w *tokenWorld) reopen() {
	w.t.Helper()
	w.close()
	w.open()
}

// issuer returns another TokenIssuer, with an empty cache, at the lowest cost
// unless opts say otherwise.
func (w *tokenWorld) issuer(opts *TokenOptions) *TokenIssuer {
	w.t.Helper()
	if opts == nil {
		opts = &TokenOptions{BcryptCost: 4, MaxHashing: 2}
	}
	iss, err := NewTokenIssuer(w.led, opts)
	if err != nil {
		w.t.Fatalf("NewTokenIssuer: %v", err)
	}
	return iss
}

func (w *tokenWorld) account() (Account, IssuedToken) {
	w.t.Helper()
	acct, tok, err := w.iss.OpenAccount(context.Background())
	if err != nil {
		w.t.Fatalf("OpenAccount: %v", err)
	}
	return acct, tok
}

func (w *tokenWorld) issue(account uuid.UUID, r TokenRequest) IssuedToken {
	w.t.Helper()
	tok, err := w.iss.Issue(context.Background(), account, r)
	if err != nil {
		w.t.Fatalf("Issue: %v", err)
	}
	return tok
}

func (w *tokenWorld) revoke(account, id uuid.UUID) {
	w.t.Helper()
	if err := w.iss.Revoke(context.Background(), account, id); err != nil {
		w.t.Fatalf("Revoke: %v", err)
	}
}

// wantValid fails the test unless iss takes secret for want.
func (w *tokenWorld) wantValid(iss *TokenIssuer, secret string, want Token) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	got, err := iss.Verify(ctx, secret)
	if err != nil || got != want {
		w.t.Fatalf("Verify: got %+v, error %v; want %+v", got, err, want)
	}
}

// wantInvalid fails the test unless iss refuses secret, and without a word
// about why.
func (w *tokenWorld) wantInvalid(iss *TokenIssuer, secret string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	got, err := iss.Verify(ctx, secret)
	if err != ErrInvalidToken || got != (Token{}) {
		w.t.Fatalf("Verify: got %+v, error %v; want no token, error %v", got, err, ErrInvalidToken)
	}
}

func (w *tokenWorld) wantList(account uuid.UUID, want ...Token) {
	w.t.Helper()
	got, err := w.iss.List(context.Background(), account)
	if err != nil || !slices.Equal(got, want) {
		w.t.Fatalf("List: got %+v, error %v; want %+v", got, err, want)
	}
}

// flip returns secret with a bit of the token's byte at changed.
func flip(t testing.TB, secret string, at int) string {
	t.Helper()
	token, ok := parseToken(secret)
	if !ok {
		t.Fatalf("parseToken: not a secret")
	}
	token[at] ^= 0x10
	return token.text()
}

// openBare opens an account without a token.
func (w *tokenWorld) openBare() uuid.UUID {
	w.t.Helper()
	acct, err := w.led.OpenAccount(context.Background())
	if err != nil {
		w.t.Fatalf("OpenAccount: %v", err)
	}
	return acct.ID
}

// holdSlots takes every turn to hash, until release is called.
func (w *tokenWorld) holdSlots() (release func()) {
	w.t.Helper()
	if err := w.iss.hasher.slots.Acquire(context.Background(), 2); err != nil {
		w.t.Fatalf("Acquire: %v", err)
	}
	return func() { w.iss.hasher.slots.Release(2) }
}

// verifyLater verifies in a goroutine and hands over the error.
func (w *tokenWorld) verifyLater(ctx context.Context, secret string) chan error {
	ch := make(chan error, 1)
	go func() {
		_, err := w.iss.Verify(ctx, secret)
		ch <- err
	}()
	return ch
}

// waitCallers waits until n callers wait for a hash.
func (w *tokenWorld) waitCallers(n int) {
	w.t.Helper()
	count := func() (callers int) {
		w.iss.hasher.mu.Lock()
		defer w.iss.hasher.mu.Unlock()
		for _, f := range w.iss.hasher.flights {
			callers += f.callers
		}
		return callers
	}
	for deadline := time.Now().Add(10 * time.Second); count() != n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("callers that wait for a hash: got %d, want %d", count(), n)
		}
	}
}

func (w *tokenWorld) wantNoFlights() {
	w.t.Helper()
	w.iss.hasher.mu.Lock()
	defer w.iss.hasher.mu.Unlock()
	if n := len(w.iss.hasher.flights); n != 0 {
		w.t.Errorf("checks under way: got %d, want none", n)
	}
}
