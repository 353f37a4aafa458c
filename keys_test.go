package capycoin_test

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
)

// testKey is a private key that follows from a name.
func testKey(name string) (ed25519.PrivateKey, capycoin.PublicKey) {
	seed := sha256.Sum256([]byte(name))
	key := ed25519.NewKeyFromSeed(seed[:])
	return key, capycoin.PublicKey(key.Public().(ed25519.PublicKey))
}

// keyWorld is a ledger with an account with a key, and one without.
type keyWorld struct {
	led        *capycoin.Ledger
	ledger     uuid.UUID
	clock      *fakeClock
	path       string
	key        ed25519.PrivateKey
	ann, plain uuid.UUID // ann has the key
}

func newKeyWorld(t testing.TB) *keyWorld {
	t.Helper()
	w := &keyWorld{clock: &fakeClock{}, path: filepath.Join(t.TempDir(), "coins.db")}
	w.clock.set(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	w.led = openLedger(t, w.path, &capycoin.Options{Clock: w.clock.now})
	supply, err := w.led.Supply(ctx)
	key, public := testKey("Ann")
	acct, accountErr := w.led.OpenKeyedAccount(ctx, public)
	if err := errors.Join(err, accountErr); err != nil {
		t.Fatal(err)
	}
	if acct.PublicKey != public || acct.KeyVersion != 1 {
		t.Fatalf("the account has key %v, version %d", acct.PublicKey, acct.KeyVersion)
	}
	w.ledger, w.key, w.ann = supply.LedgerID, key, acct.ID
	w.plain = openAccount(t, w.led, 100)
	pay(t, w.led, capycoin.Transfer{Sender: capycoin.DefaultSeedAccount(), Receiver: w.ann, Amount: 1000})
	return w
}

// signed signs a transfer of Ann's as things are.
func (w *keyWorld) signed(t testing.TB, tr capycoin.Transfer) capycoin.Transfer {
	t.Helper()
	acct, err := w.led.Account(ctx, w.ann)
	if err != nil {
		t.Fatal(err)
	}
	if tr.MaxFee == nil {
		tr.MaxFee = new(capycoin.Coins)
	}
	if tr.Signature, err = capycoin.SignTransfer(w.ledger, acct.KeyVersion, tr, w.led.Time().Add(time.Hour), w.key); err != nil {
		t.Fatal(err)
	}
	return tr
}

func (w *keyWorld) transfer(amount capycoin.Coins, key string) capycoin.Transfer {
	return capycoin.Transfer{Sender: w.ann, Receiver: w.plain, Amount: amount, Key: key}
}

// TestSignedTransfer pays with a signature, alone and in a batch, and is refused
// without the right one.
func TestSignedTransfer(t *testing.T) {
	w := newKeyWorld(t)
	good := w.signed(t, w.transfer(10, "lunch"))
	rcpt := pay(t, w.led, good)
	if again := pay(t, w.led, good); !again.Replayed || again.TransactionID != rcpt.TransactionID {
		t.Errorf("a replay is %+v", again)
	}
	mallory, _ := testKey("Mallory")
	for name, tt := range map[string]struct {
		change func(tr *capycoin.Transfer)
		want   error
	}{
		"not signed":    {func(tr *capycoin.Transfer) { tr.Signature, tr.MaxFee = nil, nil }, capycoin.ErrSignatureRequired},
		"other amount":  {func(tr *capycoin.Transfer) { tr.Amount++ }, capycoin.ErrInvalidSignature},
		"other key":     {func(tr *capycoin.Transfer) { tr.Key += "x" }, capycoin.ErrInvalidSignature},
		"other max fee": {func(tr *capycoin.Transfer) { *tr.MaxFee++ }, capycoin.ErrInvalidSignature},
		"other time": {func(tr *capycoin.Transfer) {
			tr.Signature.NotAfter = tr.Signature.NotAfter.Add(time.Microsecond)
		}, capycoin.ErrInvalidSignature},
		"other receiver": {func(tr *capycoin.Transfer) { tr.Receiver = capycoin.DefaultSeedAccount() }, capycoin.ErrInvalidSignature},
		"other signer": {func(tr *capycoin.Transfer) {
			tr.Signature, _ = capycoin.SignTransfer(w.ledger, 1, *tr, tr.Signature.NotAfter, mallory)
		}, capycoin.ErrInvalidSignature},
		"other ledger": {func(tr *capycoin.Transfer) {
			tr.Signature, _ = capycoin.SignTransfer(uuid.New(), 1, *tr, tr.Signature.NotAfter, w.key)
		}, capycoin.ErrInvalidSignature},
		"other version": {func(tr *capycoin.Transfer) {
			tr.Signature, _ = capycoin.SignTransfer(w.ledger, 2, *tr, tr.Signature.NotAfter, w.key)
		}, capycoin.ErrInvalidSignature},
		"no key":        {func(tr *capycoin.Transfer) { tr.Key = "" }, capycoin.ErrMalformedSignature},
		"no max fee":    {func(tr *capycoin.Transfer) { tr.MaxFee = nil }, capycoin.ErrMalformedSignature},
		"a max fee < 0": {func(tr *capycoin.Transfer) { *tr.MaxFee = -1 }, capycoin.ErrMalformedSignature},
		"a keyless sender": {func(tr *capycoin.Transfer) {
			tr.Sender, tr.Receiver = w.plain, w.ann
			tr.Signature, _ = capycoin.SignTransfer(w.ledger, 1, *tr, tr.Signature.NotAfter, w.key)
		}, capycoin.ErrInvalidSignature},
	} {
		t.Run(name, func(t *testing.T) {
			tr := w.signed(t, w.transfer(10, "dinner"))
			tt.change(&tr)
			if _, err := w.led.Transfer(ctx, tr); !errors.Is(err, tt.want) {
				t.Errorf("alone: %v, want %v", err, tt.want)
			}
			// The others of its batch are made.
			other := w.signed(t, w.transfer(1, "beside-"+strings.ReplaceAll(name, " ", "-")))
			results, err := w.led.TransferBatch(ctx, []capycoin.Transfer{other, tr}, capycoin.EachAlone)
			if err != nil || results[0].Err != nil || !errors.Is(results[1].Err, tt.want) {
				t.Errorf("in a batch: %v, %+v, want %v", err, results, tt.want)
			}
			_, err = w.led.TransferBatch(ctx, []capycoin.Transfer{w.signed(t, w.transfer(1, "never")), tr}, capycoin.Atomic)
			if batch := (*capycoin.BatchError)(nil); !errors.As(err, &batch) || batch.Index != 1 || !errors.Is(err, tt.want) {
				t.Errorf("in an atomic batch: %v, want %v", err, tt.want)
			}
		})
	}
	if rep := audit(t, w.led); rep.Signatures < 10 {
		t.Errorf("the audit verified %d signatures", rep.Signatures)
	}
	if _, err := w.led.OpenKeyedAccount(ctx, capycoin.PublicKey{1}); !errors.Is(err, capycoin.ErrBadPublicKey) {
		t.Errorf("an account with the identity as its key: %v", err)
	}
	if _, err := w.led.OpenKeyedAccount(ctx, capycoin.PublicKey{}); !errors.Is(err, capycoin.ErrBadPublicKey) {
		t.Errorf("an account with the zero key: %v", err)
	}
}

// TestSignatureLife is about the bounds of NotAfter, each of them a microsecond.
func TestSignatureLife(t *testing.T) {
	w := newKeyWorld(t)
	now := w.clock.micros()
	for i, tt := range []struct {
		notAfter time.Time
		want     error
	}{
		{now.Add(-time.Microsecond), capycoin.ErrSignatureExpired},
		{now, nil},
		{now.Add(24 * time.Hour), nil},
		{now.Add(24*time.Hour + time.Microsecond), capycoin.ErrSignatureTooLong},
	} {
		tr := w.transfer(1, fmt.Sprint("life-", i))
		tr.MaxFee = new(capycoin.Coins)
		tr.Signature, _ = capycoin.SignTransfer(w.ledger, 1, tr, tt.notAfter, w.key)
		if _, err := w.led.Transfer(ctx, tr); !errors.Is(err, tt.want) {
			t.Errorf("not after %v: %v, want %v", tt.notAfter.Sub(now), err, tt.want)
		}
	}
	// It is the time of the ledger that counts, which does not step back.
	tr := w.signed(t, w.transfer(1, "late"))
	w.clock.set(now.Add(2 * time.Hour))
	pay(t, w.led, capycoin.Transfer{Sender: w.plain, Receiver: w.ann, Amount: 1})
	w.clock.set(now)
	if _, err := w.led.Transfer(ctx, tr); !errors.Is(err, capycoin.ErrSignatureExpired) {
		t.Errorf("with the clock set back: %v", err)
	}
}

// TestChangeKey changes a key: what the old one signed is refused from then on, also
// after the ledger was opened again.
func TestChangeKey(t *testing.T) {
	w := newKeyWorld(t)
	before := w.signed(t, w.transfer(1, "before"))
	old := w.key
	private, public := testKey("Ann's second")
	change := capycoin.KeyChange{Account: w.ann, Version: 1, NewKey: public}
	sign := func(c *capycoin.KeyChange, oldKey, newKey ed25519.PrivateKey) {
		t.Helper()
		var err, newErr error
		c.OldSignature, err = capycoin.SignKeyChange(w.ledger, c.Account, c.Version, c.NewKey, oldKey)
		c.NewSignature, newErr = capycoin.SignKeyChange(w.ledger, c.Account, c.Version, c.NewKey, newKey)
		if err := errors.Join(err, newErr); err != nil {
			t.Fatal(err)
		}
	}
	sign(&change, old, private)
	mallory, _ := testKey("Mallory")
	for name, tt := range map[string]struct {
		change func(c *capycoin.KeyChange)
		want   error
	}{
		"not by the old key":   {func(c *capycoin.KeyChange) { sign(c, mallory, private) }, capycoin.ErrInvalidSignature},
		"not by the new key":   {func(c *capycoin.KeyChange) { sign(c, old, old) }, capycoin.ErrInvalidSignature},
		"of a later version":   {func(c *capycoin.KeyChange) { c.Version = 2; sign(c, old, private) }, capycoin.ErrKeyVersion},
		"of version 0":         {func(c *capycoin.KeyChange) { c.Version = 0; sign(c, old, private) }, capycoin.ErrKeyVersion},
		"to no key":            {func(c *capycoin.KeyChange) { c.NewKey = capycoin.PublicKey{} }, capycoin.ErrBadPublicKey},
		"of a keyless account": {func(c *capycoin.KeyChange) { c.Account = w.plain; sign(c, old, private) }, capycoin.ErrNoKey},
		"of no account":        {func(c *capycoin.KeyChange) { c.Account = uuid.New(); sign(c, old, private) }, capycoin.ErrAccountNotFound},
	} {
		c := change
		tt.change(&c)
		if _, err := w.led.ChangeKey(ctx, c); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	acct, err := w.led.ChangeKey(ctx, change)
	if err != nil || acct.KeyVersion != 2 || acct.PublicKey != public {
		t.Fatalf("got %+v, %v", acct, err)
	}
	for range 2 {
		if got, err := w.led.Account(ctx, w.ann); err != nil || got != acct {
			t.Errorf("the account is %+v, %v, want %+v", got, err, acct)
		}
		if _, err := w.led.ChangeKey(ctx, change); !errors.Is(err, capycoin.ErrKeyVersion) {
			t.Errorf("the change again: %v", err)
		}
		if _, err := w.led.Transfer(ctx, before); !errors.Is(err, capycoin.ErrInvalidSignature) {
			t.Errorf("a transfer signed before: %v", err)
		}
		if err := w.led.Close(); err != nil {
			t.Fatal(err)
		}
		w.led = openLedger(t, w.path, &capycoin.Options{Clock: w.clock.now})
	}
	w.key = private
	pay(t, w.led, w.signed(t, w.transfer(1, "after")))
}

// TestKeyRace changes a key while transfers that the old one signed are on their
// way: the writer makes none after the change. Half of them come in batches.
func TestKeyRace(t *testing.T) {
	w := newKeyWorld(t)
	const changes, each = 20, 30
	for n := range changes {
		old := w.key
		transfers := make([]capycoin.Transfer, each)
		for i := range transfers {
			transfers[i] = w.signed(t, w.transfer(1, fmt.Sprintf("race-%d-%d", n, i)))
		}
		private, public := testKey(fmt.Sprint("Ann's ", n))
		c := capycoin.KeyChange{Account: w.ann, Version: uint32(n + 1), NewKey: public}
		c.OldSignature, _ = capycoin.SignKeyChange(w.ledger, w.ann, c.Version, public, old)
		c.NewSignature, _ = capycoin.SignKeyChange(w.ledger, w.ann, c.Version, public, private)
		results := make([]capycoin.Result, each)
		var all sync.WaitGroup
		for i := range each / 2 {
			all.Go(func() { results[i].Receipt, results[i].Err = w.led.Transfer(ctx, transfers[i]) })
		}
		all.Go(func() {
			batch, err := w.led.TransferBatch(ctx, transfers[each/2:], capycoin.EachAlone)
			if err != nil {
				t.Error(err)
			}
			copy(results[each/2:], batch)
		})
		var winners [4]error
		for i := range winners { // one of them changes it
			all.Go(func() { _, winners[i] = w.led.ChangeKey(ctx, c) })
		}
		all.Wait()
		won := 0
		for _, err := range winners {
			if err == nil {
				won++
			} else if !errors.Is(err, capycoin.ErrKeyVersion) {
				t.Errorf("a change: %v", err)
			}
		}
		if won != 1 {
			t.Errorf("%d of the same change were made", won)
		}
		for i, r := range results {
			if r.Err != nil && !errors.Is(r.Err, capycoin.ErrInvalidSignature) {
				t.Errorf("transfer %d: %v", i, r.Err)
			}
		}
		w.key = private
	}
	// The audit at the end of the test verifies each by the key of its time.
}

// TestSeedKey makes a ledger whose seed account has a key.
func TestSeedKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "coins.db")
	key, public := testKey("the operator")
	_, other := testKey("another")
	if _, err := capycoin.Open(path, &capycoin.Options{SeedKey: capycoin.PublicKey{1}}); !errors.Is(err, capycoin.ErrBadOption) {
		t.Errorf("a key that is none: %v", err)
	}
	led := openLedger(t, path, &capycoin.Options{SeedKey: public})
	a, err := led.OpenAccount(ctx)
	if err != nil {
		t.Fatal(err)
	}
	tr := capycoin.Transfer{Sender: capycoin.DefaultSeedAccount(), Receiver: a.ID, Amount: 5, Key: "k", MaxFee: new(capycoin.Coins)}
	if _, err := led.Transfer(ctx, tr); !errors.Is(err, capycoin.ErrSignatureRequired) {
		t.Errorf("without a signature: %v", err)
	}
	supply, _ := led.Supply(ctx)
	if tr.Signature, err = capycoin.SignTransfer(supply.LedgerID, 1, tr, led.Time().Add(time.Minute), key); err != nil {
		t.Fatal(err)
	}
	pay(t, led, tr)
	if err := led.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := capycoin.Open(path, &capycoin.Options{SeedKey: other}); !errors.Is(err, capycoin.ErrSeedKeyMismatch) {
		t.Errorf("with another key: %v", err)
	}
	for _, want := range []capycoin.PublicKey{public, {}} {
		led := openLedger(t, path, &capycoin.Options{SeedKey: want})
		if acct, err := led.Account(ctx, capycoin.DefaultSeedAccount()); err != nil || acct.PublicKey != public {
			t.Errorf("the seed account is %+v, %v", acct, err)
		}
		if err := led.Close(); err != nil {
			t.Fatal(err)
		}
	}
	plain := newLedger(t)
	if acct, err := plain.Account(ctx, capycoin.DefaultSeedAccount()); err != nil || !acct.PublicKey.IsZero() {
		t.Errorf("without a key the seed account is %+v, %v", acct, err)
	}
}

