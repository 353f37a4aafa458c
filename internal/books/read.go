package books

import (
	"context"
	"slices"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/accounts"
	"github.com/capycoin/capycoin/internal/chain"
	"github.com/capycoin/capycoin/internal/journal"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/store"
)

// What any goroutine may ask of the committed state. An error that is damage is for the
// engine, which stops.

// Account is an account as it stands, and where its chain ends.
type Account struct {
	ID           uuid.UUID
	Created      int64 // µs since 1970
	Funds        int64
	Transactions int64
	Key          *accounts.Key // nil: it has none; never changed in place
	Head         uint64
	Tokens       []accounts.TokenRef // never changed in place
}

// accountOf is what is told of an account.
func accountOf(a *accounts.Account) Account {
	return Account{
		ID: a.ID, Created: a.Created, Funds: a.Funds, Transactions: a.Count,
		Key: a.Key, Head: chain.Head(a.PackedRoots()), Tokens: a.Tokens,
	}
}

// Account returns the committed state of an account, or [ErrAccountNotFound]. Only the
// writer brings accounts into memory: readers of many would push out those that are paid.
func (s *State) Account(ctx context.Context, id uuid.UUID) (Account, error) {
	s.mu.RLock()
	if i, ok := s.cache.Find(&id); ok {
		a := s.cache.At(i)
		acct := Account{
			ID: a.ID, Created: a.Created, Funds: a.Funds, Transactions: a.Count,
			Key: s.cache.Key(i), Head: chain.Head(s.cache.PackedRoots(i)), Tokens: s.cache.Tokens(i),
		}
		s.mu.RUnlock()
		return acct, nil
	}
	s.mu.RUnlock()
	// Not in memory: its row is as new as it was a moment ago, or newer.
	a, err := accounts.Read(ctx, s.folds, id)
	if err != nil {
		return Account{}, err
	}
	if a == nil {
		return Account{}, ErrAccountNotFound
	}
	if err := checkRow(a, s.Position()); err != nil {
		return Account{}, err
	}
	return accountOf(a), nil
}

// Whole is the whole currency at one moment.
type Whole struct {
	accounts.Totals // but for the roots of the chain of accounts
	SeedFunds       int64
}

// Whole returns the whole currency at one moment.
func (s *State) Whole(ctx context.Context) (Whole, error) {
	// The seed account may be out of memory; then its row is as it stands, if
	// nothing was committed meanwhile.
	for {
		s.mu.RLock()
		w := Whole{Totals: s.numbers.Totals}
		w.Opened = nil
		i, known := s.cache.Find(&s.genesis.Seed)
		if known {
			w.SeedFunds = s.cache.At(i).Funds
		}
		s.mu.RUnlock()
		if known {
			return w, nil
		}
		seed, err := s.Account(ctx, s.genesis.Seed)
		if err != nil {
			return w, err
		}
		if w.SeedFunds = seed.Funds; s.Position() == w.Position {
			return w, nil
		}
	}
}

// Opened returns the ids of the accounts opened first-th and after, up to limit of them,
// and whether there are more.
func (s *State) Opened(ctx context.Context, first int64, limit int) (ids []uuid.UUID, more bool, err error) {
	s.mu.RLock()
	count, head := s.numbers.Accounts, s.numbers.Opened[len(s.numbers.Opened)-1]
	s.mu.RUnlock()
	last := min(count, first+int64(limit)-1)
	if first > last {
		return nil, false, nil
	}
	var from uint64
	err = s.log.View(ctx, func(lr store.LogReader) error {
		r := journal.Chain{Log: lr}
		_, err := r.Seek(head, count, last)
		from = r.Record.Position
		return err
	})
	if err != nil {
		return nil, false, err
	}
	err = journal.Walk(ctx, s.log, uuid.UUID{}, from, last, func(r *record.Record, ordinal int64) bool {
		switch b := r.Body.(type) {
		case *record.Genesis:
			ids = append(ids, b.Seed)
		case *record.Account:
			ids = append(ids, b.ID)
		}
		return ordinal > first
	})
	slices.Reverse(ids)
	return ids, last < count, err
}
