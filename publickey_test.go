package capycoin_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/sign"
)

// point is a point of edwards25519, written as the textbook has it and as slow: what
// the tests hold PublicKey.Check to.
type point struct{ x, y *big.Int }

// The curve, from the numbers that RFC 8032 (section 5.1) writes out.
var (
	fieldP, _   = new(big.Int).SetString("7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed", 16)
	fieldD, _   = new(big.Int).SetString("37095705934669439343138083508754565189542113879843219016388785533085940283555", 10)
	groupL, _   = new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	sqrtMinus1  = new(big.Int).Exp(big.NewInt(2), new(big.Int).Rsh(fieldP, 2), fieldP)
	neutral     = point{big.NewInt(0), big.NewInt(1)}
	basePoint   = mustPoint("5866666666666666666666666666666666666666666666666666666666666666")
	smallPoints = []string{ // the points whose order divides 8: 1, 2, 4 and 4, then 8
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

func mustPoint(digits string) point {
	p, err := decompress(mustKey(digits))
	if err != nil {
		panic(err)
	}
	return p
}

func mustKey(digits string) capycoin.PublicKey {
	b, err := hex.DecodeString(digits)
	if err != nil {
		panic(err)
	}
	return capycoin.PublicKey(b)
}

// mod returns a sum, product or whatever of field elements, as one.
func mod(n *big.Int) *big.Int { return n.Mod(n, fieldP) }

func mul(a, b *big.Int) *big.Int { return mod(new(big.Int).Mul(a, b)) }

// encodeKey encodes 255 bits of y and the sign, whatever they are.
func encodeKey(y *big.Int, odd bool) capycoin.PublicKey {
	var k capycoin.PublicKey
	y.FillBytes(k[:])
	slices.Reverse(k[:])
	if odd {
		k[31] |= 0x80
	}
	return k
}

func (p point) key() capycoin.PublicKey { return encodeKey(p.y, p.x.Bit(0) == 1) }

// add is the addition of RFC 8032, section 5.1.4, in affine coordinates.
func (p point) add(q point) point {
	both := mul(mul(fieldD, mul(p.x, q.x)), mul(p.y, q.y))
	one := big.NewInt(1)
	x := mod(new(big.Int).Add(mul(p.x, q.y), mul(q.x, p.y)))
	y := mod(new(big.Int).Add(mul(p.y, q.y), mul(p.x, q.x)))
	return point{
		mul(x, new(big.Int).ModInverse(mod(new(big.Int).Add(one, both)), fieldP)),
		mul(y, new(big.Int).ModInverse(mod(new(big.Int).Sub(one, both)), fieldP)),
	}
}

func (p point) times(n *big.Int) point {
	sum := neutral
	for i := n.BitLen() - 1; i >= 0; i-- {
		sum = sum.add(sum)
		if n.Bit(i) == 1 {
			sum = sum.add(p)
		}
	}
	return sum
}

var (
	errNotCanonical = errors.New("not canonical")
	errNotOnCurve   = errors.New("not on the curve")
	errSmallOrder   = errors.New("small order")
)

// decompress decodes a point as RFC 8032, section 5.1.3, says.
func decompress(k capycoin.PublicKey) (point, error) {
	odd := k[31]&0x80 != 0
	k[31] &= 0x7f
	slices.Reverse(k[:])
	y := new(big.Int).SetBytes(k[:])
	if y.Cmp(fieldP) >= 0 {
		return point{}, errNotCanonical
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
		return point{}, errNotOnCurve
	}
	if x.Sign() == 0 && odd {
		return point{}, errNotCanonical
	}
	if (x.Bit(0) == 1) != odd {
		x.Sub(fieldP, x)
	}
	return point{x, y}, nil
}

// checkSlowly is what PublicKey.Check has to find.
func checkSlowly(k capycoin.PublicKey) error {
	p, err := decompress(k)
	if err == nil && p.times(big.NewInt(8)).key() == neutral.key() {
		err = errSmallOrder
	}
	return err
}

// TestSlowPoints: the arithmetic that the tests rely on is that of the curve.
func TestSlowPoints(t *testing.T) {
	if got := basePoint.times(groupL).key(); got != neutral.key() {
		t.Errorf("L times the base point is %s, want the neutral element", got)
	}
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	p, err := decompress(capycoin.PublicKey(key.Public().(ed25519.PublicKey)))
	if err != nil {
		t.Fatal(err)
	}
	if p.times(groupL).key() != neutral.key() || p.times(big.NewInt(8)).key() == neutral.key() {
		t.Error("a key that package ed25519 made has not the order L")
	}
	for i, digits := range smallPoints {
		n := int64([]int{1, 2, 4, 4, 8, 8, 8, 8}[i])
		p := mustPoint(digits)
		if p.times(big.NewInt(n)).key() != neutral.key() || n > 1 && p.times(big.NewInt(n/2)).key() == neutral.key() {
			t.Errorf("%s has not the order %d", digits, n)
		}
	}
}

// notCanonical are all encodings that are not the canonical one of what they
// encode: 2^255-19 to 2^255-1 in place of 0 to 18, and an odd 0.
func notCanonical() []capycoin.PublicKey {
	var all []capycoin.PublicKey
	for i := range int64(19) {
		y := new(big.Int).Add(fieldP, big.NewInt(i))
		all = append(all, encodeKey(y, false), encodeKey(y, true))
	}
	return append(all, encodeKey(big.NewInt(1), true), encodeKey(new(big.Int).Sub(fieldP, big.NewInt(1)), true))
}

// words returns what Check has to say of the error that the slow check found.
func words(err error) string {
	switch err {
	case errNotCanonical:
		return "not canonical"
	case errNotOnCurve:
		return "not on the curve"
	case errSmallOrder:
		return "its order is small"
	}
	return ""
}

// TestPublicKeyCheck has every key of small order and every encoding that is not
// canonical, and the points with small y.
func TestPublicKeyCheck(t *testing.T) {
	keys := notCanonical()
	for _, k := range keys {
		if k.Check() == nil || !strings.Contains(k.Check().Error(), "not canonical") {
			t.Errorf("%s: got %v, want that it is not canonical", k, k.Check())
		}
	}
	for _, digits := range smallPoints {
		k := mustKey(digits)
		if k.Check() == nil || !strings.Contains(k.Check().Error(), "order is small") {
			t.Errorf("%s: got %v, want that its order is small", k, k.Check())
		}
		keys = append(keys, k)
	}
	for i := range int64(200) {
		y := big.NewInt(i)
		keys = append(keys, encodeKey(y, false), encodeKey(y, true))
		y = new(big.Int).Sub(fieldP, big.NewInt(1+i))
		keys = append(keys, encodeKey(y, false), encodeKey(y, true))
	}
	found := make(map[error]int)
	for _, k := range keys {
		found[sameCheck(t, k)]++
	}
	for _, err := range []error{nil, errNotCanonical, errNotOnCurve, errSmallOrder} {
		if found[err] < 8 {
			t.Errorf("only %d keys are %v", found[err], err)
		}
	}
}

// sameCheck compares Check with the slow one.
func sameCheck(t *testing.T, k capycoin.PublicKey) error {
	t.Helper()
	got, want := k.Check(), checkSlowly(k)
	if (got == nil) != (want == nil) || got != nil && (!errors.Is(got, sign.ErrBadPublicKey) || !strings.Contains(got.Error(), words(want))) {
		t.Errorf("%s: got %v, want %v", k, got, want)
	}
	return want
}

// TestSmallOrderKeysAreForged shows why these are refused: package ed25519 takes a
// signature that anybody can write down, for any message.
func TestSmallOrderKeysAreForged(t *testing.T) {
	var forged [ed25519.SignatureSize]byte
	forged[0] = 1 // R is the neutral element, S is 0
	k := mustKey(smallPoints[0])
	for _, m := range []string{"", "a", "anything"} {
		if !ed25519.Verify(k[:], []byte(m), forged[:]) {
			t.Errorf("the neutral element is no key for the message %q", m)
		}
	}
	if err := k.Check(); !errors.Is(err, sign.ErrBadPublicKey) {
		t.Errorf("got %v, want ErrBadPublicKey", err)
	}
}

func TestPublicKeyText(t *testing.T) {
	const text = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
	k, err := capycoin.ParsePublicKey(text)
	if err != nil || k != mustKey("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a") || k.String() != text {
		t.Fatalf("got %s, %v, want %s", k, err, text)
	}
	if k.IsZero() || (capycoin.PublicKey{31: 1}).IsZero() || (capycoin.PublicKey{1}).IsZero() || !(capycoin.PublicKey{}).IsZero() {
		t.Error("only the zero key is zero")
	}
	for name, bad := range map[string]string{
		"empty":               "",
		"no padding":          strings.TrimSuffix(text, "="),
		"too much padding":    text + "=",
		"alphabet of URLs":    strings.ReplaceAll(text, "/", "_"),
		"unused bits":         text[:42] + "p=",
		"line feed after":     text + "\n",
		"line feed within":    text[:20] + "\n" + text[20:],
		"carriage return":     text[:20] + "\r" + text[20:],
		"space":               text + " ",
		"hexadecimal":         "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
		"31 bytes":            "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHUQ==",
		"33 bytes":            "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURoA",
		"the zero key":        (capycoin.PublicKey{}).String(),
		"the neutral element": mustKey(smallPoints[0]).String(),
	} {
		if k, err := capycoin.ParsePublicKey(bad); !errors.Is(err, sign.ErrBadPublicKey) || !k.IsZero() {
			t.Errorf("%s: got %v, %v, want no key and ErrBadPublicKey", name, k, err)
		}
	}
	for _, n := range []int{0, 1, 31, 33, 64} {
		if k, err := capycoin.NewPublicKey(bytes.Repeat([]byte{0x58}, n)); !errors.Is(err, sign.ErrBadPublicKey) || !k.IsZero() {
			t.Errorf("%d bytes: got %v, %v, want no key and ErrBadPublicKey", n, k, err)
		}
	}
}

// FuzzPublicKey compares Check with the slow one, and the text of a key with the
// key. A key that is made is one, and what its owner signs holds.
func FuzzPublicKey(f *testing.F) {
	for _, digits := range smallPoints {
		b, _ := hex.DecodeString(digits)
		f.Add(b)
	}
	for _, k := range notCanonical() {
		f.Add(bytes.Clone(k[:]))
	}
	for _, y := range []int64{2, 3, 4, 5} {
		k := encodeKey(big.NewInt(y), false)
		f.Add(bytes.Clone(k[:]))
	}
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte{0xff}, 33))
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := capycoin.NewPublicKey(b)
		if len(b) == ed25519.PublicKeySize && (err == nil) != (sameCheck(t, capycoin.PublicKey(b)) == nil) || len(b) != ed25519.PublicKeySize && err == nil {
			t.Fatalf("%x: got %v", b, err)
		}
		if err == nil {
			if again, err := capycoin.ParsePublicKey(k.String()); err != nil || again != k || !bytes.Equal(k[:], b) {
				t.Fatalf("%x: its text is of %s, %v", b, again, err)
			}
		} else if !k.IsZero() {
			t.Fatalf("%x: got the key %s beside an error", b, k)
		}
		if len(b) == ed25519.SeedSize {
			private := ed25519.NewKeyFromSeed(b)
			public, err := capycoin.NewPublicKey(private.Public().(ed25519.PublicKey))
			if err != nil {
				t.Fatalf("%x: the key of this seed: %v", b, err)
			}
			if !ed25519.Verify(public[:], b, ed25519.Sign(private, b)) {
				t.Fatalf("%x: what the key of this seed signs does not hold", b)
			}
		}
	})
}
