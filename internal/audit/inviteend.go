package audit

import (
	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/accounts"
	"github.com/capycoin/capycoin/internal/record"
)

func (a *auditor) inviteEnd(r *record.Record) (slot uint32) {
	e := r.Body.(*record.InviteEnd)
	selector, ok := a.invites[e.Invite]
	switch row := a.live[selector]; {
	case !ok:
		a.fault(r.Position, e.Account, FaultInvite, "it ends record %d, which is no invite or had ended before", e.Invite)
	case row.Expires <= r.Time:
		a.fault(r.Position, e.Account, FaultInvite, "it ends the invite of record %d, which had expired", e.Invite)
	}
	if ok {
		delete(a.live, selector)
		delete(a.invites, e.Invite)
	}
	if e.Account == (uuid.UUID{}) {
		return accounts.NoSlot
	}
	// The records of the account and its token are the two before.
	slot, ok = a.party(r, e.Account, accounts.NoSlot)
	if ok && (slot != a.newest || a.model.Opened[len(a.model.Opened)-1] != r.Position-2 || a.accounts.At(slot).AsOf != r.Position-1) {
		a.fault(r.Position, e.Account, FaultInvite, "the account is not the one opened right before it")
	}
	return accounts.NoSlot
}
