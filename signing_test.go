package capycoin

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/sign"
)

var (
	signingLedger = uuid.MustParse("7c9e6679-7425-40de-944b-e07fc1f90ae7")
	signingAnn    = uuid.MustParse("0b8e4d5a-2f6c-4a71-9d3e-5c1f7a8b9e02")
	signingBob    = uuid.MustParse("5d1f3c2b-8a47-4e60-b9d8-2c6e0f4a7b13")
	signingTime   = time.Date(2022, 8, 15, 14, 24, 23, 136_285_000, time.UTC)
)

// signingKey returns a pair of keys, the same for the same name.
func signingKey(name string) (ed25519.PrivateKey, PublicKey) {
	seed := sha256.Sum256([]byte("capycoin test key " + name))
	private := ed25519.NewKeyFromSeed(seed[:])
	return private, PublicKey(private.Public().(ed25519.PublicKey))
}

// unsigned is a transfer from Ann to Bob that can be signed.
func unsigned() Transfer {
	fee := Coins(2)
	return Transfer{Sender: signingAnn, Receiver: signingBob, Amount: 5, Key: "order-17", MaxFee: &fee}
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
		s, err := SignTransfer(signingLedger, 7, tr, notAfter, private)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if want := notAfter.UTC().Truncate(time.Microsecond); s.NotAfter != want {
			t.Errorf("%s: not after %v, want %v", name, s.NotAfter, want)
		}
		again, err := SignTransfer(signingLedger, 7, tr, notAfter, private)
		if err != nil || *again != *s {
			t.Errorf("%s: signed again it is %v, %v, want %v", name, again, err, s)
		}
		tr.Signature = s
		if err := VerifyTransfer(signingLedger, 7, tr, public); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		tr.Signature = &Signature{NotAfter: notAfter, Bytes: s.Bytes} // not cut yet
		if err := VerifyTransfer(signingLedger, 7, tr, public); err != nil {
			t.Errorf("%s, as it was: %v", name, err)
		}
	}
}

