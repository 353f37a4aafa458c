package books

import (
	"cmp"
	"context"
	"slices"

	"github.com/capycoin/capycoin/internal/accounts"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/internal/wire"
	"github.com/capycoin/capycoin/store"
)

// Folding writes derived state to its rows, a bounded slice with each commit,
// so that the journal need not be replayed from its start and memory stays
// bounded. A sweep notes the committed position at its start and goes through
// all that has changed, in key order; when its last row is durable, every
// effect of the records up to there is in the rows.
const (
	// defaultFoldLag is how many records may be unfolded before a sweep begins,
	// where one with a key counts twice: it takes longer to replay, and room in
	// memory; half as many keys leave each of their tables below the three
	// quarters of 1,024 cells at which it grows. A sweep is through within half
	// as many more, counted the same.
	defaultFoldLag = 1_200_000
	// defaultFoldSlice is the fewest accounts worth a commit's while: a few
	// cost almost as many pages as a few dozen.
	defaultFoldSlice = 64
	// defaultFoldAhead is how many records of a commit are worth a goroutine.
	defaultFoldAhead = 1024
	// expirySweep is how many rows of tokens a sweep looks at for expired ones.
	expirySweep = 4096
)

// freshTokens are the tokens whose rows are not durable yet, deleted ones among
// them: cur since the sweep began, old those that it writes.
type freshTokens struct {
	cur, old map[[16]byte]accounts.TokenRow
}

func (f *freshTokens) get(selector [16]byte) (accounts.TokenRow, bool) {
	if row, ok := f.cur[selector]; ok {
		return row, true
	}
	row, ok := f.old[selector]
	return row, ok
}

// The stages of a sweep.
const (
	foldIdle = iota
	foldAccounts
	foldKeys
	foldTokens
	foldState
	foldDone // all is handed over, but not durable yet
)

// folder is the state of folding; it is the writer's, but for folded, which
// the books' lock guards too.
type folder struct {
	lag    uint64
	slice  int
	ahead  int    // records of a commit whose rows are made while it is judged
	folded uint64 // the fold position: rows hold every effect up to it
	retry  uint64 // a replay does not fold before this position: it could not before

	stage  int
	upTo   uint64 // what folded will be
	part   int
	staged []uint32 // accounts handed over, or about to be
	expiry []byte   // where the search for expired tokens goes on

	batch    wire.Batch // of rows
	handed   bool       // they were given to Folds, and may not be durable yet
	accounts accounts.Folder
	entries  []byte // of the row in the making
}

// newFolder folds as the options say.
func newFolder(o Options) folder {
	return folder{
		lag:   cmp.Or(o.FoldLag, defaultFoldLag),
		slice: cmp.Or(o.FoldSlice, defaultFoldSlice),
		ahead: cmp.Or(o.FoldAhead, defaultFoldAhead),
	}
}

// FoldAhead makes the rows of a sweep that go with a large commit while that is
// judged: both work on the committed state. The channel gives the error; nil if
// they are to be made afterwards, by StageFolds.
func (s *State) FoldAhead(ctx context.Context, records int) chan error {
	f := &s.folder
	if f.stage != foldAccounts && f.stage != foldKeys || f.handed || len(f.batch.Rows) > 0 || records < f.ahead {
		return nil
	}
	done := make(chan error, 1)
	go func() { done <- s.StageFolds(ctx, records) }()
	return done
}

// StageFolds hands Folds the slice of rows that goes with a commit of so many
// records.
func (s *State) StageFolds(ctx context.Context, records int) error {
	f := &s.folder
	if f.handed {
		return nil // an earlier append was not written: they go with this one
	}
	if len(f.batch.Rows) > 0 {
		return s.handOver(ctx) // Folds did not take them
	}
	if f.stage == foldIdle {
		// While the cache is not full, changed accounts crowd nobody out.
		crowded := s.cache.Len() >= s.cache.Limit && s.cache.Dirty > s.cache.Limit-s.cache.Limit/4
		if s.numbers.Position-f.folded+uint64(s.keys.FreshLen()) < f.lag && !crowded {
			return s.stageMerges(ctx, records)
		}
		s.beginSweep(s.numbers.Position)
	}
	n := max(f.slice, s.pace(uint64(records)))
	if s.cache.Dirty > s.cache.Limit {
		n = max(n, 4*records)
	}
	return s.stageRows(ctx, min(n, 4*record.MaxCommit))
}

func (s *State) beginSweep(upTo uint64) {
	f, t := &s.folder, &s.fresh
	s.mu.Lock()
	defer s.mu.Unlock()
	f.stage, f.part, f.upTo = foldAccounts, 0, upTo
	s.keys.BeginSweep()
	t.old, t.cur = t.cur, make(map[[16]byte]accounts.TokenRow)
}

