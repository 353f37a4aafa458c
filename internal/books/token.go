package books

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/accounts"
	"github.com/capycoin/capycoin/internal/journal"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/internal/wire"
	"github.com/capycoin/capycoin/store"
)

// MaxTokens is how many live tokens an account can have.
const MaxTokens = 10

// IssueToken issues a token for an account.
type IssueToken struct {
	Token *record.Token // the answer has its position and time
	refusable
}

// Size implements the engine's operation.
func (o *IssueToken) Size() (records, bytes int) { return 1, record.MaxOtherLen }

// Judge implements the engine's operation. Refusals: [ErrAccountNotFound], [ErrSeedToken],
// [ErrFeeToken], [ErrTooManyTokens], [ErrBadExpiry], [ErrSelectorTaken].
func (o *IssueToken) Judge(ctx context.Context, s *State) error {
	o.Refusal = nil
	t, slot, ok, err := s.find(ctx, o.Token.Account, accounts.NoSlot)
	if err != nil {
		return err
	}
	switch {
	case !ok:
		o.Refusal = ErrAccountNotFound
	case o.Token.Account == s.genesis.Seed:
		o.Refusal = ErrSeedToken
	case o.Token.Account == record.FeeAccount:
		o.Refusal = ErrFeeToken
	}
	if o.Refusal != nil {
		return nil
	}
	if t == nil {
		t = s.overlay.touch(slot)
	}
	live := 0
	for i := range t.Tokens {
		if t.Tokens[i].Expires > s.overlay.now {
			live++
		}
	}
	if live >= MaxTokens {
		o.Refusal = ErrTooManyTokens
		return nil
	}
	o.Refusal, err = s.refuseSecret(ctx, o.Token.Selector, o.Token.Expires)
	if err != nil || o.Refusal != nil {
		return err
	}
	s.issue(t, o.Token)
	return nil
}

// findToken returns the row of a selector as the overlay has it.
func (s *State) findToken(ctx context.Context, selector [record.SelectorLen]byte) (accounts.TokenRow, error) {
	if row, ok := s.overlay.tokens[selector]; ok {
		return row, nil
	}
	return s.TokenRow(ctx, selector)
}

// refuseSecret says why a token or an invite can't be made.
func (s *State) refuseSecret(ctx context.Context, selector [record.SelectorLen]byte, expires int64) (refusal, err error) {
	if expires <= s.overlay.now || expires > wire.MaxTime {
		return ErrBadExpiry, nil
	}
	row, err := s.findToken(ctx, selector)
	if err == nil && row.Position != 0 {
		refusal = ErrSelectorTaken
	}
	return refusal, err
}

// issue appends the record of a token that nothing speaks against.
func (s *State) issue(t *touched, tok *record.Token) {
	issued := *tok
	r := s.write(&issued)
	tok.Position, tok.Time = r.Position, r.Time
	for _, ref := range t.Issue(refOf(tok), tok.Time) {
		s.overlay.tokens[ref.Selector] = accounts.TokenRow{}
	}
	s.overlay.tokens[tok.Selector] = accounts.TokenRow{Position: tok.Position, Expires: tok.Expires}
}

// refOf is a token in its account's state.
func refOf(t *record.Token) accounts.TokenRef {
	return accounts.TokenRef{Position: t.Position, Expires: t.Expires, Selector: t.Selector}
}

func applyToken(ctx context.Context, s *State, r *record.Record) error {
	t := r.Body.(*record.Token)
	slot, err := s.party(ctx, r, t.Account, accounts.NoSlot)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.count(r); err != nil {
		return err
	}
	err = s.change(slot, r, func(a *accounts.Account) error {
		for _, ref := range a.Issue(refOf(t), t.Time) {
			s.fresh.cur[ref.Selector] = accounts.TokenRow{}
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.fresh.cur[t.Selector] = accounts.TokenRow{Position: t.Position, Expires: t.Expires}
	return nil
}

// TokenRow returns the row of a selector, a zero one if there is none. Any goroutine may
// ask.
func (s *State) TokenRow(ctx context.Context, selector [record.SelectorLen]byte) (accounts.TokenRow, error) {
	s.mu.RLock()
	row, ok := s.fresh.get(selector)
	s.mu.RUnlock()
	if ok {
		return row, nil
	}
	value, err := s.folds.Get(ctx, store.TableTokens, selector[:])
	if err != nil || value == nil {
		return accounts.TokenRow{}, err
	}
	return accounts.DecodeToken(selector[:], value)
}

// TokenBySelector returns the token with a selector, which may have expired;
// ok is false if there is none or it was revoked.
func (s *State) TokenBySelector(ctx context.Context, selector [record.SelectorLen]byte) (t record.Token, ok bool, err error) {
	row, err := s.TokenRow(ctx, selector)
	if err != nil || row.Position == 0 || row.Invite {
		return record.Token{}, false, err
	}
	var r record.Record
	if err := journal.Read(ctx, s.log, row.Position, &r); err != nil {
		return record.Token{}, false, err
	}
	token, ok := r.Body.(*record.Token)
	if !ok || token.Selector != selector {
		return record.Token{}, false, fmt.Errorf("%w: a token's row names record %d, which is not its", store.ErrCorrupt, row.Position)
	}
	return *token, true, nil
}

// LiveTokens returns the tokens of an account that are neither expired by a time nor
// revoked, oldest first, or [ErrAccountNotFound].
func (s *State) LiveTokens(ctx context.Context, account uuid.UUID, now int64) ([]record.Token, error) {
	acct, err := s.Account(ctx, account)
	if err != nil {
		return nil, err
	}
	var live []record.Token
	err = s.log.View(ctx, func(lr store.LogReader) error {
		var r record.Record
		for _, ref := range acct.Tokens {
			if ref.Expires <= now {
				continue
			}
			if err := journal.At(lr, ref.Position, &r); err != nil {
				return err
			}
			token, ok := r.Body.(*record.Token)
			if !ok || token.Account != account {
				return fmt.Errorf("%w: account %s names record %d as its token", store.ErrCorrupt, account, ref.Position)
			}
			live = append(live, *token)
		}
		return nil
	})
	return live, err
}
