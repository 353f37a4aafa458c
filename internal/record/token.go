package record

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/wire"
)

// Lengths, in bytes, of what finds a token or an invite, and of what proves it.
const (
	SelectorLen   = 16
	InviteHashLen = sha256.Size
	BcryptLen     = 60
)

// KindToken is the kind of a [Token].
const KindToken Kind = 4

// Token is a token that was issued. The token itself is nowhere: its selector, tag
// and hash are made from it.
//
//	account 16 · selector 16 · tag 8 · bcrypt hash 60 · expiry 8 (µs) ·
//	label length uvarint · label (UTF-8)
type Token struct {
	Position uint64 // of the record,
	Time     int64  // and its time
	Account  uuid.UUID
	Selector [SelectorLen]byte
	Tag      [8]byte
	Hash     [BcryptLen]byte
	Expires  int64 // µs since 1970
	Label    string
}

func (t *Token) Kind() Kind    { return KindToken }
func (t *Token) version() byte { return 1 }

func (t *Token) append(b []byte, _ uint64) []byte {
	b = append(b, t.Account[:]...)
	b = append(b, t.Selector[:]...)
	b = append(b, t.Tag[:]...)
	b = append(b, t.Hash[:]...)
	return appendLifeAndLabel(b, t.Expires, t.Label)
}

func (t *Token) decode(d *wire.Decoder, h *Header, _ byte) {
	t.Position, t.Time = h.Position, h.Time
	t.Account = d.ID()
	copy(t.Selector[:], d.Bytes(SelectorLen))
	copy(t.Tag[:], d.Bytes(8))
	copy(t.Hash[:], d.Bytes(BcryptLen))
	t.Expires, t.Label = decodeLifeAndLabel(d, h.Time)
}

func (t *Token) line(c *lineCodec, h *Header) {
	t.Position, t.Time = h.Position, h.Time
	c.id("account_id", &t.Account)
	c.hex("selector", t.Selector[:])
	c.hex("tag", t.Tag[:])
	c.hex("bcrypt", t.Hash[:])
	c.lifeAndLabel(h.Time, &t.Expires, &t.Label)
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
	d.Check(expires > made && CheckLabel(label) == nil)
	return expires, label
}
