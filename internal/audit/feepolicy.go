package audit

import (
	"slices"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/accounts"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/internal/wire"
)

// feePolicy applies a policy.
func (a *auditor) feePolicy(r *record.Record) (slot uint32) {
	p := r.Body.(*record.FeePolicy)
	if err := p.Check(a.began.Supply); err != nil {
		a.fault(r.Position, uuid.UUID{}, FaultFee, "%v", err)
	}
	for _, id := range p.Exempt {
		if id == a.began.Seed || id == record.FeeAccount {
			a.fault(r.Position, id, FaultFee, "it is listed as exempt, which it always is")
		}
		a.party(r, id, accounts.NoSlot)
	}
	if a.model.policy == nil && a.poolAt != r.Position-1 {
		a.fault(r.Position, record.FeeAccount, FaultFee, "it is not opened right before the first fee policy")
	}
	policy := *p
	a.model.policy, a.model.PolicyAt = &policy, r.Position
	return accounts.NoSlot
}

// fee checks the fee of a transfer and applies it to the account of the fees.
func (a *auditor) fee(r *record.Record) (slot uint32) {
	t := &r.Transfer
	want := a.due(t)
	if t.Fee != want {
		a.fault(r.Position, t.Sender, FaultFee, "it pays a fee of %d, by the policy in force it is %d", t.Fee, want)
	}
	if t.Fee == 0 {
		return accounts.NoSlot
	}
	slot, ok := a.party(r, record.FeeAccount, a.poolSlot)
	if ok {
		a.poolSlot = slot
		a.report.Fees += t.Fee
		a.moved(r, slot, &t.Pool, t.Fee)
	}
	return slot
}

// due is the fee of a transfer by the policy in force, as docs/format.md has it: the
// basis points are taken of ten thousands and of the rest, so that nothing overflows.
func (a *auditor) due(t *record.Transfer) int64 {
	p := a.model.policy
	if p == nil {
		return 0
	}
	for _, id := range [...]*uuid.UUID{&t.Sender, &t.Receiver} {
		_, exempt := slices.BinarySearchFunc(p.Exempt, id, func(a uuid.UUID, b *uuid.UUID) int { return wire.CompareIDs(&a, b) })
		if exempt || *id == a.began.Seed || *id == record.FeeAccount {
			return 0
		}
	}
	const whole = record.MaxBasisPoints
	points := int64(p.BasisPoints)
	fee := p.Flat + t.Amount/whole*points + (t.Amount%whole*points+whole-1)/whole
	if fee < p.Min {
		fee = p.Min
	}
	if p.Max > 0 && fee > p.Max {
		fee = p.Max
	}
	return fee
}
