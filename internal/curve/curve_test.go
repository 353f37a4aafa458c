package curve

import (
	"bytes"
	"crypto/ed25519"
	"math/big"
	"testing"
)

// TestSlowPoints: the arithmetic that the tests rely on is that of the curve.
func TestSlowPoints(t *testing.T) {
	if got := Base().Times(groupL).Key(); got != neutral.Key() {
		t.Errorf("L times the base point is %x, want the neutral element", got)
	}
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	p, err := Decode(Key(key.Public().(ed25519.PublicKey)))
	if err != nil {
		t.Fatal(err)
	}
	if p.Times(groupL).Key() != neutral.Key() || p.Times(big.NewInt(8)).Key() == neutral.Key() {
		t.Error("a key that package ed25519 made has not the order L")
	}
	for i, k := range Small() {
		n := int64([]int{1, 2, 4, 4, 8, 8, 8, 8}[i])
		p, err := Decode(k)
		if err != nil {
			t.Fatal(err)
		}
		if p.Times(big.NewInt(n)).Key() != neutral.Key() || n > 1 && p.Times(big.NewInt(n/2)).Key() == neutral.Key() {
			t.Errorf("%x has not the order %d", k, n)
		}
	}
}
