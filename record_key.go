package capycoin

import (
	"crypto/ed25519"
	"encoding/binary"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/wire"
)

// maxKeyVersion is the highest version of a key.
const maxKeyVersion = 1<<32 - 1

// keyRecord is a change of an account's key.
type keyRecord struct {
	account  uuid.UUID
	ends     uint32 // the version of the key that it ends
	key      [ed25519.PublicKeySize]byte
	old, new [ed25519.SignatureSize]byte // signatures of the change
}

func (k *keyRecord) kind() byte    { return kindKey }
func (k *keyRecord) version() byte { return 1 }

func (k *keyRecord) append(b []byte, _ uint64) []byte {
	b = append(b, k.account[:]...)
	b = binary.AppendUvarint(b, uint64(k.ends))
	b = append(b, k.key[:]...)
	b = append(b, k.old[:]...)
	return append(b, k.new[:]...)
}

func (k *keyRecord) decode(d *wire.Decoder, _ *header, _ byte) {
	k.account = d.ID()
	k.ends = uint32(d.Uvarint(maxKeyVersion - 1))
	copy(k.key[:], d.Bytes(ed25519.PublicKeySize))
	copy(k.old[:], d.Bytes(ed25519.SignatureSize))
	copy(k.new[:], d.Bytes(ed25519.SignatureSize))
	d.Check(k.ends > 0 && k.key != noKey)
}

func (k *keyRecord) line(c *lineCodec, _ *header) {
	c.id("account_id", &k.account)
	k.ends = uint32(c.integer("key_version", uint64(k.ends), 1, maxKeyVersion-1))
	c.hex("public_key", k.key[:])
	c.hex("old_signature", k.old[:])
	c.hex("new_signature", k.new[:])
}
