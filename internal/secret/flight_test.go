package secret

import (
	"context"
	"errors"
	"sync"
	"testing"
)

func TestCheckSharesOneHash(t *testing.T) {
	w := newHashWorld(t, Options{})
	made := w.issue()
	release := w.holdSlots()
	var callers sync.WaitGroup
	for range 50 {
		callers.Go(func() {
			if err := w.check(context.Background(), made); err != nil {
				t.Errorf("check: %v", err)
			}
		})
	}
	w.waitCallers(50)
	release()
	callers.Wait()
	w.wantRuns(2) // one made it
	w.wantRemembered(made, true)
	w.wantNoFlights()
}

// TestLateFlight begins a check that another one got ahead of, between the caller's
// look into the cache and the flight's start: nothing is hashed.
func TestLateFlight(t *testing.T) {
	w := newHashWorld(t, Options{})
	made := w.issue()
	w.wantRight(made)
	if err := w.h.Check(t.Context(), &made.token, [HashLen]byte{}, "Ann"); err != nil {
		t.Errorf("check: got error %v, want none", err)
	}
	w.wantRuns(2)
	w.wantNoFlights()
}

// TestCallerLeaves has the caller who came first leave: the others get their answer
// from the same hash.
func TestCallerLeaves(t *testing.T) {
	w := newHashWorld(t, Options{})
	made := w.issue()
	release := w.holdSlots()
	ctx, cancel := context.WithCancel(t.Context())
	first := w.checkLater(ctx, made)
	w.waitCallers(1)
	second := w.checkLater(t.Context(), made)
	third := w.checkLater(t.Context(), made)
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
	w.wantRuns(2)
}

// TestAllCallersLeave has nobody wait any more: the check is dropped and its place in
// the line goes to others.
func TestAllCallersLeave(t *testing.T) {
	w := newHashWorld(t, Options{})
	made := w.issue()
	release := w.holdSlots()
	for range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		a, b := w.checkLater(ctx, made), w.checkLater(ctx, made)
		w.waitCallers(2)
		cancel()
		for _, ch := range []chan error{a, b} {
			if err := <-ch; !errors.Is(err, ErrBusy) {
				t.Errorf("got error %v, want %v", err, ErrBusy)
			}
		}
		w.wantNoFlights()
	}
	last := w.checkLater(t.Context(), made)
	w.waitCallers(1)
	release()
	if err := <-last; err != nil {
		t.Errorf("a later caller: got error %v, want none", err)
	}
	w.wantRuns(2)
}

// TestCacheIsBounded has more tokens than are remembered: those that were used last.
func TestCacheIsBounded(t *testing.T) {
	w := newHashWorld(t, Options{CacheSize: 3})
	made := make([]*hashedToken, 5)
	for n := range made {
		made[n] = w.issue()
		w.wantRight(made[n])
	}
	if n := w.h.cache.Len(); n != 3 {
		t.Errorf("cache: got %d entries, want 3", n)
	}
	for n := range made {
		w.wantRemembered(made[n], n >= 2)
	}
	w.h.Forget(&made[4].token)
	w.wantRemembered(made[4], false)
	w.wantRemembered(made[3], true)
	if got := w.h.Stats(); got.CacheHits != 4 || got.CacheMisses != 3 {
		t.Errorf("stats: got %+v, want 4 hits and 3 misses", got)
	}
}

// TestCacheHoldsNoToken: hashers remember a token under different keys, none of which
// is made of the token alone.
func TestCacheHoldsNoToken(t *testing.T) {
	a, b := newHashWorld(t, Options{}), newHashWorld(t, Options{})
	made := a.issue()
	other := *made
	other.token[tokenLen-1] ^= 1
	same := made.token
	if a.h.cacheKey(&made.token) != a.h.cacheKey(&same) || a.h.cacheKey(&made.token) == a.h.cacheKey(&other.token) {
		t.Error("a token has no key of its own")
	}
	if a.h.cacheKey(&made.token) == b.h.cacheKey(&made.token) {
		t.Error("a token has the same key in two hashers")
	}
}
