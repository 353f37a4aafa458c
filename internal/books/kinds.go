package books

import (
	"context"
	"fmt"

	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/internal/wire"
	"github.com/capycoin/capycoin/store"
)

// rule is what records of a kind do.
type rule struct {
	// apply brings the effect of a record of the journal into the committed state, with
	// its lock held where that changes; nil: it has none but on the numbers.
	apply func(context.Context, *State, *record.Record) error
	// count brings it into the numbers; nil: it only moves their position and time.
	count func(*numbers, *record.Record) error
}

// kinds are what records do, by their kinds. The effect of a transfer is called by name,
// as most records are transfers. To add a kind, see docs/architecture.md.
var kinds = [record.Kinds]rule{
	record.KindGenesis:    {applyGenesis, countGenesis},
	record.KindAccount:    {applyAccount, countAccount},
	record.KindTransfer:   {nil, (*numbers).countTransfer},
	record.KindToken:      {applyToken, nil},
	record.KindRevocation: {applyRevocation, nil},
	record.KindInvite:     {applyInvite, nil},
	record.KindInviteEnd:  {applyInviteEnd, nil},
	record.KindKeyChange:  {applyKeyChange, nil},
	record.KindFeePolicy:  {nil, countFeePolicy},
	record.KindStipend:    {nil, countStipend},
}

// apply brings the effect of a record of the journal into the committed state,
// as one step for readers. What a row already has stays as it is. A record
// that does not follow from the state is damage.
func (s *State) apply(ctx context.Context, r *record.Record, hints [2]uint32) error {
	if r.Kind == record.KindTransfer {
		return s.applyTransfer(ctx, r, hints)
	}
	if apply := s.kinds[r.Kind].apply; apply != nil {
		return apply(ctx, s, r)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count(r)
}

// count brings a record into the numbers, unless they have it. The caller holds
// the lock.
func (s *State) count(r *record.Record) error {
	n := &s.numbers
	if r.Position <= n.Position {
		return nil
	}
	if r.Position != n.Position+1 || r.Time < n.Time {
		return fmt.Errorf("%w: record %d of %s follows record %d of %s", store.ErrCorrupt,
			r.Position, wire.TimeOf(r.Time), n.Position, wire.TimeOf(n.Time))
	}
	if count := s.kinds[r.Kind].count; count != nil {
		if err := count(n, r); err != nil {
			return err
		}
	}
	n.Position, n.Time = r.Position, r.Time
	return nil
}
