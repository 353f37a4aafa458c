package capycoin

import "github.com/capycoin/capycoin/internal/wire"

// inviteRecord is an invite that was made. Its code is nowhere: the hash is of it.
type inviteRecord struct {
	position uint64 // of the record,
	time     int64  // and its time
	hash     [inviteHashLen]byte
	expires  int64 // µs since 1970
	label    string
}

// selector returns what finds it, among those of tokens.
func (i *inviteRecord) selector() [selectorLen]byte { return [selectorLen]byte(i.hash[:]) }

func (i *inviteRecord) kind() byte    { return kindInvite }
func (i *inviteRecord) version() byte { return 1 }

func (i *inviteRecord) append(b []byte, _ uint64) []byte {
	b = append(b, i.hash[:]...)
	return appendLifeAndLabel(b, i.expires, i.label)
}

func (i *inviteRecord) decode(d *wire.Decoder, h *header, _ byte) {
	i.position, i.time = h.position, h.time
	copy(i.hash[:], d.Bytes(inviteHashLen))
	i.expires, i.label = decodeLifeAndLabel(d, h.time)
}

func (i *inviteRecord) line(c *lineCodec, h *header) {
	i.position, i.time = h.position, h.time
	c.hex("hash", i.hash[:])
	c.lifeAndLabel(h.time, &i.expires, &i.label)
}
