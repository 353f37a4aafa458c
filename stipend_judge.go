package capycoin

import (
	"context"
	"fmt"

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
	if b.unpaid() > 0 || b.stipend != nil && b.stipend.day >= s.record.day {
		s.last = b.stipend.position
		return nil
	}
	last, err := l.lastBefore(ctx, s.record.before, s.record.day)
	if err != nil {
		return err
	}
	if dayOf(ov.now) != s.record.day || !last {
		s.moved = true
		return nil
	}
	pool, slot, ok, err := l.find(ctx, feeAccount, l.poolSlot)
	if err != nil || !ok {
		return err
	}
	s.funds = l.fundsOf(pool, slot)
	share := s.record.rules.share(s.funds, s.record.payees)
	if share == 0 {
		return nil
	}
	r := &l.scratch
	ov.next(r, kindStipend)
	begun := s.record
	begun.funds, begun.share = s.funds, share
	r.body = &begun
	ov.append(r)
	b.stipend, b.paid = stipendOf(r), 0
	s.begun, s.last = true, r.position
	return nil
}

// lastBefore says whether a position is that of the last record before a day, as the
// overlay has it: a clock that was set back may have let others follow.
func (l *Ledger) lastBefore(ctx context.Context, position uint64, day int64) (bool, error) {
	ov, r := l.overlay, &l.scratch
	next := position + 1
	switch {
	case next > ov.books.position:
		return true, nil
	case next >= ov.first:
		if err := decodeRecord(r, next, ov.record(next)); err != nil {
			return false, err
		}
	default:
		if err := l.readRecord(ctx, next, r); err != nil {
			return false, err
		}
	}
	return dayOf(r.time) >= day, nil
}

// judgePayees appends the next payments of a stipend, unless somebody else has.
func (l *Ledger) judgePayees(ctx context.Context, o *op) error {
	ov, s := l.overlay, o.stipend
	b := &ov.books
	if s.last, s.paid = b.stipend.at(), b.paid; s.last != s.position || s.paid != s.first {
		return nil
	}
	pool, err := l.pool(ctx)
	if err != nil {
		return err
	}
	for _, id := range s.payees {
		to, slot, ok, err := l.find(ctx, id, noSlot)
		if err != nil {
			return err
		}
		if !ok || pool.funds < b.stipend.share {
			return fmt.Errorf("%w: the stipend of record %d can't be paid to account %s", store.ErrCorrupt, s.position, id)
		}
		if to == nil {
			to = ov.touch(slot)
		}
		r := &l.scratch
		ov.next(r, kindTransfer)
		r.transfer = transferRecord{sender: feeAccount, receiver: id, amount: b.stipend.share}
		ov.move(r, pool, to, nil)
		b.paid++
	}
	s.paid = b.paid
	return nil
}
