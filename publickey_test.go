package capycoin_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/curve"
	"github.com/capycoin/capycoin/internal/sign"
)

// sameCheck compares Check with the slow one.
func sameCheck(t *testing.T, k capycoin.PublicKey) error {
	t.Helper()
	got, want := k.Check(), curve.Check(k)
	if (got == nil) != (want == nil) || got != nil && (!errors.Is(got, sign.ErrBadPublicKey) || !strings.Contains(got.Error(), want.Error())) {
		t.Errorf("%s: got %v, want %v", k, got, want)
	}
	return want
}

func TestPublicKeyText(t *testing.T) {
	const text = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
	k, err := capycoin.ParsePublicKey(text)
	if err != nil || k != curve.MustKey("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a") || k.String() != text {
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
		"the neutral element": capycoin.PublicKey(curve.Small()[0]).String(),
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
	for _, k := range slices.Concat(curve.Small(), curve.NotCanonical()) {
		f.Add(bytes.Clone(k[:]))
	}
	for _, y := range []int64{2, 3, 4, 5} {
		k := curve.Encode(big.NewInt(y), false)
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
