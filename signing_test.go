package capycoin_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/curve"
	"github.com/capycoin/capycoin/internal/sign"
	"github.com/capycoin/capycoin/storetest"
)

var (
	signingLedger = uuid.MustParse("7c9e6679-7425-40de-944b-e07fc1f90ae7")
	signingAnn    = uuid.MustParse("0b8e4d5a-2f6c-4a71-9d3e-5c1f7a8b9e02")
	signingBob    = uuid.MustParse("5d1f3c2b-8a47-4e60-b9d8-2c6e0f4a7b13")
	signingTime   = time.Date(2022, 8, 15, 14, 24, 23, 136_285_000, time.UTC)
)

// signingKey returns a pair of keys, the same for the same name.
func signingKey(name string) (ed25519.PrivateKey, capycoin.PublicKey) {
	seed := sha256.Sum256([]byte("capycoin test key " + name))
	private := ed25519.NewKeyFromSeed(seed[:])
	return private, capycoin.PublicKey(private.Public().(ed25519.PublicKey))
}

// unsigned is a transfer from Ann to Bob that can be signed.
func unsigned() capycoin.Transfer {
	fee := capycoin.Coins(2)
	return capycoin.Transfer{Sender: signingAnn, Receiver: signingBob, Amount: 5, Key: "order-17", MaxFee: &fee}
}

func TestSignTransfer(t *testing.T) {
	private, public := signingKey("Ann")
	for name, notAfter := range map[string]time.Time{
		"as it is":              signingTime,
		"with nanoseconds":      signingTime.Add(999),
		"in another zone":       signingTime.In(time.FixedZone("", -5*3600)),
		"the first microsecond": time.Unix(0, 0),
		"the last nanosecond":   time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC),
		"a clock's":             time.Now(),
	} {
		tr := unsigned()
		s, err := capycoin.SignTransfer(signingLedger, 7, tr, notAfter, private)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if want := notAfter.UTC().Truncate(time.Microsecond); s.NotAfter != want {
			t.Errorf("%s: not after %v, want %v", name, s.NotAfter, want)
		}
		again, err := capycoin.SignTransfer(signingLedger, 7, tr, notAfter, private)
		if err != nil || *again != *s {
			t.Errorf("%s: signed again it is %v, %v, want %v", name, again, err, s)
		}
		tr.Signature = s
		if err := capycoin.VerifyTransfer(signingLedger, 7, tr, public); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		tr.Signature = &capycoin.Signature{NotAfter: notAfter, Bytes: s.Bytes} // not cut yet
		if err := capycoin.VerifyTransfer(signingLedger, 7, tr, public); err != nil {
			t.Errorf("%s, as it was: %v", name, err)
		}
	}
}

