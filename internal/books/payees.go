package books

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/journal"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/store"
)

// Payees returns the accounts that get a share of a day's stipend, in order of
// opening, and the position of the last record before the day.
func (s *State) Payees(ctx context.Context, day int64, rules record.StipendRules) (before uint64, payees []uuid.UUID, err error) {
	begin := day * record.MicrosPerDay
	next, err := journal.FirstSince(ctx, s.log, s.Position(), begin)
	if err != nil {
		return 0, nil, err
	}
	from, err := journal.FirstSince(ctx, s.log, s.Position(), begin-int64(rules.Window)*record.MicrosPerDay)
	if err != nil {
		return 0, nil, err
	}
	before = next - 1
	active, err := s.senders(ctx, from, before)
	if err != nil || len(active) == 0 {
		return before, nil, err
	}
	s.mu.RLock()
	count, head := s.numbers.Accounts, s.numbers.Opened[len(s.numbers.Opened)-1]
	s.mu.RUnlock()
	position, ordinal := uint64(0), int64(0)
	err = s.log.View(ctx, func(lr store.LogReader) error {
		r := journal.Chain{Log: lr}
		ordinal, err = r.Since(head, count, begin-int64(rules.MinAge)*record.MicrosPerDay+1)
		if ordinal--; err == nil && ordinal > 0 {
			_, err = r.Seek(head, count, ordinal)
			position = r.Record.Position
		}
		return err
	})
	if err != nil {
		return 0, nil, err
	}
	// The chain leads from the last of them back to the seed account.
	work := journal.StartWork()
	err = journal.WalkPaced(ctx, s.log, uuid.UUID{}, position, ordinal, func(r *record.Record, _ int64) bool {
		if r.Kind == record.KindAccount && active[r.Body.(*record.Account).ID] {
			payees = append(payees, r.Body.(*record.Account).ID)
		}
		return r.Kind == record.KindAccount
	}, func() error { return work.Rest(ctx) })
	slices.Reverse(payees)
	return before, payees, err
}

// senders returns the accounts that sent a transaction in a part of the journal,
// but for the seed account and that of the fees.
func (s *State) senders(ctx context.Context, from, to uint64) (map[uuid.UUID]bool, error) {
	found := make(map[uuid.UUID]bool)
	page := make([]record.Record, journal.PageRecords)
	for work := journal.StartWork(); from <= to; {
		n, err := journal.ReadPage(ctx, s.log, from, page[:min(uint64(len(page)), to-from+1)])
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return nil, fmt.Errorf("%w: record %d is missing", store.ErrCorrupt, from)
		}
		for i := range page[:n] {
			if r := &page[i]; r.Kind == record.KindTransfer {
				found[r.Transfer.Sender] = true
			}
		}
		from += uint64(n)
		if err := work.Rest(ctx); err != nil {
			return nil, err
		}
	}
	delete(found, s.genesis.Seed)
	delete(found, record.FeeAccount)
	return found, nil
}