// TestSignatureIsForOneTransfer changes one thing at a time: the signature holds for
// nothing else.
func TestSignatureIsForOneTransfer(t *testing.T) {
	private, public := signingKey("Ann")
	_, other := signingKey("Bob")
	more := Coins(3)
	type world struct {
		ledger  uuid.UUID
		version uint32
		t       Transfer
		key     PublicKey
	}
	signed := func() world {
		tr := unsigned()
		s, err := SignTransfer(signingLedger, 7, tr, signingTime, private)
		if err != nil {
			t.Fatal(err)
		}
		tr.Signature = s
		return world{signingLedger, 7, tr, public}
	}
	check := func(name string, w world) {
		t.Helper()
		if err := VerifyTransfer(w.ledger, w.version, w.t, w.key); !errors.Is(err, sign.ErrInvalidSignature) {
			t.Errorf("%s: got %v, want ErrInvalidSignature", name, err)
		}
	}
	if w := signed(); VerifyTransfer(w.ledger, w.version, w.t, w.key) != nil {
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
	new(big.Int).Add(new(big.Int).SetBytes(b), groupL).FillBytes(b)
	slices.Reverse(b)
	return s
}

// TestMalformedSignature has everything that is not in the form of what is signed:
// the one who signs is told, and so is the one who verifies.
func TestMalformedSignature(t *testing.T) {
	private, public := signingKey("Ann")
	for name, tt := range map[string]struct {
		change func(*Transfer)
		says   string
	}{
		"no key":             {func(t *Transfer) { t.Key = "" }, "the key is missing"},
		"a key too long":     {func(t *Transfer) { t.Key = strings.Repeat("k", MaxKeyLen+1) }, "a key is 1 to 255 bytes"},
		"a key with a space": {func(t *Transfer) { t.Key = "order 17" }, "a key is 1 to 255 bytes"},
		"no fee":             {func(t *Transfer) { t.MaxFee = nil }, "the highest fee is missing"},
		"a negative fee":     {func(t *Transfer) { *t.MaxFee = -1 }, "the highest fee is -1"},
		"a fee too high":     {func(t *Transfer) { *t.MaxFee = MaxSupply + 1 }, "the highest fee is 9007199254740992"},
		"no time":            {func(t *Transfer) { t.Signature.NotAfter = time.Time{} }, "the time is not"},
		"before 1970":        {func(t *Transfer) { t.Signature.NotAfter = time.Unix(0, -1) }, "the time is not"},
		"after 9999":         {func(t *Transfer) { t.Signature.NotAfter = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC) }, "the time is not"},
		"far after 9999":     {func(t *Transfer) { t.Signature.NotAfter = time.Unix(math.MaxInt64/1_000_000+1, 0) }, "the time is not"},
		"after all int64":    {func(t *Transfer) { t.Signature.NotAfter = time.Unix(1<<62, 0) }, "the time is not"},
	} {
		tr := unsigned()
		tr.Signature = &Signature{NotAfter: signingTime}
		tt.change(&tr)
		says := func(what string, err error) {
			t.Helper()
			if !errors.Is(err, ErrMalformedSignature) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%s: %s: got %v, want ErrMalformedSignature and %q", name, what, err, tt.says)
			}
		}
		s, err := SignTransfer(signingLedger, 1, tr, tr.Signature.NotAfter, private)
		says("signing", err)
		if s != nil {
			t.Errorf("%s: got a signature beside an error", name)
		}
		says("verifying", VerifyTransfer(signingLedger, 1, tr, public))
		says("the form", checkSignedForm(&tr))
	}
	for _, fee := range []Coins{0, MaxSupply} {
		tr := unsigned()
		tr.MaxFee = &fee
		if _, err := SignTransfer(signingLedger, 1, tr, signingTime, private); err != nil {
			t.Errorf("a fee of %d: %v", fee, err)
		}
	}
	if err := VerifyTransfer(signingLedger, 1, unsigned(), public); !errors.Is(err, ErrSignatureRequired) {
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
		if s, err := SignTransfer(signingLedger, 1, tr, signingTime, key); s != nil || !errors.Is(err, ErrMalformedSignature) || !strings.Contains(err.Error(), "the private key") {
			t.Errorf("a private key, %s: a transfer: got %v, %v, want ErrMalformedSignature", name, s, err)
		}
		if s, err := SignKeyChange(signingLedger, signingAnn, 1, nextPublic, key); s != [64]byte{} || !errors.Is(err, ErrMalformedSignature) || !strings.Contains(err.Error(), "the private key") {
			t.Errorf("a private key, %s: a change: got %x, %v, want ErrMalformedSignature", name, s, err)
		}
	}
	s, err := SignTransfer(signingLedger, 1, tr, signingTime, private)
	if err != nil {
		t.Fatal(err)
	}
	tr.Signature = s
	c := signedChange(t, 1, private, next)
	for _, digits := range smallPoints {
		bad := mustKey(digits)
		if err := VerifyTransfer(signingLedger, 1, tr, bad); !errors.Is(err, sign.ErrBadPublicKey) {
			t.Errorf("the public key %s: a transfer: got %v, want ErrBadPublicKey", digits, err)
		}
		if s, err := SignKeyChange(signingLedger, signingAnn, 1, bad, private); s != [64]byte{} || !errors.Is(err, sign.ErrBadPublicKey) {
			t.Errorf("the public key %s: a change: got %x, %v, want ErrBadPublicKey", digits, s, err)
		}
		if err := VerifyKeyChange(signingLedger, c, bad); !errors.Is(err, sign.ErrBadPublicKey) || !strings.Contains(err.Error(), "old") {
			t.Errorf("the old key %s: got %v, want ErrBadPublicKey", digits, err)
		}
		badChange := c
		badChange.NewKey = bad
		if err := VerifyKeyChange(signingLedger, badChange, public); !errors.Is(err, sign.ErrBadPublicKey) || !strings.Contains(err.Error(), "new") {
			t.Errorf("the new key %s: got %v, want ErrBadPublicKey", digits, err)
		}
	}
}

