package audit

import (
	"context"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/accounts"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/internal/wire"
)

// kinds are what is checked of records, by their kinds: each is applied to the model, and
// returns the account that it changed. A transfer is called by name, as it changes several
// and most records are transfers. To add a kind, see docs/architecture.md.
var kinds = [record.Kinds]func(*auditor, *record.Record) (slot uint32){
	record.KindGenesis:    (*auditor).genesis,
	record.KindAccount:    (*auditor).account,
	record.KindTransfer:   nil,
	record.KindToken:      (*auditor).token,
	record.KindRevocation: (*auditor).revocation,
	record.KindInvite:     (*auditor).invite,
	record.KindInviteEnd:  (*auditor).inviteEnd,
	record.KindKeyChange:  (*auditor).keyChange,
	record.KindFeePolicy:  (*auditor).feePolicy,
	record.KindStipend:    (*auditor).stipend,
}

// record checks a record against the model and applies it there.
func (a *auditor) record(ctx context.Context, r *record.Record, hints [2]uint32) {
	b := &a.model
	a.begins(r)
	if r.Time < b.Time {
		a.fault(r.Position, uuid.UUID{}, FaultRecord, "its time %s is before the last record's %s", wire.TimeOf(r.Time), wire.TimeOf(b.Time))
	}
	b.Time = max(b.Time, r.Time)
	b.Position = r.Position
	touched := [3]uint32{accounts.NoSlot, accounts.NoSlot, accounts.NoSlot}
	if r.Kind == record.KindTransfer {
		touched = a.transfer(r, hints)
	} else {
		touched[0] = kinds[r.Kind](a, r)
	}
	for _, slot := range touched {
		if slot == accounts.NoSlot {
			continue
		}
		a.passRow(ctx, slot, r.Position)
		if len(a.waiting) > 0 {
			a.arrived(slot)
		}
	}
	if r.Position == a.seen.Position {
		a.compareTotals()
	}
}

// party returns an account that a record names.
func (a *auditor) party(r *record.Record, id uuid.UUID, hint uint32) (slot uint32, ok bool) {
	if slot, ok = a.accounts.FindAt(hint, &id); !ok || a.accounts.At(slot).AsOf == 0 {
		a.fault(r.Position, id, FaultAccount, "it was never opened")
		return accounts.NoSlot, false
	}
	return slot, true
}

// partyState is party with a copy of what the account is, to be changed and set.
func (a *auditor) partyState(r *record.Record, id uuid.UUID) (acct *accounts.Account, slot uint32, ok bool) {
	if slot, ok = a.party(r, id, accounts.NoSlot); ok {
		acct = &a.work
		a.accounts.Copy(slot, acct)
	}
	return acct, slot, ok
}

// list takes in an account.
func (a *auditor) list(acct *accounts.Account, row rowMark) (slot uint32) {
	slot = a.accounts.Add(acct) // one after the other, as none goes
	a.rows = append(a.rows, row)
	return slot
}
