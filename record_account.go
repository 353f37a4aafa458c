package capycoin

import (
	"crypto/ed25519"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/chain"
	"github.com/capycoin/capycoin/internal/wire"
)

// noKey is in the place of the public key of an account that has none.
var noKey [ed25519.PublicKeySize]byte

// feeAccount is the id of the account that fees go to, in every ledger:
// feefeefe-efee-4fee-8fee-feefeefeefee. It has the form of a version-4 UUID, as
// all ids of accounts have.
var feeAccount = uuid.UUID{0xfe, 0xef, 0xee, 0xfe, 0xef, 0xee, 0x4f, 0xee, 0x8f, 0xee, 0xfe, 0xef, 0xee, 0xfe, 0xef, 0xee}

// seedCreated is when every seed account says it was created:
// 2000-01-01T00:00:00Z, in microseconds since 1970.
const seedCreated = 946_684_800_000_000

// accountRecord opens an account.
type accountRecord struct {
	id   uuid.UUID
	link chain.Link
	key  [ed25519.PublicKeySize]byte // noKey: none
}

func (a *accountRecord) kind() byte { return kindAccount }

func (a *accountRecord) version() byte { return versionWithKey(&a.key) }

func (a *accountRecord) append(b []byte, position uint64) []byte {
	b = append(b, a.id[:]...)
	b = chain.AppendLink(b, position, a.link)
	return appendPublicKey(b, &a.key)
}

func (a *accountRecord) decode(d *wire.Decoder, h *header, version byte) {
	a.id = d.ID()
	a.link = chain.DecodeLink(d, h.position)
	a.key = decodePublicKey(d, version)
	// Nobody signs for the account of the fees: with a key it could not pay.
	d.Check(a.id != feeAccount || a.key == noKey)
}

func (a *accountRecord) line(c *lineCodec, h *header) {
	c.id("account_id", &a.id)
	c.link(&accountLink, h.position, &a.link)
	c.publicKey(&a.key)
}

// versionWithKey is the version of a body that ends with a public key, if there is one.
func versionWithKey(key *[ed25519.PublicKeySize]byte) byte {
	if *key == noKey {
		return 1
	}
	return 2
}

func appendPublicKey(b []byte, key *[ed25519.PublicKeySize]byte) []byte {
	if *key == noKey {
		return b
	}
	return append(b, key[:]...)
}

// decodePublicKey takes the key that version 2 of a body has.
func decodePublicKey(d *wire.Decoder, version byte) (key [ed25519.PublicKeySize]byte) {
	if version > 1 {
		copy(key[:], d.Bytes(ed25519.PublicKeySize))
		d.Check(key != noKey)
	}
	return key
}