// TestOrderOfChecks has two faults in each transfer: the one that is told is the one
// that comes first in the list of [capycoin.Ledger.Transfer].
func TestOrderOfChecks(t *testing.T) {
	w := newKeyWorld(t)
	if err := w.led.SetFeePolicy(ctx, capycoin.FeePolicy{Flat: 3}); err != nil {
		t.Fatal(err)
	}
	now := w.led.Time()
	sign := func(tr capycoin.Transfer, notAfter time.Time) capycoin.Transfer {
		t.Helper()
		if tr.MaxFee == nil {
			tr.MaxFee = new(capycoin.Coins)
			*tr.MaxFee = 3
		}
		var err error
		if tr.Signature, err = capycoin.SignTransfer(w.ledger, 1, tr, notAfter, w.key); err != nil {
			t.Fatal(err)
		}
		return tr
	}
	used := sign(w.transfer(10, "used"), now.Add(time.Minute))
	pay(t, w.led, used)
	invalid := func(tr capycoin.Transfer) capycoin.Transfer {
		s := *tr.Signature
		s.Bytes[0] ^= 1
		tr.Signature = &s
		return tr
	}
	soon, late, long := now.Add(time.Minute), now.Add(-time.Second), now.Add(25*time.Hour)
	unknown := uuid.MustParse("11111111-1111-4111-8111-111111111111")
	low := capycoin.Coins(2)
	to := func(tr capycoin.Transfer, receiver uuid.UUID) capycoin.Transfer { tr.Receiver = receiver; return tr }
	for name, tt := range map[string]struct {
		transfer capycoin.Transfer
		want     error // nil: replayed
	}{
		"form before the key":               {func() capycoin.Transfer { tr := used; tr.MaxFee = nil; return tr }(), capycoin.ErrMalformedSignature},
		"the key before the signature":      {invalid(used), nil},
		"a reused key before the signature": {func() capycoin.Transfer { tr := invalid(used); tr.Amount++; return tr }(), capycoin.ErrKeyReused},
		"a used key before a missing one":   {w.transfer(10, "used"), nil},
		"the signature before its time":     {invalid(sign(w.transfer(1, "a"), late)), capycoin.ErrInvalidSignature},
		"a missing one before the amount":   {w.transfer(0, "a"), capycoin.ErrSignatureRequired},
		"its time before the amount":        {sign(w.transfer(0, "a"), late), capycoin.ErrSignatureExpired},
		"too long before the amount":        {sign(w.transfer(-1, "a"), long), capycoin.ErrSignatureTooLong},
		"the amount before the accounts":    {sign(to(w.transfer(0, "a"), w.ann), soon), capycoin.ErrAmountIsZero},
		"a negative one, too":               {sign(to(w.transfer(-5, "a"), w.ann), soon), capycoin.ErrAmountIsNegative},
		"same account before funds":         {sign(to(w.transfer(5000, "a"), w.ann), soon), capycoin.ErrSameAccount},
		"the sender before the receiver": {capycoin.Transfer{Sender: unknown, Receiver: capycoin.DefaultSeedAccount(), Amount: 1,
			Signature: used.Signature, Key: "a", MaxFee: used.MaxFee}, capycoin.ErrSenderNotFound},
		"the fee account before the receiver": {capycoin.Transfer{Sender: capycoin.FeeAccount(), Receiver: unknown, Amount: 1}, capycoin.ErrFeeAccount},
		"the receiver before the fee": {func() capycoin.Transfer {
			tr := to(w.transfer(1, "a"), unknown)
			tr.MaxFee = &low
			return sign(tr, soon)
		}(), capycoin.ErrReceiverNotFound},
		"the fee before the funds": {func() capycoin.Transfer {
			tr := w.transfer(5000, "a")
			tr.MaxFee = &low
			return sign(tr, soon)
		}(), capycoin.ErrFeeTooHigh},
		"the funds": {sign(w.transfer(985, "a"), soon), capycoin.ErrInsufficientFunds},
	} {
		rcpt, err := w.led.Transfer(context.Background(), tt.transfer)
		if !errors.Is(err, tt.want) || (tt.want == nil) != rcpt.Replayed {
			t.Errorf("%s: %+v, %v, want %v", name, rcpt, err, tt.want)
		}
	}
	if got := funds(t, w.led, w.ann); got != 1000-10-3 {
		t.Errorf("the sender has %d", got)
	}
}
