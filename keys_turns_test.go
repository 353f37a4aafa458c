package capycoin_test

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/example"
	"github.com/capycoin/capycoin/storetest"
)

// heldFolds are Folds that read an account, which is not in memory, when they are let.
type heldFolds struct {
	capycoin.Folds
	id      uuid.UUID
	waiting atomic.Int64
	gate    atomic.Pointer[chan struct{}]
}

func (f *heldFolds) Scan(ctx context.Context, table capycoin.Table, from []byte, fn func(key, value []byte) bool) error {
	if table == capycoin.TableAccounts && bytes.Equal(from, f.id[:]) {
		f.waiting.Add(1)
		<-*f.gate.Load()
		f.waiting.Add(-1)
	}
	return f.Folds.Scan(ctx, table, from, fn)
}

// TestVerifyTakesTurns: of all the batches that callers have, no more are verified at
// once than there are processors. What needs no turn does not wait for one.
func TestVerifyTakesTurns(t *testing.T) {
	memory := storetest.NewMemory()
	folds := &heldFolds{Folds: memory, id: uuid.MustParse("7f4b9b5e-0c7b-4f5a-9d0a-3f1d6f2b8c11")}
	led, err := capycoin.OpenStore(t.Context(), memory, folds, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer led.Close()
	private, public := example.Key("Ann")
	ann, err := led.OpenKeyedAccount(t.Context(), public)
	if err != nil {
		t.Fatal(err)
	}
	supply, err := led.Supply(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	plain := capycoin.Transfer{Sender: capycoin.DefaultSeedAccount(), Receiver: ann.ID, Amount: 10}
	signed := func(sender uuid.UUID, key string) capycoin.Transfer {
		tr := capycoin.Transfer{Sender: sender, Receiver: capycoin.DefaultSeedAccount(), Amount: 1, Key: key, MaxFee: new(capycoin.Coins)}
		if tr.Signature, err = capycoin.SignTransfer(supply.LedgerID, 1, tr, led.Time().Add(time.Hour), private); err != nil {
			t.Fatal(err)
		}
		return tr
	}
	turns := int64(runtime.GOMAXPROCS(0))
	// Twice, as each turn has to be given back.
	for _, round := range []string{"first", "second"} {
		gate := make(chan struct{})
		folds.gate.Store(&gate)
		held := []capycoin.Transfer{signed(folds.id, "a"), signed(folds.id, "b")}
		var callers sync.WaitGroup
		for range turns + 3 {
			callers.Go(func() {
				if _, err := led.TransferBatch(t.Context(), held, capycoin.Atomic); !errors.Is(err, capycoin.ErrSenderNotFound) {
					t.Errorf("of nobody: %v", err)
				}
			})
		}
		eventually(t, "all turns are taken", func() bool { return folds.waiting.Load() >= turns })
		short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if _, err := led.TransferBatch(short, []capycoin.Transfer{signed(ann.ID, round+"a"), signed(ann.ID, round+"b")}, capycoin.Atomic); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a batch without a turn: %v", err)
		}
		cancel()
		if n := folds.waiting.Load(); n != turns {
			t.Errorf("%d batches are verified at once, want %d", n, turns)
		}
		if _, err := led.TransferBatch(t.Context(), []capycoin.Transfer{plain, plain}, capycoin.Atomic); err != nil {
			t.Errorf("one that is not signed: %v", err)
		}
		if _, err := led.Transfer(t.Context(), signed(ann.ID, round+"c")); err != nil {
			t.Errorf("a single one: %v", err)
		}
		close(gate)
		callers.Wait()
		if _, err := led.TransferBatch(t.Context(), []capycoin.Transfer{signed(ann.ID, round+"a"), signed(ann.ID, round+"b")}, capycoin.Atomic); err != nil {
			t.Errorf("with a turn: %v", err)
		}
	}
}
