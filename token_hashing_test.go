package capycoin_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/capycoin/capycoin"
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
}

// TestVerifyManyTokensUnderLimit counts the runs of bcrypt that go on at once.
func TestVerifyManyTokensUnderLimit(t *testing.T) {
	w := newTokenWorld(t)
	// A hash takes longer than one goroutine runs before another gets its turn.
	w.iss = w.issuer(&capycoin.TokenOptions{BcryptCost: 8})
	var toks []capycoin.IssuedToken
	for range 12 {
		_, tok := w.account()
		toks = append(toks, tok)
	}
	iss := w.issuer(&capycoin.TokenOptions{MaxHashing: 2, CacheSize: 3})
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
	// Of all of them the last three are remembered.
	for _, tok := range toks[:4] {
		w.wantValid(iss, tok.Secret, tok.Token)
	}
	before := iss.Stats().CacheHits
	for n := 3; n >= 0; n-- {
		w.wantValid(iss, toks[n].Secret, toks[n].Token)
	}
	if got := iss.Stats().CacheHits - before; got != 3 {
		t.Errorf("remembered: got %d tokens, want 3", got)
	}
}

func TestBusy(t *testing.T) {
	w := newTokenWorld(t)
	w.iss = w.issuer(&capycoin.TokenOptions{BcryptCost: 4, MaxHashing: 1})
	acct, cached := w.account()
	tok := w.issue(acct.ID, capycoin.TokenRequest{})
	w.wantValid(w.iss, cached.Secret, cached.Token)
	release := w.holdHashing()
	before, position := w.iss.Stats().HashRuns, w.led.Stats().Position
	for name, call := range map[string]func(context.Context) error{
		"Verify": func(ctx context.Context) error { _, err := w.iss.Verify(ctx, tok.Secret); return err },
		"Issue": func(ctx context.Context) error {
			_, err := w.iss.Issue(ctx, acct.ID, capycoin.TokenRequest{})
			return err
		},
		"OpenAccount": func(ctx context.Context) error { _, _, err := w.iss.OpenAccount(ctx); return err },
	} {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
		err := call(ctx)
		if !errors.Is(err, capycoin.ErrBusy) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: got error %v, want %v and %v", name, err, capycoin.ErrBusy, context.DeadlineExceeded)
		}
		cancel()
	}
	// What needs no hash does not wait: a token in the cache, a wrong one, a
	// transfer.
	w.wantValid(w.iss, cached.Secret, cached.Token)
	w.wantInvalid(w.iss, flip(t, tok.Secret, 100))
	if got := w.led.Stats().Position; got != position {
		t.Errorf("position: got %d, want %d as before", got, position)
	}
	if _, err := w.led.Transfer(context.Background(), capycoin.Transfer{Sender: capycoin.DefaultSeedAccount(), Receiver: acct.ID, Amount: 7}); err != nil {
		t.Errorf("Transfer: %v", err)
	}
	if got := w.iss.Stats().HashRuns; got != before {
		t.Errorf("hash runs: got %d, want %d as before", got, before)
	}
	if err := release(); err != nil {
		t.Errorf("who had the turn: %v", err)
	}
	w.wantValid(w.iss, tok.Secret, tok.Token)
	w.wantList(acct.ID, cached.Token, tok.Token)
}

func TestCloseWhileHashesWait(t *testing.T) {
	w := newTokenWorld(t)
	w.iss = w.issuer(&capycoin.TokenOptions{BcryptCost: 4, MaxHashing: 1})
	acct, tok := w.account()
	release := w.holdHashing()
	before := w.iss.Stats()
	verified := w.verifyLater(context.Background(), tok.Secret)
	issued := make(chan error, 1)
	go func() {
		_, err := w.iss.Issue(context.Background(), acct.ID, capycoin.TokenRequest{})
		issued <- err
	}()
	eventually(t, "a token is presented", func() bool { return w.iss.Stats().CacheMisses > before.CacheMisses })
	time.Sleep(10 * time.Millisecond) // they wait for their turn by then; one that does not only makes it easier
	w.close()
	for _, err := range []error{release(), <-verified, <-issued} {
		if !errors.Is(err, capycoin.ErrClosed) {
			t.Errorf("got error %v, want %v", err, capycoin.ErrClosed)
		}
	}
	if got := w.iss.Stats().HashRuns; got != before.HashRuns {
		t.Errorf("hash runs: got %d, want %d as before", got, before.HashRuns)
	}
}

// TestDeadlineWhileHashed lets a deadline pass while a token is being hashed,
// and a caller leave: the first gets the token, the second changes nothing.
func TestDeadlineWhileHashed(t *testing.T) {
	w := newTokenWorld(t)
	iss := w.issuer(&capycoin.TokenOptions{BcryptCost: 12}) // some 200 ms
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
