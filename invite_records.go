package capycoin

import (
	"context"
	"crypto/subtle"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/accounts"
	"github.com/capycoin/capycoin/internal/journal"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/internal/wire"
	"github.com/capycoin/capycoin/store"
)

// What invites are to a ledger: records, and rows among those of tokens. An
// invite lives as long as its row says so: the row goes when the invite is used
// or revoked.

// makeInvite makes an invite, whose position and time it fills in. Checks:
// [ErrBadExpiry], errSelectorTaken.
func (l *Ledger) makeInvite(ctx context.Context, inv *record.Invite) error {
	o := &op{kind: opInvite, invite: inv, records: 1, bytes: record.MaxOtherLen, done: make(chan struct{}, 1)}
	_, err := l.submit(ctx, o)
	return err
}

// revokeInvite ends a live invite, or returns [ErrInviteNotFound].
func (l *Ledger) revokeInvite(ctx context.Context, id uuid.UUID) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := l.Err(); err != nil {
		return err
	}
	micros, position, ok := record.PositionOf(id)
	if !ok || position > l.position() {
		return ErrInviteNotFound
	}
	var r record.Record
	if err := journal.Read(ctx, l.log, position, &r); err != nil {
		return l.failed(err)
	}
	if r.Kind != record.KindInvite || r.Time != micros {
		return ErrInviteNotFound
	}
	o := &op{kind: opRevokeInvite, invite: r.Body.(*record.Invite), records: 1, bytes: record.MaxOtherLen, done: make(chan struct{}, 1)}
	_, err := l.submit(ctx, o)
	return err
}

// inviteByHash returns the live invite with a hash, or [ErrInvalidInvite].
//
// How long the search for the row takes may tell how much of its selector is
// right. That is worth nothing: a selector is a hash, and who could choose a
// code for its hash could do without.
func (l *Ledger) inviteByHash(ctx context.Context, hash [record.InviteHashLen]byte) (record.Invite, error) {
	if err := ctx.Err(); err != nil {
		return record.Invite{}, err
	}
	if err := l.Err(); err != nil {
		return record.Invite{}, err
	}
	row, err := l.tokenRow(ctx, [record.SelectorLen]byte(hash[:]))
	if err != nil {
		return record.Invite{}, l.failed(err)
	}
	if !row.Invite || row.Expires <= l.Time().UnixMicro() {
		return record.Invite{}, ErrInvalidInvite
	}
	var r record.Record
	if err := journal.Read(ctx, l.log, row.Position, &r); err != nil {
		return record.Invite{}, l.failed(err)
	}
	if !leadsTo(row, hash[:record.SelectorLen], &r) {
		return record.Invite{}, l.failed(fmt.Errorf("%w: an invite's row names record %d, which is not its", store.ErrCorrupt, row.Position))
	}
	if subtle.ConstantTimeCompare(hash[:], r.Body.(*record.Invite).Hash[:]) != 1 {
		return record.Invite{}, ErrInvalidInvite
	}
	return *r.Body.(*record.Invite), nil
}

// liveInvites returns up to limit invites that are neither used, revoked nor
// expired and come after a position, oldest first, and whether there are more.
func (l *Ledger) liveInvites(ctx context.Context, after uint64, limit int) (live []record.Invite, more bool, err error) {
	if err := l.Err(); err != nil {
		return nil, false, err
	}
	// Those that are fresh first: they may get their rows while others are read.
	found := make(map[uint64][record.SelectorLen]byte) // by position
	note := func(selector [record.SelectorLen]byte, row accounts.TokenRow) {
		if row.Invite && row.Position > after {
			found[row.Position] = selector
		}
	}
	l.mu.RLock()
	for selector, row := range l.freshTokens.old {
		note(selector, row)
	}
	for selector, row := range l.freshTokens.cur {
		note(selector, row)
	}
	l.mu.RUnlock()
	if err := l.scanTokenRows(ctx, note); err != nil {
		return nil, false, l.failed(err)
	}
	positions := make([]uint64, 0, len(found))
	for position := range found {
		positions = append(positions, position)
	}
	slices.Sort(positions)
	now := l.Time().UnixMicro()
	for _, position := range positions {
		row, err := l.tokenRow(ctx, found[position])
		if err != nil {
			return nil, false, l.failed(err)
		}
		if row.Position != position || row.Expires <= now {
			continue // it has ended meanwhile, or its row will go
		}
		if len(live) == limit {
			return live, true, nil
		}
		var r record.Record
		if err := journal.Read(ctx, l.log, position, &r); err != nil {
			return nil, false, l.failed(err)
		}
		if r.Kind != record.KindInvite {
			return nil, false, l.failed(fmt.Errorf("%w: an invite's row names record %d, which is none", store.ErrCorrupt, position))
		}
		live = append(live, *r.Body.(*record.Invite))
	}
	return live, false, nil
}

