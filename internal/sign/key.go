package sign

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
)

// ErrBadPublicKey: it is not the encoding of a point of the curve, or not its
// only one, or the point's order is small; see [CheckKey].
var ErrBadPublicKey = errors.New("capycoin: not a public key")

// CheckKey returns nil if 32 bytes are the one encoding of a point of the curve
// whose order is not small, and otherwise an [ErrBadPublicKey] that says what it is:
//
//   - not canonical: y is not below p = 2^255-19, or x is 0 and said to be odd.
//     Verifiers differ on these, so one would be a key here and not elsewhere.
//   - of small order: one of the eight points whose order divides 8. Everybody can
//     sign for them; with the neutral element as the key there are signatures that
//     hold for any message.
//   - not on the curve: no signature ever holds, and the coins were locked up.
func CheckKey(k [ed25519.PublicKeySize]byte) error {
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

// keyText is the text of a key: base64 with padding (RFC 4648, section 4)
// whose unused bits are zero, so that a key has one text.
var keyText = base64.StdEncoding.Strict()

// KeyText returns the text of a key, 44 characters.
func KeyText(k [ed25519.PublicKeySize]byte) string { return keyText.EncodeToString(k[:]) }

// ParseKeyText returns the bytes of what may be the text of a key; ok is false if it is no
// text. Whether it is a key, [CheckKey] says.
func ParseKeyText(s string) (b []byte, ok bool) {
	b, err := keyText.DecodeString(s)
	// The decoder passes over line breaks.
	return b, err == nil && !strings.ContainsAny(s, "\r\n")
}
