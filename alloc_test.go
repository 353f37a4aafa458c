package capycoin_test

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
)

// TestAllocations counts what a transfer leaves to the garbage collector. A
// batch costs the slice of its results and what bbolt allocates for a row of
// eight records, nothing for a transfer.
func TestAllocations(t *testing.T) {
	ctx := context.Background()
	led := openLedger(t, filepath.Join(t.TempDir(), "coins.db"), &capycoin.Options{Supply: capycoin.MaxSupply})
	ids := make([]uuid.UUID, 100)
	for i := range ids {
		ids[i] = openAccount(t, led, 1_000_000)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	batch := make([]capycoin.Transfer, 8000)
	for i := range batch {
		batch[i] = randomTransfer(rng, ids, false, "")
		batch[i].Amount = 1
	}
	each := func(runs int, fn func() error) float64 {
		t.Helper()
		return testing.AllocsPerRun(runs, func() {
			if err := fn(); err != nil {
				t.Fatal(err)
			}
		})
	}
	got := each(20, func() error { _, err := led.TransferBatch(ctx, batch, capycoin.EachAlone); return err })
	if perTransfer := got / float64(len(batch)); perTransfer > 0.75 {
		t.Errorf("a batch: %.2f allocations a transfer, want at most 0.75", perTransfer)
	}
	// A commit of bbolt makes some fifty.
	got = each(200, func() error { _, err := led.Transfer(ctx, batch[0]); return err })
	if got > 80 {
		t.Errorf("a single transfer: %.0f allocations, want at most 80", got)
	}
	t.Logf("a single transfer alone: %.0f allocations", got)
}
