package capycoin

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/accounts"
	"github.com/capycoin/capycoin/internal/journal"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/store"
)

// What a TokenIssuer needs of its ledger: the records of tokens, and the table
// from selectors to them.

// errSelectorTaken: another token or invite, live or not, has the selector.
var errSelectorTaken = errors.New("capycoin: the selector is taken")

// issueToken issues a token, whose position and time it fills in. Checks:
// [ErrAccountNotFound], [ErrSeedToken], [ErrTooManyTokens], [ErrBadExpiry],
// errSelectorTaken.
func (l *Ledger) issueToken(ctx context.Context, t record.Token) (record.Token, error) {
	o := &op{kind: opToken, token: t, records: 1, bytes: record.MaxOtherLen, done: make(chan struct{}, 1)}
	if _, err := l.submit(ctx, o); err != nil {
		return record.Token{}, err
	}
	return o.token, nil
}

// revokeToken ends a live token, or returns [ErrTokenNotFound].
func (l *Ledger) revokeToken(ctx context.Context, account, id uuid.UUID) error {
	o := &op{kind: opRevoke, revoke: revocation{account, id}, records: 1, bytes: record.MaxOtherLen, done: make(chan struct{}, 1)}
	_, err := l.submit(ctx, o)
	return err
}

// tokenRow returns the row of a selector, a zero one if there is none.
func (l *Ledger) tokenRow(ctx context.Context, selector [16]byte) (accounts.TokenRow, error) {
	l.mu.RLock()
	row, ok := l.freshTokens.get(selector)
	l.mu.RUnlock()
	if ok {
		return row, nil
	}
	value, err := l.folds.Get(ctx, store.TableTokens, selector[:])
	if err != nil || value == nil {
		return accounts.TokenRow{}, err
	}
	return accounts.DecodeToken(selector[:], value)
}

// tokenBySelector returns the token with a selector, which may have expired;
// ok is false if there is none or it was revoked.
func (l *Ledger) tokenBySelector(ctx context.Context, selector [16]byte) (t record.Token, ok bool, err error) {
	if err := ctx.Err(); err != nil {
		return record.Token{}, false, err
	}
	if err := l.Err(); err != nil {
		return record.Token{}, false, err
	}
	row, err := l.tokenRow(ctx, selector)
	if err != nil || row.Position == 0 || row.Invite {
		return record.Token{}, false, l.failed(err)
	}
	var r record.Record
	if err := journal.Read(ctx, l.log, row.Position, &r); err != nil {
		return record.Token{}, false, l.failed(err)
	}
	token, ok := r.Body.(*record.Token)
	if !ok || token.Selector != selector {
		return record.Token{}, false, l.failed(fmt.Errorf("%w: a token's row names record %d, which is not its", store.ErrCorrupt, row.Position))
	}
	return *token, true, nil
}

// tokenAlive says whether the token with a selector and position is still
// there, so neither revoked nor swept away after its expiry.
func (l *Ledger) tokenAlive(ctx context.Context, selector [16]byte, position uint64) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	if err := l.Err(); err != nil {
		return false, err
	}
	row, err := l.tokenRow(ctx, selector)
	return row.Position == position && err == nil, l.failed(err)
}

// liveTokens returns the tokens of an account that are neither expired nor
// revoked, oldest first, or [ErrAccountNotFound].
func (l *Ledger) liveTokens(ctx context.Context, account uuid.UUID) ([]record.Token, error) {
	s, err := l.snapshot(ctx, account)
	if err != nil {
		return nil, err
	}
	now := l.Time().UnixMicro()
	var live []record.Token
	err = l.log.View(ctx, func(lr store.LogReader) error {
		var r record.Record
		for _, ref := range s.tokens {
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
	return live, l.failed(err)
}
