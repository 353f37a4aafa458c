package audit_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/accounts"
	"github.com/capycoin/capycoin/internal/audit"
	"github.com/capycoin/capycoin/internal/boltfile"
	"github.com/capycoin/capycoin/internal/books"
	"github.com/capycoin/capycoin/internal/engine"
	"github.com/capycoin/capycoin/internal/keyindex"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/store"
)

// wrongMemory is a view of a ledger whose memory is not what was written.
type wrongMemory struct {
	audit.View
	rich uuid.UUID // has a coin too many
}

func (v *wrongMemory) CopyCached(ids []uuid.UUID, states *[accounts.ReadAhead]accounts.Account, found *[accounts.ReadAhead]bool) uint64 {
	warmth := v.View.CopyCached(ids, states, found)
	for i := range ids {
		if ids[i] == v.rich && found[i] {
			states[i].Funds++
		}
	}
	return warmth
}

func (v *wrongMemory) KeysInMemory(h keyindex.Hash) (positions []uint64, runs []*keyindex.Run, moves uint64) {
	_, runs, moves = v.View.KeysInMemory(h)
	return nil, runs, moves
}

func (v *wrongMemory) FreshKeys(int, int, []keyindex.Entry) []keyindex.Entry { return nil }

// TestAuditOfFreshState plants a fault in memory: the audit reads as callers
// do, so it finds what is not on the disk yet, too.
func TestAuditOfFreshState(t *testing.T) {
	ctx := context.Background()
	seed := uuid.New()
	file, err := boltfile.Open(filepath.Join(t.TempDir(), "coins.db"), boltfile.Options{
		LockTimeout: time.Second,
		Begin: func(log store.Log) error {
			return books.WriteGenesis(ctx, log, record.Genesis{Ledger: uuid.New(), Supply: 5000, Seed: seed}, 0)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	led, err := engine.Open(ctx, file, file, engine.Options{
		Books: books.Options{AccountCache: 100, Verifying: 1}, Clock: time.Now, Logger: slog.New(slog.DiscardHandler), Close: file.Close,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer led.Close()
	do := func(op engine.Op) {
		t.Helper()
		if _, err := led.Submit(ctx, op); err != nil {
			t.Fatal(err)
		}
	}
	var ids [2]uuid.UUID
	for i := range ids {
		ids[i] = uuid.New()
		do(&books.OpenAccount{ID: ids[i]})
	}
	for _, o := range []books.Order{
		{Sender: seed, Receiver: ids[0], Amount: 1000, Signed: -1},
		{Sender: ids[0], Receiver: ids[1], Amount: 1, Key: "fresh", Signed: -1},
	} {
		tr := &books.Transfers{Orders: []books.Order{o}, Outcomes: make([]books.Outcome, 1)}
		if do(tr); tr.Outcomes[0].Refusal != nil {
			t.Fatal(tr.Outcomes[0].Refusal)
		}
	}
	opts := audit.Options{Now: led.Time, Err: led.Err, MaxFaults: 100}
	if rep, err := audit.Run(ctx, led.Books(), opts); err != nil || rep.FaultCount > 0 {
		t.Fatal(err, rep.Faults)
	}
	rep, err := audit.Run(ctx, &wrongMemory{led.Books(), ids[0]}, opts)
	if err != nil {
		t.Fatal(err)
	}
	kinds := make(map[string]bool)
	for _, f := range rep.Faults {
		kinds[f.Kind] = true
	}
	if !kinds[audit.FaultAccount] || !kinds[audit.FaultKey] {
		t.Errorf("got faults %v, want one of the account and one of the key", rep.Faults)
	}
}
