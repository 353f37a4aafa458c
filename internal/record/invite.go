package record

import "github.com/capycoin/capycoin/internal/wire"

// KindInvite is the kind of a [Invite].
const KindInvite Kind = 6

// Invite is an invite that was made. Its code is nowhere: the hash is of it.
//
//	hash 32 · expiry 8 (µs) · label length uvarint · label (UTF-8)
type Invite struct {
	Position uint64 // of the record,
	Time     int64  // and its time
	Hash     [InviteHashLen]byte
	Expires  int64 // µs since 1970
	Label    string
}

// Selector returns what finds it, among those of tokens.
func (i *Invite) Selector() [SelectorLen]byte { return [SelectorLen]byte(i.Hash[:]) }

func (i *Invite) Kind() Kind    { return KindInvite }
func (i *Invite) version() byte { return 1 }

func (i *Invite) append(b []byte, _ uint64) []byte {
	b = append(b, i.Hash[:]...)
	return appendLifeAndLabel(b, i.Expires, i.Label)
}

func (i *Invite) decode(d *wire.Decoder, h *Header, _ byte) {
	i.Position, i.Time = h.Position, h.Time
	copy(i.Hash[:], d.Bytes(InviteHashLen))
	i.Expires, i.Label = decodeLifeAndLabel(d, h.Time)
}

func (i *Invite) line(c *lineCodec, h *Header) {
	i.Position, i.Time = h.Position, h.Time
	c.hex("hash", i.Hash[:])
	c.lifeAndLabel(h.Time, &i.Expires, &i.Label)
}
