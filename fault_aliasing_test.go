package capycoin_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/storetest"
)

// aliasWorld is a ledger with a fee of 40, in which calls can be held while they verify,
// and while they wait for their turn to be judged.
type aliasWorld struct {
	memory           *storetest.Memory
	led              *capycoin.Ledger
	log              *heldLog
	folds            *heldFolds
	gate             chan struct{} // of folds
	transfers        []capycoin.Transfer
	maxFee           *capycoin.Coins // of all transfers
	ann, bob, nobody uuid.UUID
}

const aliasFee = 40

func newAliasWorld(t *testing.T, maxFee capycoin.Coins) *aliasWorld {
	t.Helper()
	w := &aliasWorld{memory: storetest.NewMemory(), maxFee: &maxFee, gate: make(chan struct{})}
	w.log, w.folds = newHeldLog(w.memory, nil), &heldFolds{Folds: w.memory}
	w.folds.gate.Store(&w.gate)
	clock := &fakeClock{}
	clock.set(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	open := func() (err error) {
		w.led, err = capycoin.OpenStore(ctx, w.log, w.folds, &capycoin.Options{Clock: clock.now})
		return err
	}
	if err := open(); err != nil {
		t.Fatal(err)
	}
	private, public := testKey("Ann")
	ann, err := w.led.OpenKeyedAccount(ctx, public)
	supply, supplyErr := w.led.Supply(ctx)
	if err := errors.Join(err, supplyErr, w.led.SetFeePolicy(ctx, capycoin.FeePolicy{Flat: aliasFee})); err != nil {
		t.Fatal(err)
	}
	w.ann, w.bob, w.nobody = ann.ID, openAccount(t, w.led, 5000), openAccount(t, w.led, 0)
	pay(t, w.led, capycoin.Transfer{Sender: capycoin.DefaultSeedAccount(), Receiver: w.ann, Amount: 5000})
	w.transfers = []capycoin.Transfer{
		{Sender: w.ann, Receiver: w.bob, Amount: 3, Key: "first", MaxFee: w.maxFee},
		{Sender: w.bob, Receiver: w.ann, Amount: 4, Key: "plain", MaxFee: w.maxFee},
		{Sender: w.ann, Receiver: w.bob, Amount: 5, Key: "last", MaxFee: w.maxFee},
	}
	for i := range w.transfers {
		if tr := &w.transfers[i]; tr.Sender == w.ann {
			if tr.Signature, err = capycoin.SignTransfer(supply.LedgerID, 1, *tr, w.led.Time().Add(time.Hour), private); err != nil {
				t.Fatal(err)
			}
		}
	}
	// Ann is not in memory any more, so she is read when her signatures are verified.
	if err := errors.Join(w.led.Close(), open()); err != nil {
		t.Fatal(err)
	}
	w.folds.id = w.ann
	return w
}

// spoil changes all that transfers lead to, and the transfers themselves.
func (w *aliasWorld) spoil(maxFee capycoin.Coins) {
	*w.maxFee = maxFee
	for i := range w.transfers {
		if s := w.transfers[i].Signature; s != nil {
			s.NotAfter = s.NotAfter.Add(time.Minute)
			s.Bytes[0] ^= 1
		}
		w.transfers[i] = capycoin.Transfer{Sender: w.bob, Receiver: w.nobody, Amount: 7, Key: fmt.Sprint("another-", i)}
	}
}

// recordsOf are the records that transfers are to make, but for what follows from others.
func recordsOf(transfers []capycoin.Transfer) (want []record.Transfer) {
	for _, t := range transfers {
		r := record.Transfer{Sender: t.Sender, Receiver: t.Receiver, Amount: int64(t.Amount), Fee: aliasFee, Key: t.Key}
		if s := t.Signature; s != nil {
			r.Signed = record.Signed{Version: 1, MaxFee: int64(*t.MaxFee), NotAfter: s.NotAfter.UnixMicro(), Signature: s.Bytes}
		}
		want = append(want, r)
	}
	return want
}

// made are the transfers in the journal after a position, as recordsOf has them, without
// those of the seed account.
func (w *aliasWorld) made(t *testing.T, after uint64) (made []record.Transfer) {
	t.Helper()
	for raw, err := range w.led.Journal(ctx, after) {
		var r record.Record
		if err := errors.Join(err, record.Decode(&r, raw.Position, raw.Data)); err != nil {
			t.Fatal(err)
		}
		if r.Kind == record.KindTransfer && r.Transfer.Sender != capycoin.DefaultSeedAccount() {
			r.Transfer.From, r.Transfer.To, r.Transfer.Pool = record.Party{}, record.Party{}, record.Party{}
			made = append(made, r.Transfer)
		}
	}
	return made
}

// TestTransferIsReadOnce changes what a transfer leads to while the call is under way: a
// variable for the fee that several have, a request that is used again. What is made is
// what was asked for, and signed, by then; or else it would be no fee that the owner has
// agreed to, and no record that its own signature fits.
func TestTransferIsReadOnce(t *testing.T) {
	one := func(led *capycoin.Ledger, transfers []capycoin.Transfer) ([]capycoin.Result, error) {
		r, err := led.Transfer(ctx, transfers[0])
		return []capycoin.Result{{Receipt: r, Err: err}}, nil
	}
	batch := func(mode capycoin.BatchMode) func(*capycoin.Ledger, []capycoin.Transfer) ([]capycoin.Result, error) {
		return func(led *capycoin.Ledger, transfers []capycoin.Transfer) ([]capycoin.Result, error) {
			return led.TransferBatch(ctx, transfers, mode)
		}
	}
	for name, call := range map[string]struct {
		do    func(*capycoin.Ledger, []capycoin.Transfer) ([]capycoin.Result, error)
		count int // of transfers
	}{"one": {one, 1}, "each alone": {batch(capycoin.EachAlone), 3}, "atomic": {batch(capycoin.Atomic), 3}} {
		for where, hold := range map[string]func(*testing.T, *aliasWorld) (arrived func() bool, release func()){
			"while it is verified": holdVerifying, "before it is judged": holdJudging, "between its commits": holdCommit,
		} {
			for _, fee := range []struct{ asked, later capycoin.Coins }{{aliasFee - 1, aliasFee + 10}, {aliasFee + 10, aliasFee - 1}} {
				if where == "between its commits" && (name != "each alone" || fee.asked < aliasFee) {
					continue // it has one, or none
				}
				t.Run(fmt.Sprint(name, ", ", where, ", at most ", fee.asked), func(t *testing.T) {
					w := newAliasWorld(t, fee.asked)
					defer w.led.Close()
					w.transfers = w.transfers[:call.count]
					want := recordsOf(w.transfers)
					arrived, release := hold(t, w)
					before, appends := w.led.Stats().Position, w.log.appends.Load()
					type answer struct {
						results []capycoin.Result
						err     error
					}
					answers := make(chan answer, 1)
					go func() {
						results, err := call.do(w.led, w.transfers)
						answers <- answer{results, err}
					}()
					eventually(t, "the call is on its way", arrived)
					w.spoil(fee.later)
					release()
					got := <-answers
					if n := w.log.appends.Load() - appends; where == "between its commits" && n != 3 {
						t.Errorf("it has %d commits, want 3", n)
					}
					made := w.made(t, before)
					if fee.asked < aliasFee {
						want = nil
						wantRefused(t, got.results, got.err, fee.asked)
					}
					if len(made) != len(want) {
						t.Fatalf("%d transfers are made, want %d: %+v", len(made), len(want), made)
					}
					for i := range want {
						if made[i] != want[i] {
							t.Errorf("transfer %d is made as %+v, want %+v", i, made[i], want[i])
						}
						r := got.results[i].Receipt
						if err := got.results[i].Err; err != nil || r.Sender != want[i].Sender || r.Receiver != want[i].Receiver ||
							r.Amount != capycoin.Coins(want[i].Amount) || r.Fee != aliasFee {
							t.Errorf("transfer %d: %+v, %v; want it as in %+v", i, r, err, want[i])
						}
					}
					audit(t, w.led)
				})
			}
		}
	}
}

// wantRefused: each transfer, or the batch, is refused for a fee above the limit that was
// given.
func wantRefused(t *testing.T, results []capycoin.Result, err error, limit capycoin.Coins) {
	t.Helper()
	if err != nil {
		results = []capycoin.Result{{Err: err}}
	}
	for i, r := range results {
		var high *capycoin.FeeTooHighError
		if !errors.As(r.Err, &high) || high.MaxFee != limit || high.Fee != aliasFee {
			t.Errorf("transfer %d: %+v, %v; want it refused: the fee is %d, the limit %d", i, r.Receipt, r.Err, aliasFee, limit)
		}
	}
}

// holdVerifying holds what is verified where its sender's key is read.
func holdVerifying(_ *testing.T, w *aliasWorld) (arrived func() bool, release func()) {
	return func() bool { return w.folds.waiting.Load() > 0 }, func() { close(w.gate) }
}

// holdJudging holds the commit of another, so that what is verified waits for its turn.
func holdJudging(t *testing.T, w *aliasWorld) (arrived func() bool, release func()) {
	close(w.gate)
	w.log.armed.Store(true)
	other := make(chan error, 1)
	go func() {
		_, err := w.led.Transfer(ctx, capycoin.Transfer{Sender: capycoin.DefaultSeedAccount(), Receiver: w.nobody, Amount: 1})
		other <- err
	}()
	<-w.log.held
	signed := 0
	for _, tr := range w.transfers {
		if tr.Signature != nil {
			signed++
		}
	}
	arrived = func() bool { return w.led.Stats().ValidSignatures == uint64(signed) }
	return arrived, func() {
		close(w.log.release)
		if err := <-other; err != nil {
			t.Error(err)
		}
	}
}

// holdCommit holds the first commit of a batch, of which each transfer has one of its own.
func holdCommit(_ *testing.T, w *aliasWorld) (arrived func() bool, release func()) {
	close(w.gate)
	w.memory.SetMaxAppend(record.MaxTransferLen + record.MaxSignedLen + 10)
	w.log.armed.Store(true)
	before := w.log.appends.Load()
	return func() bool { return w.log.appends.Load() > before }, func() { close(w.log.release) }
}
