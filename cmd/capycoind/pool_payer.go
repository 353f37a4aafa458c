package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/pflag"

	"github.com/capycoin/capycoin"
)

// stipendFlags are the flags about the daily stipend.
type stipendFlags struct {
	on          bool
	window, age int
	cap         int64
}

func (f *stipendFlags) add(flags *pflag.FlagSet) {
	flags.BoolVar(&f.on, "stipend", false, "pay the fees out to active accounts, once each day, UTC")
	flags.IntVar(&f.window, "stipend-window", capycoin.DefaultStipendWindow, "active is who sent a transaction in so many `days`, 1 to 365")
	flags.IntVar(&f.age, "stipend-age", capycoin.DefaultStipendAge, "paid is who was opened so many `days` before the day began, 1 to 365")
	flags.Int64Var(&f.cap, "stipend-cap", 0, "the highest share, in `coins`, 1 to the supply; 0: there is none")
}

// rules returns what the flags say.
func (f *stipendFlags) rules() (capycoin.StipendRules, error) {
	for _, days := range []struct {
		name  string
		value int
	}{{"--stipend-window", f.window}, {"--stipend-age", f.age}} {
		if days.value < 1 || days.value > capycoin.MaxStipendDays {
			return capycoin.StipendRules{}, fmt.Errorf("%s is %d; it has to be 1 to %d", days.name, days.value, capycoin.MaxStipendDays)
		}
	}
	if f.cap < 0 || f.cap > int64(capycoin.MaxSupply) {
		return capycoin.StipendRules{}, fmt.Errorf("--stipend-cap is %d; it has to be 1 to the supply, or 0 for none", f.cap)
	}
	return capycoin.StipendRules{Window: f.window, MinAge: f.age, Cap: capycoin.Coins(f.cap)}, nil
}

// checkCap looks at the highest share again when it is known how many coins there are.
func (f *stipendFlags) checkCap(supply capycoin.Coins) error {
	if f.cap > int64(supply) {
		return fmt.Errorf("--stipend-cap is %d; this ledger has %d coins", f.cap, supply)
	}
	return nil
}

const (
	// stipendPoll is how often the time of the ledger is looked at: it need not go
	// with the machine's, and clocks are set.
	stipendPoll = time.Minute
	// stipendPatience is how long there is after one error after the other, at most.
	stipendPatience = time.Hour
)

// poolPayer pays the stipend of each day.
type poolPayer struct {
	led    stipendLedger
	rules  capycoin.StipendRules
	logger *slog.Logger
	after  func(time.Duration) <-chan time.Time // nil: time.After
}

// stipendLedger is what a poolPayer needs of a [capycoin.Ledger].
type stipendLedger interface {
	Time() time.Time
	LastStipend(context.Context) (capycoin.Stipend, error)
	PayStipend(context.Context, capycoin.StipendRules) (capycoin.Stipend, error)
}

// run pays, soon after each day has begun, until ctx ends or the ledger stops. What
// it has not paid by then, the next run pays.
func (p *poolPayer) run(ctx context.Context) {
	var done time.Time // the day that nothing more is to be done for
	wait, after := stipendPoll, p.after
	if after == nil {
		after = time.After
	}
	for {
		today := p.led.Time().Truncate(24 * time.Hour)
		next := stipendPoll
		if today.After(done) {
			day, err := p.pay(ctx, today)
			switch {
			case ctx.Err() != nil || errors.Is(err, capycoin.ErrStopped) || errors.Is(err, capycoin.ErrOutcomeUnknown) || errors.Is(err, capycoin.ErrClosed):
				return // the server says why
			case err != nil:
				p.logger.Error("the stipend could not be paid; it is tried again", "day", today.Format(time.DateOnly), "error", err, "in", wait)
				next, wait = wait, min(2*wait, stipendPatience)
			default:
				done, wait = day, stipendPoll
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-after(next):
		}
	}
}

// pay pays what is to be paid on a day, and returns the day it paid for.
func (p *poolPayer) pay(ctx context.Context, today time.Time) (day time.Time, err error) {
	last, err := p.led.LastStipend(ctx)
	if err != nil {
		return day, err
	}
	if last.Done() && !last.Day.Before(today) { // before a restart, or by hand
		return last.Day, nil
	}
	s, err := p.led.PayStipend(ctx, p.rules)
	if err != nil {
		return day, err
	}
	log := p.logger.With("day", s.Day.Format(time.DateOnly), "accounts", s.Payees, "funds", s.Funds)
	switch {
	case s.Share > 0:
		log.Info("the stipend was paid", "share", s.Share, "coins", s.Share*capycoin.Coins(s.Payees))
	case s.Payees == 0:
		log.Info("no stipend today: no account was active before the day")
	default:
		log.Info("no stipend today: the account of the fees has fewer coins than there are active accounts")
	}
	return s.Day, nil
}
