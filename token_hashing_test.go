package capycoin

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"
)

func TestVerifySharesOneHash(t *testing.T) {
	w := newTokenWorld(t)
	_, tok := w.account()
	before := w.iss.Stats().HashRuns
	var (
		wg    sync.WaitGroup
		start = make(chan struct{})
	)
	for range 50 {
		wg.Go(func() {
			<-start
			if got, err := w.iss.Verify(context.Background(), tok.Secret); err != nil || got != tok.Token {
				t.Errorf("Verify: got %+v, error %v; want %+v", got, err, tok.Token)
			}
		})
	}
	close(start)
	wg.Wait()
	got := w.iss.Stats()
	if got.HashRuns-before != 1 {
		t.Errorf("hash runs: got %d, want 1", got.HashRuns-before)
	}
	if got.CacheHits+got.CacheMisses != 50 || got.Hashing != 0 {
		t.Errorf("stats: got %+v, want 50 hits and misses, nothing hashing", got)
	}
	w.wantNoFlights()
}

// TestVerifyLateFlight begins a check that another one got ahead of, between
// the caller's look into the cache and the flight's start: nothing is hashed.
func TestVerifyLateFlight(t *testing.T) {
	w := newTokenWorld(t)
	_, tok := w.account()
	w.wantValid(w.iss, tok.Secret, tok.Token)
	before := w.iss.Stats().HashRuns
	token, _ := parseToken(tok.Secret)
	v, _ := w.iss.hasher.cache.Peek(w.iss.hasher.cacheKey(&token))
	if err := w.iss.hasher.check(context.Background(), &token, [60]byte{}, v); err != nil {
		t.Errorf("check: got error %v, want none", err)
	}
	if got := w.iss.Stats().HashRuns; got != before {
		t.Errorf("hash runs: got %d, want %d as before", got, before)
	}
	w.wantNoFlights()
}

// TestVerifyManyTokensUnderLimit counts the runs of bcrypt that go on at once.
func TestVerifyManyTokensUnderLimit(t *testing.T) {
	w := newTokenWorld(t)
	// A hash takes longer than one goroutine runs before another gets its turn.
	w.iss = w.issuer(&TokenOptions{BcryptCost: 8})
	var toks []IssuedToken
	for range 12 {
		_, tok := w.account()
		toks = append(toks, tok)
	}
	iss := w.issuer(&TokenOptions{MaxHashing: 2, CacheSize: 3})
	var wg sync.WaitGroup
	for range 2 {
		for _, tok := range toks {
			wg.Go(func() {
				if got, err := iss.Verify(context.Background(), tok.Secret); err != nil || got != tok.Token {
					t.Errorf("Verify: got %+v, error %v; want %+v", got, err, tok.Token)
				}
			})
		}
	}
	verified := make(chan struct{})
	go func() {
		wg.Wait()
		close(verified)
	}()
	most := 0
	for going := true; going; {
		most = max(most, int(iss.Stats().Hashing))
		select {
		case <-verified:
			going = false
		case <-time.After(50 * time.Microsecond):
		}
	}
	if most > 2 {
		t.Errorf("hashing at once: got %d, want at most 2", most)
	}
	if n := iss.hasher.cache.Len(); n > 3 {
		t.Errorf("cache: got %d entries, want at most 3", n)
	}
}

func TestBusy(t *testing.T) {
	w := newTokenWorld(t)
	acct, cached := w.account()
	tok := w.issue(acct.ID, TokenRequest{})
	w.wantValid(w.iss, cached.Secret, cached.Token)
	before, position := w.iss.Stats().HashRuns, w.led.Stats().Position
	release := w.holdSlots()
	for name, call := range map[string]func(context.Context) error{
		"Verify":      func(ctx context.Context) error { _, err := w.iss.Verify(ctx, tok.Secret); return err },
		"Issue":       func(ctx context.Context) error { _, err := w.iss.Issue(ctx, acct.ID, TokenRequest{}); return err },
		"OpenAccount": func(ctx context.Context) error { _, _, err := w.iss.OpenAccount(ctx); return err },
	} {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
		err := call(ctx)
		if !errors.Is(err, ErrBusy) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: got error %v, want %v and %v", name, err, ErrBusy, context.DeadlineExceeded)
		}
		cancel()
	}
	w.wantNoFlights()
	// What needs no hash does not wait: a token in the cache, a wrong one, a
	// transfer.
	w.wantValid(w.iss, cached.Secret, cached.Token)
	w.wantInvalid(w.iss, flip(t, tok.Secret, 100))
	if got := w.led.Stats().Position; got != position {
		t.Errorf("position: got %d, want %d as before", got, position)
	}
	if _, err := w.led.Transfer(context.Background(), Transfer{Sender: DefaultSeedAccount(), Receiver: acct.ID, Amount: 7}); err != nil {
		t.Errorf("Transfer: %v", err)
	}
	if got := w.iss.Stats().HashRuns; got != before {
		t.Errorf("hash runs: got %d, want %d as before", got, before)
	}
	release()
	w.wantValid(w.iss, tok.Secret, tok.Token)
	w.wantList(acct.ID, cached.Token, tok.Token)
}

