package secret

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/capycoin/capycoin/store"
)

// errGone is what Serves says of a ledger that was closed.
var errGone = errors.New("gone")

// hashWorld is a Hasher at the lowest cost, with what it asks in place of a ledger.
// What it remembers of a token is a name.
type hashWorld struct {
	t    *testing.T
	h    *Hasher[string]
	gone atomic.Bool
}

func newHashWorld(t *testing.T, o Options) *hashWorld {
	t.Helper()
	w := &hashWorld{t: t}
	if o.Cost == 0 {
		o.Cost = MinCost
	}
	if o.CacheSize == 0 {
		o.CacheSize = 100
	}
	if o.MaxHashing == 0 {
		o.MaxHashing = 2
	}
	if o.Serves == nil {
		o.Serves = func() error {
			if w.gone.Load() {
				return errGone
			}
			return nil
		}
	}
	h, err := NewHasher[string](o)
	if err != nil {
		t.Fatalf("NewHasher: %v", err)
	}
	w.h = h
	return w
}

// hashedToken is a token with its hash.
type hashedToken struct {
	token Token
	hash  [HashLen]byte
}

// Issue issues a token.
func (w *hashWorld) issue() *hashedToken {
	w.t.Helper()
	var made hashedToken
	err := w.h.Issue(context.Background(), func(_ context.Context, token *Token, hash [HashLen]byte) (bool, error) {
		made = hashedToken{*token, hash}
		return false, nil
	})
	if err != nil {
		w.t.Fatalf("issue: %v", err)
	}
	return &made
}

func (w *hashWorld) check(ctx context.Context, made *hashedToken) error {
	return w.h.Check(ctx, &made.token, made.hash, "Ann")
}

// wantRight fails the test unless a token has its hash.
func (w *hashWorld) wantRight(made *hashedToken) {
	w.t.Helper()
	if err := w.check(context.Background(), made); err != nil {
		w.t.Fatalf("check: %v", err)
	}
}

func (w *hashWorld) wantRemembered(made *hashedToken, want bool) {
	w.t.Helper()
	name, ok := w.h.Remembered(&made.token)
	if ok != want || ok && name != "Ann" {
		w.t.Errorf("remembered: got %q, %v, want %v", name, ok, want)
	}
}

func (w *hashWorld) wantRuns(want uint64) {
	w.t.Helper()
	if got := w.h.Stats(); got.HashRuns != want || got.Hashing != 0 {
		w.t.Errorf("stats: got %+v, want %d hash runs and none going on", got, want)
	}
}

// holdSlots takes every turn to hash, until release is called.
func (w *hashWorld) holdSlots() (release func()) {
	w.t.Helper()
	if err := w.h.slots.Acquire(context.Background(), 2); err != nil {
		w.t.Fatalf("Acquire: %v", err)
	}
	return func() { w.h.slots.Release(2) }
}

// checkLater checks in a goroutine and hands over the error.
func (w *hashWorld) checkLater(ctx context.Context, made *hashedToken) chan error {
	ch := make(chan error, 1)
	go func() { ch <- w.check(ctx, made) }()
	return ch
}

