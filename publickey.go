package capycoin

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"math/big"
	"slices"
	"strings"
)

// PublicKey is an account's Ed25519 public key, as RFC 8032 (section 5.1.5)
// encodes it: the y-coordinate of a point of the curve in 255 bits, little-endian,
// and in the last bit whether x is odd. The zero PublicKey is none: its 32 zero
// bytes encode a point of small order, so no key is mistaken for it. Any other
// value may come from outside and is a key only if Check says so.
type PublicKey [ed25519.PublicKeySize]byte

// publicKeyText is the text of a key: base64 with padding (RFC 4648, section 4)
// whose unused bits are zero, so that a key has one text.
var publicKeyText = base64.StdEncoding.Strict()

// NewPublicKey returns the key with these bytes. It is [ErrBadPublicKey] if they
// are not 32, or [PublicKey.Check] refuses them.
func NewPublicKey(b []byte) (PublicKey, error) {
	if len(b) != ed25519.PublicKeySize {
		return PublicKey{}, fmt.Errorf("%w: it has %d bytes, not %d", ErrBadPublicKey, len(b), ed25519.PublicKeySize)
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
	b, err := publicKeyText.DecodeString(s)
	// The decoder passes over line breaks.
	if err != nil || strings.ContainsAny(s, "\r\n") {
		return PublicKey{}, fmt.Errorf("%w: it is not base64 with padding", ErrBadPublicKey)
	}
	return NewPublicKey(b)
}

// String returns the key in base64 with padding, 44 characters.
func (k PublicKey) String() string { return publicKeyText.EncodeToString(k[:]) }

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
func (k PublicKey) Check() error {
	odd := k[31]>>7 == 1
	b := k
	b[31] &= 0x7f
	slices.Reverse(b[:])
	y := new(big.Int).SetBytes(b[:])
	if y.Cmp(fieldPrime) >= 0 {
		return fmt.Errorf("%w: it is not canonical, y is not below 2^255-19", ErrBadPublicKey)
	}
	// The curve is -x² + y² = 1 + d·x²·y², so x² = (y² - 1) / (d·y² + 1). The
	// divisor is never 0, since -1/d is no square.
	yy := new(big.Int).Mul(y, y)
	yy.Mod(yy, fieldPrime)
	dividend := new(big.Int).Sub(yy, bigOne)
	if dividend.Sign() == 0 && odd {
		return fmt.Errorf("%w: it is not canonical, x is 0 and said to be odd", ErrBadPublicKey)
	}
	if smallOrder(yy) {
		return fmt.Errorf("%w: its order is small", ErrBadPublicKey)
	}
	// A fraction is a square where the product is: they differ by a square.
	divisor := new(big.Int).Mul(curveD, yy)
	divisor.Add(divisor, bigOne)
	if big.Jacobi(dividend.Mul(dividend, divisor), fieldPrime) < 0 {
		return fmt.Errorf("%w: it is not on the curve", ErrBadPublicKey)
	}
	return nil
}

// Edwards25519 (RFC 8032, section 5.1): the prime of its field, and its d, which
// is -121665/121666. Nothing changes them.
var (
	bigOne     = big.NewInt(1)
	fieldPrime = new(big.Int).Sub(new(big.Int).Lsh(bigOne, 255), big.NewInt(19))
	curveD     = func() *big.Int {
		d := new(big.Int).ModInverse(big.NewInt(121_666), fieldPrime)
		return d.Mod(d.Mul(d, big.NewInt(-121_665)), fieldPrime)
	}()
)

// smallOrder says whether a point with this y², below p, has an order that divides
// 8. The order is 1 where y = 1, 2 where y = -1, and 4 where y = 0. It is 8 where the
// double of the point has y = 0; that is where x² = -y², and with the equation of
// the curve d·y⁴ + 2·y² = 1.
func smallOrder(yy *big.Int) bool {
	if yy.Sign() == 0 || yy.Cmp(bigOne) == 0 {
		return true
	}
	sum := new(big.Int).Mul(curveD, yy)
	sum.Mul(sum.Add(sum, big.NewInt(2)), yy)
	return sum.Mod(sum, fieldPrime).Cmp(bigOne) == 0
}
