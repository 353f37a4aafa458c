package audit

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/accounts"
	"github.com/capycoin/capycoin/internal/journal"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/internal/wire"
	"github.com/capycoin/capycoin/store"
)

// checkTokens looks up every live token and invite of the model.
func (a *auditor) checkTokens(ctx context.Context) error {
	n := 0
	for selector, want := range a.live {
		got, err := a.view.TokenRow(ctx, selector)
		switch {
		case errors.Is(err, store.ErrCorrupt):
			a.fault(want.Position, uuid.UUID{}, faultKind(want), "%v", err)
		case err != nil:
			return err
		case got != want && got.Position != 0:
			a.doubts[selector] = got
		case got != want && want.Expires > a.opts.Now():
			// Ended since, or lost.
			a.missing = append(a.missing, selector)
		}
		if n++; n%pageLen == 0 {
			if err := a.progress(ctx, "tokens", uint64(n), uint64(len(a.live))); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkTokenRows makes sure that each row of a token or an invite leads to its
// record.
func (a *auditor) checkTokenRows(ctx context.Context) error {
	var r record.Record
	return a.scan(ctx, "tokens", store.TableTokens, uint64(len(a.live)), func(key, value []byte) error {
		row, err := accounts.DecodeToken(key, value)
		if err == nil && len(key) != 16 {
			err = wire.BadRow(store.TableTokens, key)
		}
		if err == nil {
			err = journal.Read(ctx, a.log, row.Position, &r)
		}
		switch {
		case errors.Is(err, store.ErrCorrupt), errors.Is(err, store.ErrNewerFormat):
			a.fault(row.Position, uuid.UUID{}, faultKind(row), "row %x: %v", key, err)
			return nil
		case err != nil:
			return err
		case !leadsTo(row, key, &r):
			a.fault(row.Position, uuid.UUID{}, faultKind(row), "row %x leads to it, which is not that %[2]s", key, faultKind(row))
			return nil
		}
		// Ended or dropped already, if a newer row says so in memory.
		selector := [record.SelectorLen]byte(key)
		if got, err := a.view.TokenRow(ctx, selector); err != nil {
			return err
		} else if got == row && a.live[selector] != row {
			a.doubts[selector] = row
		}
		return nil
	})
}

// faultKind is the kind of a fault of a row.
func faultKind(t accounts.TokenRow) string {
	if t.Invite {
		return FaultInvite
	}
	return FaultToken
}

// leadsTo says whether the row of a selector leads to a record.
func leadsTo(t accounts.TokenRow, key []byte, r *record.Record) bool {
	var selector [record.SelectorLen]byte
	var expires int64
	switch b := r.Body.(type) {
	case *record.Token:
		selector, expires = b.Selector, b.Expires
	case *record.Invite:
		selector, expires = b.Selector(), b.Expires
	default:
		return false
	}
	return (r.Kind == record.KindInvite) == t.Invite && string(key) == string(selector[:]) && t.Expires == expires
}
