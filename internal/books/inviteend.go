package books

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/accounts"
	"github.com/capycoin/capycoin/internal/journal"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/store"
)

// RevokeInvite ends a live invite. Its only refusal is [ErrInviteNotFound].
type RevokeInvite struct {
	Invite record.Invite
	refusable
}

// Size implements the engine's operation.
func (o *RevokeInvite) Size() (records, bytes int) { return 1, record.MaxOtherLen }

// Judge implements the engine's operation.
func (o *RevokeInvite) Judge(ctx context.Context, s *State) error {
	o.Refusal = nil
	live, err := s.inviteLives(ctx, &o.Invite)
	if err != nil || !live {
		o.Refusal = ErrInviteNotFound
		return err
	}
	s.endInvite(&o.Invite, uuid.UUID{})
	return nil
}

// inviteLives says whether an invite can be used or revoked now, as the overlay
// has it.
func (s *State) inviteLives(ctx context.Context, inv *record.Invite) (bool, error) {
	row, err := s.findToken(ctx, inv.Selector())
	return row.Position == inv.Position && row.Expires > s.overlay.now, err
}

// endInvite appends the record of a live invite's end: it opened an account, or
// is revoked if that is zero.
func (s *State) endInvite(inv *record.Invite, account uuid.UUID) {
	s.write(&record.InviteEnd{Invite: inv.Position, Account: account})
	s.overlay.tokens[inv.Selector()] = accounts.TokenRow{}
}

func applyInviteEnd(ctx context.Context, s *State, r *record.Record) error {
	end := r.Body.(*record.InviteEnd)
	var made record.Record
	if err := journal.Read(ctx, s.log, end.Invite, &made); err != nil {
		return err
	}
	inv, ok := made.Body.(*record.Invite)
	if !ok || inv.Expires <= r.Time {
		return fmt.Errorf("%w: record %d ends record %d, which is no live invite", store.ErrCorrupt, r.Position, made.Position)
	}
	selector := inv.Selector()
	row, err := s.TokenRow(ctx, selector)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.count(r); err != nil {
		return err
	}
	// Without a row it had ended before, or its row is as of later.
	_, fresh := s.fresh.get(selector)
	if row.Position != inv.Position && (fresh || row.Position != 0) {
		return fmt.Errorf("%w: record %d ends the invite of record %d again", store.ErrCorrupt, r.Position, inv.Position)
	}
	s.fresh.cur[selector] = accounts.TokenRow{}
	return nil
}
