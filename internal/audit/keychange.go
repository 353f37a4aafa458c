package audit

import (
	"crypto/ed25519"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/internal/sign"
)

// keyChange applies a change of a key.
func (a *auditor) keyChange(r *record.Record) (slot uint32) {
	k := r.Body.(*record.KeyChange)
	acct, slot, ok := a.partyState(r, k.Account)
	if !ok {
		return slot
	}
	switch old := acct.Key; {
	case old == nil:
		a.fault(r.Position, k.Account, FaultSignature, "its key is changed, and it has none")
	case old.Version != k.Ends:
		a.fault(r.Position, k.Account, FaultSignature, "version %d of its key is changed, it has version %d", k.Ends, old.Version)
	default:
		c := &a.checks
		start := len(c.arena)
		c.arena = sign.AppendKeyChange(c.arena, a.began.Ledger, k.Account, k.Ends, k.Key)
		c.add(r, k.Account, &old.Public, start, &k.Old, "the change of its key, by the old one,")
		c.add(r, k.Account, &k.Key, start, &k.New, "the change of its key, by the new one,")
	}
	a.checkKey(r, k.Account, &k.Key)
	acct.ChangeKey(k.Ends, k.Key, r.Position)
	a.accounts.Set(slot, acct)
	return slot
}

// checkKey makes sure that a key is one.
func (a *auditor) checkKey(r *record.Record, account uuid.UUID, key *[ed25519.PublicKeySize]byte) {
	if *key == record.NoKey {
		return
	}
	if err := sign.CheckKey(*key); err != nil {
		a.fault(r.Position, account, FaultSignature, "its key: %v", err)
	}
}
