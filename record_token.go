package capycoin

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/wire"
)

// Of what tokens and invites are found by.
const (
	selectorLen   = 16
	inviteHashLen = sha256.Size
)

// tokenRecord is a token that was issued. The token itself is nowhere: its selector, tag
// and hash are made from it.
type tokenRecord struct {
	position uint64 // of the record,
	time     int64  // and its time
	account  uuid.UUID
	selector [selectorLen]byte
	tag      [8]byte
	hash     [bcryptLen]byte
	expires  int64 // µs since 1970
	label    string
}

func (t *tokenRecord) kind() byte    { return kindToken }
func (t *tokenRecord) version() byte { return 1 }

func (t *tokenRecord) append(b []byte, _ uint64) []byte {
	b = append(b, t.account[:]...)
	b = append(b, t.selector[:]...)
	b = append(b, t.tag[:]...)
	b = append(b, t.hash[:]...)
	return appendLifeAndLabel(b, t.expires, t.label)
}

func (t *tokenRecord) decode(d *wire.Decoder, h *header, _ byte) {
	t.position, t.time = h.position, h.time
	t.account = d.ID()
	copy(t.selector[:], d.Bytes(selectorLen))
	copy(t.tag[:], d.Bytes(8))
	copy(t.hash[:], d.Bytes(bcryptLen))
	t.expires, t.label = decodeLifeAndLabel(d, h.time)
}

func (t *tokenRecord) line(c *lineCodec, h *header) {
	t.position, t.time = h.position, h.time
	c.id("account_id", &t.account)
	c.hex("selector", t.selector[:])
	c.hex("tag", t.tag[:])
	c.hex("bcrypt", t.hash[:])
	c.lifeAndLabel(h.time, &t.expires, &t.label)
}

func appendLifeAndLabel(b []byte, expires int64, label string) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(expires))
	b = binary.AppendUvarint(b, uint64(len(label)))
	return append(b, label...)
}

// decodeLifeAndLabel takes the fields that tokens and invites have at their ends.
func decodeLifeAndLabel(d *wire.Decoder, made int64) (expires int64, label string) {
	expires = int64(d.Uint64(wire.MaxTime))
	label = string(d.Bytes(d.Uvarint(4 * maxLabelRunes)))
	d.Check(expires > made && checkLabel(label) == nil)
	return expires, label
}
