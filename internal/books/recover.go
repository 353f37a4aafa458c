package books

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/accounts"
	"github.com/capycoin/capycoin/internal/journal"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/internal/wire"
	"github.com/capycoin/capycoin/store"
)

// replayFold is how many records are replayed before they are folded, so
// that a journal whose rows were lost is replayed in bounded memory.
const replayFold = 1 << 20

// upgrader is what a store may be, beside what all are: one with rows of an earlier format.
type upgrader interface {
	// RowsAreOld says whether its rows can't be read: Upgrade drops them.
	RowsAreOld() bool
	// Upgrade brings it to the present format.
	Upgrade() error
}

// Recover brings the state to the end of the journal: what the rows hold, and
// the records after the fold position over it. Unwritten says why rows could not be
// written meanwhile, which does no harm.
func (s *State) Recover(ctx context.Context) (unwritten, err error) {
	old, upgrades := s.folds.(upgrader)
	if upgrades && old.RowsAreOld() {
		if err := s.checkJournal(ctx, s.tail); err != nil {
			return nil, err
		}
		if err := old.Upgrade(); err != nil {
			return nil, err
		}
	}
	value, err := s.folds.Get(ctx, store.TableState, accounts.StateKey)
	if err != nil {
		return nil, err
	}
	if value != nil {
		if s.folder.folded, s.numbers.Totals, err = accounts.DecodeState(value); err != nil {
			return nil, err
		}
	}
	if err := s.readRules(ctx); err != nil {
		return nil, err
	}
	if err := s.keys.LoadRuns(ctx); err != nil {
		return nil, err
	}
	if err := s.checkState(ctx, value != nil); err != nil {
		return nil, err
	}
	if err := s.loadAll(ctx, s.tail-s.folder.folded); err != nil {
		return nil, err
	}
	err = s.replay(ctx, s.folder.folded+1, func(position uint64) error {
		late, err := s.foldReplayed(position)
		unwritten = cmp.Or(late, unwritten)
		return err
	})
	if err != nil {
		return nil, err
	}
	if s.numbers.Position < s.tail {
		return nil, fmt.Errorf("%w: the journal ends at record %d, not %d", store.ErrCorrupt, s.numbers.Position, s.tail)
	}
	if upgrades { // nothing can be refused any more
		return unwritten, old.Upgrade()
	}
	return unwritten, nil
}

// checkJournal makes sure that all records can be read, up to the last one.
func (s *State) checkJournal(ctx context.Context, tail uint64) error {
	page := make([]record.Record, journal.PageRecords)
	for position := uint64(0); position < tail; {
		n, err := journal.ReadPage(ctx, s.log, position+1, page)
		if err != nil {
			return err
		}
		if n == 0 {
			return fmt.Errorf("%w: the journal ends at record %d, not %d", store.ErrCorrupt, position, tail)
		}
		position += uint64(n)
	}
	return nil
}

// checkState makes sure that the state row is of this journal: rows of another
// ledger, or of records that are lost, would be judged on.
func (s *State) checkState(ctx context.Context, found bool) error {
	b, r := &s.numbers, &s.scratch
	if !found {
		return nil
	}
	if b.Position > s.tail {
		return fmt.Errorf("%w: the rows are as of record %d, the journal ends at %d", store.ErrCorrupt, b.Position, s.tail)
	}
	if s.folder.folded < 1 || b.Accounts < 1 || uint64(b.Accounts)+uint64(b.Transactions) > b.Position {
		return fmt.Errorf("%w: the rows are folded up to record %d and as of record %d, with %d accounts and %d transactions",
			store.ErrCorrupt, s.folder.folded, b.Position, b.Accounts, b.Transactions)
	}
	if err := journal.Read(ctx, s.log, b.Position, r); err != nil {
		return err
	}
	if r.Time != b.Time {
		return fmt.Errorf("%w: the rows are not of this journal: record %d is of %s in them, and of %s", store.ErrCorrupt,
			b.Position, wire.TimeOf(b.Time), wire.TimeOf(r.Time))
	}
	head := b.Opened[len(b.Opened)-1]
	if head > b.Position {
		return fmt.Errorf("%w: the rows are as of record %d, and name record %d", store.ErrCorrupt, b.Position, head)
	}
	if err := journal.Read(ctx, s.log, head, r); err != nil {
		return err
	}
	ordinal := int64(0)
	switch r.Kind {
	case record.KindGenesis:
		ordinal = 1
	case record.KindAccount:
		ordinal = r.Body.(*record.Account).Link.Ordinal
	}
	if ordinal != b.Accounts {
		return fmt.Errorf("%w: the rows are not of this journal: record %d does not open account %d", store.ErrCorrupt, head, b.Accounts)
	}
	return nil
}

