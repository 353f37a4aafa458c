package record

import (
	"crypto/ed25519"
	"encoding/binary"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/wire"
)

// KindKeyChange is the kind of a [KeyChange].
const KindKeyChange Kind = 8

// KeyChange is a change of an account's key.
//
//	account 16 · version that it ends uvarint · new public key 32 ·
//	signatures by the old key 64 and the new 64
type KeyChange struct {
	Account  uuid.UUID
	Ends     uint32 // the version of the key that it ends
	Key      [ed25519.PublicKeySize]byte
	Old, New [ed25519.SignatureSize]byte // signatures of the change
}

func (k *KeyChange) Kind() Kind    { return KindKeyChange }
func (k *KeyChange) version() byte { return 1 }

func (k *KeyChange) append(b []byte, _ uint64) []byte {
	b = append(b, k.Account[:]...)
	b = binary.AppendUvarint(b, uint64(k.Ends))
	b = append(b, k.Key[:]...)
	b = append(b, k.Old[:]...)
	return append(b, k.New[:]...)
}

func (k *KeyChange) decode(d *wire.Decoder, _ *Header, _ byte) {
	k.Account = d.ID()
	k.Ends = uint32(d.Uvarint(wire.MaxVersion - 1))
	copy(k.Key[:], d.Bytes(ed25519.PublicKeySize))
	copy(k.Old[:], d.Bytes(ed25519.SignatureSize))
	copy(k.New[:], d.Bytes(ed25519.SignatureSize))
	d.Check(k.Ends > 0 && k.Key != NoKey)
}

func (k *KeyChange) line(c *lineCodec, _ *Header) {
	c.id("account_id", &k.Account)
	k.Ends = uint32(c.integer("key_version", uint64(k.Ends), 1, wire.MaxVersion-1))
	c.hex("public_key", k.Key[:])
	c.hex("old_signature", k.Old[:])
	c.hex("new_signature", k.New[:])
}
