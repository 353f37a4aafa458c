package record

import (
	"encoding/binary"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/wire"
)

// KindInviteEnd is the kind of a [InviteEnd].
const KindInviteEnd Kind = 7

// InviteEnd says that an invite opened an account, or was revoked.
//
//	how many positions back the invite's record is, uvarint ·
//	the account that it opened 16, all zero: it was revoked
type InviteEnd struct {
	Invite  uint64    // position of the invite's record
	Account uuid.UUID // the account; zero: it was revoked
}

func (e *InviteEnd) Kind() Kind    { return KindInviteEnd }
func (e *InviteEnd) version() byte { return 1 }

func (e *InviteEnd) append(b []byte, position uint64) []byte {
	b = binary.AppendUvarint(b, position-e.Invite)
	return append(b, e.Account[:]...)
}

func (e *InviteEnd) decode(d *wire.Decoder, h *Header, _ byte) {
	e.Invite = d.Back(h.Position)
	e.Account = d.ID()
	d.Check(e.Invite != 0)
}

func (e *InviteEnd) line(c *lineCodec, h *Header) {
	e.Invite = c.integer("invite_position", e.Invite, 1, h.Position-1)
	c.id("account_id", &e.Account)
}
