package books

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/accounts"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/store"
)

// ChangeKey gives an account another public key. The signatures were verified with the key
// of the version that it names: the writer makes sure that this is still the account's.
// Refusals: [ErrAccountNotFound], [ErrKeyVersion].
type ChangeKey struct {
	Change record.KeyChange

	Account Account // the answer
	refusable
}

// Size implements the engine's operation.
func (o *ChangeKey) Size() (records, bytes int) { return 1, record.MaxOtherLen }

// Judge implements the engine's operation.
func (o *ChangeKey) Judge(ctx context.Context, s *State) error {
	o.Refusal = nil
	t, slot, ok, err := s.find(ctx, o.Change.Account, accounts.NoSlot)
	if err != nil {
		return err
	}
	if !ok {
		o.Refusal = ErrAccountNotFound
		return nil
	}
	if key := s.keyOf(t, slot); key == nil || key.Version != o.Change.Ends {
		o.Refusal = fmt.Errorf("%w: it was changed meanwhile", ErrKeyVersion)
		return nil
	}
	if t == nil {
		t = s.overlay.touch(slot)
	}
	change := o.Change
	r := s.write(&change)
	t.ChangeKey(change.Ends, change.Key, r.Position)
	o.Account = accountOf(&t.Account)
	return nil
}

func applyKeyChange(ctx context.Context, s *State, r *record.Record) error {
	k := r.Body.(*record.KeyChange)
	slot, err := s.party(ctx, r, k.Account, accounts.NoSlot)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.count(r); err != nil {
		return err
	}
	return s.change(slot, r, func(a *accounts.Account) error {
		if a.Key == nil || a.Key.Version != k.Ends {
			return fmt.Errorf("%w: record %d changes version %d of the key of account %s, which has not that", store.ErrCorrupt,
				r.Position, k.Ends, a.ID)
		}
		a.ChangeKey(k.Ends, k.Key, r.Position)
		return nil
	})
}

// key returns the committed key of an account, nil if it has none or there is no such
// account.
func (s *State) key(ctx context.Context, id uuid.UUID) (*accounts.Key, error) {
	s.mu.RLock()
	if i, ok := s.cache.Find(&id); ok {
		key := s.cache.Key(i)
		s.mu.RUnlock()
		return key, nil
	}
	s.mu.RUnlock()
	a, err := accounts.Read(ctx, s.folds, id)
	if err != nil || a == nil {
		return nil, err
	}
	return a.Key, nil
}
