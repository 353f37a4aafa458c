package capycoin

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/books"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/internal/secret"
	"github.com/capycoin/capycoin/internal/wire"
)

const (
	// DefaultInviteLife is how long an invite lives if nothing else is asked
	// for.
	DefaultInviteLife = 30 * 24 * time.Hour
	// MaxInviteLife is the longest an invite can live.
	MaxInviteLife = 365 * 24 * time.Hour
)

// Invite is what can be told of an invite: all but its code.
type Invite struct {
	ID      uuid.UUID // a version-7 UUID made from the time and place of its record
	Label   string    // what its maker called it; may be empty
	Created time.Time
	Expires time.Time // it is good before this time, not at it
}

// IssuedInvite is a new invite with its code. Printed or logged it shows
// everything but the Code; encoded as JSON it shows that, too.
type IssuedInvite struct {
	Invite
	// Code is 26 characters A to Z and 2 to 7. The ledger keeps a hash only, so
	// this is the one time it is seen.
	Code string
}

// String describes the invite without its Code.
func (i IssuedInvite) String() string {
	return fmt.Sprintf("invite %s, label %q, created %s, expires %s, code hidden", i.ID, i.Label,
		i.Created.Format(time.RFC3339Nano), i.Expires.Format(time.RFC3339Nano))
}

// Format keeps the Code out of what package fmt prints, with any verb that is
// for values (%p is not).
func (i IssuedInvite) Format(f fmt.State, _ rune) { io.WriteString(f, i.String()) }

// LogValue keeps the Code out of logs.
func (i IssuedInvite) LogValue() slog.Value { return slog.StringValue(i.String()) }

// InviteRequest says what invite is wanted. The zero InviteRequest is one
// without a label that lives for [DefaultInviteLife].
type InviteRequest struct {
	// Label is as in a [TokenRequest].
	Label string
	// Expires is after now and at most [MaxInviteLife] ahead, by the time of the
	// ledger; it is cut to microseconds. Zero: DefaultInviteLife from now.
	Expires time.Time
}

// InvitePage is a page of invites, oldest first.
type InvitePage struct {
	Invites []Invite
	Next    string // the cursor of the next page; empty on the last one
}

// Invite makes an invite, with which one account can be opened by
// [TokenIssuer.OpenInvited]. It checks the label ([ErrBadLabel]) and the expiry
// ([ErrBadExpiry]).
func (i *TokenIssuer) Invite(ctx context.Context, r InviteRequest) (IssuedInvite, error) {
	if err := record.CheckLabel(r.Label); err != nil {
		return IssuedInvite{}, err
	}
	if err := i.led.checkExpiry(&r.Expires, MaxInviteLife); err != nil {
		return IssuedInvite{}, err
	}
	if r.Expires.IsZero() {
		r.Expires = i.led.Time().Add(DefaultInviteLife)
	}
	code := secret.DrawCode()
	rec := record.Invite{Label: r.Label, Expires: r.Expires.UnixMicro()}
	rec.Hash, _ = secret.HashCode(code)
	if err := i.led.perform(ctx, &books.MakeInvite{Invite: &rec}); err != nil {
		return IssuedInvite{}, err
	}
	return IssuedInvite{Invite: inviteOf(&rec), Code: code}, nil
}

// OpenInvited is [TokenIssuer.OpenAccount] by an invite, given by its code in
// either case, which is used up by it: in the same commit, so that an invite
// opens one account, whatever happens. It returns [ErrInvalidInvite] if the
// code is malformed, or that of no invite, or of one that was used, was revoked
// or has expired. Then nothing was hashed, unless it became so only meanwhile.
//
// The ledger's log gets a line with the ids of the invite and the account.
func (i *TokenIssuer) OpenInvited(ctx context.Context, code string) (Account, IssuedToken, error) {
	return i.openInvited(ctx, code, PublicKey{})
}

