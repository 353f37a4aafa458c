package books

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/accounts"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/store"
)

// BeginStipend begins the stipend of a day, unless another one is not paid yet, or was
// begun for that day or a later one.
type BeginStipend struct {
	Stipend record.Stipend // without funds and share

	Begun bool   // it was; or else the next ones say why not
	Funds int64  // of the account of the fees
	Moved bool   // another day has begun, or another record is the last before this one
	Last  uint64 // the position of the last stipend; 0: there is none that speaks against it
	unverified
}

// Size implements the engine's operation.
func (o *BeginStipend) Size() (records, bytes int) { return 1, record.MaxOtherLen }

// Judge implements the engine's operation.
func (o *BeginStipend) Judge(ctx context.Context, s *State) error {
	o.Begun, o.Moved, o.Last, o.Funds = false, false, 0, 0
	n := &s.overlay.numbers
	if n.policy == nil {
		return nil
	}
	if n.unpaid() > 0 || n.stipend != nil && n.stipend.Day >= o.Stipend.Day {
		o.Last = n.stipend.position
		return nil
	}
	last, err := s.lastBefore(ctx, o.Stipend.Before, o.Stipend.Day)
	if err != nil {
		return err
	}
	if record.DayOf(s.overlay.now) != o.Stipend.Day || !last {
		o.Moved = true
		return nil
	}
	pool, slot, ok, err := s.find(ctx, record.FeeAccount, s.poolSlot)
	if err != nil || !ok {
		return err
	}
	begun := o.Stipend
	begun.Funds = s.fundsOf(pool, slot)
	begun.Share = begun.Rules.Share(begun.Funds, begun.Payees)
	o.Funds = begun.Funds
	if begun.Share == 0 {
		return nil
	}
	r := s.write(&begun)
	n.setStipend(r)
	o.Begun, o.Last = true, r.Position
	return nil
}

// lastBefore says whether a position is that of the last record before a day, as the
// overlay has it: a clock that was set back may have let others follow.
func (s *State) lastBefore(ctx context.Context, position uint64, day int64) (bool, error) {
	next := position + 1
	if next > s.overlay.numbers.Position {
		return true, nil
	}
	r := &s.scratch
	if err := s.recordAt(ctx, next, r); err != nil {
		return false, err
	}
	return record.DayOf(r.Time) >= day, nil
}

func countStipend(n *numbers, r *record.Record) error {
	if n.policy == nil || n.unpaid() > 0 || n.stipend != nil && n.stipend.Day >= r.Body.(*record.Stipend).Day {
		return fmt.Errorf("%w: record %d begins a stipend that can't be", store.ErrCorrupt, r.Position)
	}
	n.setStipend(r)
	return nil
}

// PayPayees makes the next payments of a stipend, unless somebody else has.
type PayPayees struct {
	Stipend uint64      // its position,
	First   int64       // how many have been paid,
	Payees  []uuid.UUID // and who comes next

	Last uint64 // the position of the last stipend,
	Paid int64  // and how many of its payees have been paid
	unverified
}

// Size implements the engine's operation.
func (o *PayPayees) Size() (records, bytes int) {
	return len(o.Payees), len(o.Payees) * record.MaxTransferLen
}

// Judge implements the engine's operation.
func (o *PayPayees) Judge(ctx context.Context, s *State) error {
	ov := s.overlay
	n := &ov.numbers
	if o.Last, o.Paid = n.StipendAt, n.Paid; o.Last != o.Stipend || o.Paid != o.First {
		return nil
	}
	pool, err := s.pool(ctx)
	if err != nil {
		return err
	}
	for _, id := range o.Payees {
		to, slot, ok, err := s.find(ctx, id, accounts.NoSlot)
		if err != nil {
			return err
		}
		if !ok || pool.Funds < n.stipend.Share {
			return fmt.Errorf("%w: the stipend of record %d can't be paid to account %s", store.ErrCorrupt, o.Stipend, id)
		}
		if to == nil {
			to = ov.touch(slot)
		}
		r := &s.scratch
		ov.next(r, record.KindTransfer)
		r.Transfer = record.Transfer{Sender: record.FeeAccount, Receiver: id, Amount: n.stipend.Share}
		ov.move(r, pool, to, nil)
		n.Paid++
	}
	o.Paid = n.Paid
	return nil
}

// LastStipend returns the stipend that was begun last, its position, and how many of its
// payees have been paid; the position is 0 if there is none. Any goroutine may ask.
func (s *State) LastStipend() (last record.Stipend, position uint64, paid int64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if at := s.numbers.stipend; at != nil {
		last, position, paid = at.Stipend, at.position, s.numbers.Paid
	}
	return last, position, paid
}
