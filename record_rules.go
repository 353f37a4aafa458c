package capycoin

import (
	"crypto/ed25519"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/wire"
)

// noKey is in the place of the public key of an account that has none.
var noKey [ed25519.PublicKeySize]byte

// feeTerms are a fee policy as its record has it: exempt accounts ascend, each is there
// once.
type feeTerms struct {
	Flat        int64
	BasisPoints int
	Min, Max    int64 // Max 0: there is none
	Exempt      []uuid.UUID
}

// stipendTerms are the rules of a stipend as its record has them.
type stipendTerms struct {
	Window, MinAge int   // days
	Cap            int64 // 0: there is none
}

// share is what each of some payees gets of funds: a whole number of coins.
func (r *stipendTerms) share(funds, payees int64) int64 {
	if payees == 0 {
		return 0
	}
	share := funds / payees
	if r.Cap > 0 {
		share = min(share, r.Cap)
	}
	return share
}

// of returns the fee of an amount of 1 or more between accounts that are not exempt.
func (p *feeTerms) of(amount int64) int64 {
	// 128 bits: an amount and its basis points can have 77.
	hi, lo := bits.Mul64(uint64(max(amount, 0)), uint64(p.BasisPoints))
	lo, carry := bits.Add64(lo, maxBasisPoints-1, 0)
	part, _ := bits.Div64(hi+carry, lo, maxBasisPoints) // at most the amount
	fee := int64(min(part+uint64(p.Flat), math.MaxInt64))
	fee = max(fee, p.Min)
	if p.Max > 0 {
		fee = min(fee, p.Max)
	}
	return fee
}

// outOfRange names a field that is out of range.
type outOfRange struct {
	Field   string
	Value   any
	Allowed string // in words
}

func (e *outOfRange) Error() string {
	return fmt.Sprintf("capycoin: option %s is %v, allowed is %s", e.Field, e.Value, e.Allowed)
}

// check returns the first field that is out of range in a ledger with a supply, or nil.
func (p *feeTerms) check(supply int64) *outOfRange {
	upTo := fmt.Sprintf("0 to the supply of %d", supply)
	switch {
	case p.Flat < 0 || p.Flat > supply:
		return &outOfRange{"Flat", p.Flat, upTo}
	case p.BasisPoints < 0 || p.BasisPoints > maxBasisPoints:
		return &outOfRange{"BasisPoints", p.BasisPoints, "0 to 10000"}
	case p.Min < 0 || p.Min > supply:
		return &outOfRange{"Min", p.Min, upTo}
	case p.Max < 0 || p.Max > supply:
		return &outOfRange{"Max", p.Max, upTo}
	case p.Max > 0 && p.Min > p.Max:
		return &outOfRange{"Min", p.Min, fmt.Sprintf("0 to the highest fee, which is %d", p.Max)}
	case len(p.Exempt) > MaxFeeExempt:
		return &outOfRange{"Exempt", len(p.Exempt), fmt.Sprintf("at most %d accounts", MaxFeeExempt)}
	}
	return nil
}

// fee returns what a transfer costs in a ledger with a seed account.
func (p *feePolicyAt) fee(sender, receiver *uuid.UUID, amount int64, seed *uuid.UUID) int64 {
	if p == nil {
		return 0
	}
	for _, id := range [...]*uuid.UUID{sender, receiver} {
		if *id == *seed || *id == feeAccount {
			return 0
		}
		if len(p.Exempt) == 0 {
			continue
		}
		if _, exempt := slices.BinarySearchFunc(p.Exempt, *id, func(a, b uuid.UUID) int { return wire.CompareIDs(&a, &b) }); exempt {
			return 0
		}
	}
	return p.of(amount)
}