// TestVerifyCallerLeaves has the caller who came first leave: the others get
// their answer from the same hash.
func TestVerifyCallerLeaves(t *testing.T) {
	w := newTokenWorld(t)
	_, tok := w.account()
	before := w.iss.Stats().HashRuns
	release := w.holdSlots()
	ctx, cancel := context.WithCancel(context.Background())
	first := w.verifyLater(ctx, tok.Secret)
	w.waitCallers(1)
	second := w.verifyLater(context.Background(), tok.Secret)
	third := w.verifyLater(context.Background(), tok.Secret)
	w.waitCallers(3)
	cancel()
	if err := <-first; !errors.Is(err, ErrBusy) || !errors.Is(err, context.Canceled) {
		t.Errorf("who left: got error %v, want %v and %v", err, ErrBusy, context.Canceled)
	}
	w.waitCallers(2)
	release()
	for _, ch := range []chan error{second, third} {
		if err := <-ch; err != nil {
			t.Errorf("who stayed: got error %v, want none", err)
		}
	}
	if got := w.iss.Stats().HashRuns - before; got != 1 {
		t.Errorf("hash runs: got %d, want 1", got)
	}
}

// TestVerifyAllCallersLeave has nobody wait any more: the check is dropped and
// its place in the line goes to others.
func TestVerifyAllCallersLeave(t *testing.T) {
	w := newTokenWorld(t)
	_, tok := w.account()
	before := w.iss.Stats().HashRuns
	release := w.holdSlots()
	for range 3 {
		ctx, cancel := context.WithCancel(context.Background())
		a, b := w.verifyLater(ctx, tok.Secret), w.verifyLater(ctx, tok.Secret)
		w.waitCallers(2)
		cancel()
		for _, ch := range []chan error{a, b} {
			if err := <-ch; !errors.Is(err, ErrBusy) {
				t.Errorf("got error %v, want %v", err, ErrBusy)
			}
		}
		w.wantNoFlights()
	}
	last := w.verifyLater(context.Background(), tok.Secret)
	w.waitCallers(1)
	release()
	if err := <-last; err != nil {
		t.Errorf("a later caller: got error %v, want none", err)
	}
	if got := w.iss.Stats().HashRuns - before; got != 1 {
		t.Errorf("hash runs: got %d, want 1", got)
	}
}

func TestCloseWhileHashesWait(t *testing.T) {
	w := newTokenWorld(t)
	acct, tok := w.account()
	before := w.iss.Stats().HashRuns
	release := w.holdSlots()
	verified := w.verifyLater(context.Background(), tok.Secret)
	issued := make(chan error, 1)
	go func() {
		_, err := w.iss.Issue(context.Background(), acct.ID, TokenRequest{})
		issued <- err
	}()
	w.waitCallers(1)
	w.close()
	release()
	for _, ch := range []chan error{verified, issued} {
		if err := <-ch; !errors.Is(err, ErrClosed) {
			t.Errorf("got error %v, want %v", err, ErrClosed)
		}
	}
	if got := w.iss.Stats().HashRuns; got != before {
		t.Errorf("hash runs: got %d, want %d as before", got, before)
	}
	w.wantNoFlights()
}

// TestDeadlineWhileHashed lets a deadline pass while a token is being hashed,
// and a caller leave: the first gets the token, the second changes nothing.
func TestDeadlineWhileHashed(t *testing.T) {
	w := newTokenWorld(t)
	iss := w.issuer(&TokenOptions{BcryptCost: 12}) // some 200 ms
	ctx, cancel := context.WithTimeout(context.Background(), 80*time.Millisecond)
	defer cancel()
	acct, tok, err := iss.OpenAccount(ctx)
	if err != nil || ctx.Err() == nil {
		t.Fatalf("got %v, the context %v, want an account after the deadline", err, ctx.Err())
	}
	if got, err := w.iss.Verify(context.Background(), tok.Secret); err != nil || got.Account != acct.ID {
		t.Errorf("got %+v, %v, want a token of %s", got, err, acct.ID)
	}
	before := w.led.Stats().Position
	left, leave := context.WithCancel(context.Background())
	time.AfterFunc(20*time.Millisecond, leave)
	if _, _, err := iss.OpenAccount(left); !errors.Is(err, context.Canceled) {
		t.Errorf("for a caller who left: got %v, want context.Canceled", err)
	}
	if got := w.led.Stats().Position; got != before {
		t.Errorf("for a caller who left %d records were written", got-before)
	}
}

// TestNewTokensLetPresentedOnesPass has many accounts opened while the one slot
// is taken, and then a token presented: it is hashed before nearly all of them.
func TestNewTokensLetPresentedOnesPass(t *testing.T) {
	w := newTokenWorld(t)
	_, tok := w.account()
	iss := w.issuer(&TokenOptions{BcryptCost: 4, MaxHashing: 1})
	if err := iss.hasher.slots.Acquire(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	const flood = 20
	var opening sync.WaitGroup
	for range flood {
		opening.Go(func() {
			if _, _, err := iss.OpenAccount(t.Context()); err != nil {
				t.Errorf("OpenAccount: %v", err)
			}
		})
	}
	time.Sleep(20 * time.Millisecond) // they are in line by then; one that is not only makes it easier
	runs := make(chan uint64)
	go func() {
		if _, err := iss.Verify(t.Context(), tok.Secret); err != nil {
			t.Errorf("Verify: %v", err)
		}
		runs <- iss.Stats().HashRuns
	}()
	for flying := 0; flying == 0; time.Sleep(time.Millisecond) {
		iss.hasher.mu.Lock()
		flying = len(iss.hasher.flights)
		iss.hasher.mu.Unlock()
	}
	time.Sleep(10 * time.Millisecond)
	iss.hasher.slots.Release(1)
	// One new token was in line before it, and itself; others may have followed
	// before the count was read.
	if got := <-runs; got > flood/2 {
		t.Errorf("a presented token was hashed after %d new ones", got-1)
	}
	opening.Wait()
	if got := iss.Stats().HashRuns; got != flood+1 {
		t.Errorf("hash runs: got %d, want %d", got, flood+1)
	}
}
