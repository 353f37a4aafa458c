package capycoin_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/capycoin/capycoin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// openLedger opens a ledger in a file. When the test ends its books are
// audited and it is closed, unless that was done.
func openLedger(t testing.TB, path string, opts *capycoin.Options) *capycoin.Ledger {
	t.Helper()
	led, err := capycoin.Open(path, opts)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		if led.Err() == nil {
			audit(t, led)
		}
		if err := led.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return led
}

func audit(t testing.TB, led *capycoin.Ledger) capycoin.AuditReport {
	t.Helper()
	rep, err := led.Audit(context.Background(), nil)
	if err == nil {
		err = rep.Err()
	}
	if err != nil {
		t.Errorf("Audit: %v", err)
	}
	return rep
}

func newLedger(t testing.TB) *capycoin.Ledger {
	t.Helper()
	return openLedger(t, filepath.Join(t.TempDir(), "coins.db"), nil)
}

// openAccount opens an account with funds from the seed account.
func openAccount(t testing.TB, led *capycoin.Ledger, funds capycoin.Coins) uuid.UUID {
	t.Helper()
	acct, err := led.OpenAccount(context.Background())
	if err != nil {
		t.Fatalf("OpenAccount: %v", err)
	}
	if funds > 0 {
		pay(t, led, capycoin.Transfer{Sender: capycoin.DefaultSeedAccount(), Receiver: acct.ID, Amount: funds})
	}
	return acct.ID
}

func pay(t testing.TB, led *capycoin.Ledger, tr capycoin.Transfer) capycoin.Receipt {
	t.Helper()
	rcpt, err := led.Transfer(context.Background(), tr)
	if err != nil {
		t.Fatalf("Transfer(%+v): %v", tr, err)
	}
	return rcpt
}

func funds(t testing.TB, led *capycoin.Ledger, id uuid.UUID) capycoin.Coins {
	t.Helper()
	acct, err := led.Account(context.Background(), id)
	if err != nil {
		t.Fatalf("Account(%s): %v", id, err)
	}
	return acct.Funds
}

// TestSupplyBounds opens ledgers of the smallest, the usual and the largest
// supply, and of none that is out of range.
func TestSupplyBounds(t *testing.T) {
	for _, supply := range []capycoin.Coins{1, 2, capycoin.DefaultSupply, capycoin.MaxSupply} {
		led := openLedger(t, filepath.Join(t.TempDir(), "coins.db"), &capycoin.Options{Supply: supply})
		seed := capycoin.DefaultSeedAccount()
		a := openAccount(t, led, 0)
		if _, err := led.Transfer(context.Background(), capycoin.Transfer{Sender: seed, Receiver: a, Amount: supply + 1}); !errors.Is(err, capycoin.ErrInsufficientFunds) {
			t.Errorf("supply %d: paying one more than that: got %v, want ErrInsufficientFunds", supply, err)
		}
		pay(t, led, capycoin.Transfer{Sender: seed, Receiver: a, Amount: supply})
		got, err := led.Supply(context.Background())
		if err != nil || got.Supply != supply || got.SeedFunds != 0 || got.Circulating != supply || got.Accounts != 2 || got.Transactions != 1 {
			t.Errorf("supply %d: got %+v, %v", supply, got, err)
		}
		pay(t, led, capycoin.Transfer{Sender: a, Receiver: seed, Amount: supply})
	}
	for _, supply := range []capycoin.Coins{-1, capycoin.MaxSupply + 1} {
		path := filepath.Join(t.TempDir(), "coins.db")
		_, err := capycoin.Open(path, &capycoin.Options{Supply: supply})
		var bad *capycoin.OptionError
		if !errors.As(err, &bad) || !errors.Is(err, capycoin.ErrBadOption) || bad.Field != "Supply" {
			t.Errorf("supply %d: got %v, want an OptionError about Supply", supply, err)
		}
	}
}

