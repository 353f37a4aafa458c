package audit

import (
	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/accounts"
	"github.com/capycoin/capycoin/internal/chain"
	"github.com/capycoin/capycoin/internal/record"
)

func (a *auditor) genesis(r *record.Record) (slot uint32) {
	g := r.Body.(*record.Genesis)
	seed := accounts.Account{State: accounts.State{ID: a.began.Seed, Created: record.SeedCreated, Funds: g.Supply}, Key: accounts.FirstKey(g.Key)}
	slot = a.open(r, &seed, chain.Link{Ordinal: 1})
	if *g != a.began {
		a.fault(r.Position, uuid.UUID{}, FaultBooks, "the genesis is not the one the ledger was opened with")
	}
	return slot
}
