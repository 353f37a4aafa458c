package capycoin

import (
	"context"
	"testing"
	"time"

	"github.com/capycoin/capycoin/store"
)

// TestExpiredTokensAreSwept lets tokens expire: their rows go in later commits,
// those of live ones stay, and the audit is content at every moment.
func TestExpiredTokensAreSwept(t *testing.T) {
	defer TuneFolding(10, 8)()
	w := newTokenWorld(t)
	ctx := context.Background()
	acct, err := w.led.OpenAccount(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var live IssuedToken
	const expiring = 9
	for n := range expiring + 1 {
		live, err = w.iss.Issue(ctx, acct.ID, TokenRequest{Expires: w.led.Time().Add(time.Duration(n+1) * time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
	}
	commits := func(n int) {
		t.Helper()
		for range n {
			if _, err := w.led.Transfer(ctx, Transfer{Sender: DefaultSeedAccount(), Receiver: acct.ID, Amount: 1}); err != nil {
				t.Fatal(err)
			}
		}
		if rep, err := w.led.Audit(ctx, nil); err != nil || rep.Err() != nil {
			t.Fatal(err, rep.Err())
		}
	}
	rows := func() (n int) {
		t.Helper()
		err := w.led.folds.Scan(ctx, store.TableTokens, nil, func(_, _ []byte) bool { n++; return true })
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	commits(40)
	if got := rows(); got != expiring+1 {
		t.Fatalf("got %d rows of tokens, want %d", got, expiring+1)
	}
	w.clock.advance((expiring - 3) * time.Hour)
	commits(40)
	if got := rows(); got != 4 {
		t.Errorf("after %d have expired: got %d rows of tokens, want 4", expiring-3, got)
	}
	w.clock.advance(3 * time.Hour)
	commits(40)
	if got := rows(); got != 1 {
		t.Errorf("after %d have expired: got %d rows of tokens, want 1", expiring, got)
	}
	if _, err := w.iss.Verify(ctx, live.Secret); err != nil {
		t.Errorf("the last one: %v", err)
	}
	// The places that they took are free.
	for range MaxTokens - 1 {
		if _, err := w.iss.Issue(ctx, acct.ID, TokenRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	commits(40)
}
