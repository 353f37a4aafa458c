package capycoin

import (
	"context"
	"crypto/subtle"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/wire"
	"github.com/capycoin/capycoin/store"
)

// What invites are to a ledger: records, and rows among those of tokens. An
// invite lives as long as its row says so: the row goes when the invite is used
// or revoked.

// makeInvite makes an invite, whose position and time it fills in. Checks:
// [ErrBadExpiry], errSelectorTaken.
func (l *Ledger) makeInvite(ctx context.Context, inv *inviteRecord) error {
	o := &op{kind: opInvite, invite: inv, records: 1, bytes: maxOtherRecord, done: make(chan struct{}, 1)}
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
	micros, position, ok := positionOf(id)
	if !ok || position > l.position() {
		return ErrInviteNotFound
	}
	var r record
	if err := l.readRecord(ctx, position, &r); err != nil {
		return l.failed(err)
	}
	if r.kind != kindInvite || r.time != micros {
		return ErrInviteNotFound
	}
	o := &op{kind: opRevokeInvite, invite: r.body.(*inviteRecord), records: 1, bytes: maxOtherRecord, done: make(chan struct{}, 1)}
	_, err := l.submit(ctx, o)
	return err
}

// inviteByHash returns the live invite with a hash, or [ErrInvalidInvite].
//
// How long the search for the row takes may tell how much of its selector is
// right. That is worth nothing: a selector is a hash, and who could choose a
// code for its hash could do without.
func (l *Ledger) inviteByHash(ctx context.Context, hash [inviteHashLen]byte) (inviteRecord, error) {
	if err := ctx.Err(); err != nil {
		return inviteRecord{}, err
	}
	if err := l.Err(); err != nil {
		return inviteRecord{}, err
	}
	row, err := l.tokenRow(ctx, [selectorLen]byte(hash[:]))
	if err != nil {
		return inviteRecord{}, l.failed(err)
	}
	if !row.invite || row.expires <= l.Time().UnixMicro() {
		return inviteRecord{}, ErrInvalidInvite
	}
	var r record
	if err := l.readRecord(ctx, row.position, &r); err != nil {
		return inviteRecord{}, l.failed(err)
	}
	if !row.leadsTo(hash[:selectorLen], &r) {
		return inviteRecord{}, l.failed(fmt.Errorf("%w: an invite's row names record %d, which is not its", store.ErrCorrupt, row.position))
	}
	if subtle.ConstantTimeCompare(hash[:], r.body.(*inviteRecord).hash[:]) != 1 {
		return inviteRecord{}, ErrInvalidInvite
	}
	return *r.body.(*inviteRecord), nil
}

// liveInvites returns up to limit invites that are neither used, revoked nor
// expired and come after a position, oldest first, and whether there are more.
func (l *Ledger) liveInvites(ctx context.Context, after uint64, limit int) (live []inviteRecord, more bool, err error) {
	if err := l.Err(); err != nil {
		return nil, false, err
	}
	// Those that are fresh first: they may get their rows while others are read.
	found := make(map[uint64][selectorLen]byte) // by position
	note := func(selector [selectorLen]byte, row tokenRow) {
		if row.invite && row.position > after {
			found[row.position] = selector
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
		if row.position != position || row.expires <= now {
			continue // it has ended meanwhile, or its row will go
		}
		if len(live) == limit {
			return live, true, nil
		}
		var r record
		if err := l.readRecord(ctx, position, &r); err != nil {
			return nil, false, l.failed(err)
		}
		if r.kind != kindInvite {
			return nil, false, l.failed(fmt.Errorf("%w: an invite's row names record %d, which is none", store.ErrCorrupt, position))
		}
		live = append(live, *r.body.(*inviteRecord))
	}
	return live, false, nil
}

// scanTokenRows calls fn with all rows of tokens and invites.
func (l *Ledger) scanTokenRows(ctx context.Context, fn func([selectorLen]byte, tokenRow)) error {
	return wire.ScanRows(ctx, l.folds.Scan, store.TableTokens, func(key, value []byte) error {
		row, err := decodeTokenRow(key, value)
		if err == nil && len(key) != selectorLen {
			err = wire.BadRow(store.TableTokens, key)
		}
		if err == nil {
			fn([selectorLen]byte(key), row)
		}
		return err
	})
}

// inviteLives says whether an invite can be used or revoked now, as the overlay
// has it.
func (l *Ledger) inviteLives(ctx context.Context, inv *inviteRecord) (bool, error) {
	row, err := l.findToken(ctx, inv.selector())
	return row.position == inv.position && row.expires > l.overlay.now, err
}

// endInvite appends the record of a live invite's end: it opened an account, or
// is revoked if that is zero.
func (l *Ledger) endInvite(inv *inviteRecord, account uuid.UUID) {
	ov, r := l.overlay, &l.scratch
	ov.next(r, kindInviteEnd)
	r.body = &inviteEndRecord{invite: inv.position, account: account}
	ov.append(r)
	ov.tokens[inv.selector()] = tokenRow{}
}

func (l *Ledger) judgeInvite(ctx context.Context, o *op) error {
	inv := o.invite
	refusal, err := l.refuseSecret(ctx, inv.selector(), inv.expires)
	if err != nil || refusal != nil {
		o.err = refusal
		return err
	}
	ov, r := l.overlay, &l.scratch
	ov.next(r, kindInvite)
	inv.position, inv.time = r.position, r.time
	made := *inv
	r.body = &made
	ov.append(r)
	ov.tokens[inv.selector()] = tokenRow{position: inv.position, expires: inv.expires, invite: true}
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

func (l *Ledger) applyInvite(r *record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.count(r); err != nil {
		return err
	}
	i := r.body.(*inviteRecord)
	l.freshTokens.cur[i.selector()] = tokenRow{position: r.position, expires: i.expires, invite: true}
	return nil
}

func (l *Ledger) applyInviteEnd(ctx context.Context, r *record) error {
	var inv record
	if err := l.readRecord(ctx, r.body.(*inviteEndRecord).invite, &inv); err != nil {
		return err
	}
	if inv.kind != kindInvite || inv.body.(*inviteRecord).expires <= r.time {
		return fmt.Errorf("%w: record %d ends record %d, which is no live invite", store.ErrCorrupt, r.position, inv.position)
	}
	selector := inv.body.(*inviteRecord).selector()
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
	if row.position != inv.position && (fresh || row.position != 0) {
		return fmt.Errorf("%w: record %d ends the invite of record %d again", store.ErrCorrupt, r.position, inv.position)
	}
	l.freshTokens.cur[selector] = tokenRow{}
	return nil
}
