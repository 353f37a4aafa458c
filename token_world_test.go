package capycoin_test

import (
	"context"
	crand "crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/internal/tune"
	"github.com/capycoin/capycoin/storetest"
)

// tokenClock is a clock that a test sets.
type tokenClock struct {
	mu   sync.Mutex
	now  time.Time
	look func() // called whenever somebody looks at it
}

func (c *tokenClock) Now() time.Time {
	c.mu.Lock()
	look := c.look
	c.mu.Unlock()
	if look != nil {
		look()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *tokenClock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = t
}

// onLook has a function called before each look at the clock.
func (c *tokenClock) onLook(look func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.look = look
}

func (c *tokenClock) advance(d time.Duration) { c.set(c.Now().Add(d)) }

// randomness stands in for the system's source of randomness, which goes on giving the
// bytes. It knows by their number what they are for.
type randomness struct {
	source io.Reader
	draw   atomic.Pointer[func(token []byte)]
	salts  atomic.Pointer[chan struct{}]
}

// watchRandom puts a randomness in place until the test ends.
func watchRandom(t testing.TB) *randomness {
	r := &randomness{source: crand.Reader}
	crand.Reader = r
	t.Cleanup(func() { crand.Reader = r.source })
	return r
}

func (r *randomness) Read(b []byte) (int, error) {
	n, err := r.source.Read(b)
	switch len(b) {
	case 128:
		if draw := r.draw.Load(); draw != nil {
			(*draw)(b)
		}
	case 16:
		if salts := r.salts.Load(); salts != nil {
			<-*salts
		}
	}
	return n, err
}

// onDraw has a function called with each new token, which it may change.
func (r *randomness) onDraw(draw func(token []byte)) { r.draw.Store(&draw) }

// holdSalts has bcrypt wait for the salts of new tokens' hashes until release is
// called.
func (r *randomness) holdSalts() (release func()) {
	salts := make(chan struct{})
	r.salts.Store(&salts)
	return func() {
		r.salts.Store(nil)
		close(salts)
	}
}

// tokenWorld is a ledger with a TokenIssuer, on a clock of its own.
type tokenWorld struct {
	t      testing.TB
	path   string
	memory *storetest.Memory // it is in there, if not nil, and not at the path
	tuned  tune.Options
	clock  *tokenClock
	random *randomness
	led    *capycoin.Ledger
	iss    *capycoin.TokenIssuer
}

// newTokenWorld makes a ledger that is audited when the test ends, unless the
// test closed it itself.
func newTokenWorld(t testing.TB) *tokenWorld {
	t.Helper()
	return newTokenWorldIn(t, nil, tune.Options{})
}

// newTokenWorldIn is newTokenWorld in a store that the test looks into.
func newTokenWorldIn(t testing.TB, memory *storetest.Memory, settings tune.Options) *tokenWorld {
	t.Helper()
	w := &tokenWorld{
		t:      t,
		path:   filepath.Join(t.TempDir(), "coins.db"),
		memory: memory,
		tuned:  settings,
		clock:  &tokenClock{now: time.Date(2026, 3, 4, 5, 6, 7, 89_012_000, time.UTC)},
		random: watchRandom(t),
	}
	w.open()
	t.Cleanup(func() {
		if errors.Is(w.led.Err(), capycoin.ErrClosed) {
			return
		}
		w.close()
	})
	return w
}

func (w *tokenWorld) open() {
	w.t.Helper()
	var err error
	if opts := (&capycoin.Options{Clock: w.clock.Now}); w.memory != nil {
		w.led, err = capycoin.OpenStore(tune.With(context.Background(), w.tuned), w.memory, w.memory, opts)
	} else {
		w.led, err = capycoin.Open(w.path, opts)
	}
	if err != nil {
		w.t.Fatalf("Open: %v", err)
	}
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
func (w *tokenWorld) issuer(opts *capycoin.TokenOptions) *capycoin.TokenIssuer {
	w.t.Helper()
	if opts == nil {
		opts = &capycoin.TokenOptions{BcryptCost: 4, MaxHashing: 2}
	}
	iss, err := capycoin.NewTokenIssuer(w.led, opts)
	if err != nil {
		w.t.Fatalf("NewTokenIssuer: %v", err)
	}
	return iss
}

func (w *tokenWorld) account() (capycoin.Account, capycoin.IssuedToken) {
	w.t.Helper()
	acct, tok, err := w.iss.OpenAccount(context.Background())
	if err != nil {
		w.t.Fatalf("OpenAccount: %v", err)
	}
	return acct, tok
}

func (w *tokenWorld) issue(account uuid.UUID, r capycoin.TokenRequest) capycoin.IssuedToken {
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
func (w *tokenWorld) wantValid(iss *capycoin.TokenIssuer, secret string, want capycoin.Token) {
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
func (w *tokenWorld) wantInvalid(iss *capycoin.TokenIssuer, secret string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	got, err := iss.Verify(ctx, secret)
	if err != capycoin.ErrInvalidToken || got != (capycoin.Token{}) {
		w.t.Fatalf("Verify: got %+v, error %v; want no token, error %v", got, err, capycoin.ErrInvalidToken)
	}
}

func (w *tokenWorld) wantList(account uuid.UUID, want ...capycoin.Token) {
	w.t.Helper()
	got, err := w.iss.List(context.Background(), account)
	if err != nil || !slices.Equal(got, want) {
		w.t.Fatalf("List: got %+v, error %v; want %+v", got, err, want)
	}
}

// flip returns secret with a bit of the token's byte at changed.
func flip(t testing.TB, secret string, at int) string {
	t.Helper()
	token, err := hex.DecodeString(secret)
	if err != nil {
		t.Fatal(err)
	}
	token[at] ^= 0x10
	return strings.ToUpper(hex.EncodeToString(token))
}

// record returns the record of a token, from the journal.
func (w *tokenWorld) record(tok capycoin.Token) (r record.Record) {
	w.t.Helper()
	_, position, ok := record.PositionOf(tok.ID)
	if !ok {
		w.t.Fatalf("%s is no id of a record", tok.ID)
	}
	page, err := w.led.JournalPage(context.Background(), position-1)
	if err != nil || len(page.Records) == 0 {
		w.t.Fatalf("JournalPage: got %d records, error %v", len(page.Records), err)
	}
	if err := record.Decode(&r, position, page.Records[0].Data); err != nil {
		w.t.Fatalf("Decode: %v", err)
	}
	if r.Kind != record.KindToken {
		w.t.Fatalf("record %d: got kind %d, want a token", position, r.Kind)
	}
	return r
}

// wantForgotten fails the test unless one of two tokens presented since was
// remembered, and not the next: it was the same, and has ended.
func (w *tokenWorld) wantForgotten(before capycoin.TokenStats) {
	w.t.Helper()
	before.CacheHits++
	before.CacheMisses++
	if got := w.iss.Stats(); got != before {
		w.t.Errorf("stats: got %+v, want %+v: what has ended is forgotten", got, before)
	}
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

// holdHashing takes the one turn to hash that the issuer has, for opening an account,
// until release is called, which returns what became of it.
func (w *tokenWorld) holdHashing() (release func() error) {
	w.t.Helper()
	goOn := w.random.holdSalts()
	opened := make(chan error, 1)
	before := w.iss.Stats().HashRuns
	go func() {
		_, _, err := w.iss.OpenAccount(context.Background())
		opened <- err
	}()
	release = sync.OnceValue(func() error { goOn(); return <-opened })
	w.t.Cleanup(func() { release() })
	eventually(w.t, "an account's token is hashed", func() bool { return w.iss.Stats().HashRuns > before })
	return release
}

// endingContext is a context that has ended, with err, once something is so when it is
// asked for its error: however fast or slow the machine is, it ends then, not before.
type endingContext struct {
	context.Context
	err  error
	so   func() bool
	once sync.Once
	done chan struct{}
}

func endingWhen(so func() bool, err error) *endingContext {
	return &endingContext{Context: context.Background(), err: err, so: so, done: make(chan struct{})}
}

func (c *endingContext) Done() <-chan struct{} { return c.done }

func (c *endingContext) Err() error {
	select {
	case <-c.done:
		return c.err
	default:
	}
	if !c.so() {
		return nil
	}
	c.once.Do(func() { close(c.done) })
	return c.err
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
