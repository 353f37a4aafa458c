package capycoin

import (
	"crypto/ed25519"
	"fmt"

	"github.com/capycoin/capycoin/internal/sign"
)

// PublicKey is an account's Ed25519 public key, as RFC 8032 (section 5.1.5)
// encodes it: the y-coordinate of a point of the curve in 255 bits, little-endian,
// and in the last bit whether x is odd. The zero PublicKey is none: its 32 zero
// bytes encode a point of small order, so no key is mistaken for it. Any other
// value may come from outside and is a key only if Check says so.
type PublicKey [ed25519.PublicKeySize]byte

// NewPublicKey returns the key with these bytes. It is [ErrBadPublicKey] if they
// are not 32, or [PublicKey.Check] refuses them.
func NewPublicKey(b []byte) (PublicKey, error) {
	if len(b) != ed25519.PublicKeySize {
		return PublicKey{}, fmt.Errorf("%w: it has %d bytes, not %d", sign.ErrBadPublicKey, len(b), ed25519.PublicKeySize)
	}
	k := PublicKey(b)
	if err := k.Check(); err != nil {
		return PublicKey{}, err
	}
	return k, nil
}

// ParsePublicKey reads what String writes, 44 characters of base64 with padding,
// and nothing else: no line breaks, no other alphabet, no missing padding. It is
// [ErrBadPublicKey] if s is not that, or not a key that [PublicKey.Check] takes.
func ParsePublicKey(s string) (PublicKey, error) {
	b, ok := sign.ParseKeyText(s)
	if !ok {
		return PublicKey{}, fmt.Errorf("%w: it is not base64 with padding", sign.ErrBadPublicKey)
	}
	return NewPublicKey(b)
}

// String returns the key in base64 with padding, 44 characters.
func (k PublicKey) String() string { return sign.KeyText(k) }

// IsZero says whether there is no key.
func (k PublicKey) IsZero() bool { return k == PublicKey{} }

// Check returns nil if the key is the one encoding of a point of the curve whose
// order is not small, and otherwise an [ErrBadPublicKey] that says what it is:
//
//   - not canonical: y is not below p = 2^255-19, or x is 0 and said to be odd.
//     Verifiers differ on these, so one would be a key here and not elsewhere.
//   - of small order: one of the eight points whose order divides 8. Everybody can
//     sign for them; with the neutral element as the key there are signatures that
//     hold for any message.
//   - not on the curve: no signature ever holds, and the coins were locked up.
//
// What it can't see is whether anybody has the private key. It takes some ten
// microseconds, which is for when a key is set and not for every signature.
func (k PublicKey) Check() error { return sign.CheckKey(k) }