// TestSignatureIsForOneTransfer changes one thing at a time: the signature holds for
// nothing else.
func TestSignatureIsForOneTransfer(t *testing.T) {
	private, public := signingKey("Ann")
	_, other := signingKey("Bob")
	more := capycoin.Coins(3)
	type world struct {
		ledger  uuid.UUID
		version uint32
		t       capycoin.Transfer
		key     capycoin.PublicKey
	}
	signed := func() world {
		tr := unsigned()
		s, err := capycoin.SignTransfer(signingLedger, 7, tr, signingTime, private)
		if err != nil {
			t.Fatal(err)
		}
		tr.Signature = s
		return world{signingLedger, 7, tr, public}
	}
	check := func(name string, w world) {
		t.Helper()
		if err := capycoin.VerifyTransfer(w.ledger, w.version, w.t, w.key); !errors.Is(err, sign.ErrInvalidSignature) {
			t.Errorf("%s: got %v, want ErrInvalidSignature", name, err)
		}
	}
	if w := signed(); capycoin.VerifyTransfer(w.ledger, w.version, w.t, w.key) != nil {
		t.Fatal("the signature does not hold at all")
	}
	for name, change := range map[string]func(*world){
		"another ledger":      func(w *world) { w.ledger[15] ^= 1 },
		"an earlier key":      func(w *world) { w.version-- },
		"a later key":         func(w *world) { w.version++ },
		"another sender":      func(w *world) { w.t.Sender[0] ^= 0x80 },
		"another receiver":    func(w *world) { w.t.Receiver[15] ^= 1 },
		"the other direction": func(w *world) { w.t.Sender, w.t.Receiver = w.t.Receiver, w.t.Sender },
		"another amount":      func(w *world) { w.t.Amount++ },
		"a huge amount":       func(w *world) { w.t.Amount |= 1 << 52 },
		"the amount negative": func(w *world) { w.t.Amount = -w.t.Amount },
		"another fee":         func(w *world) { w.t.MaxFee = &more },
		"fee for amount":      func(w *world) { f := w.t.Amount; w.t.Amount, w.t.MaxFee = *w.t.MaxFee, &f },
		"a microsecond later": func(w *world) { w.t.Signature.NotAfter = signingTime.Add(time.Microsecond) },
		"another key":         func(w *world) { w.t.Key = "order-18" },
		"a longer key":        func(w *world) { w.t.Key += "0" },
		"a shorter key":       func(w *world) { w.t.Key = w.t.Key[:len(w.t.Key)-1] },
		"another public key":  func(w *world) { w.key = other },
	} {
		w := signed()
		change(&w)
		check(name, w)
	}
	for bit := range 8 * ed25519.SignatureSize {
		w := signed()
		w.t.Signature.Bytes[bit/8] ^= 1 << (bit % 8)
		check(fmt.Sprintf("bit %d of the signature", bit), w)
	}
	// S and S + L are the same to the equation.
	w := signed()
	w.t.Signature.Bytes = withLargeS(w.t.Signature.Bytes)
	check("S above the order of the group", w)
	w.t.Signature.Bytes = [ed25519.SignatureSize]byte{}
	check("no signature", w)
}

// withLargeS adds the order of the group to a signature's S.
func withLargeS(s [ed25519.SignatureSize]byte) [ed25519.SignatureSize]byte {
	b := s[32:]
	slices.Reverse(b)
	new(big.Int).Add(new(big.Int).SetBytes(b), curve.Order()).FillBytes(b)
	slices.Reverse(b)
	return s
}

// TestMalformedSignature has everything that is not in the form of what is signed:
// the one who signs is told, and so is the one who verifies.
func TestMalformedSignature(t *testing.T) {
	memory := storetest.NewMemory()
	led, err := capycoin.OpenStore(t.Context(), memory, memory, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer led.Close()
	private, public := signingKey("Ann")
	for name, tt := range map[string]struct {
		change func(*capycoin.Transfer)
		says   string
	}{
		"no key":             {func(t *capycoin.Transfer) { t.Key = "" }, "the key is missing"},
		"a key too long":     {func(t *capycoin.Transfer) { t.Key = strings.Repeat("k", capycoin.MaxKeyLen+1) }, "a key is 1 to 255 bytes"},
		"a key with a space": {func(t *capycoin.Transfer) { t.Key = "order 17" }, "a key is 1 to 255 bytes"},
		"no fee":             {func(t *capycoin.Transfer) { t.MaxFee = nil }, "the highest fee is missing"},
		"a negative fee":     {func(t *capycoin.Transfer) { *t.MaxFee = -1 }, "the highest fee is -1"},
		"a fee too high":     {func(t *capycoin.Transfer) { *t.MaxFee = capycoin.MaxSupply + 1 }, "the highest fee is 9007199254740992"},
		"no time":            {func(t *capycoin.Transfer) { t.Signature.NotAfter = time.Time{} }, "the time is not"},
		"before 1970":        {func(t *capycoin.Transfer) { t.Signature.NotAfter = time.Unix(0, -1) }, "the time is not"},
		"after 9999":         {func(t *capycoin.Transfer) { t.Signature.NotAfter = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC) }, "the time is not"},
		"far after 9999":     {func(t *capycoin.Transfer) { t.Signature.NotAfter = time.Unix(math.MaxInt64/1_000_000+1, 0) }, "the time is not"},
		"after all int64":    {func(t *capycoin.Transfer) { t.Signature.NotAfter = time.Unix(1<<62, 0) }, "the time is not"},
	} {
		tr := unsigned()
		tr.Signature = &capycoin.Signature{NotAfter: signingTime}
		tt.change(&tr)
		says := func(what string, err error) {
			t.Helper()
			if !errors.Is(err, capycoin.ErrMalformedSignature) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%s: %s: got %v, want ErrMalformedSignature and %q", name, what, err, tt.says)
			}
		}
		s, err := capycoin.SignTransfer(signingLedger, 1, tr, tr.Signature.NotAfter, private)
		says("signing", err)
		if s != nil {
			t.Errorf("%s: got a signature beside an error", name)
		}
		says("verifying", capycoin.VerifyTransfer(signingLedger, 1, tr, public))
		_, err = led.Transfer(t.Context(), tr)
		says("the ledger", err)
	}
	for _, fee := range []capycoin.Coins{0, capycoin.MaxSupply} {
		tr := unsigned()
		tr.MaxFee = &fee
		if _, err := capycoin.SignTransfer(signingLedger, 1, tr, signingTime, private); err != nil {
			t.Errorf("a fee of %d: %v", fee, err)
		}
	}
	if err := capycoin.VerifyTransfer(signingLedger, 1, unsigned(), public); !errors.Is(err, capycoin.ErrSignatureRequired) {
		t.Errorf("no signature: got %v, want ErrSignatureRequired", err)
	}
}

