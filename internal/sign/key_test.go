package sign_test

import (
	"crypto/ed25519"
	"errors"
	"math/big"
	"strings"
	"testing"

	"github.com/capycoin/capycoin/internal/curve"
	"github.com/capycoin/capycoin/internal/sign"
)

// TestPublicKeyCheck has every key of small order and every encoding that is not
// canonical, and the points with small y.
func TestPublicKeyCheck(t *testing.T) {
	keys := curve.NotCanonical()
	for _, k := range keys {
		if err := sign.CheckKey(k); err == nil || !strings.Contains(err.Error(), "not canonical") {
			t.Errorf("%x: got %v, want that it is not canonical", k, err)
		}
	}
	for _, k := range curve.Small() {
		if err := sign.CheckKey(k); err == nil || !strings.Contains(err.Error(), "order is small") {
			t.Errorf("%x: got %v, want that its order is small", k, err)
		}
		keys = append(keys, k)
	}
	for i := range int64(200) {
		y := big.NewInt(i)
		keys = append(keys, curve.Encode(y, false), curve.Encode(y, true))
		y = new(big.Int).Sub(curve.Prime(), big.NewInt(1+i))
		keys = append(keys, curve.Encode(y, false), curve.Encode(y, true))
	}
	found := make(map[error]int)
	for _, k := range keys {
		got, want := sign.CheckKey(k), curve.Check(k)
		if (got == nil) != (want == nil) || got != nil && (!errors.Is(got, sign.ErrBadPublicKey) || !strings.Contains(got.Error(), want.Error())) {
			t.Errorf("%x: got %v, want %v", k, got, want)
		}
		found[want]++
	}
	for _, err := range []error{nil, curve.ErrNotCanonical, curve.ErrNotOnCurve, curve.ErrSmallOrder} {
		if found[err] < 8 {
			t.Errorf("only %d keys are %v", found[err], err)
		}
	}
}

// TestSmallOrderKeysAreForged shows why these are refused: package ed25519 takes a
// signature that anybody can write down, for any message.
func TestSmallOrderKeysAreForged(t *testing.T) {
	var forged [ed25519.SignatureSize]byte
	forged[0] = 1 // R is the neutral element, S is 0
	k := curve.Small()[0]
	for _, m := range []string{"", "a", "anything"} {
		if !ed25519.Verify(k[:], []byte(m), forged[:]) {
			t.Errorf("the neutral element is no key for the message %q", m)
		}
	}
	if err := sign.CheckKey(k); !errors.Is(err, sign.ErrBadPublicKey) {
		t.Errorf("got %v, want ErrBadPublicKey", err)
	}
}