// signedChange is a change of Ann's key, of this version, to next, signed by both.
func signedChange(t testing.TB, version uint32, private, next ed25519.PrivateKey) KeyChange {
	t.Helper()
	c := KeyChange{Account: signingAnn, Version: version, NewKey: PublicKey(next[32:])}
	var errOld, errNew error
	c.OldSignature, errOld = SignKeyChange(signingLedger, c.Account, c.Version, c.NewKey, private)
	c.NewSignature, errNew = SignKeyChange(signingLedger, c.Account, c.Version, c.NewKey, next)
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
	if err := VerifyKeyChange(signingLedger, c, public); err != nil {
		t.Fatal(err)
	}
	if err := VerifyKeyChange(signingLedger, signedChange(t, 3, private, private), public); err != nil {
		t.Errorf("to the same key: %v", err)
	}
	otherLedger := signingLedger
	otherLedger[3] ^= 4
	for name, tt := range map[string]struct {
		ledger uuid.UUID
		change func(*KeyChange)
		old    PublicKey
		whose  string
	}{
		"another ledger":          {otherLedger, func(*KeyChange) {}, public, "old"},
		"another account":         {signingLedger, func(c *KeyChange) { c.Account = signingBob }, public, "old"},
		"the next version":        {signingLedger, func(c *KeyChange) { c.Version++ }, public, "old"},
		"another old key":         {signingLedger, func(*KeyChange) {}, thirdPublic, "old"},
		"another new key":         {signingLedger, func(c *KeyChange) { c.NewKey = thirdPublic }, public, "old"},
		"signatures swapped":      {signingLedger, func(c *KeyChange) { c.OldSignature, c.NewSignature = c.NewSignature, c.OldSignature }, public, "old"},
		"the old key's alone":     {signingLedger, func(c *KeyChange) { c.NewSignature = c.OldSignature }, public, "new"},
		"the new key's alone":     {signingLedger, func(c *KeyChange) { c.OldSignature = c.NewSignature }, public, "old"},
		"no new signature":        {signingLedger, func(c *KeyChange) { c.NewSignature = [64]byte{} }, public, "new"},
		"old S above the order":   {signingLedger, func(c *KeyChange) { c.OldSignature = withLargeS(c.OldSignature) }, public, "old"},
		"new S above the order":   {signingLedger, func(c *KeyChange) { c.NewSignature = withLargeS(c.NewSignature) }, public, "new"},
		"new one of another pair": {signingLedger, func(c *KeyChange) { c.NewSignature = signedChange(t, 3, private, third).NewSignature }, public, "new"},
	} {
		bad := c
		tt.change(&bad)
		if err := VerifyKeyChange(tt.ledger, bad, tt.old); !errors.Is(err, sign.ErrInvalidSignature) || !strings.Contains(err.Error(), "the "+tt.whose+" key") {
			t.Errorf("%s: got %v, want ErrInvalidSignature of the %s key", name, err, tt.whose)
		}
	}
}

// TestMessageOfTransferIsNoOther: what is signed for a transfer is nothing that is
// signed for a change of a key, whatever is in either.
func TestMessageOfTransferIsNoOther(t *testing.T) {
	if strings.HasPrefix(sign.TransferDomain, sign.KeyChangeDomain) || strings.HasPrefix(sign.KeyChangeDomain, sign.TransferDomain) {
		t.Errorf("%q and %q: one begins the other", sign.TransferDomain, sign.KeyChangeDomain)
	}
	if got := len(sign.AppendTransfer(nil, uuid.UUID{}, 0, uuid.UUID{}, uuid.UUID{}, 0, 0, 0, strings.Repeat("k", MaxKeyLen))); got != sign.MaxTransferLen {
		t.Errorf("the longest message has %d bytes, not %d", got, sign.MaxTransferLen)
	}
	if got := len(sign.AppendKeyChange(nil, uuid.UUID{}, uuid.UUID{}, 0, PublicKey{})); got != sign.KeyChangeLen {
		t.Errorf("the message of a change has %d bytes, not %d", got, sign.KeyChangeLen)
	}
}

// TestVerifyAllocatesNothing: the writer's callers verify a transfer each.
func TestVerifyAllocatesNothing(t *testing.T) {
	private, public := signingKey("Ann")
	tr := unsigned()
	tr.Key = strings.Repeat("k", MaxKeyLen)
	s, err := SignTransfer(signingLedger, 1, tr, signingTime, private)
	if err != nil {
		t.Fatal(err)
	}
	tr.Signature = s
	if n := testing.AllocsPerRun(20, func() {
		if !verifyTransfer(signingLedger, 1, &tr, &public) {
			t.Error("the signature does not hold")
		}
	}); n > 0 {
		t.Errorf("%.0f allocations, want none", n)
	}
}

func BenchmarkVerifyTransfer(b *testing.B) {
	private, public := signingKey("Ann")
	tr := unsigned()
	s, err := SignTransfer(signingLedger, 1, tr, signingTime, private)
	if err != nil {
		b.Fatal(err)
	}
	tr.Signature = s
	b.ReportAllocs()
	for b.Loop() {
		if !verifyTransfer(signingLedger, 1, &tr, &public) {
			b.Fatal("the signature does not hold")
		}
	}
}

// signedFields are the arguments of appendTransferMessage.
type signedFields struct {
	ledger           uuid.UUID
	version          uint32
	sender, receiver uuid.UUID
	amount, maxFee   Coins
	notAfter         int64
	key              string
}

