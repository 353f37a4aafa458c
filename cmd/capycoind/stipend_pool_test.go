package main

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
)

// TestStipendPool: what is paid is told, once, and so is why nothing is.
func TestStipendPool(t *testing.T) {
	t.Parallel()
	s := newSocketTest(t, capycoin.Options{}, nil)
	morning := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	if err := s.led.SetFeePolicy(t.Context(), capycoin.FeePolicy{Flat: 1}); err != nil {
		t.Fatal(err)
	}
	alice, bob := s.account(50), s.account(50)
	pay := func(from, to uuid.UUID) {
		t.Helper()
		if _, err := s.led.Transfer(t.Context(), capycoin.Transfer{Sender: from, Receiver: to, Amount: 1}); err != nil {
			t.Fatal(err)
		}
	}
	for range 5 {
		pay(alice, bob)
		pay(bob, alice)
	}
	pay(alice, bob)
	s.prints("nothing is paid for 2026-03-01: no account is active, which means: sent a transaction in the 7 days before that day began, UTC, and was opened 1 day before it or earlier; the 11 coins stay",
		"stipend-pool", "run")
	s.set(morning.AddDate(0, 0, 2))
	s.prints("would pay for 2026-03-03: 5 each to 2 accounts, 10 coins; 1 stay", "stipend-pool", "run", "--dry-run")
	s.prints("would pay for 2026-03-03: 2 each to 2 accounts, 4 coins; 7 stay", "stipend-pool", "run", "--dry-run", "--cap", "2")
	s.prints("nothing is paid for 2026-03-03: no account is active, which means: sent a transaction in the 1 day before that day began, UTC, and was opened 1 day before it or earlier; the 11 coins stay",
		"stipend-pool", "run", "--window", "1")
	s.prints("paid for 2026-03-03: 5 each to 2 accounts, 10 coins; 1 stay", "stipend-pool", "run")
	s.prints("had already paid for 2026-03-03: 5 each to 2 accounts, 10 coins", "stipend-pool", "run", "--cap", "1")
	s.prints("had already paid for 2026-03-03: 5 each to 2 accounts, 10 coins", "stipend-pool", "run", "--dry-run")
	s.prints(`{"day":"2026-03-03","window":7,"min_age":1,"cap":null,"payees":2,"share":5,"funds":11,"paid":2,"position":19,"done":true}`, "stipend-pool", "run", "--json")
	s.prints("fee account      feefeefe-efee-4fee-8fee-feefeefeefee\nits funds        1\nlast stipend     2026-03-03\n"+
		"  share          5\n  highest share  none\n  accounts       2\n  of them paid   2\n  active within  7 days\n  opened before  1 day", "stipend-pool", "show")
	s.set(morning.AddDate(0, 0, 3))
	s.prints("nothing is paid for 2026-03-04: the account of the fees has 1 coins, fewer than the 2 active accounts; they stay", "stipend-pool", "run")
	for id, want := range map[uuid.UUID]capycoin.Coins{alice: 50 - 2*6 + 5 + 5, bob: 50 - 2*5 + 6 + 5} {
		if acct, err := s.led.Account(t.Context(), id); err != nil || acct.Funds != want {
			t.Errorf("an account has %d coins, want %d: %v", acct.Funds, want, err)
		}
	}
}