// TestReopen opens a ledger a hundred times: it stays the same ledger, and the
// seed account is not made again.
func TestReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "coins.db")
	var first capycoin.Supply
	for i := range 100 {
		led, err := capycoin.Open(path, nil)
		if err != nil {
			t.Fatalf("opening for the %d-th time: %v", i+1, err)
		}
		got, err := led.Supply(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = got
		}
		if got.LedgerID != first.LedgerID || got.SeedFunds != first.SeedFunds-capycoin.Coins(i) || got.Accounts != 1+int64(i) {
			t.Fatalf("opened for the %d-th time: got %+v, at first it was %+v", i+1, got, first)
		}
		openAccount(t, led, 1)
		if i%10 == 0 {
			audit(t, led)
		}
		if err := led.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestOneCommit sends a batch of 1,000 declined transfers and a good one. It is
// one commit, and the declined ones cost the good one nothing.
func TestOneCommit(t *testing.T) {
	led := newLedger(t)
	a, b := openAccount(t, led, 10), openAccount(t, led, 0)
	batch := make([]capycoin.Transfer, 1001)
	for i := range batch {
		batch[i] = capycoin.Transfer{Sender: b, Receiver: a, Amount: 1 << 40}
	}
	batch[500] = capycoin.Transfer{Sender: a, Receiver: b, Amount: 10}
	before := led.Stats()
	results, err := led.TransferBatch(context.Background(), batch, capycoin.EachAlone)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range results {
		if want := i != 500; want != errors.Is(r.Err, capycoin.ErrInsufficientFunds) || !want && r.Err != nil {
			t.Errorf("transfer %d: got %v", i, r.Err)
		}
	}
	after := led.Stats()
	if got := after.Commits.Count - before.Commits.Count; got != 1 {
		t.Errorf("got %d commits, want 1", got)
	}
	if got := after.Position - before.Position; got != 1 {
		t.Errorf("got %d records, want 1", got)
	}
}

// TestExactlyOnce sends a few keyed transfers over and over, all at once, so that
// the same ones meet in a commit, and again after reopening: each is made once,
// and every answer is the first receipt.
func TestExactlyOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "coins.db")
	led := openLedger(t, path, nil)
	a, b := openAccount(t, led, 100), openAccount(t, led, 0)
	order := func(i int) capycoin.Transfer {
		return capycoin.Transfer{Sender: a, Receiver: b, Amount: 7, Key: fmt.Sprintf("order-%d", i%4)}
	}
	var wg sync.WaitGroup
	var made atomic.Int64
	receipts := make([]capycoin.Receipt, 200)
	for i := range receipts {
		wg.Go(func() {
			r, err := led.Transfer(context.Background(), order(i))
			if err != nil {
				t.Error(err)
			}
			if !r.Replayed {
				made.Add(1)
			}
			r.Replayed = false
			receipts[i] = r
		})
	}
	wg.Wait()
	if made.Load() != 4 {
		t.Errorf("4 transfers were made %d times, want once each", made.Load())
	}
	batch := slices.Repeat([]capycoin.Transfer{{Sender: a, Receiver: b, Amount: 7, Key: "batch"}}, 5)
	results, err := led.TransferBatch(context.Background(), batch, capycoin.EachAlone) // certainly one commit
	if err != nil {
		t.Fatal(err)
	}
	made.Store(0)
	for _, r := range results {
		if r.Err != nil || !r.Receipt.Replayed {
			made.Add(1)
		}
	}
	if made.Load() != 1 {
		t.Errorf("a transfer was made %d times in a batch, want once", made.Load())
	}
	audit(t, led)
	if err := led.Close(); err != nil {
		t.Fatal(err)
	}
	led = openLedger(t, path, nil)
	for i, r := range receipts {
		again := pay(t, led, order(i))
		if !again.Replayed {
			t.Error("after reopening: not a replay")
		}
		if again.Replayed = false; r != again {
			t.Errorf("answer %d: got %+v, want %+v", i, r, again)
		}
	}
	if got := funds(t, led, b); got != 35 {
		t.Errorf("got funds %d, want 35", got)
	}
}

