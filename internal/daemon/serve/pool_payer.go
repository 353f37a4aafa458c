package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/capycoin/capycoin"
)

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

// CheckStipendCap makes sure that the highest share is one, when it is known how many
// coins there are.
func CheckStipendCap(rules capycoin.StipendRules, supply capycoin.Coins) error {
	if rules.Cap > supply {
		return fmt.Errorf("--stipend-cap is %d; this ledger has %d coins", rules.Cap, supply)
	}
	return nil
}
