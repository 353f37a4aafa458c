package books

import (
	"context"
	"fmt"
	"math"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/accounts"
	"github.com/capycoin/capycoin/internal/journal"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/store"
)

// RevokeToken ends a live token of an account. Its only refusal is [ErrTokenNotFound].
type RevokeToken struct {
	Account, Token uuid.UUID
	refusable
}

// Size implements the engine's operation.
func (o *RevokeToken) Size() (records, bytes int) { return 1, record.MaxOtherLen }

// Judge implements the engine's operation.
func (o *RevokeToken) Judge(ctx context.Context, s *State) error {
	o.Refusal = ErrTokenNotFound
	micros, position, ok := record.PositionOf(o.Token)
	if !ok || position > math.MaxInt64 {
		return nil
	}
	t, err := s.findToChange(ctx, o.Account)
	if err != nil || t == nil {
		return err
	}
	live := false
	for i := range t.Tokens {
		live = live || (t.Tokens[i].Position == position && t.Tokens[i].Expires > s.overlay.now)
	}
	if !live {
		return nil
	}
	r := &s.scratch
	if err := s.recordAt(ctx, position, r); err != nil || r.Kind != record.KindToken || r.Time != micros {
		return err
	}
	r = s.write(&record.Revocation{Account: t.ID, Token: position})
	ref, _ := t.Revoke(position, r.Position)
	s.overlay.tokens[ref.Selector] = accounts.TokenRow{}
	o.Refusal = nil
	return nil
}

func applyRevocation(ctx context.Context, s *State, r *record.Record) error {
	v := r.Body.(*record.Revocation)
	slot, err := s.party(ctx, r, v.Account, accounts.NoSlot)
	if err != nil {
		return err
	}
	// The row of the account may be without the token already.
	var revoked record.Record
	if err := journal.Read(ctx, s.log, v.Token, &revoked); err != nil {
		return err
	}
	token, ok := revoked.Body.(*record.Token)
	if !ok || token.Account != v.Account {
		return fmt.Errorf("%w: record %d revokes record %d, which is no token of account %s", store.ErrCorrupt,
			r.Position, v.Token, v.Account)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.count(r); err != nil {
		return err
	}
	err = s.change(slot, r, func(a *accounts.Account) error {
		if _, ok := a.Revoke(v.Token, r.Position); !ok {
			return fmt.Errorf("%w: record %d revokes record %d, which is not a live token", store.ErrCorrupt, r.Position, v.Token)
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.fresh.cur[token.Selector] = accounts.TokenRow{}
	return nil
}