// TestCancelled ends contexts at every moment of a transfer's way: an error
// means that it was not made, a receipt that it was.
func TestCancelled(t *testing.T) {
	led := newLedger(t)
	a, b := openAccount(t, led, 10_000), openAccount(t, led, 0)
	var made atomic.Int64
	var wg sync.WaitGroup
	for caller := range 32 {
		wg.Go(func() {
			for i := range 60 {
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration((caller*61+i*7)%400)*time.Microsecond)
				_, err := led.Transfer(ctx, capycoin.Transfer{Sender: a, Receiver: b, Amount: 1})
				cancel()
				switch {
				case err == nil:
					made.Add(1)
				case !errors.Is(err, context.DeadlineExceeded):
					t.Errorf("got %v, want a receipt or the context's error", err)
				}
			}
		})
	}
	wg.Wait()
	if got := funds(t, led, b); got != capycoin.Coins(made.Load()) {
		t.Errorf("%d transfers gave a receipt, %d coins moved", made.Load(), got)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for name, err := range map[string]error{
		"Transfer":    second(led.Transfer(ctx, capycoin.Transfer{Sender: a, Receiver: b, Amount: 1})),
		"Batch":       second(led.TransferBatch(ctx, []capycoin.Transfer{{Sender: a, Receiver: b, Amount: 1}}, capycoin.Atomic)),
		"OpenAccount": second(led.OpenAccount(ctx)),
		"Account":     second(led.Account(ctx, a)),
		"AccountPage": second(led.AccountPage(ctx, "", 0)),
		"Supply":      second(led.Supply(ctx)),
		"FundsAt":     second(led.FundsAt(ctx, a, time.Now())),
		"Page":        second(led.TransactionPage(ctx, a, capycoin.Range{})),
		"ByID":        second(led.TransactionByID(ctx, a)),
		"Audit":       second(led.Audit(ctx, nil)),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s with a context that has ended: got %v, want context.Canceled", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// TestCloseUnderLoad closes a ledger while 64 callers pay. What was answered
// with a receipt is there afterwards, and nothing else.
func TestCloseUnderLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "coins.db")
	led, err := capycoin.Open(path, &capycoin.Options{QueueSize: 8})
	if err != nil {
		t.Fatal(err)
	}
	a, b := openAccount(t, led, 90_000), openAccount(t, led, 0)
	var made atomic.Int64
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for {
				_, err := led.Transfer(context.Background(), capycoin.Transfer{Sender: a, Receiver: b, Amount: 1})
				if errors.Is(err, capycoin.ErrClosed) {
					return
				}
				if err != nil {
					t.Errorf("got %v, want a receipt or ErrClosed", err)
					return
				}
				made.Add(1)
			}
		})
	}
	for deadline := time.Now().Add(20 * time.Second); made.Load() == 0 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond) // so that there is something to lose
	}
	time.Sleep(50 * time.Millisecond)
	if err := led.Close(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	if err := led.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
	if _, err := led.Account(context.Background(), a); !errors.Is(err, capycoin.ErrClosed) {
		t.Errorf("Account after Close: got %v, want ErrClosed", err)
	}
	if err := led.Err(); !errors.Is(err, capycoin.ErrClosed) {
		t.Errorf("Err after Close: got %v, want ErrClosed", err)
	}
	led = openLedger(t, path, nil)
	if got := funds(t, led, b); got != capycoin.Coins(made.Load()) || got == 0 {
		t.Errorf("%d transfers gave a receipt, %d coins moved", made.Load(), got)
	}
}

// TestClockStepsBack keeps the ledger's time from going back with the clock.
func TestClockStepsBack(t *testing.T) {
	now := time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC)
	led := openLedger(t, filepath.Join(t.TempDir(), "coins.db"), &capycoin.Options{Clock: func() time.Time { return now }})
	a := openAccount(t, led, 5)
	first := led.Time()
	now = now.Add(-24 * time.Hour)
	r := pay(t, led, capycoin.Transfer{Sender: a, Receiver: capycoin.DefaultSeedAccount(), Amount: 1})
	if !r.Timestamp.Equal(first) || !led.Time().Equal(first) {
		t.Errorf("got timestamp %v and time %v, want %v", r.Timestamp, led.Time(), first)
	}
	for _, odd := range []time.Time{{}, time.Unix(-1, 0), time.Date(300_000, 1, 1, 0, 0, 0, 0, time.UTC)} {
		now = odd
		if got := led.Time(); got.Before(first) || got.Year() > 9999 {
			t.Errorf("with a clock at %v: got %v", odd, got)
		}
	}
}

// TestValuesOutliveTheFile checks that what was returned is not a view of the
// file: it stays right after many further commits and after Close.
func TestValuesOutliveTheFile(t *testing.T) {
	led := newLedger(t)
	a, b := openAccount(t, led, 5000), openAccount(t, led, 0)
	for i := range 20 {
		pay(t, led, capycoin.Transfer{Sender: a, Receiver: b, Amount: 1, Key: fmt.Sprintf("key-%04d", i)})
	}
	page, err := led.TransactionPage(context.Background(), b, capycoin.Range{})
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		batch := make([]capycoin.Transfer, 100)
		for i := range batch {
			batch[i] = capycoin.Transfer{Sender: a, Receiver: b, Amount: 1}
		}
		if _, err := led.TransferBatch(context.Background(), batch, capycoin.Atomic); err != nil {
			t.Fatal(err)
		}
	}
	audit(t, led)
	if err := led.Close(); err != nil {
		t.Fatal(err)
	}
	for i, tx := range page.Transactions {
		if want := fmt.Sprintf("key-%04d", i); tx.Key != want || tx.FundsAfter != capycoin.Coins(i+1) {
			t.Errorf("transaction %d: got key %q, funds %d, want %q, %d", i, tx.Key, tx.FundsAfter, want, i+1)
		}
	}
}