// scanTokenRows calls fn with all rows of tokens and invites.
func (l *Ledger) scanTokenRows(ctx context.Context, fn func([record.SelectorLen]byte, accounts.TokenRow)) error {
	return wire.ScanRows(ctx, l.folds.Scan, store.TableTokens, func(key, value []byte) error {
		row, err := accounts.DecodeToken(key, value)
		if err == nil && len(key) != record.SelectorLen {
			err = wire.BadRow(store.TableTokens, key)
		}
		if err == nil {
			fn([record.SelectorLen]byte(key), row)
		}
		return err
	})
}

// inviteLives says whether an invite can be used or revoked now, as the overlay
// has it.
func (l *Ledger) inviteLives(ctx context.Context, inv *record.Invite) (bool, error) {
	row, err := l.findToken(ctx, inv.Selector())
	return row.Position == inv.Position && row.Expires > l.overlay.now, err
}

// endInvite appends the record of a live invite's end: it opened an account, or
// is revoked if that is zero.
func (l *Ledger) endInvite(inv *record.Invite, account uuid.UUID) {
	ov, r := l.overlay, &l.scratch
	ov.next(r, record.KindInviteEnd)
	r.Body = &record.InviteEnd{Invite: inv.Position, Account: account}
	ov.append(r)
	ov.tokens[inv.Selector()] = accounts.TokenRow{}
}

func (l *Ledger) judgeInvite(ctx context.Context, o *op) error {
	inv := o.invite
	refusal, err := l.refuseSecret(ctx, inv.Selector(), inv.Expires)
	if err != nil || refusal != nil {
		o.err = refusal
		return err
	}
	ov, r := l.overlay, &l.scratch
	ov.next(r, record.KindInvite)
	inv.Position, inv.Time = r.Position, r.Time
	made := *inv
	r.Body = &made
	ov.append(r)
	ov.tokens[inv.Selector()] = accounts.TokenRow{Position: inv.Position, Expires: inv.Expires, Invite: true}
	return nil
}

func (l *Ledger) judgeRevokeInvite(ctx context.Context, o *op) error {
	live, err := l.inviteLives(ctx, o.invite)
	if err != nil || !live {
		o.err = ErrInviteNotFound
		return err
	}
	l.endInvite(o.invite, uuid.UUID{})
	return nil
}

func (l *Ledger) applyInvite(r *record.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.count(r); err != nil {
		return err
	}
	i := r.Body.(*record.Invite)
	l.freshTokens.cur[i.Selector()] = accounts.TokenRow{Position: r.Position, Expires: i.Expires, Invite: true}
	return nil
}

func (l *Ledger) applyInviteEnd(ctx context.Context, r *record.Record) error {
	var inv record.Record
	if err := journal.Read(ctx, l.log, r.Body.(*record.InviteEnd).Invite, &inv); err != nil {
		return err
	}
	if inv.Kind != record.KindInvite || inv.Body.(*record.Invite).Expires <= r.Time {
		return fmt.Errorf("%w: record %d ends record %d, which is no live invite", store.ErrCorrupt, r.Position, inv.Position)
	}
	selector := inv.Body.(*record.Invite).Selector()
	row, err := l.tokenRow(ctx, selector)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.count(r); err != nil {
		return err
	}
	// Without a row it had ended before, or its row is as of later.
	_, fresh := l.freshTokens.get(selector)
	if row.Position != inv.Position && (fresh || row.Position != 0) {
		return fmt.Errorf("%w: record %d ends the invite of record %d again", store.ErrCorrupt, r.Position, inv.Position)
	}
	l.freshTokens.cur[selector] = accounts.TokenRow{}
	return nil
}