// OpenKeyedInvited is OpenInvited with a public key, as
// [TokenIssuer.OpenKeyedAccount] has it. [ErrBadPublicKey] comes first.
func (i *TokenIssuer) OpenKeyedInvited(ctx context.Context, code string, key PublicKey) (Account, IssuedToken, error) {
	if err := key.Check(); err != nil {
		return Account{}, IssuedToken{}, err
	}
	return i.openInvited(ctx, code, key)
}

func (i *TokenIssuer) openInvited(ctx context.Context, code string, key PublicKey) (Account, IssuedToken, error) {
	hash, ok := secret.HashCode(code)
	if !ok {
		return Account{}, IssuedToken{}, ErrInvalidInvite
	}
	// The writer judges this again. It is asked here so that nobody without an
	// invite can have the machine hash for them.
	if err := i.led.serves(ctx); err != nil {
		return Account{}, IssuedToken{}, err
	}
	inv, err := i.led.books.InviteByHash(ctx, hash, i.led.eng.Time())
	if err != nil {
		return Account{}, IssuedToken{}, i.led.eng.Failed(err)
	}
	acct, tok, err := i.openAccount(ctx, key, &inv)
	if err == nil {
		i.led.eng.Logger().Info("an invite was used", "invite", inviteOf(&inv).ID, "account", acct.ID)
	}
	return acct, tok, err
}

// InvitePage returns up to limit invites that are neither used, revoked nor
// expired, oldest first. An empty cursor begins at the start; limit is 1 to
// [MaxPage], 0 for [DefaultPage]. Errors: [ErrBadRange], [ErrBadCursor].
//
// It looks through the rows of all tokens, too, some millions a second.
func (i *TokenIssuer) InvitePage(ctx context.Context, cursor string, limit int) (InvitePage, error) {
	if limit < 0 || limit > MaxPage {
		return InvitePage{}, fmt.Errorf("%w: the limit is %d, allowed is 1 to %d", ErrBadRange, limit, MaxPage)
	}
	if limit == 0 {
		limit = DefaultPage
	}
	after := uint64(0)
	if cursor != "" {
		// It is the id of the last invite of the page before.
		id, err := uuid.Parse(cursor)
		if err != nil || id.String() != cursor {
			return InvitePage{}, ErrBadCursor
		}
		var ok bool
		if _, after, ok = record.PositionOf(id); !ok {
			return InvitePage{}, ErrBadCursor
		}
	}
	if err := i.led.serves(ctx); err != nil {
		return InvitePage{}, err
	}
	live, more, err := i.led.books.LiveInvites(ctx, after, limit, i.led.eng.Time())
	if err != nil {
		return InvitePage{}, i.led.eng.Failed(err)
	}
	page := InvitePage{Invites: make([]Invite, len(live))}
	for n := range live {
		page.Invites[n] = inviteOf(&live[n])
	}
	if more {
		page.Next = page.Invites[len(live)-1].ID.String()
	}
	return page, nil
}

// RevokeInvite ends an invite. When it has returned nil no account is opened by
// it any more. It returns [ErrInviteNotFound] if there is no such live invite.
func (i *TokenIssuer) RevokeInvite(ctx context.Context, id uuid.UUID) error {
	if err := i.led.serves(ctx); err != nil {
		return err
	}
	micros, position, ok := record.PositionOf(id)
	if !ok {
		return ErrInviteNotFound
	}
	inv, err := i.led.books.InviteAt(ctx, micros, position)
	if err != nil {
		return i.led.eng.Failed(err)
	}
	return i.led.perform(ctx, &books.RevokeInvite{Invite: inv})
}

// inviteOf returns what can be told of an invite.
func inviteOf(rec *record.Invite) Invite {
	return Invite{ID: record.IDAt(rec.Time, rec.Position), Label: rec.Label, Created: wire.TimeOf(rec.Time), Expires: wire.TimeOf(rec.Expires)}
}
