package main

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/harness"
)

// stipendFile makes a ledger whose accounts have paid each other the day before, so
// that each of them gets a coin or more of the stipend.
func stipendFile(t *testing.T, path string, accounts int) (ids []uuid.UUID) {
	t.Helper()
	ctx := t.Context()
	now := time.Now().Add(-72 * time.Hour)
	led, err := capycoin.Open(path, &capycoin.Options{Clock: func() time.Time { return now }, Supply: 1_000_000_000})
	if err != nil {
		t.Fatal(err)
	}
	defer led.Close()
	if err := led.SetFeePolicy(ctx, capycoin.FeePolicy{Flat: 1}); err != nil {
		t.Fatal(err)
	}
	var gifts, payments []capycoin.Transfer
	for range accounts {
		acct, err := led.OpenAccount(ctx)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, acct.ID)
		gifts = append(gifts, capycoin.Transfer{Sender: capycoin.DefaultSeedAccount(), Receiver: acct.ID, Amount: 1000})
	}
	for i, id := range ids {
		payments = append(payments, capycoin.Transfer{Sender: id, Receiver: ids[(i+1)%accounts], Amount: 1})
	}
	for _, batch := range [][]capycoin.Transfer{gifts, payments} {
		if _, err := led.TransferBatch(ctx, batch, capycoin.Atomic); err != nil {
			t.Fatal(err)
		}
		now = now.Add(48 * time.Hour)
	}
	_, err = led.Transfer(ctx, capycoin.Transfer{Sender: capycoin.DefaultSeedAccount(), Receiver: capycoin.FeeAccount(), Amount: 2*capycoin.Coins(accounts) + 1})
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

// TestHarnessKillStipend kills a server while it pays the stipend, again and again,
// until it is paid: each account has got its share once then, whatever was written
// when. Somebody asks over the socket for the same at the same time.
func TestHarnessKillStipend(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	const accounts, share = 2000, 3
	kills, paid := 0, 0
	for end := time.Now().Add(harness.Budget(t, time.Second)); paid == 0 || time.Now().Before(end) && !t.Failed(); {
		p := newProcess(t)
		p.cmd.Process.Kill()
		p.end()
		path := filepath.Join(p.dir, "stipend.db")
		ids := stipendFile(t, path, accounts)
		var s struct {
			Payees, Share, Paid int64
			Done                bool
		}
		for lives := 0; !s.Done; lives++ {
			p.start("--db", path, "--socket", filepath.Join(p.dir, "capycoin.db.sock"), "--stipend")
			if lives%2 == 1 {
				go p.request("POST", "/stipend", "", "", `{}`)
			}
			if lives > 200 {
				t.Fatalf("after %d lives of the server it is not paid: %+v", lives, s)
			}
			time.Sleep(time.Duration(rng.IntN(100+5*lives)) * time.Millisecond) // longer where the machine is slow
			p.cmd.Process.Kill()
			p.end()
			kills++
			led, err := capycoin.Open(path, nil)
			if err != nil {
				t.Fatal(err)
			}
			last, err := led.LastStipend(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if last.Paid < s.Paid {
				t.Errorf("%d were paid, and now %d", s.Paid, last.Paid)
			}
			s.Payees, s.Share, s.Paid, s.Done = last.Payees, int64(last.Share), last.Paid, last.Done()
			if rep, err := led.Audit(t.Context(), nil); err != nil || rep.Err() != nil {
				t.Fatalf("the audit: %v, %v", err, rep.Err())
			}
			if s.Done {
				judgeStipend(t, led, ids, share)
			}
			if err := led.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if s.Payees != accounts || s.Share != share {
			t.Errorf("paid is %+v, want %d to %d accounts", s, share, accounts)
		}
		paid++
	}
	harness.Count(t, "kills while a stipend was paid", kills)
	harness.Count(t, "stipends paid over them, to 2,000 accounts each", paid)
}

// judgeStipend makes sure that each account has got its share once.
func judgeStipend(t *testing.T, led *capycoin.Ledger, ids []uuid.UUID, share capycoin.Coins) {
	t.Helper()
	for _, id := range ids {
		got := 0
		for tx, err := range led.Transactions(t.Context(), id, capycoin.Range{}) {
			if err != nil {
				t.Fatal(err)
			}
			if tx.Sender == capycoin.FeeAccount() {
				got++
			}
		}
		acct, err := led.Account(t.Context(), id)
		if err != nil || got != 1 || acct.Funds != 1000-1+share {
			t.Fatal(fmt.Errorf("account %s was paid %d times and has %d, %w", id, got, acct.Funds, err))
		}
	}
	acct, err := led.Account(t.Context(), capycoin.FeeAccount())
	if err != nil || acct.Funds != 1 {
		t.Errorf("the fee account is left %d, %v", acct.Funds, err)
	}
}
