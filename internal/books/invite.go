package books

import (
	"context"
	"crypto/subtle"
	"fmt"
	"slices"

	"github.com/capycoin/capycoin/internal/accounts"
	"github.com/capycoin/capycoin/internal/journal"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/internal/wire"
	"github.com/capycoin/capycoin/store"
)

// What invites are to a ledger: records, and rows among those of tokens. An invite lives
// as long as its row says so: the row goes when the invite is used or revoked.

// MakeInvite makes an invite. Refusals: [ErrBadExpiry], [ErrSelectorTaken].
type MakeInvite struct {
	Invite *record.Invite // the answer has its position and time
	refusable
}

// Size implements the engine's operation.
func (o *MakeInvite) Size() (records, bytes int) { return 1, record.MaxOtherLen }

// Judge implements the engine's operation.
func (o *MakeInvite) Judge(ctx context.Context, s *State) (err error) {
	inv := o.Invite
	o.Refusal, err = s.refuseSecret(ctx, inv.Selector(), inv.Expires)
	if err != nil || o.Refusal != nil {
		return err
	}
	made := *inv
	r := s.write(&made)
	inv.Position, inv.Time = r.Position, r.Time
	s.overlay.tokens[inv.Selector()] = accounts.TokenRow{Position: inv.Position, Expires: inv.Expires, Invite: true}
	return nil
}

func applyInvite(_ context.Context, s *State, r *record.Record) error {
	i := r.Body.(*record.Invite)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.count(r); err != nil {
		return err
	}
	s.fresh.cur[i.Selector()] = accounts.TokenRow{Position: r.Position, Expires: i.Expires, Invite: true}
	return nil
}

// InviteAt returns the invite that a record makes, or [ErrInviteNotFound] if the record is
// another one.
func (s *State) InviteAt(ctx context.Context, micros int64, position uint64) (record.Invite, error) {
	if position > s.Position() {
		return record.Invite{}, ErrInviteNotFound
	}
	var r record.Record
	if err := journal.Read(ctx, s.log, position, &r); err != nil {
		return record.Invite{}, err
	}
	if r.Kind != record.KindInvite || r.Time != micros {
		return record.Invite{}, ErrInviteNotFound
	}
	return *r.Body.(*record.Invite), nil
}

// InviteByHash returns the invite with a hash that lives at a time, or [ErrInvalidInvite].
//
// How long the search for the row takes may tell how much of its selector is
// right. That is worth nothing: a selector is a hash, and who could choose a
// code for its hash could do without.
func (s *State) InviteByHash(ctx context.Context, hash [record.InviteHashLen]byte, now int64) (record.Invite, error) {
	row, err := s.TokenRow(ctx, [record.SelectorLen]byte(hash[:]))
	if err != nil {
		return record.Invite{}, err
	}
	if !row.Invite || row.Expires <= now {
		return record.Invite{}, ErrInvalidInvite
	}
	var r record.Record
	if err := journal.Read(ctx, s.log, row.Position, &r); err != nil {
		return record.Invite{}, err
	}
	i, ok := r.Body.(*record.Invite)
	if !ok || string(hash[:record.SelectorLen]) != string(i.Hash[:record.SelectorLen]) || row.Expires != i.Expires {
		return record.Invite{}, fmt.Errorf("%w: an invite's row names record %d, which is not its", store.ErrCorrupt, row.Position)
	}
	if subtle.ConstantTimeCompare(hash[:], i.Hash[:]) != 1 {
		return record.Invite{}, ErrInvalidInvite
	}
	return *i, nil
}

// LiveInvites returns up to limit invites that are neither used, revoked nor expired at a
// time and come after a position, oldest first, and whether there are more.
func (s *State) LiveInvites(ctx context.Context, after uint64, limit int, now int64) (live []record.Invite, more bool, err error) {
	// Those that are fresh first: they may get their rows while others are read.
	found := make(map[uint64][record.SelectorLen]byte) // by position
	note := func(selector [record.SelectorLen]byte, row accounts.TokenRow) {
		if row.Invite && row.Position > after {
			found[row.Position] = selector
		}
	}
	s.mu.RLock()
	for selector, row := range s.fresh.old {
		note(selector, row)
	}
	for selector, row := range s.fresh.cur {
		note(selector, row)
	}
	s.mu.RUnlock()
	err = wire.ScanRows(ctx, s.folds.Scan, store.TableTokens, func(key, value []byte) error {
		row, err := accounts.DecodeToken(key, value)
		if err == nil && len(key) != record.SelectorLen {
			err = wire.BadRow(store.TableTokens, key)
		}
		if err == nil {
			note([record.SelectorLen]byte(key), row)
		}
		return err
	})
	if err != nil {
		return nil, false, err
	}
	positions := make([]uint64, 0, len(found))
	for position := range found {
		positions = append(positions, position)
	}
	slices.Sort(positions)
	for _, position := range positions {
		row, err := s.TokenRow(ctx, found[position])
		if err != nil {
			return nil, false, err
		}
		if row.Position != position || row.Expires <= now {
			continue // it has ended meanwhile, or its row will go
		}
		if len(live) == limit {
			return live, true, nil
		}
		var r record.Record
		if err := journal.Read(ctx, s.log, position, &r); err != nil {
			return nil, false, err
		}
		i, ok := r.Body.(*record.Invite)
		if !ok {
			return nil, false, fmt.Errorf("%w: an invite's row names record %d, which is none", store.ErrCorrupt, position)
		}
		live = append(live, *i)
	}
	return live, false, nil
}
