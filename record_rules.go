package capycoin

import (
	"math"
	"math/bits"
	"slices"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/internal/wire"
)

// feeOf returns the fee of an amount of 1 or more between accounts that are not exempt.
func feeOf(p *record.FeePolicy, amount int64) int64 {
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

// fee returns what a transfer costs in a ledger with a seed account.
func (p *feePolicyAt) fee(sender, receiver *uuid.UUID, amount int64, seed *uuid.UUID) int64 {
	if p == nil {
		return 0
	}
	for _, id := range [...]*uuid.UUID{sender, receiver} {
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
	return feeOf(&p.FeePolicy, amount)
}
