package capycoin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/books"
	"github.com/capycoin/capycoin/internal/journal"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/internal/wire"
)

// The coins of the account of the fees go back to those who use the currency: once
// each day, UTC, in equal shares to the accounts that were active before it began.
// Who they are follows from the journal up to the last record before the day, so
// whenever it is looked at, and by whom, the same ones are found. The stipend begins
// with a record that says how many they are and has a hash over them; a transfer for
// each of them follows, in order of opening.

const (
	// DefaultStipendWindow and DefaultStipendAge are the StipendRules, in days, of
	// who names none.
	DefaultStipendWindow = 7
	DefaultStipendAge    = 1
	// MaxStipendDays is the most that either can be.
	MaxStipendDays = record.MaxStipendDays // 365

	// payAtOnce is how many payments are made in one commit: fewer than a caller's
	// batch can have, so that they hold nobody up.
	payAtOnce = 256
)

// StipendRules say who gets a share of a day's stipend, and how much. The zero
// StipendRules are the defaults.
//
// An account gets one that sent a transaction in the last Window days and was
// opened MinAge days before, or earlier, both counted back from the beginning of
// the day. The seed account and the account of the fees never do.
type StipendRules struct {
	Window int   // 1 to [MaxStipendDays]. Zero: [DefaultStipendWindow]
	MinAge int   // 1 to [MaxStipendDays]. Zero: [DefaultStipendAge]
	Cap    Coins // the highest share, 1 to the supply. Zero: there is none
}

// Check returns an [*OptionError] if a rule is out of range in a ledger with a supply.
func (r StipendRules) Check(supply Coins) error {
	_, err := r.withDefaults(supply)
	return err
}

// withDefaults returns the rules without zeros, or an [*OptionError].
func (r StipendRules) withDefaults(supply Coins) (StipendRules, error) {
	if r.Window == 0 {
		r.Window = DefaultStipendWindow
	}
	if r.MinAge == 0 {
		r.MinAge = DefaultStipendAge
	}
	const days = "1 to 365, or 0 for the default"
	switch {
	case r.Window < 1 || r.Window > record.MaxStipendDays:
		return r, &OptionError{"Window", r.Window, days}
	case r.MinAge < 1 || r.MinAge > record.MaxStipendDays:
		return r, &OptionError{"MinAge", r.MinAge, days}
	case r.Cap < 0 || r.Cap > supply:
		return r, &OptionError{"Cap", r.Cap, fmt.Sprintf("1 to the supply of %d, or 0 for none", supply)}
	}
	return r, nil
}

// terms returns the rules as a record has them.
func (r *StipendRules) terms() record.StipendRules {
	return record.StipendRules{Window: r.Window, MinAge: r.MinAge, Cap: int64(r.Cap)}
}

// rulesOf returns the rules that a record has.
func rulesOf(t record.StipendRules) StipendRules {
	return StipendRules{Window: t.Window, MinAge: t.MinAge, Cap: Coins(t.Cap)}
}

// Stipend is the stipend of a day.
type Stipend struct {
	Day   time.Time // when the day begins, UTC
	Rules StipendRules
	// Before is the position of the last record before the day: the accounts that
	// are paid follow from the journal up to there. 0: there is none.
	Before uint64
	// Payees is how many accounts get a share.
	Payees int64
	// Share is what each of them gets. Zero: there are fewer coins than payees, and
	// nothing is paid.
	Share Coins
	// Funds is what the account of the fees had: when the stipend was begun, or when
	// it was planned.
	Funds Coins
	// Position is that of the record that begins it, 0 if it has not begun.
	Position uint64
	// Paid is how many of the payees have been paid.
	Paid int64
}

// Done says whether all payees of a stipend that was begun have been paid.
func (s *Stipend) Done() bool { return s.Position > 0 && s.Paid == s.Payees }

// covers says whether it was begun, for a day or a later one.
func (s *Stipend) covers(day int64) bool {
	return s.Position > 0 && !s.Day.Before(dayStart(day))
}

// publicStipend is what the API tells of a stipend that was begun; zero if there is none.
func publicStipend(s record.Stipend, position uint64, paid int64) Stipend {
	if position == 0 {
		return Stipend{}
	}
	return Stipend{
		Day: dayStart(s.Day), Rules: rulesOf(s.Rules), Before: s.Before, Payees: s.Payees, Share: Coins(s.Share),
		Funds: Coins(s.Funds), Position: position, Paid: paid,
	}
}

func dayStart(day int64) time.Time { return wire.TimeOf(day * record.MicrosPerDay) }

// LastStipend returns the stipend that was begun last; its Position is 0 if there
// never was one.
func (l *Ledger) LastStipend(ctx context.Context) (Stipend, error) {
	if err := l.serves(ctx); err != nil {
		return Stipend{}, err
	}
	return publicStipend(l.books.LastStipend()), nil
}

// PlanStipend returns what [Ledger.PayStipend] would begin now, and begins nothing:
// the stipend of this day as it is if it was begun before.
func (l *Ledger) PlanStipend(ctx context.Context, rules StipendRules) (Stipend, error) {
	rules, err := rules.withDefaults(Coins(l.genesis.Supply))
	if err != nil {
		return Stipend{}, err
	}
	day := record.DayOf(l.Time().UnixMicro())
	last, err := l.LastStipend(ctx)
	if err != nil || last.covers(day) {
		return last, err
	}
	if err := l.planning.Acquire(ctx, 1); err != nil {
		return Stipend{}, err
	}
	defer l.planning.Release(1)
	s, _, err := l.planStipend(ctx, day, rules)
	if err != nil {
		return s, err
	}
	// What was looked at meanwhile may have been begun meanwhile.
	if now, err := l.LastStipend(ctx); err != nil || now.Position != last.Position {
		return now, err
	}
	return s, nil
}