// checkRow makes sure that a row of an account is of records that there are, up
// to a position.
func checkRow(a *accounts.Account, position uint64) error {
	if a.AsOf > position {
		return fmt.Errorf("%w: the row of account %s is as of record %d, the journal ends at %d", store.ErrCorrupt, a.ID, a.AsOf, position)
	}
	return nil
}

// loadAll brings all accounts into memory, in order, if there is room and so many
// records are to be replayed that to look for theirs would take longer: that
// takes about ten times as long for an account.
func (s *State) loadAll(ctx context.Context, records uint64) error {
	if accounts := s.numbers.Accounts; accounts > int64(s.cache.Limit) || uint64(accounts) > 8*records {
		return nil
	}
	return wire.ScanRows(ctx, s.folds.Scan, store.TableAccounts, func(key, value []byte) (bad error) {
		damaged := accounts.InRow(key, value, func(id uuid.UUID, _, state []byte) bool {
			var a *accounts.Account
			if a, bad = accounts.Decode(id, state); bad == nil {
				bad = checkRow(a, s.tail)
			}
			if bad == nil {
				s.cache.Add(a)
			}
			return bad == nil
		})
		return errors.Join(bad, damaged)
	})
}

// foldReplayed keeps the memory of a long replay bounded. A store that can't
// write is opened yet, so that it can be read: that takes memory for as many
// records as were not folded, until it can.
func (s *State) foldReplayed(position uint64) (unwritten, err error) {
	f := &s.folder
	if s.cache.Dirty <= s.cache.Limit/2 && position-f.folded < replayFold || position < f.retry {
		return nil, nil
	}
	err = s.FoldAll(position)
	if errors.Is(err, store.ErrNotWritten) {
		f.retry = position + replayFold
		return err, nil
	}
	return nil, err
}

// CatchUp applies what another ledger has appended to the log.
func (s *State) CatchUp(ctx context.Context) error {
	return s.replay(ctx, s.numbers.Position+1, func(uint64) error { return nil })
}

// replay applies the records from a position to the end of the journal, and
// calls between with the last one applied, a page at a time.
func (s *State) replay(ctx context.Context, from uint64, between func(uint64) error) error {
	page := make([]record.Record, journal.PageRecords)
	for {
		n, err := journal.ReadPage(ctx, s.log, from, page)
		if err != nil {
			return err
		}
		var hints [accounts.ReadAhead][2]uint32
		for i := range page[:n] {
			if i%accounts.ReadAhead == 0 {
				s.warmth += s.cache.WarmAll(hintParties(s.cache, page[i:min(i+accounts.ReadAhead, n)], &hints))
			}
			if err := s.apply(ctx, &page[i], hints[i%accounts.ReadAhead]); err != nil {
				return err
			}
		}
		if n == 0 {
			return nil
		}
		from += uint64(n)
		if err := between(from - 1); err != nil {
			return err
		}
	}
}

// hintParties finds out where the accounts of transfers most likely are.
func hintParties(c *accounts.Cache, records []record.Record, hints *[accounts.ReadAhead][2]uint32) [][2]uint32 {
	for i := range records {
		hints[i] = [2]uint32{accounts.NoSlot, accounts.NoSlot}
		if r := &records[i]; r.Kind == record.KindTransfer {
			hints[i] = [2]uint32{c.Hint(&r.Transfer.Sender), c.Hint(&r.Transfer.Receiver)}
		}
	}
	return hints[:len(records)]
}

// load brings an account into the cache; ok is false if there is none. It is
// the writer's.
func (s *State) load(ctx context.Context, id uuid.UUID, hint uint32) (slot uint32, ok bool, err error) {
	if slot, ok := s.cache.FindAt(hint, &id); ok {
		return slot, true, nil
	}
	a, err := accounts.Read(ctx, s.folds, id)
	if err != nil || a == nil {
		return 0, false, err
	}
	if err := checkRow(a, max(s.numbers.Position, s.tail)); err != nil {
		return 0, false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cache.Add(a), true, nil
}

// party loads an account that a record names, so that it has to be there.
func (s *State) party(ctx context.Context, r *record.Record, id uuid.UUID, hint uint32) (slot uint32, err error) {
	slot, ok, err := s.load(ctx, id, hint)
	if err == nil && !ok {
		err = fmt.Errorf("%w: record %d names account %s, which is not there", store.ErrCorrupt, r.Position, id)
	}
	return slot, err
}

// change applies to an account what a record did to it, unless it is as of that record
// or a later one. The caller holds the lock.
func (s *State) change(slot uint32, r *record.Record, fn func(*accounts.Account) error) error {
	if s.cache.At(slot).AsOf >= r.Position {
		return nil
	}
	a := &s.work
	s.cache.Copy(slot, a)
	if err := fn(a); err != nil {
		return err
	}
	s.cache.Set(slot, a)
	s.cache.Changed(slot)
	return nil
}
