package capycoin_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/tune"
	"github.com/capycoin/capycoin/storetest"
)

// TestCrashCopies copies the file of a ledger between its commits, in the
// middle of sweeps too, which is what a killed process leaves. Each copy opens
// as what was acknowledged by then, its audit is clean, and every key gives its
// receipt.
func TestCrashCopies(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine, many ledgers")
	}
	settings := folding(40, 3)
	ctx := context.Background()
	dir := t.TempDir()
	path := filepath.Join(dir, "coins.db")
	led := openTuned(t, path, &capycoin.Options{AccountCache: 16}, settings).Ledger
	iss, err := capycoin.NewTokenIssuer(led, &capycoin.TokenOptions{BcryptCost: 4})
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(7, 7))
	ids := []uuid.UUID{capycoin.DefaultSeedAccount()}
	for range 30 {
		ids = append(ids, openAccount(t, led, 1000))
	}
	var keyed []capycoin.Transfer
	var receipts []capycoin.Receipt
	var tokens []capycoin.IssuedToken
	for n := range 400 {
		tr := capycoin.Transfer{Sender: ids[rng.IntN(31)], Receiver: ids[rng.IntN(31)], Amount: 1, Key: fmt.Sprint("k", n)}
		if r, err := led.Transfer(ctx, tr); err == nil {
			keyed, receipts = append(keyed, tr), append(receipts, r)
		} else if !errors.Is(err, capycoin.ErrSameAccount) {
			t.Fatal(err)
		}
		if n%9 == 0 {
			tok, err := iss.Issue(ctx, ids[1+n/9%30], capycoin.TokenRequest{})
			if err != nil {
				t.Fatal(err)
			}
			tokens = append(tokens, tok)
			if n%27 == 0 {
				if err := iss.Revoke(ctx, tok.Account, tok.ID); err != nil {
					t.Fatal(err)
				}
				tokens = tokens[:len(tokens)-1]
			}
		}
		if n%7 != 0 {
			continue
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		crashed := filepath.Join(dir, "crashed.db")
		if err := os.WriteFile(crashed, b, 0o600); err != nil {
			t.Fatal(err)
		}
		compareLedgers(t, fmt.Sprintf("after transfer %d", n), crashed, settings, led, ids, keyed, receipts, tokens)
		if t.Failed() {
			return
		}
	}
}

