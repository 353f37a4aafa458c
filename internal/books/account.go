package books

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/accounts"
	"github.com/capycoin/capycoin/internal/chain"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/store"
)

// OpenAccount opens an account, with a key, its first token and by an invite if they are
// given: all of it, or nothing.
type OpenAccount struct {
	ID     uuid.UUID
	Key    [32]byte       // zero: none
	Token  *record.Token  // nil: none. The answer has its account, position and time
	Invite *record.Invite // nil: none

	Account Account // the answer
	refusable
}

// Size implements the engine's operation.
func (o *OpenAccount) Size() (records, bytes int) { return 3, 3 * record.MaxOtherLen }

// Judge implements the engine's operation. Refusals: [ErrIDTaken], [ErrInvalidInvite], those
// of a token.
func (o *OpenAccount) Judge(ctx context.Context, s *State) error {
	o.Refusal = nil
	_, _, taken, err := s.find(ctx, o.ID, accounts.NoSlot)
	if err != nil {
		return err
	}
	if taken || o.ID == record.FeeAccount {
		o.Refusal = ErrIDTaken
		return nil
	}
	if o.Invite != nil {
		live, err := s.inviteLives(ctx, o.Invite)
		if err != nil || !live {
			o.Refusal = ErrInvalidInvite
			return err
		}
	}
	if o.Token != nil {
		// Both or nothing: what could refuse the token is looked at first.
		refusal, err := s.refuseSecret(ctx, o.Token.Selector, o.Token.Expires)
		if err != nil || refusal != nil {
			o.Refusal = refusal
			return err
		}
	}
	n := s.open(o.ID, o.Key)
	o.Account = accountOf(&n.Account)
	if o.Token != nil {
		o.Token.Account = n.ID
		s.issue(n, o.Token)
	}
	if o.Invite != nil {
		s.endInvite(o.Invite, n.ID)
	}
	return nil
}

// open appends the record of a new account, with a key or the zero one.
func (s *State) open(id uuid.UUID, key [32]byte) *touched {
	ov := s.overlay
	a := &record.Account{ID: id, Key: key}
	a.Link, ov.numbers.Opened = chain.Push(ov.numbers.Opened, ov.numbers.Accounts, ov.numbers.Position+1)
	r := s.write(a)
	ov.numbers.Accounts++
	n := ov.newTouched()
	n.slot = accounts.NoSlot
	n.Account = accounts.Account{State: accounts.State{ID: id, Created: r.Time, AsOf: r.Position}, Key: accounts.FirstKey(key)}
	ov.opened[id] = n
	return n
}

func applyGenesis(ctx context.Context, s *State, r *record.Record) error {
	g := r.Body.(*record.Genesis)
	return s.applyOpening(ctx, r, accounts.Account{
		State: accounts.State{ID: s.genesis.Seed, Created: record.SeedCreated, Funds: s.genesis.Supply}, Key: accounts.FirstKey(g.Key),
	})
}

func applyAccount(ctx context.Context, s *State, r *record.Record) error {
	o := r.Body.(*record.Account)
	return s.applyOpening(ctx, r, accounts.Account{State: accounts.State{ID: o.ID, Created: r.Time}, Key: accounts.FirstKey(o.Key)})
}

// applyOpening brings an account that a record opens into the committed state.
func (s *State) applyOpening(ctx context.Context, r *record.Record, a accounts.Account) error {
	slot, there, err := s.load(ctx, a.ID, accounts.NoSlot)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !there {
		a.AsOf = r.Position
		s.cache.Changed(s.cache.Add(&a))
	} else if s.cache.At(slot).AsOf < r.Position {
		return fmt.Errorf("%w: record %d opens account %s again", store.ErrCorrupt, r.Position, a.ID)
	}
	return s.count(r)
}

func countGenesis(n *numbers, r *record.Record) error {
	return n.countOpening(r, chain.Link{Ordinal: 1})
}

func countAccount(n *numbers, r *record.Record) error {
	return n.countOpening(r, r.Body.(*record.Account).Link)
}

// countOpening brings an account that a record opens into the numbers.
func (n *numbers) countOpening(r *record.Record, got chain.Link) error {
	want, opened := chain.Push(n.Opened, n.Accounts, r.Position)
	if got != want {
		return fmt.Errorf("%w: record %d has %+v in the chain of accounts, it follows %+v", store.ErrCorrupt, r.Position, got, want)
	}
	n.Opened, n.Accounts = opened, n.Accounts+1
	return nil
}
