// Package books has the state of a ledger and its rules: accounts, idempotency keys,
// tokens, the numbers about the whole, what operations do to them and what records did.
//
// An operation is judged on an overlay over the committed state, where the ones before it
// have left their effects; [State.Publish] makes the overlay the committed state, as one
// step for readers. A record that was read is applied to the committed state at once. The
// state is folded into rows, a bounded slice with each commit.
//
// It knows nothing of the queue that operations wait in, of files or bbolt, of clocks,
// loggers or the secrets of tokens: it is told the time, and says what happened by what it
// returns. Only the engine may change a State; the library reads it, and so does an audit,
// by the methods that say so.
//
// Locks: one lock, which no method hands out, guards the committed state (the fields under
// mu in [State]). Only the goroutine that has the engine's turn to write changes that
// state, so it reads it without the lock. No function of anybody else is called while the
// lock is held, but that folds are scanned for the rows of accounts that are to change, with
// the lock held to read.
package books

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/google/uuid"
	"golang.org/x/sync/semaphore"

	"github.com/capycoin/capycoin/internal/accounts"
	"github.com/capycoin/capycoin/internal/journal"
	"github.com/capycoin/capycoin/internal/keyindex"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/internal/sign"
	"github.com/capycoin/capycoin/store"
)

// State is the state of a ledger over a log and folds.
type State struct {
	log     store.Log
	folds   store.Folds
	kinds   []rule // all there are
	genesis record.Genesis
	tail    uint64 // the position of the journal's last record when it was opened

	// They belong to whoever has the turn to write.
	overlay  *overlay
	folder   folder
	scratch  record.Record
	work     accounts.Account
	found    []uint64 // positions under a key's hash
	poolSlot uint32   // where the account of the fees most likely is
	warmth   uint64   // of [accounts.Cache.Warm], or the compiler would leave the reads out

	// mu guards the committed state. Only the writer changes it, so only
	// other goroutines need the lock to read it.
	mu      sync.RWMutex
	numbers numbers
	cache   *accounts.Cache
	keys    keyindex.Index
	fresh   freshTokens

	verifying  *semaphore.Weighted // for those that verify batches at once
	signatures [2]atomic.Uint64    // how many were verified: invalid ones, valid ones
}

// Options are the settings of [Open].
type Options struct {
	// New is the genesis of a ledger whose log is empty, and Now its time.
	New record.Genesis
	Now int64
	// Want is what the genesis has to be; zero fields may be anything.
	Want record.Genesis
	// AccountCache is how many accounts are kept in memory.
	AccountCache int
	// FoldLag, FoldSlice and FoldAhead are when and how much is folded. Zero: the
	// defaults.
	FoldLag              uint64
	FoldSlice, FoldAhead int
	// Verifying is how many batches may verify signatures at once.
	Verifying int
}

// WriteGenesis begins the journal of a new ledger, which gets an id if it has none.
func WriteGenesis(ctx context.Context, log store.Log, g record.Genesis, now int64) error {
	if g.Ledger == (uuid.UUID{}) {
		var err error
		if g.Ledger, err = uuid.NewRandom(); err != nil {
			return fmt.Errorf("making a ledger id: %w", err)
		}
	}
	r := record.New(1, now, &g)
	return log.Append(ctx, 0, [][]byte{record.Append(nil, &r)})
}

// Open begins with the state of a log, and makes a ledger if the log is empty: it reads
// the genesis and no more. Errors: [ErrSupplyMismatch], [ErrSeedMismatch],
// [ErrSeedKeyMismatch]. [State.Recover] has to follow.
func Open(ctx context.Context, log store.Log, folds store.Folds, o Options) (*State, error) {
	s := &State{
		log: log, folds: folds, kinds: kinds[:],
		folder:    newFolder(o),
		cache:     accounts.New(o.AccountCache),
		poolSlot:  accounts.NoSlot,
		keys:      keyindex.New(folds),
		verifying: semaphore.NewWeighted(int64(o.Verifying)),
	}
	s.overlay = newOverlay(s.cache)
	s.fresh.cur = make(map[[16]byte]accounts.TokenRow)
	tail, err := log.Tail(ctx)
	if err != nil {
		return nil, err
	}
	if tail == 0 {
		// Fenced: another ledger was quicker, so its genesis is this one's.
		fenced := WriteGenesis(ctx, log, o.New, o.Now)
		if fenced != nil && !errors.Is(fenced, store.ErrFenced) {
			return nil, fenced
		}
		if tail, err = log.Tail(ctx); err != nil {
			return nil, err
		}
		if tail == 0 {
			return nil, fenced
		}
	}
	s.tail = tail
	if err := journal.Read(ctx, log, 1, &s.scratch); err != nil {
		return nil, err
	}
	g, ok := s.scratch.Body.(*record.Genesis)
	if !ok {
		return nil, fmt.Errorf("%w: record 1 is of kind %d, not a genesis", store.ErrCorrupt, s.scratch.Kind)
	}
	s.genesis = *g
	return s, s.compareGenesis(&o.Want)
}

// compareGenesis says what is another than was wanted.
func (s *State) compareGenesis(want *record.Genesis) error {
	g := &s.genesis
	switch {
	case want.Supply != 0 && want.Supply != g.Supply:
		return fmt.Errorf("%w: it has %d coins, not %d", ErrSupplyMismatch, g.Supply, want.Supply)
	case want.Seed != uuid.UUID{} && want.Seed != g.Seed:
		return fmt.Errorf("%w: it has %s, not %s", ErrSeedMismatch, g.Seed, want.Seed)
	case want.Key != record.NoKey && want.Key != g.Key:
		has := "none"
		if g.Key != record.NoKey {
			has = sign.KeyText(g.Key)
		}
		return fmt.Errorf("%w: it has %s, not %s", ErrSeedKeyMismatch, has, sign.KeyText(want.Key))
	}
	return nil
}

// Log returns the log.
func (s *State) Log() store.Log { return s.log }

// Folds returns the folds.
func (s *State) Folds() store.Folds { return s.folds }

// Genesis returns what the ledger began with.
func (s *State) Genesis() record.Genesis { return s.genesis }

// Tail returns the position of the journal's last record when it was opened.
func (s *State) Tail() uint64 { return s.tail }

// Position returns the position of the last committed record.
func (s *State) Position() uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.numbers.Position
}

// LastTime returns the time of the last committed record.
func (s *State) LastTime() int64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.numbers.Time
}

// Totals returns the numbers about the whole ledger, and up to which record rows have all
// effects.
func (s *State) Totals() (totals accounts.Totals, folded uint64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	totals = s.numbers.Totals
	totals.Opened = append([]uint64(nil), totals.Opened...)
	return totals, s.folder.folded
}

// Stats are numbers about a State for whoever watches it.
type Stats struct {
	CachedAccounts int // accounts in memory
	DirtyAccounts  int // of them, those newer than their rows
	FreshKeys      int // idempotency keys in memory

	ValidSignatures   uint64 // signatures of transfers that were verified, good ones
	InvalidSignatures uint64 // and bad ones
}

// Stats returns what is known now.
func (s *State) Stats() Stats {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return Stats{
		CachedAccounts: s.cache.Len(), DirtyAccounts: s.cache.Dirty, FreshKeys: s.keys.Unfolded(),
		ValidSignatures: s.signatures[1].Load(), InvalidSignatures: s.signatures[0].Load(),
	}
}
