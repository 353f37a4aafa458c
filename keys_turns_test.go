package capycoin

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/capycoin/capycoin/internal/example"
)

// TestVerifyTakesTurns: of all the batches that callers have, no more are verified at
// once than there are processors. What needs no turn does not wait for one.
func TestVerifyTakesTurns(t *testing.T) {
	led, err := Open(filepath.Join(t.TempDir(), "coins.db"), &Options{NoWitness: true})
	if err != nil {
		t.Fatal(err)
	}
	defer led.Close()
	ctx := context.Background()
	private, public := example.Key("Ann")
	ann, err := led.OpenKeyedAccount(ctx, public)
	if err != nil {
		t.Fatal(err)
	}
	plain := Transfer{Sender: DefaultSeedAccount(), Receiver: ann.ID, Amount: 10}
	signed := func(key string) Transfer {
		tr := Transfer{Sender: ann.ID, Receiver: DefaultSeedAccount(), Amount: 1, Key: key, MaxFee: new(Coins)}
		if tr.Signature, err = SignTransfer(led.genesis.Ledger, 1, tr, led.Time().Add(time.Hour), private); err != nil {
			t.Fatal(err)
		}
		return tr
	}
	for range cap(led.verifying) {
		led.verifying <- struct{}{}
	}
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if _, err := led.TransferBatch(short, []Transfer{signed("a"), signed("b")}, Atomic); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a batch without a turn: %v", err)
	}
	if _, err := led.TransferBatch(ctx, []Transfer{plain, plain}, Atomic); err != nil {
		t.Errorf("one that is not signed: %v", err)
	}
	if _, err := led.Transfer(ctx, signed("c")); err != nil {
		t.Errorf("a single one: %v", err)
	}
	for range cap(led.verifying) {
		<-led.verifying
	}
	if _, err := led.TransferBatch(ctx, []Transfer{signed("a"), signed("b")}, Atomic); err != nil {
		t.Errorf("with a turn: %v", err)
	}
	if len(led.verifying) > 0 {
		t.Errorf("%d turns were not given back", len(led.verifying))
	}
}