// waitCallers waits until n callers wait for a hash.
func (w *hashWorld) waitCallers(n int) {
	w.t.Helper()
	count := func() (callers int) {
		w.h.mu.Lock()
		defer w.h.mu.Unlock()
		for _, f := range w.h.flights {
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

func (w *hashWorld) wantNoFlights() {
	w.t.Helper()
	w.h.mu.Lock()
	defer w.h.mu.Unlock()
	if n := len(w.h.flights); n != 0 {
		w.t.Errorf("checks under way: got %d, want none", n)
	}
}

// TestVerifyHashReadsWholeToken has hashes of tokens that differ in one byte from the
// one presented, behind the 72 that bcrypt reads and in front: only the hash tells.
func TestVerifyHashReadsWholeToken(t *testing.T) {
	w := newHashWorld(t, Options{})
	for _, at := range []int{16, 71, 72, 100, 127} {
		owned := w.issue()
		wrong := *owned
		wrong.token[at] ^= 1
		before := w.h.Stats().HashRuns
		for n := range 3 {
			if err := w.check(t.Context(), &wrong); err != ErrInvalidToken {
				t.Errorf("byte %d: got error %v; want no token, error %v", at, err, ErrInvalidToken)
			}
			if got, want := w.h.Stats().HashRuns-before, uint64(n+1); got != want {
				t.Errorf("byte %d: got %d hash runs, want %d: a failed check is not remembered", at, got, want)
			}
			w.wantRemembered(&wrong, false)
		}
		w.wantRight(owned)
	}
}

func TestCompareHashDamaged(t *testing.T) {
	good, err := bcrypt.GenerateFromPassword((&Token{}).bcryptInput(), 4)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		edit func(hash []byte)
		want error
	}{
		{"whole", func([]byte) {}, nil},
		{"last digit", func(h []byte) { h[59] ^= 1 }, ErrInvalidToken},
		{"zeroed", func(h []byte) { clear(h) }, store.ErrCorrupt},
		{"version", func(h []byte) { h[1] = '9' }, store.ErrCorrupt},
		{"cost 31", func(h []byte) { copy(h[4:], "31") }, store.ErrCorrupt},
		{"cost 15", func(h []byte) { copy(h[4:], "15") }, store.ErrCorrupt},
		{"cost 3", func(h []byte) { copy(h[4:], "03") }, store.ErrCorrupt},
		{"cost no number", func(h []byte) { copy(h[4:], "xx") }, store.ErrCorrupt},
		{"salt", func(h []byte) { h[10] = '*' }, store.ErrCorrupt},
	} {
		hash := [60]byte(good)
		tt.edit(hash[:])
		if err := compareHash(hash, &Token{}); !errors.Is(err, tt.want) {
			t.Errorf("%s: got error %v, want %v", tt.name, err, tt.want)
		}
	}
}

// TestIssueDrawsAgain has a selector that is taken: another token is drawn, up to
// four times, and each is hashed.
func TestIssueDrawsAgain(t *testing.T) {
	var draws byte
	w := newHashWorld(t, Options{Draw: func(token *Token) {
		draws++
		*token = Token{draws}
	}})
	errRefused := errors.New("refused")
	for _, tt := range []struct {
		name  string
		taken byte // so many times
		err   error
		kept  byte // the draw that was kept, 0: none
		draws byte
	}{
		{"free", 0, nil, 1, 1},
		{"taken once", 1, nil, 2, 2},
		{"taken three times", 3, nil, 4, 4},
		{"a source that repeats itself", 4, nil, 0, 4},
		{"refused", 0, errRefused, 0, 1},
		{"taken, then refused", 1, errRefused, 0, 2},
	} {
		draws = 0
		var kept byte
		before := w.h.Stats().HashRuns
		err := w.h.Issue(t.Context(), func(_ context.Context, token *Token, hash [HashLen]byte) (bool, error) {
			if err := compareHash(hash, token); err != nil {
				t.Errorf("%s: the hash of draw %d: %v", tt.name, draws, err)
			}
			if token[0] != draws {
				t.Errorf("%s: got draw %d, want %d", tt.name, token[0], draws)
			}
			if draws <= tt.taken {
				return true, nil
			}
			if tt.err == nil {
				kept = token[0]
			}
			return false, tt.err
		})
		if kept != tt.kept || draws != tt.draws || tt.err != nil && err != tt.err || (err == nil) != (kept > 0) {
			t.Errorf("%s: draw %d of %d was kept, error %v; want draw %d of %d, error %v", tt.name, kept, draws, err, tt.kept, tt.draws, tt.err)
		}
		if got := w.h.Stats().HashRuns - before; got != uint64(tt.draws) {
			t.Errorf("%s: got %d hash runs, want %d", tt.name, got, tt.draws)
		}
	}
}

// TestIssueDeadline lets a deadline pass, and a caller leave, when the turn to hash
// has come: what keeps the token is not told of the first.
func TestIssueDeadline(t *testing.T) {
	var ctx context.Context
	w := newHashWorld(t, Options{Serves: func() error { <-ctx.Done(); return nil }})
	for _, tt := range []struct {
		end  error
		want error
	}{
		{context.DeadlineExceeded, nil},
		{context.Canceled, context.Canceled},
	} {
		var cancel context.CancelFunc
		if tt.end == context.Canceled {
			ctx, cancel = context.WithCancel(t.Context())
		} else {
			ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
		}
		time.AfterFunc(10*time.Millisecond, func() {
			if tt.end == context.Canceled {
				cancel()
			}
		})
		err := w.h.Issue(ctx, func(ctx context.Context, _ *Token, _ [HashLen]byte) (bool, error) { return false, ctx.Err() })
		if err != tt.want || !errors.Is(ctx.Err(), tt.end) {
			t.Errorf("a context that ended by %v: got %v, want %v", ctx.Err(), err, tt.want)
		}
		cancel()
	}
}

// TestBusyHasher takes every turn: what needs one is told when its context ends, and
// leaves nothing behind.
func TestBusyHasher(t *testing.T) {
	w := newHashWorld(t, Options{})
	made := w.issue()
	release := w.holdSlots()
	for name, call := range map[string]func(context.Context) error{
		"check": func(ctx context.Context) error { return w.check(ctx, made) },
		"issue": func(ctx context.Context) error {
			return w.h.Issue(ctx, func(context.Context, *Token, [HashLen]byte) (bool, error) {
				t.Error("a token was kept that had no turn")
				return false, nil
			})
		},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		err := call(ctx)
		if !errors.Is(err, ErrBusy) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: got error %v, want %v and %v", name, err, ErrBusy, context.DeadlineExceeded)
		}
		cancel()
	}
	w.wantNoFlights()
	w.wantRuns(1)
	release()
	w.wantRight(made)
	w.wantRuns(2)
}

// TestServesNoLonger has the ledger closed while tokens wait for their turns: nothing
// is hashed any more.
func TestServesNoLonger(t *testing.T) {
	w := newHashWorld(t, Options{})
	made := w.issue()
	release := w.holdSlots()
	checked, issued := w.checkLater(t.Context(), made), make(chan error, 1)
	go func() {
		issued <- w.h.Issue(t.Context(), func(context.Context, *Token, [HashLen]byte) (bool, error) { return false, nil })
	}()
	w.waitCallers(1)
	w.gone.Store(true)
	release()
	for _, ch := range []chan error{checked, issued} {
		if err := <-ch; err != errGone {
			t.Errorf("got error %v, want %v", err, errGone)
		}
	}
	w.wantRuns(1)
	w.wantRemembered(made, false)
	w.wantNoFlights()
}

// TestHashingIsBounded counts the turns that are taken at once.
func TestHashingIsBounded(t *testing.T) {
	const limit, callers = 3, 12
	var inside, most atomic.Int64
	w := newHashWorld(t, Options{MaxHashing: limit, Serves: func() error {
		now := inside.Add(1)
		defer inside.Add(-1)
		for before := most.Load(); now > before && !most.CompareAndSwap(before, now); before = most.Load() {
		}
		time.Sleep(2 * time.Millisecond) // others would come in meanwhile
		return nil
	}})
	var all sync.WaitGroup
	tokens := make(chan *hashedToken, callers)
	for range callers {
		all.Go(func() { tokens <- w.issue() })
	}
	all.Wait()
	// Of new tokens half of them, and at least one.
	if got := most.Load(); got != 1 {
		t.Errorf("new tokens hashed at once: got %d, want 1", got)
	}
	for range callers {
		made := <-tokens
		all.Go(func() { w.wantRight(made) })
	}
	all.Wait()
	if got := most.Load(); got != limit {
		t.Errorf("tokens hashed at once: got %d, want %d", got, limit)
	}
}

// TestNewTokensLetPresentedOnesPass has many new tokens while the one slot is taken,
// and then a token presented: it is hashed before nearly all of them.
func TestNewTokensLetPresentedOnesPass(t *testing.T) {
	w := newHashWorld(t, Options{MaxHashing: 1})
	made := w.issue()
	before := w.h.Stats().HashRuns
	if err := w.h.slots.Acquire(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	const flood = 20
	var issuing sync.WaitGroup
	for range flood {
		issuing.Go(func() { w.issue() })
	}
	time.Sleep(20 * time.Millisecond) // they are in line by then; one that is not only makes it easier
	runs := make(chan uint64)
	go func() {
		w.wantRight(made)
		runs <- w.h.Stats().HashRuns - before
	}()
	w.waitCallers(1)
	time.Sleep(10 * time.Millisecond)
	w.h.slots.Release(1)
	// One new token was in line before it, and itself; others may have followed
	// before the count was read.
	if got := <-runs; got > flood/2 {
		t.Errorf("a presented token was hashed after %d new ones", got-1)
	}
	issuing.Wait()
	w.wantRuns(before + flood + 1)
}