// badPrivateKeys are what no one may sign with.
func badPrivateKeys() map[string]ed25519.PrivateKey {
	private, _ := signingKey("Ann")
	other, _ := signingKey("Bob")
	return map[string]ed25519.PrivateKey{
		"none":                           nil,
		"a seed":                         private[:32],
		"cut":                            private[:63],
		"too long":                       append(bytes.Clone(private), 0),
		"with the public key of another": slices.Concat(private[:32], other[32:]),
	}
}

func TestBadKeys(t *testing.T) {
	private, public := signingKey("Ann")
	next, nextPublic := signingKey("next")
	tr := unsigned()
	for name, key := range badPrivateKeys() {
		if s, err := capycoin.SignTransfer(signingLedger, 1, tr, signingTime, key); s != nil || !errors.Is(err, capycoin.ErrMalformedSignature) || !strings.Contains(err.Error(), "the private key") {
			t.Errorf("a private key, %s: a transfer: got %v, %v, want ErrMalformedSignature", name, s, err)
		}
		if s, err := capycoin.SignKeyChange(signingLedger, signingAnn, 1, nextPublic, key); s != [64]byte{} || !errors.Is(err, capycoin.ErrMalformedSignature) || !strings.Contains(err.Error(), "the private key") {
			t.Errorf("a private key, %s: a change: got %x, %v, want ErrMalformedSignature", name, s, err)
		}
	}
	s, err := capycoin.SignTransfer(signingLedger, 1, tr, signingTime, private)
	if err != nil {
		t.Fatal(err)
	}
	tr.Signature = s
	c := signedChange(t, 1, private, next)
	for _, small := range curve.Small() {
		bad := capycoin.PublicKey(small)
		if err := capycoin.VerifyTransfer(signingLedger, 1, tr, bad); !errors.Is(err, sign.ErrBadPublicKey) {
			t.Errorf("the public key %s: a transfer: got %v, want ErrBadPublicKey", bad, err)
		}
		if s, err := capycoin.SignKeyChange(signingLedger, signingAnn, 1, bad, private); s != [64]byte{} || !errors.Is(err, sign.ErrBadPublicKey) {
			t.Errorf("the public key %s: a change: got %x, %v, want ErrBadPublicKey", bad, s, err)
		}
		if err := capycoin.VerifyKeyChange(signingLedger, c, bad); !errors.Is(err, sign.ErrBadPublicKey) || !strings.Contains(err.Error(), "old") {
			t.Errorf("the old key %s: got %v, want ErrBadPublicKey", bad, err)
		}
		badChange := c
		badChange.NewKey = bad
		if err := capycoin.VerifyKeyChange(signingLedger, badChange, public); !errors.Is(err, sign.ErrBadPublicKey) || !strings.Contains(err.Error(), "new") {
			t.Errorf("the new key %s: got %v, want ErrBadPublicKey", bad, err)
		}
	}
}