// compareLedgers opens a copy and compares what it answers with the original.
func compareLedgers(t *testing.T, when, path string, settings tune.Options, led *capycoin.Ledger, ids []uuid.UUID, keyed []capycoin.Transfer,
	receipts []capycoin.Receipt, tokens []capycoin.IssuedToken) {
	t.Helper()
	ctx := context.Background()
	twin, err := tunedLedger(path, &capycoin.Options{AccountCache: 16}, settings)
	if err != nil {
		t.Fatalf("%s: %v", when, err)
	}
	defer twin.Close()
	if rep, err := twin.Audit(ctx, nil); err != nil || rep.Err() != nil {
		t.Errorf("%s: audit: %v %v", when, err, rep.Err())
	}
	want, err := led.Supply(ctx)
	got, err2 := twin.Supply(ctx)
	if err := errors.Join(err, err2); err != nil || got != want {
		t.Errorf("%s: got %+v, want %+v, %v", when, got, want, err)
	}
	for _, id := range ids {
		want, err := led.Account(ctx, id)
		got, err2 := twin.Account(ctx, id)
		if err := errors.Join(err, err2); err != nil || got != want {
			t.Errorf("%s: got %+v, want %+v, %v", when, got, want, err)
		}
	}
	for i, tr := range keyed {
		got, err := twin.Transfer(ctx, tr)
		if want := receipts[i]; err != nil || !got.Replayed || got.TransactionID != want.TransactionID || got.SenderFunds != want.SenderFunds {
			t.Errorf("%s: repeating %s: got %+v, %v, want a replay of %+v", when, tr.Key, got, err, want)
		}
	}
	iss, err := capycoin.NewTokenIssuer(twin.Ledger, nil)
	if err != nil {
		t.Fatal(err)
	}
	live := 0
	for _, id := range ids[1:] {
		list, err := iss.List(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		live += len(list)
	}
	if live != len(tokens) {
		t.Errorf("%s: got %d live tokens, want %d", when, live, len(tokens))
	}
	if n := len(tokens); n > 0 {
		if _, err := iss.Verify(ctx, tokens[n-1].Secret); err != nil {
			t.Errorf("%s: the last token: %v", when, err)
		}
	}
}

// TestNotWrittenFolds has the store refuse commits that carry folds, in
// between transfers that read many accounts. The rows that were handed over
// and not written must not be taken for the truth.
func TestNotWrittenFolds(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine, many ledgers")
	}
	ctx := context.Background()
	mem := storetest.NewMemory()
	store := storetest.NewFaulty(mem, mem)
	led, err := capycoin.OpenStore(tune.With(ctx, folding(20, 50)), store, store, &capycoin.Options{AccountCache: 16})
	if err != nil {
		t.Fatal(err)
	}
	defer led.Close()
	seed := capycoin.DefaultSeedAccount()
	ids := make([]uuid.UUID, 100)
	want := make([]capycoin.Coins, len(ids))
	for i := range ids {
		ids[i] = openAccount(t, led, 0)
	}
	rng := rand.New(rand.NewPCG(5, 5))
	for n := range 300 {
		batch := make([]capycoin.Transfer, 10)
		to := make([]int, len(batch))
		for i := range batch {
			to[i] = rng.IntN(len(ids))
			batch[i] = capycoin.Transfer{Sender: seed, Receiver: ids[to[i]], Amount: 1}
		}
		if n%3 == 0 {
			store.Fail(storetest.OpAppend, 1, storetest.NotWritten)
		}
		_, err := led.TransferBatch(ctx, batch, capycoin.Atomic)
		switch {
		case n%3 == 0 && !errors.Is(err, capycoin.ErrNotWritten):
			t.Fatalf("got %v, want ErrNotWritten", err)
		case n%3 == 0:
			// Refused, after their accounts were read: nothing is appended.
			for _, id := range ids {
				if _, err := led.Transfer(ctx, capycoin.Transfer{Sender: id, Receiver: seed, Amount: 1 << 40}); !errors.Is(err, capycoin.ErrInsufficientFunds) {
					t.Fatalf("got %v, want ErrInsufficientFunds", err)
				}
			}
		case err != nil:
			t.Fatal(err)
		default:
			for _, i := range to {
				want[i]++
			}
		}
		for i, id := range ids {
			if got := funds(t, led, id); got != want[i] {
				t.Fatalf("round %d: account %d has %d, want %d", n, i, got, want[i])
			}
		}
	}
	audit(t, led)
}

// TestMemoryIsBounded makes many keyed transfers among many accounts: keys and
// accounts in memory, and the records to replay, stay within bounds.
func TestMemoryIsBounded(t *testing.T) {
	led := openTuned(t, filepath.Join(t.TempDir(), "coins.db"), &capycoin.Options{AccountCache: 100}, folding(500, 16)).Ledger
	seed := capycoin.DefaultSeedAccount()
	ids := make([]uuid.UUID, 600)
	for i := range ids {
		ids[i] = openAccount(t, led, 0)
	}
	var most capycoin.Stats
	for n := range 200 {
		batch := make([]capycoin.Transfer, 50)
		for i := range batch {
			batch[i] = capycoin.Transfer{Sender: seed, Receiver: ids[(n*50+i)%len(ids)], Amount: 1, Key: fmt.Sprintf("%d-%d", n, i)}
		}
		if _, err := led.TransferBatch(context.Background(), batch, capycoin.Atomic); err != nil {
			t.Fatal(err)
		}
		s := led.Stats()
		most.FreshKeys = max(most.FreshKeys, s.FreshKeys)
		most.CachedAccounts = max(most.CachedAccounts, s.CachedAccounts)
		most.Position = max(most.Position, s.Position-s.FoldPosition)
	}
	if most.FreshKeys == 0 || most.FreshKeys > 1500 {
		t.Errorf("up to %d keys were in memory, want at most 1,500", most.FreshKeys)
	}
	if most.CachedAccounts > 300 {
		t.Errorf("up to %d accounts were in memory, want about 100", most.CachedAccounts)
	}
	if most.Position > 1500 {
		t.Errorf("up to %d records were to be replayed, want at most 1,500", most.Position)
	}
}