// pace returns how many accounts and keys have to go with so many records, for
// the sweep to be through in time.
func (s *State) pace(records uint64) int {
	f, k := &s.folder, &s.keys
	work := k.Unfolded() - k.FreshLen()
	if f.stage == foldAccounts {
		work += s.cache.Left(f.part)
	} else {
		work = work * (wire.FoldParts - f.part) / wire.FoldParts
	}
	since := s.numbers.Position - f.upTo
	counted := since + uint64(k.FreshLen())
	if since > 0 {
		records = records * counted / since // most likely as many have keys
	}
	left := max(records, f.lag/2-min(counted, f.lag/2), 1)
	return int(uint64(work) * records / left)
}

// stageRows hands over what the sweep has of about n accounts and keys.
func (s *State) stageRows(ctx context.Context, n int) error {
	f := &s.folder
	for n > 0 && f.stage != foldDone {
		switch f.stage {
		case foldAccounts:
			if err := s.stageAccounts(ctx, n); err != nil {
				return err
			}
			n -= len(f.staged)
			if f.part == wire.FoldParts {
				f.stage, f.part = foldKeys, 0
			}
		case foldKeys:
			var staged int
			staged, f.part = s.keys.Sweep(&f.batch, f.part, n)
			if n -= staged; f.part == wire.FoldParts {
				f.stage = foldTokens
			}
		case foldTokens:
			if err := s.stageTokens(ctx); err != nil {
				return err
			}
			f.stage = foldState
		case foldState:
			f.entries = accounts.AppendState(f.entries[:0], f.upTo, &s.numbers.Totals)
			f.batch.Put(store.TableState, accounts.StateKey, f.entries)
			f.stage = foldDone
		}
	}
	return s.handOver(ctx)
}

// stageMerges goes on with the merges of runs of keys.
func (s *State) stageMerges(ctx context.Context, records int) error {
	f, k := &s.folder, &s.keys
	if !k.IsTidy() {
		s.mu.Lock()
		k.BeginMerges()
		s.mu.Unlock()
	}
	if err := k.Merge(ctx, &f.batch, records); err != nil {
		return err
	}
	s.mu.Lock()
	k.Merged(len(f.batch.Rows) > 0)
	s.mu.Unlock()
	return s.handOver(ctx)
}

// handOver gives Folds the rows that have been made.
func (s *State) handOver(ctx context.Context) error {
	f := &s.folder
	if len(f.batch.Rows) == 0 {
		return nil
	}
	if err := s.folds.Put(ctx, f.batch.Rows); err != nil {
		return err // they are given again
	}
	f.handed = true
	return nil
}

// stageTokens writes the tokens of the sweep and deletes some that have
// expired: they are refused by their expiry, so their rows only take room.
func (s *State) stageTokens(ctx context.Context) error {
	f := &s.folder
	looked, rest := 0, []byte(nil)
	err := s.folds.Scan(ctx, store.TableTokens, f.expiry, func(key, value []byte) bool {
		if looked++; looked > expirySweep {
			rest = slices.Clone(key)
			return false
		}
		row, err := accounts.DecodeToken(key, value)
		_, fresh := s.fresh.get([16]byte(key))
		// A damaged row is left to whoever asks for it, and to the audit.
		if err == nil && !fresh && row.Expires <= s.numbers.Time {
			f.batch.Delete(store.TableTokens, key)
		}
		return true
	})
	if err != nil {
		return err
	}
	f.expiry = rest
	selectors := make([][16]byte, 0, len(s.fresh.old))
	for selector := range s.fresh.old {
		selectors = append(selectors, selector)
	}
	slices.SortFunc(selectors, func(a, b [16]byte) int { return slices.Compare(a[:], b[:]) })
	for _, selector := range selectors {
		row := s.fresh.old[selector]
		if row.Position == 0 {
			f.batch.Delete(store.TableTokens, selector[:])
			continue
		}
		f.entries = accounts.AppendToken(f.entries[:0], row)
		f.batch.Put(store.TableTokens, selector[:], f.entries)
	}
	return nil
}

// settleFolds notes that the rows handed over are durable. The caller holds
// the lock.
func (s *State) settleFolds() {
	f := &s.folder
	for _, i := range f.staged {
		s.cache.At(i).Folding = false
	}
	f.batch.Reset()
	s.keys.SettleMerges()
	f.staged, f.handed = f.staged[:0], false
	if f.stage == foldDone {
		f.stage, f.folded = foldIdle, f.upTo
		s.fresh.old = nil
		s.keys.EndSweep()
	}
}

// FoldAll folds everything up to a position that has been applied whole, in
// commits of its own: at the end, and while a long journal is replayed.
func (s *State) FoldAll(upTo uint64) error {
	ctx := context.Background()
	f := &s.folder
	for sweep := 0; sweep < 2; sweep++ { // one may be half done
		if f.stage == foldIdle {
			if f.folded == upTo && s.cache.Dirty == 0 {
				return nil
			}
			s.beginSweep(upTo)
		}
		for f.stage != foldIdle {
			if !f.handed {
				if err := s.stageRows(ctx, record.MaxCommit); err != nil {
					return err
				}
			}
			if err := s.folds.Flush(ctx); err != nil {
				return err
			}
			s.mu.Lock()
			s.settleFolds()
			s.cache.Evict()
			s.mu.Unlock()
		}
	}
	return nil
}