// signedChange is a change of Ann's key, of this version, to next, signed by both.
func signedChange(t testing.TB, version uint32, private, next ed25519.PrivateKey) capycoin.KeyChange {
	t.Helper()
	c := capycoin.KeyChange{Account: signingAnn, Version: version, NewKey: capycoin.PublicKey(next[32:])}
	var errOld, errNew error
	c.OldSignature, errOld = capycoin.SignKeyChange(signingLedger, c.Account, c.Version, c.NewKey, private)
	c.NewSignature, errNew = capycoin.SignKeyChange(signingLedger, c.Account, c.Version, c.NewKey, next)
	if err := errors.Join(errOld, errNew); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestKeyChange(t *testing.T) {
	private, public := signingKey("Ann")
	next, _ := signingKey("next")
	third, thirdPublic := signingKey("third")
	c := signedChange(t, 3, private, next)
	if err := capycoin.VerifyKeyChange(signingLedger, c, public); err != nil {
		t.Fatal(err)
	}
	if err := capycoin.VerifyKeyChange(signingLedger, signedChange(t, 3, private, private), public); err != nil {
		t.Errorf("to the same key: %v", err)
	}
	otherLedger := signingLedger
	otherLedger[3] ^= 4
	for name, tt := range map[string]struct {
		ledger uuid.UUID
		change func(*capycoin.KeyChange)
		old    capycoin.PublicKey
		whose  string
	}{
		"another ledger":          {otherLedger, func(*capycoin.KeyChange) {}, public, "old"},
		"another account":         {signingLedger, func(c *capycoin.KeyChange) { c.Account = signingBob }, public, "old"},
		"the next version":        {signingLedger, func(c *capycoin.KeyChange) { c.Version++ }, public, "old"},
		"another old key":         {signingLedger, func(*capycoin.KeyChange) {}, thirdPublic, "old"},
		"another new key":         {signingLedger, func(c *capycoin.KeyChange) { c.NewKey = thirdPublic }, public, "old"},
		"signatures swapped":      {signingLedger, func(c *capycoin.KeyChange) { c.OldSignature, c.NewSignature = c.NewSignature, c.OldSignature }, public, "old"},
		"the old key's alone":     {signingLedger, func(c *capycoin.KeyChange) { c.NewSignature = c.OldSignature }, public, "new"},
		"the new key's alone":     {signingLedger, func(c *capycoin.KeyChange) { c.OldSignature = c.NewSignature }, public, "old"},
		"no new signature":        {signingLedger, func(c *capycoin.KeyChange) { c.NewSignature = [64]byte{} }, public, "new"},
		"old S above the order":   {signingLedger, func(c *capycoin.KeyChange) { c.OldSignature = withLargeS(c.OldSignature) }, public, "old"},
		"new S above the order":   {signingLedger, func(c *capycoin.KeyChange) { c.NewSignature = withLargeS(c.NewSignature) }, public, "new"},
		"new one of another pair": {signingLedger, func(c *capycoin.KeyChange) { c.NewSignature = signedChange(t, 3, private, third).NewSignature }, public, "new"},
	} {
		bad := c
		tt.change(&bad)
		if err := capycoin.VerifyKeyChange(tt.ledger, bad, tt.old); !errors.Is(err, sign.ErrInvalidSignature) || !strings.Contains(err.Error(), "the "+tt.whose+" key") {
			t.Errorf("%s: got %v, want ErrInvalidSignature of the %s key", name, err, tt.whose)
		}
	}
}
