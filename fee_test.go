package capycoin_test

import (
	"errors"
	"fmt"
	"math/big"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/capycoin/capycoin"
)

// naiveFee is a policy's fee with numbers that have no end.
func naiveFee(p capycoin.FeePolicy, amount capycoin.Coins) *big.Int {
	fee := new(big.Int).Mul(big.NewInt(int64(amount)), big.NewInt(int64(p.BasisPoints)))
	fee.Add(fee, big.NewInt(9999))
	fee.Div(fee, big.NewInt(10_000))
	fee.Add(fee, big.NewInt(int64(p.Flat)))
	if least := big.NewInt(int64(p.Min)); fee.Cmp(least) < 0 {
		fee = least
	}
	if most := big.NewInt(int64(p.Max)); p.Max > 0 && fee.Cmp(most) > 0 {
		fee = most
	}
	return fee
}

// TestFeeRounding compares the fee of any policy and amount with one that is
// computed with numbers of any length.
func TestFeeRounding(t *testing.T) {
	coins := func(least capycoin.Coins) *rapid.Generator[capycoin.Coins] {
		return rapid.Map(rapid.OneOf(
			rapid.Int64Range(int64(least), 20), rapid.Int64Range(int64(least), int64(capycoin.MaxSupply)),
			rapid.Int64Range(int64(capycoin.MaxSupply)-20, int64(capycoin.MaxSupply)),
		), func(n int64) capycoin.Coins { return capycoin.Coins(n) })
	}
	rapid.Check(t, func(t *rapid.T) {
		p := capycoin.FeePolicy{
			Flat: coins(0).Draw(t, "flat"), BasisPoints: rapid.IntRange(0, 10_000).Draw(t, "basis points"),
			Min: coins(0).Draw(t, "min"),
		}
		if rapid.Bool().Draw(t, "a maximum") {
			p.Max = max(p.Min, coins(1).Draw(t, "max"))
		}
		amount := coins(1).Draw(t, "amount")
		if got, want := p.Fee(amount), naiveFee(p, amount); want.Cmp(big.NewInt(int64(got))) != 0 {
			t.Fatalf("the fee of %d by %+v is %d, want %s", amount, p, got, want)
		}
	})
	all := capycoin.FeePolicy{BasisPoints: 10_000, Flat: capycoin.MaxSupply}
	if got := all.Fee(1<<63 - 1); got != 1<<63-1 {
		t.Errorf("the fee of more than there is is %d", got)
	}
}

