package record

import (
	"encoding/binary"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/wire"
)

// KindRevocation is the kind of a [Revocation].
const KindRevocation Kind = 5

// Revocation ends a token.
//
//	account 16 · how many positions back the token's record is, uvarint
type Revocation struct {
	Account uuid.UUID
	Token   uint64 // position of the token's record
}

func (r *Revocation) Kind() Kind    { return KindRevocation }
func (r *Revocation) version() byte { return 1 }

func (r *Revocation) append(b []byte, position uint64) []byte {
	b = append(b, r.Account[:]...)
	return binary.AppendUvarint(b, position-r.Token)
}

func (r *Revocation) decode(d *wire.Decoder, h *Header, _ byte) {
	r.Account = d.ID()
	r.Token = d.Back(h.Position)
	d.Check(r.Token != 0)
}

func (r *Revocation) line(c *lineCodec, h *Header) {
	c.id("account_id", &r.Account)
	r.Token = c.integer("token_position", r.Token, 1, h.Position-1)
}
