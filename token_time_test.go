package capycoin_test

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/capycoin/capycoin"
)

// TestMaxTime issues a token when its life would end after the year 9999, which
// no record can say.
func TestMaxTime(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "c.db")
	led, err := capycoin.Open(path, &capycoin.Options{Clock: func() time.Time { return time.Date(9999, 12, 20, 0, 0, 0, 0, time.UTC) }})
	if err != nil {
		t.Fatal(err)
	}
	iss, _ := capycoin.NewTokenIssuer(led, &capycoin.TokenOptions{BcryptCost: 4})
	_, tok, err := iss.OpenAccount(ctx)
	t.Log("issue:", err)
	b, _ := os.ReadFile(path)
	_, err = iss.Verify(ctx, tok.Secret)
	t.Log("verify:", err, "ledger:", led.Err())
	led.Close()
	os.WriteFile(path+"2", b, 0o600)
	l2, err := capycoin.Open(path+"2", nil)
	if err != nil {
		t.Error("reopen after a kill:", err)
	} else {
		l2.Close()
	}
}

// TestStress makes transfers, reads and audits beside each other.
func TestStress(t *testing.T) {
	ctx := context.Background()
	led, err := tunedLedger(filepath.Join(t.TempDir(), "c.db"), &capycoin.Options{AccountCache: 16}, folding(8, 4))
	if err != nil {
		t.Fatal(err)
	}
	defer led.Close()
	iss, _ := capycoin.NewTokenIssuer(led.Ledger, &capycoin.TokenOptions{BcryptCost: 4})
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() {
			a, tok, err := iss.OpenAccount(ctx)
			if err != nil {
				t.Error(err)
				return
			}
			for i := range 8 {
				key := string(rune('a'+i%26)) + time.Now().Format("150405.000000000")
				tr := capycoin.Transfer{Sender: capycoin.DefaultSeedAccount(), Receiver: a.ID, Amount: 1, Key: key + a.ID.String()}
				r1, err := led.Transfer(ctx, tr)
				if err != nil {
					t.Error(err)
					return
				}
				got, err := led.Account(ctx, a.ID)
				if err != nil || got.Funds != capycoin.Coins(i+1) {
					t.Errorf("own write not seen: %v %v want %d", got.Funds, err, i+1)
				}
				r2, err := led.Transfer(ctx, tr)
				if err != nil || !r2.Replayed || r2.TransactionID != r1.TransactionID {
					t.Errorf("replay: %v %v", r2, err)
				}
				x, err := iss.Issue(ctx, a.ID, capycoin.TokenRequest{})
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := iss.Verify(ctx, x.Secret); err != nil {
					t.Error("verify", err)
				}
				if err := iss.Revoke(ctx, a.ID, x.ID); err != nil {
					t.Error("revoke", err)
				}
				if _, err := iss.Verify(ctx, x.Secret); err == nil {
					t.Error("alive after revocation")
				}
			}
			if _, err := iss.Verify(ctx, tok.Secret); err != nil {
				t.Error("first token", err)
			}
		})
	}
	wg.Wait()
	rep, err := led.Audit(ctx, nil)
	if err != nil || rep.Err() != nil {
		t.Error(err, rep.Err())
	}
}
