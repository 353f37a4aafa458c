// Package curve is edwards25519 as the textbook has it, and as slow: what tests hold keys
// and signatures to.
//
// It knows nothing of coins, nor of package sign. Only tests may call it. It has no locks.
package curve

import (
	"encoding/hex"
	"errors"
	"math/big"
	"slices"
)

// Key is what encodes a point, whatever its bytes are.
type Key = [32]byte

// Point is a point of the curve.
type Point struct{ x, y *big.Int }

// The curve, from the numbers that RFC 8032 (section 5.1) writes out.
var (
	fieldP, _  = new(big.Int).SetString("7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed", 16)
	fieldD, _  = new(big.Int).SetString("37095705934669439343138083508754565189542113879843219016388785533085940283555", 10)
	groupL, _  = new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	sqrtMinus1 = new(big.Int).Exp(big.NewInt(2), new(big.Int).Rsh(fieldP, 2), fieldP)
	neutral    = Point{big.NewInt(0), big.NewInt(1)}
	small      = []string{ // the points whose order divides 8: 1, 2, 4 and 4, then 8
		"0100000000000000000000000000000000000000000000000000000000000000",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0000000000000000000000000000000000000000000000000000000000000080",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
	}
)

// Prime returns the prime of the field.
func Prime() *big.Int { return new(big.Int).Set(fieldP) }

// Order returns the order of the group, L.
func Order() *big.Int { return new(big.Int).Set(groupL) }

// Base returns the base point.
func Base() Point {
	p, err := Decode(MustKey("5866666666666666666666666666666666666666666666666666666666666666"))
	if err != nil {
		panic(err)
	}
	return p
}

// Small returns the eight points whose order divides 8, the neutral element first.
func Small() (keys []Key) {
	for _, digits := range small {
		keys = append(keys, MustKey(digits))
	}
	return keys
}

// MustKey reads hexadecimal digits.
func MustKey(digits string) Key {
	b, err := hex.DecodeString(digits)
	if err != nil {
		panic(err)
	}
	return Key(b)
}

// mod returns a sum, product or whatever of field elements, as one.
func mod(n *big.Int) *big.Int { return n.Mod(n, fieldP) }

func mul(a, b *big.Int) *big.Int { return mod(new(big.Int).Mul(a, b)) }

// Encode encodes 255 bits of y and the sign, whatever they are.
func Encode(y *big.Int, odd bool) Key {
	var k Key
	y.FillBytes(k[:])
	slices.Reverse(k[:])
	if odd {
		k[31] |= 0x80
	}
	return k
}

// Key returns the encoding of a point.
func (p Point) Key() Key { return Encode(p.y, p.x.Bit(0) == 1) }

// Plus is the addition of RFC 8032, section 5.1.4, in affine coordinates.
func (p Point) Plus(q Point) Point {
	both := mul(mul(fieldD, mul(p.x, q.x)), mul(p.y, q.y))
	one := big.NewInt(1)
	x := mod(new(big.Int).Add(mul(p.x, q.y), mul(q.x, p.y)))
	y := mod(new(big.Int).Add(mul(p.y, q.y), mul(p.x, q.x)))
	return Point{
		mul(x, new(big.Int).ModInverse(mod(new(big.Int).Add(one, both)), fieldP)),
		mul(y, new(big.Int).ModInverse(mod(new(big.Int).Sub(one, both)), fieldP)),
	}
}

// Times adds a point up n times.
func (p Point) Times(n *big.Int) Point {
	sum := neutral
	for i := n.BitLen() - 1; i >= 0; i-- {
		sum = sum.Plus(sum)
		if n.Bit(i) == 1 {
			sum = sum.Plus(p)
		}
	}
	return sum
}

// What is wrong with a key, in the words of who checks it.
var (
	ErrNotCanonical = errors.New("not canonical")
	ErrNotOnCurve   = errors.New("not on the curve")
	ErrSmallOrder   = errors.New("its order is small")
)

// Decode decodes a point as RFC 8032, section 5.1.3, says.
func Decode(k Key) (Point, error) {
	odd := k[31]&0x80 != 0
	k[31] &= 0x7f
	slices.Reverse(k[:])
	y := new(big.Int).SetBytes(k[:])
	if y.Cmp(fieldP) >= 0 {
		return Point{}, ErrNotCanonical
	}
	u := mod(new(big.Int).Sub(mul(y, y), big.NewInt(1)))
	v := mod(new(big.Int).Add(mul(fieldD, mul(y, y)), big.NewInt(1)))
	square := mul(u, new(big.Int).ModInverse(v, fieldP))
	// x = square^((p+3)/8), or that times the root of -1.
	x := new(big.Int).Exp(square, new(big.Int).Rsh(new(big.Int).Add(fieldP, big.NewInt(3)), 3), fieldP)
	if mul(x, x).Cmp(square) != 0 {
		x = mul(x, sqrtMinus1)
	}
	if mul(x, x).Cmp(square) != 0 {
		return Point{}, ErrNotOnCurve
	}
	if x.Sign() == 0 && odd {
		return Point{}, ErrNotCanonical
	}
	if (x.Bit(0) == 1) != odd {
		x.Sub(fieldP, x)
	}
	return Point{x, y}, nil
}

// Check is what the check of a public key has to find.
func Check(k Key) error {
	p, err := Decode(k)
	if err == nil && p.Times(big.NewInt(8)).Key() == neutral.Key() {
		err = ErrSmallOrder
	}
	return err
}

// NotCanonical returns all encodings that are not the canonical one of what they
// encode: 2^255-19 to 2^255-1 in place of 0 to 18, and an odd 0.
func NotCanonical() []Key {
	var all []Key
	for i := range int64(19) {
		y := new(big.Int).Add(fieldP, big.NewInt(i))
		all = append(all, Encode(y, false), Encode(y, true))
	}
	return append(all, Encode(big.NewInt(1), true), Encode(new(big.Int).Sub(fieldP, big.NewInt(1)), true))
}
