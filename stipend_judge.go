package capycoin

import (
	"context"
	"fmt"

	"github.com/capycoin/capycoin/internal/accounts"
	"github.com/capycoin/capycoin/internal/journal"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/store"
)

// judgeStipend appends the record that begins a stipend.
func (l *Ledger) judgeStipend(ctx context.Context, o *op) error {
	ov, s := l.overlay, o.stipend
	s.begun, s.moved, s.last, s.funds = false, false, 0, 0
	b := &ov.books
	if b.policy == nil {
		return nil
	}
	if b.unpaid() > 0 || b.stipend != nil && b.stipend.Day >= s.record.Day {
		s.last = b.stipend.position
		return nil
	}
	last, err := l.lastBefore(ctx, s.record.Before, s.record.Day)
	if err != nil {
		return err
	}
	if record.DayOf(ov.now) != s.record.Day || !last {
		s.moved = true
		return nil
	}
	pool, slot, ok, err := l.find(ctx, record.FeeAccount, l.poolSlot)
	if err != nil || !ok {
		return err
	}
	s.funds = l.fundsOf(pool, slot)
	share := s.record.Rules.Share(s.funds, s.record.Payees)
	if share == 0 {
		return nil
	}
	r := &l.scratch
	ov.next(r, record.KindStipend)
	begun := s.record
	begun.Funds, begun.Share = s.funds, share
	r.Body = &begun
	ov.append(r)
	b.setStipend(r)
	s.begun, s.last = true, r.Position
	return nil
}

// lastBefore says whether a position is that of the last record before a day, as the
// overlay has it: a clock that was set back may have let others follow.
func (l *Ledger) lastBefore(ctx context.Context, position uint64, day int64) (bool, error) {
	ov, r := l.overlay, &l.scratch
	next := position + 1
	switch {
	case next > ov.books.Position:
		return true, nil
	case next >= ov.first:
		if err := record.Decode(r, next, ov.record(next)); err != nil {
			return false, err
		}
	default:
		if err := journal.Read(ctx, l.log, next, r); err != nil {
			return false, err
		}
	}
	return record.DayOf(r.Time) >= day, nil
}

// judgePayees appends the next payments of a stipend, unless somebody else has.
func (l *Ledger) judgePayees(ctx context.Context, o *op) error {
	ov, s := l.overlay, o.stipend
	b := &ov.books
	if s.last, s.paid = b.StipendAt, b.Paid; s.last != s.position || s.paid != s.first {
		return nil
	}
	pool, err := l.pool(ctx)
	if err != nil {
		return err
	}
	for _, id := range s.payees {
		to, slot, ok, err := l.find(ctx, id, accounts.NoSlot)
		if err != nil {
			return err
		}
		if !ok || pool.Funds < b.stipend.Share {
			return fmt.Errorf("%w: the stipend of record %d can't be paid to account %s", store.ErrCorrupt, s.position, id)
		}
		if to == nil {
			to = ov.touch(slot)
		}
		r := &l.scratch
		ov.next(r, record.KindTransfer)
		r.Transfer = record.Transfer{Sender: record.FeeAccount, Receiver: id, Amount: b.stipend.Share}
		ov.move(r, pool, to, nil)
		b.Paid++
	}
	s.paid = b.Paid
	return nil
}
