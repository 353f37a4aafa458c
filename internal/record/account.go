package record

import (
	"crypto/ed25519"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/chain"
	"github.com/capycoin/capycoin/internal/wire"
)

// NoKey is in the place of the public key of an account that has none.
var NoKey [ed25519.PublicKeySize]byte

// FeeAccount is the id of the account that fees go to, in every ledger:
// feefeefe-efee-4fee-8fee-feefeefeefee. It has the form of a version-4 UUID, as
// all ids of accounts have.
var FeeAccount = uuid.UUID{0xfe, 0xef, 0xee, 0xfe, 0xef, 0xee, 0x4f, 0xee, 0x8f, 0xee, 0xfe, 0xef, 0xee, 0xfe, 0xef, 0xee}

// SeedCreated is when every seed account says it was created:
// 2000-01-01T00:00:00Z, in microseconds since 1970.
const SeedCreated = 946_684_800_000_000

// KindAccount is the kind of a [Account].
const KindAccount Kind = 2

// Account opens an account.
//
//	id 16 · link · version 2: its public key 32
type Account struct {
	ID   uuid.UUID
	Link chain.Link
	Key  [ed25519.PublicKeySize]byte // noKey: none
}

func (a *Account) Kind() Kind { return KindAccount }

func (a *Account) version() byte { return versionWithKey(&a.Key) }

func (a *Account) append(b []byte, position uint64) []byte {
	b = append(b, a.ID[:]...)
	b = chain.AppendLink(b, position, a.Link)
	return appendPublicKey(b, &a.Key)
}

func (a *Account) decode(d *wire.Decoder, h *Header, version byte) {
	a.ID = d.ID()
	a.Link = chain.DecodeLink(d, h.Position)
	a.Key = decodePublicKey(d, version)
	// Nobody signs for the account of the fees: with a key it could not pay.
	d.Check(a.ID != FeeAccount || a.Key == NoKey)
}

func (a *Account) line(c *lineCodec, h *Header) {
	c.id("account_id", &a.ID)
	c.link(&accountLink, h.Position, &a.Link)
	c.publicKey(&a.Key)
}

// versionWithKey is the version of a body that ends with a public key, if there is one.
func versionWithKey(key *[ed25519.PublicKeySize]byte) byte {
	if *key == NoKey {
		return 1
	}
	return 2
}

func appendPublicKey(b []byte, key *[ed25519.PublicKeySize]byte) []byte {
	if *key == NoKey {
		return b
	}
	return append(b, key[:]...)
}

// decodePublicKey takes the key that version 2 of a body has.
func decodePublicKey(d *wire.Decoder, version byte) (key [ed25519.PublicKeySize]byte) {
	if version > 1 {
		copy(key[:], d.Bytes(ed25519.PublicKeySize))
		d.Check(key != NoKey)
	}
	return key
}
