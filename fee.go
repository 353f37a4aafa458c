package capycoin

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/books"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/internal/wire"
)

// MaxFeeExempt is how many accounts a [FeePolicy] can exempt.
const MaxFeeExempt = record.MaxFeeExempt // 64

// FeeAccount is the id of the account that fees go to, in every ledger:
// feefeefe-efee-4fee-8fee-feefeefeefee. It is opened when the first [FeePolicy] is
// set, has no token and no key, and only stipends ([Ledger.PayStipend]) take coins
// from it.
func FeeAccount() uuid.UUID { return record.FeeAccount }

// FeePolicy says what transfers cost beside their amount. The zero FeePolicy is no
// fee.
//
// The fee of an amount is Flat, and BasisPoints of the amount, rounded up to a
// whole coin; or Min if that is less than Min, or Max if it is more than Max.
// There is none where the sender or the receiver is exempt: the seed account, the
// account of the fees, and those that are listed.
type FeePolicy struct {
	// Flat is part of each fee: 0 to the ledger's supply.
	Flat Coins
	// BasisPoints is how many hundredths of a percent of the amount are part of
	// the fee: 0 to 10,000.
	BasisPoints int
	// Min is the least fee: 0 to the ledger's supply.
	Min Coins
	// Max is the highest fee: Min to the ledger's supply. Zero: there is none.
	Max Coins
	// Exempt lists up to [MaxFeeExempt] accounts that neither pay a fee nor cause
	// one, in any order.
	Exempt []uuid.UUID
}

// Fee returns the fee of an amount of 1 or more between accounts that are not
// exempt.
func (p *FeePolicy) Fee(amount Coins) Coins {
	t := p.terms()
	return Coins(books.FeeOf(&t, int64(amount)))
}

// terms returns the policy as a record has it; it shares the list of exempt accounts.
func (p *FeePolicy) terms() record.FeePolicy {
	return record.FeePolicy{Flat: int64(p.Flat), BasisPoints: p.BasisPoints, Min: int64(p.Min), Max: int64(p.Max), Exempt: p.Exempt}
}

// policyOf returns the policy that a record has; it shares the list of exempt accounts.
func policyOf(t *record.FeePolicy) FeePolicy {
	return FeePolicy{Flat: Coins(t.Flat), BasisPoints: t.BasisPoints, Min: Coins(t.Min), Max: Coins(t.Max), Exempt: t.Exempt}
}

// SetFeePolicy makes a policy the one in force, from its record on, and opens the
// account of the fees with the first one. It returns an [*OptionError] for a field
// that is out of range, or [ErrAccountNotFound] if an exempt account is unknown.
func (l *Ledger) SetFeePolicy(ctx context.Context, p FeePolicy) error {
	terms := p.terms()
	if bad := terms.Check(l.genesis.Supply); bad != nil {
		if coins, ok := bad.Value.(int64); ok {
			bad.Value = Coins(coins)
		}
		return &OptionError{Field: bad.Field, Value: bad.Value, Allowed: bad.Allowed}
	}
	p.Exempt = slices.Clone(p.Exempt)
	slices.SortFunc(p.Exempt, func(a, b uuid.UUID) int { return wire.CompareIDs(&a, &b) })
	p.Exempt = slices.Compact(p.Exempt)
	p.Exempt = slices.DeleteFunc(p.Exempt, func(id uuid.UUID) bool { return id == l.genesis.Seed || id == record.FeeAccount })
	terms.Exempt = p.Exempt
	return l.perform(ctx, &books.SetFeePolicy{Policy: terms})
}

// FeePolicy returns the policy in force and since when it is; both are zero if
// there never was one.
func (l *Ledger) FeePolicy(ctx context.Context) (p FeePolicy, since time.Time, err error) {
	if err := l.serves(ctx); err != nil {
		return p, since, err
	}
	at, micros, ok := l.books.FeePolicy()
	if !ok {
		return p, since, nil
	}
	return policyOf(&at), wire.TimeOf(micros), nil
}

// Fee returns what a transfer of an amount costs by the policy in force, if
// neither party is exempt. Errors: [ErrAmountIsZero], [ErrAmountIsNegative].
func (l *Ledger) Fee(ctx context.Context, amount Coins) (Coins, error) {
	p, _, err := l.FeePolicy(ctx)
	switch {
	case err != nil:
		return 0, err
	case amount == 0:
		return 0, ErrAmountIsZero
	case amount < 0:
		return 0, ErrAmountIsNegative
	}
	return p.Fee(amount), nil
}