// TestFees charges what the policy in force says, and nothing where one is exempt.
func TestFees(t *testing.T) {
	path := filepath.Join(t.TempDir(), "coins.db")
	led := openLedger(t, path, nil)
	seed, pool := capycoin.DefaultSeedAccount(), capycoin.FeeAccount()
	a, b, exempt := openAccount(t, led, 1000), openAccount(t, led, 1000), openAccount(t, led, 1000)
	if _, err := led.Account(ctx, pool); !errors.Is(err, capycoin.ErrAccountNotFound) {
		t.Errorf("there is a fee account before any policy: %v", err)
	}
	transfer := func(from, to uuid.UUID, amount, fee capycoin.Coins) capycoin.Receipt {
		t.Helper()
		before := funds(t, led, from)
		rcpt := pay(t, led, capycoin.Transfer{Sender: from, Receiver: to, Amount: amount})
		if rcpt.Fee != fee || rcpt.SenderFunds != before-amount-fee || funds(t, led, from) != before-amount-fee {
			t.Errorf("%d cost a fee of %d and left %d of %d, want a fee of %d", amount, rcpt.Fee, rcpt.SenderFunds, before, fee)
		}
		return rcpt
	}
	transfer(a, b, 100, 0)
	set := func(p capycoin.FeePolicy) {
		t.Helper()
		if err := led.SetFeePolicy(ctx, p); err != nil {
			t.Fatal(err)
		}
	}
	set(capycoin.FeePolicy{Flat: 1, BasisPoints: 250, Exempt: []uuid.UUID{exempt, exempt, seed, pool}})
	if p, since, err := led.FeePolicy(ctx); err != nil || since.IsZero() || !slices.Equal(p.Exempt, []uuid.UUID{exempt}) || p.Flat != 1 {
		t.Errorf("the policy is %+v since %v, %v", p, since, err)
	}
	first := transfer(a, b, 100, 4) // 1 + 2.5, rounded up
	transfer(a, b, 1, 2)
	transfer(a, exempt, 100, 0)
	transfer(exempt, a, 100, 0)
	transfer(seed, a, 100, 0)
	transfer(a, seed, 100, 0)
	transfer(a, pool, 5, 0)
	if got := funds(t, led, pool); got != 4+2+5 {
		t.Errorf("the fee account has %d", got)
	}
	if fee, err := led.Fee(ctx, 100); err != nil || fee != 4 {
		t.Errorf("the fee of 100 is %d, %v", fee, err)
	}
	for amount, want := range map[capycoin.Coins]error{0: capycoin.ErrAmountIsZero, -1: capycoin.ErrAmountIsNegative} {
		if _, err := led.Fee(ctx, amount); !errors.Is(err, want) {
			t.Errorf("the fee of %d: %v, want %v", amount, err, want)
		}
	}
	// What is refused moves nothing, and says what was needed.
	had := funds(t, led, a)
	_, err := led.Transfer(ctx, capycoin.Transfer{Sender: a, Receiver: b, Amount: had})
	short := (*capycoin.InsufficientFundsError)(nil)
	if !errors.As(err, &short) || short.Funds != had || short.Required != had+1+capycoin.Coins((int64(had)*250+9999)/10_000) {
		t.Errorf("paying all there is: %v", err)
	}
	low, enough := capycoin.Coins(3), capycoin.Coins(4)
	_, err = led.Transfer(ctx, capycoin.Transfer{Sender: a, Receiver: b, Amount: 100, MaxFee: &low})
	high := (*capycoin.FeeTooHighError)(nil)
	if !errors.As(err, &high) || high.Fee != 4 || high.MaxFee != 3 || funds(t, led, a) != had {
		t.Errorf("with a fee of 3 at most: %v", err)
	}
	pay(t, led, capycoin.Transfer{Sender: a, Receiver: b, Amount: 100, MaxFee: &enough})
	_, err = led.Transfer(ctx, capycoin.Transfer{Sender: pool, Receiver: a, Amount: 1})
	if !errors.Is(err, capycoin.ErrFeeAccount) {
		t.Errorf("the fee account pays: %v", err)
	}
	// A keyed one is replayed with the fee of its time.
	keyed := capycoin.Transfer{Sender: a, Receiver: b, Amount: 10, Key: "k"}
	was := pay(t, led, keyed)
	set(capycoin.FeePolicy{Min: 7, Max: 9, BasisPoints: 10_000})
	if again := pay(t, led, keyed); !again.Replayed || again.Fee != was.Fee {
		t.Errorf("a replay is %+v, was %+v", again, was)
	}
	transfer(a, b, 1, 7)
	transfer(a, b, 8, 8)
	transfer(a, b, 20, 9)
	set(capycoin.FeePolicy{})
	transfer(a, b, 20, 0)

	// All three see it in their histories.
	for _, id := range []uuid.UUID{a, b, pool} {
		tx, err := led.Transaction(ctx, id, first.TransactionID)
		if err != nil || tx.Fee != 4 || tx.Amount != 100 {
			t.Errorf("account %s sees %+v, %v", id, tx, err)
		}
	}
	page, err := led.TransactionPage(ctx, pool, capycoin.Range{})
	if err != nil || len(page.Transactions) != 8 || page.Transactions[0].FundsAfter != 4 {
		t.Errorf("the fee account's history is %+v, %v", page, err)
	}
	issuer, err := capycoin.NewTokenIssuer(led, &capycoin.TokenOptions{BcryptCost: 4})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := issuer.Issue(ctx, pool, capycoin.TokenRequest{}); !errors.Is(err, capycoin.ErrFeeToken) {
		t.Errorf("a token of the fee account: %v", err)
	}
	if rep := audit(t, led); rep.Fees != funds(t, led, pool)-5 {
		t.Errorf("the audit counts fees of %d", rep.Fees)
	}
	set(capycoin.FeePolicy{Flat: 2})
	if err := led.Close(); err != nil {
		t.Fatal(err)
	}
	led = openLedger(t, path, nil) // it is still in force
	transfer(a, b, 20, 2)
}

