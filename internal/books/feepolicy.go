package books

import (
	"context"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/accounts"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/internal/wire"
)

// SetFeePolicy puts a policy in force, and opens the account of the fees with the first
// one. Its only refusal is an [ErrAccountNotFound] that names an exempt account.
type SetFeePolicy struct {
	Policy record.FeePolicy // in range, with exempt accounts in order
	refusable
}

// Size implements the engine's operation.
func (o *SetFeePolicy) Size() (records, bytes int) {
	return 2, record.MaxOtherLen + record.MaxFeePolicyLen
}

// Judge implements the engine's operation.
func (o *SetFeePolicy) Judge(ctx context.Context, s *State) error {
	o.Refusal = nil
	for _, id := range o.Policy.Exempt {
		_, _, ok, err := s.find(ctx, id, accounts.NoSlot)
		if err != nil {
			return err
		}
		if !ok {
			o.Refusal = fmt.Errorf("%w: %s, which is to be exempt", ErrAccountNotFound, id)
			return nil
		}
	}
	if s.overlay.numbers.policy == nil {
		s.open(record.FeeAccount, record.NoKey)
	}
	policy := o.Policy
	s.overlay.numbers.setPolicy(s.write(&policy))
	return nil
}

func countFeePolicy(n *numbers, r *record.Record) error {
	n.setPolicy(r)
	return nil
}

// FeeOf returns the fee of an amount of 1 or more between accounts that are not exempt.
func FeeOf(p *record.FeePolicy, amount int64) int64 {
	// 128 bits: an amount and its basis points can have 77.
	hi, lo := bits.Mul64(uint64(max(amount, 0)), uint64(p.BasisPoints))
	lo, carry := bits.Add64(lo, record.MaxBasisPoints-1, 0)
	part, _ := bits.Div64(hi+carry, lo, record.MaxBasisPoints) // at most the amount
	fee := int64(min(part+uint64(p.Flat), math.MaxInt64))
	fee = max(fee, p.Min)
	if p.Max > 0 {
		fee = min(fee, p.Max)
	}
	return fee
}

// fee returns what an order costs in a ledger with a seed account.
func (p *policyAt) fee(o *Order, seed *uuid.UUID) int64 {
	if p == nil {
		return 0
	}
	for _, id := range [...]*uuid.UUID{&o.Sender, &o.Receiver} {
		if *id == *seed || *id == record.FeeAccount {
			return 0
		}
		if len(p.Exempt) == 0 {
			continue
		}
		if _, exempt := slices.BinarySearchFunc(p.Exempt, *id, func(a, b uuid.UUID) int { return wire.CompareIDs(&a, &b) }); exempt {
			return 0
		}
	}
	return FeeOf(&p.FeePolicy, o.Amount)
}

// FeePolicy returns a copy of the policy in force and the time of its record; ok is false
// if there never was one. Any goroutine may ask.
func (s *State) FeePolicy() (p record.FeePolicy, since int64, ok bool) {
	s.mu.RLock()
	at := s.numbers.policy
	s.mu.RUnlock()
	if at == nil {
		return p, 0, false
	}
	p = at.FeePolicy // it is never changed in place
	p.Exempt = slices.Clone(p.Exempt)
	return p, at.time, true
}
