package capycoin

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/keyindex"
)

// TestAuditOfFreshState plants a fault in memory: the audit reads as callers
// do, so it finds what is not on the disk yet, too.
func TestAuditOfFreshState(t *testing.T) {
	ctx := context.Background()
	led, err := Open(filepath.Join(t.TempDir(), "coins.db"), &Options{NoWitness: true})
	if err != nil {
		t.Fatal(err)
	}
	defer led.Close()
	var ids [2]uuid.UUID
	for i := range ids {
		acct, err := led.OpenAccount(ctx)
		if err != nil {
			t.Fatal(err)
		}
		ids[i] = acct.ID
	}
	for _, tr := range []Transfer{
		{Sender: DefaultSeedAccount(), Receiver: ids[0], Amount: 1000},
		{Sender: ids[0], Receiver: ids[1], Amount: 1, Key: "fresh"},
	} {
		if _, err := led.Transfer(ctx, tr); err != nil {
			t.Fatal(err)
		}
	}
	rep, err := led.Audit(ctx, nil)
	if err != nil || rep.Err() != nil {
		t.Fatal(err, rep.Err())
	}
	led.mu.Lock()
	slot, _ := led.cache.Find(&ids[0])
	led.cache.At(slot).Funds++
	led.keys = keyindex.New(led.folds)
	led.mu.Unlock()
	rep, err = led.Audit(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	kinds := make(map[string]bool)
	for _, f := range rep.Faults {
		kinds[f.Kind] = true
	}
	if !kinds[FaultAccount] || !kinds[FaultKey] {
		t.Errorf("got faults %v, want one of the account and one of the key", rep.Faults)
	}
}
