package audit

import "github.com/capycoin/capycoin/internal/record"

func (a *auditor) revocation(r *record.Record) (slot uint32) {
	v := r.Body.(*record.Revocation)
	acct, slot, ok := a.partyState(r, v.Account)
	if !ok {
		return slot
	}
	ref, ok := acct.Revoke(v.Token, r.Position)
	if !ok || ref.Expires <= r.Time {
		a.fault(r.Position, acct.ID, FaultToken, "it revokes record %d, which is no live token of it", v.Token)
	}
	acct.AsOf = r.Position
	a.accounts.Set(slot, acct)
	if ok {
		delete(a.live, ref.Selector)
	}
	return slot
}
