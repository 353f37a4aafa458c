package capycoin

import (
	"encoding/binary"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/wire"
)

// inviteEndRecord says that an invite opened an account, or was revoked.
type inviteEndRecord struct {
	invite  uint64    // position of the invite's record
	account uuid.UUID // the account; zero: it was revoked
}

func (e *inviteEndRecord) kind() byte    { return kindInviteEnd }
func (e *inviteEndRecord) version() byte { return 1 }

func (e *inviteEndRecord) append(b []byte, position uint64) []byte {
	b = binary.AppendUvarint(b, position-e.invite)
	return append(b, e.account[:]...)
}

func (e *inviteEndRecord) decode(d *wire.Decoder, h *header, _ byte) {
	e.invite = d.Back(h.position)
	e.account = d.ID()
	d.Check(e.invite != 0)
}

func (e *inviteEndRecord) line(c *lineCodec, h *header) {
	e.invite = c.integer("invite_position", e.invite, 1, h.position-1)
	c.id("account_id", &e.account)
}
