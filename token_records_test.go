package capycoin_test

import (
	"context"
	"testing"
	"time"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/storetest"
)

// TestExpiredTokensAreSwept lets tokens expire: their rows go in later commits,
// those of live ones stay, and the audit is content at every moment.
func TestExpiredTokensAreSwept(t *testing.T) {
	memory := storetest.NewMemory()
	w := newTokenWorldIn(t, memory, folding(10, 8))
	ctx := context.Background()
	acct, err := w.led.OpenAccount(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var live capycoin.IssuedToken
	const expiring = 9
	for n := range expiring + 1 {
		live, err = w.iss.Issue(ctx, acct.ID, capycoin.TokenRequest{Expires: w.led.Time().Add(time.Duration(n+1) * time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
	}
	commits := func(n int) {
		t.Helper()
		for range n {
			if _, err := w.led.Transfer(ctx, capycoin.Transfer{Sender: capycoin.DefaultSeedAccount(), Receiver: acct.ID, Amount: 1}); err != nil {
				t.Fatal(err)
			}
		}
		if rep, err := w.led.Audit(ctx, nil); err != nil || rep.Err() != nil {
			t.Fatal(err, rep.Err())
		}
	}
	commits(40)
	if got := tokenRows(t, memory); got != expiring+1 {
		t.Fatalf("got %d rows of tokens, want %d", got, expiring+1)
	}
	w.clock.advance((expiring - 3) * time.Hour)
	commits(40)
	if got := tokenRows(t, memory); got != 4 {
		t.Errorf("after %d have expired: got %d rows of tokens, want 4", expiring-3, got)
	}
	w.clock.advance(3 * time.Hour)
	commits(40)
	if got := tokenRows(t, memory); got != 1 {
		t.Errorf("after %d have expired: got %d rows of tokens, want 1", expiring, got)
	}
	if _, err := w.iss.Verify(ctx, live.Secret); err != nil {
		t.Errorf("the last one: %v", err)
	}
	// The places that they took are free.
	for range capycoin.MaxTokens - 1 {
		if _, err := w.iss.Issue(ctx, acct.ID, capycoin.TokenRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	commits(40)
}

// tokenRows returns how many rows of tokens and invites there are.
func tokenRows(t *testing.T, folds capycoin.Folds) (n int) {
	t.Helper()
	if err := folds.Scan(t.Context(), capycoin.TableTokens, nil, func(_, _ []byte) bool { n++; return true }); err != nil {
		t.Fatal(err)
	}
	return n
}
