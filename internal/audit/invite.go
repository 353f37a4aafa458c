package audit

import (
	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/accounts"
	"github.com/capycoin/capycoin/internal/record"
)

func (a *auditor) invite(r *record.Record) (slot uint32) {
	i := r.Body.(*record.Invite)
	selector := i.Selector()
	if was, ok := a.live[selector]; ok && was.Expires > r.Time {
		a.fault(r.Position, uuid.UUID{}, FaultInvite, "its selector is that of record %d", was.Position)
	}
	a.live[selector] = accounts.TokenRow{Position: r.Position, Expires: i.Expires, Invite: true}
	a.invites[r.Position] = selector
	return accounts.NoSlot
}