func (f *signedFields) message() []byte {
	return sign.AppendTransfer(nil, f.ledger, f.version, f.sender, f.receiver, int64(f.amount), int64(f.maxFee), f.notAfter, f.key)
}

// readTransferMessage reads the fields of what is signed for a transfer from where
// docs/signing.md says that they are.
func readTransferMessage(m []byte) (f signedFields, err error) {
	const head = "capycoin/transfer/v1\n"
	if len(m) < 98 || string(m[:21]) != head {
		return f, errors.New("too short, or something else")
	}
	f.ledger, f.sender, f.receiver = uuid.UUID(m[21:37]), uuid.UUID(m[41:57]), uuid.UUID(m[57:73])
	f.version = binary.BigEndian.Uint32(m[37:])
	f.amount = Coins(binary.BigEndian.Uint64(m[73:]))
	f.maxFee = Coins(binary.BigEndian.Uint64(m[81:]))
	f.notAfter = int64(binary.BigEndian.Uint64(m[89:]))
	if f.key = string(m[98:]); len(f.key) != int(m[97]) {
		return f, errors.New("the key has another length")
	}
	return f, nil
}

// FuzzTransferMessage reads the fields of a message back: so no two transfers have
// the same, and a field that changes changes it.
func FuzzTransferMessage(f *testing.F) {
	f.Add(signingLedger[:], signingAnn[:], signingBob[:], uint32(1), int64(5), int64(0), signingTime.UnixMicro(), "order-17")
	f.Add([]byte{}, []byte{}, []byte{}, uint32(0), int64(0), int64(0), int64(0), "")
	f.Add([]byte{0xff}, []byte{1, 2}, []byte{2, 1}, uint32(math.MaxUint32), int64(math.MaxInt64), int64(math.MinInt64), int64(-1), strings.Repeat("~", MaxKeyLen))
	f.Fuzz(func(t *testing.T, ledger, sender, receiver []byte, version uint32, amount, maxFee, notAfter int64, key string) {
		fields := signedFields{version: version, amount: Coins(amount), maxFee: Coins(maxFee), notAfter: notAfter, key: key[:min(len(key), MaxKeyLen)]}
		copy(fields.ledger[:], ledger)
		copy(fields.sender[:], sender)
		copy(fields.receiver[:], receiver)
		m := fields.message()
		got, err := readTransferMessage(m)
		if err != nil || got != fields {
			t.Fatalf("got %+v, %v, want %+v", got, err, fields)
		}
		if longer := sign.AppendTransfer([]byte("before"), fields.ledger, version, fields.sender, fields.receiver, int64(fields.amount), int64(fields.maxFee), notAfter, fields.key); string(longer) != "before"+string(m) {
			t.Fatalf("appended it is %x, want %x", longer, m)
		}
		others := map[string]signedFields{}
		change := func(name string, change func(*signedFields)) {
			other := fields
			change(&other)
			if other != fields {
				others[name] = other
			}
		}
		change("ledger", func(f *signedFields) { f.ledger[version%16] ^= 1 << (version / 16 % 8) })
		change("version", func(f *signedFields) { f.version ^= 1 << (uint64(amount) % 32) })
		change("sender", func(f *signedFields) { f.sender[version%16] ^= 1 << (version / 16 % 8) })
		change("receiver", func(f *signedFields) { f.receiver[version%16] ^= 1 << (version / 16 % 8) })
		change("direction", func(f *signedFields) { f.sender, f.receiver = f.receiver, f.sender })
		change("amount", func(f *signedFields) { f.amount ^= 1 << (version % 64) })
		change("fee", func(f *signedFields) { f.maxFee ^= 1 << (version % 64) })
		change("numbers", func(f *signedFields) { f.amount, f.maxFee = f.maxFee, f.amount })
		change("time", func(f *signedFields) { f.notAfter ^= 1 << (version % 64) })
		change("key", func(f *signedFields) {
			if b := []byte(f.key); len(b) > 0 {
				b[uint64(version)%uint64(len(b))] ^= 1
				f.key = string(b)
			}
		})
		change("longer key", func(f *signedFields) { f.key = (f.key + "k")[:min(len(f.key)+1, MaxKeyLen)] })
		change("shorter key", func(f *signedFields) { f.key = f.key[:max(len(f.key)-1, 0)] })
		for name, other := range others {
			if bytes.Equal(other.message(), m) {
				t.Fatalf("another %s makes the same message of %+v and %+v", name, other, fields)
			}
		}
	})
}