// PayStipend pays the coins of the account of the fees in equal shares to the
// accounts that the rules say, once a day: by the day, UTC, of the ledger's time. A
// stipend of this day that was begun, here or elsewhere, by these or other rules,
// is gone on with, and so is one of an earlier day, before this day's is begun. A
// day on which nobody asked is left out, and its coins stay.
//
// It works in the background: it rests for as long as it works, and pays in small
// batches; those who call at once are served one after the other. When ctx ends, or
// the ledger is closed, the rest is paid by the next call. To find the payees takes
// about 50 bytes of memory for each account that was active. An [*OptionError] names a
// rule that is out of range.
func (l *Ledger) PayStipend(ctx context.Context, rules StipendRules) (Stipend, error) {
	rules, err := rules.withDefaults(Coins(l.genesis.Supply))
	if err != nil {
		return Stipend{}, err
	}
	// To look for the payees takes time, and memory for each of them.
	if err := l.paying.Acquire(ctx, 1); err != nil {
		return Stipend{}, err
	}
	defer l.paying.Release(1)
	if err := l.eng.CatchUp(ctx); err != nil {
		return Stipend{}, err
	}
	var payees []uuid.UUID
	of := uint64(0) // the position of the stipend that they are those of
	for {
		last, err := l.LastStipend(ctx)
		if err != nil {
			return last, err
		}
		if last.Position > 0 && !last.Done() {
			if of != last.Position {
				if payees, err = l.payeesAgain(ctx, &last); err != nil {
					return last, err
				}
				of = last.Position
			}
			if err := l.payPayees(ctx, &last, payees); err != nil {
				return last, err
			}
			continue
		}
		day := record.DayOf(l.Time().UnixMicro())
		if last.covers(day) {
			return last, nil
		}
		planned, found, err := l.planStipend(ctx, day, rules)
		if err != nil {
			return planned, err
		}
		if planned.Share == 0 {
			// Another ledger may have begun it meanwhile, so that the coins are gone.
			if err := l.eng.CatchUp(ctx); err != nil {
				return planned, err
			}
			if now, err := l.LastStipend(ctx); err != nil || now.Position == last.Position {
				return planned, err
			}
			continue
		}
		o := &books.BeginStipend{Stipend: record.Stipend{
			Day: day, Before: planned.Before, Rules: rules.terms(), Payees: planned.Payees, Hash: record.HashPayees(found),
		}}
		if err := l.submit(ctx, o); err != nil {
			return planned, err
		}
		switch {
		case o.Begun:
			payees, of = found, o.Last
		case !o.Moved && o.Last == 0: // the coins have gone meanwhile, to another day's
			planned.Funds, planned.Share = Coins(o.Funds), 0
			return planned, nil
		}
		// Or else somebody has begun one, or the clock was set: look again.
	}
}

// planStipend finds a day's payees and what they would get now.
func (l *Ledger) planStipend(ctx context.Context, day int64, rules StipendRules) (s Stipend, payees []uuid.UUID, err error) {
	s = Stipend{Day: dayStart(day), Rules: rules}
	if s.Before, payees, err = l.books.Payees(ctx, day, rules.terms()); err != nil {
		return s, nil, l.eng.Failed(err)
	}
	s.Payees = int64(len(payees))
	acct, err := l.Account(ctx, record.FeeAccount)
	if err != nil && !errors.Is(err, ErrAccountNotFound) { // without a policy there is none
		return s, nil, err
	}
	s.Funds = acct.Funds
	terms := rules.terms()
	s.Share = Coins(terms.Share(int64(s.Funds), s.Payees))
	return s, payees, nil
}

// payeesAgain finds the payees of a stipend that was begun.
func (l *Ledger) payeesAgain(ctx context.Context, s *Stipend) ([]uuid.UUID, error) {
	want, position, _ := l.books.LastStipend()
	if position != s.Position {
		return nil, nil // somebody else has paid it, and begun another
	}
	before, payees, err := l.books.Payees(ctx, want.Day, want.Rules)
	if err != nil {
		return nil, l.eng.Failed(err)
	}
	if before != want.Before || int64(len(payees)) != want.Payees || record.HashPayees(payees) != want.Hash {
		return nil, l.eng.Failed(fmt.Errorf("%w: record %d is of a stipend for %d accounts, by the journal it is for %d others",
			ErrCorrupt, position, want.Payees, len(payees)))
	}
	return payees, nil
}

// payPayees makes the payments of a stipend that are left.
func (l *Ledger) payPayees(ctx context.Context, s *Stipend, payees []uuid.UUID) error {
	for work := journal.StartWork(); s.Paid < int64(len(payees)); {
		o := &books.PayPayees{Stipend: s.Position, First: s.Paid, Payees: payees[s.Paid:min(s.Paid+payAtOnce, s.Payees)]}
		if err := l.submit(ctx, o); err != nil {
			return err
		}
		if o.Last != s.Position {
			return nil
		}
		s.Paid = o.Paid
		if err := work.Rest(ctx); err != nil {
			return err
		}
	}
	return nil
}
