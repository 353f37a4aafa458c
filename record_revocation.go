package capycoin

import (
	"encoding/binary"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/wire"
)

// revocationRecord ends a token.
type revocationRecord struct {
	account uuid.UUID
	token   uint64 // position of the token's record
}

func (r *revocationRecord) kind() byte    { return kindRevocation }
func (r *revocationRecord) version() byte { return 1 }

func (r *revocationRecord) append(b []byte, position uint64) []byte {
	b = append(b, r.account[:]...)
	return binary.AppendUvarint(b, position-r.token)
}

func (r *revocationRecord) decode(d *wire.Decoder, h *header, _ byte) {
	r.account = d.ID()
	r.token = d.Back(h.position)
	d.Check(r.token != 0)
}

func (r *revocationRecord) line(c *lineCodec, h *header) {
	c.id("account_id", &r.account)
	r.token = c.integer("token_position", r.token, 1, h.position-1)
}