// TestFeePolicyBounds names what is out of range and what is allowed.
func TestFeePolicyBounds(t *testing.T) {
	led := newLedger(t)
	many := make([]uuid.UUID, capycoin.MaxFeeExempt+1)
	for i := range many {
		many[i] = uuid.New()
	}
	for _, tt := range []struct {
		policy capycoin.FeePolicy
		says   string
	}{
		{capycoin.FeePolicy{Flat: -1}, "Flat is -1, allowed is 0 to the supply of 100000"},
		{capycoin.FeePolicy{Flat: 100_001}, "Flat is 100001, allowed is 0 to the supply of 100000"},
		{capycoin.FeePolicy{BasisPoints: -1}, "BasisPoints is -1, allowed is 0 to 10000"},
		{capycoin.FeePolicy{BasisPoints: 10_001}, "BasisPoints is 10001, allowed is 0 to 10000"},
		{capycoin.FeePolicy{Min: -1}, "Min is -1, allowed is 0 to the supply of 100000"},
		{capycoin.FeePolicy{Min: 100_001}, "Min is 100001"},
		{capycoin.FeePolicy{Max: -1}, "Max is -1, allowed is 0 to the supply of 100000"},
		{capycoin.FeePolicy{Max: 100_001}, "Max is 100001"},
		{capycoin.FeePolicy{Min: 6, Max: 5}, "Min is 6, allowed is 0 to the highest fee, which is 5"},
		{capycoin.FeePolicy{Exempt: many}, "Exempt is 65, allowed is at most 64 accounts"},
	} {
		err := led.SetFeePolicy(ctx, tt.policy)
		if !errors.Is(err, capycoin.ErrBadOption) || !strings.Contains(fmt.Sprint(err), tt.says) {
			t.Errorf("%+v: %v, want %s", tt.policy, err, tt.says)
		}
	}
	err := led.SetFeePolicy(ctx, capycoin.FeePolicy{Exempt: many[:1]})
	if !errors.Is(err, capycoin.ErrAccountNotFound) || !strings.Contains(err.Error(), many[0].String()) {
		t.Errorf("an exempt account that is not there: %v", err)
	}
	if _, err := led.Account(ctx, capycoin.FeeAccount()); !errors.Is(err, capycoin.ErrAccountNotFound) {
		t.Errorf("a refused policy opened the fee account: %v", err)
	}
	if s := led.Stats(); s.Position != 1 {
		t.Errorf("refused policies made %d records", s.Position-1)
	}
}

// TestFeeAccountID: nobody can be given the fee account's id, nor can the seed
// account have it.
func TestFeeAccountID(t *testing.T) {
	ids := []uuid.UUID{capycoin.FeeAccount(), uuid.New()}
	path := filepath.Join(t.TempDir(), "coins.db")
	led := openLedger(t, path, &capycoin.Options{NewID: func() (uuid.UUID, error) {
		id := ids[0]
		ids = ids[1:]
		return id, nil
	}})
	if acct, err := led.OpenAccount(ctx); err != nil || acct.ID == capycoin.FeeAccount() {
		t.Errorf("got %+v, %v", acct, err)
	}
	_, err := capycoin.Open(filepath.Join(t.TempDir(), "b.db"), &capycoin.Options{SeedAccount: capycoin.FeeAccount()})
	if !errors.Is(err, capycoin.ErrBadOption) {
		t.Errorf("as the seed account: %v", err)
	}
	if s := capycoin.FeeAccount().String(); s != "feefeefe-efee-4fee-8fee-feefeefeefee" {
		t.Errorf("it is %s", s)
	}
}
