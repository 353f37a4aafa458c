package capycoin_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/curve"
	"github.com/capycoin/capycoin/internal/sign"
	"github.com/capycoin/capycoin/internal/wire"
)

// signingVectors is testdata/signing.json: for whoever writes a client in another
// language. Seeds and messages are hexadecimal; keys and signatures are as the REST
// API has them, base64 with padding.
type signingVectors struct {
	Transfers     []transferVector  `json:"transfers"`
	KeyChanges    []keyChangeVector `json:"key_changes"`
	BadSignatures []transferVector  `json:"bad_signatures"`
	BadPublicKeys []badKeyVector    `json:"bad_public_keys"`
}

type transferVector struct {
	Name       string         `json:"name"`
	Seed       string         `json:"seed,omitempty"`
	PublicKey  string         `json:"public_key"`
	Ledger     uuid.UUID      `json:"ledger_id"`
	KeyVersion uint32         `json:"key_version"`
	Sender     uuid.UUID      `json:"sender"`
	Receiver   uuid.UUID      `json:"receiver"`
	Amount     capycoin.Coins `json:"amount"`
	MaxFee     capycoin.Coins `json:"max_fee"`
	NotAfter   string         `json:"not_after"`
	Key        string         `json:"key"`
	Message    string         `json:"message"`
	Signature  string         `json:"signature"`
}

type keyChangeVector struct {
	Name         string    `json:"name"`
	OldSeed      string    `json:"old_seed"`
	OldPublicKey string    `json:"old_public_key"`
	NewSeed      string    `json:"new_seed"`
	PublicKey    string    `json:"public_key"`
	Ledger       uuid.UUID `json:"ledger_id"`
	Account      uuid.UUID `json:"account_id"`
	KeyVersion   uint32    `json:"key_version"`
	Message      string    `json:"message"`
	OldSignature string    `json:"old_signature"`
	NewSignature string    `json:"new_signature"`
}

type badKeyVector struct {
	Name      string `json:"name"`
	PublicKey string `json:"public_key"`
}

// signedFields are what a transfer is signed with.
type signedFields struct {
	ledger           uuid.UUID
	version          uint32
	sender, receiver uuid.UUID
	amount, maxFee   capycoin.Coins
	notAfter         int64
	key              string
}

func (f *signedFields) message() []byte {
	return sign.AppendTransfer(nil, f.ledger, f.version, f.sender, f.receiver, int64(f.amount), int64(f.maxFee), f.notAfter, f.key)
}

const vectorsFile = "testdata/signing.json"

// rfc8032Seeds are the private keys of the tests 1 and 2 in RFC 8032, section 7.1.
var rfc8032Seeds = [2]string{
	"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
	"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
}

func base64Of(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// makeVectors makes the vectors: the same each time.
func makeVectors(t *testing.T) signingVectors {
	t.Helper()
	var v signingVectors
	ann, _ := signingKey("Ann")
	seeds := [2]ed25519.PrivateKey{}
	for i, digits := range rfc8032Seeds {
		seed, err := hex.DecodeString(digits)
		if err != nil {
			t.Fatal(err)
		}
		seeds[i] = ed25519.NewKeyFromSeed(seed)
	}
	all := uuid.UUID(bytes.Repeat([]byte{0xff}, 16))
	var every strings.Builder
	for c := range byte(0x7f) {
		if capycoin.ValidKey(string(rune(c))) {
			every.WriteByte(c)
		}
	}
	for _, x := range []struct {
		name    string
		private ed25519.PrivateKey
		fields  signedFields
	}{
		{"example", seeds[0], signedFields{signingLedger, 1, signingAnn, signingBob, 5, 0, signingTime.UnixMicro(), "order-17"}},
		{"another key", seeds[1], signedFields{signingLedger, 1, signingAnn, signingBob, 5, 0, signingTime.UnixMicro(), "order-17"}},
		{"a later version", seeds[0], signedFields{signingLedger, 2, signingAnn, signingBob, 5, 0, signingTime.UnixMicro(), "order-17"}},
		{"back", ann, signedFields{signingLedger, 1, signingBob, signingAnn, 300, 7, signingTime.UnixMicro() + 1, "back/1"}},
		{"smallest", ann, signedFields{uuid.UUID{}, 1, uuid.UUID{}, uuid.UUID{15: 1}, 1, 0, 0, "!"}},
		{"largest", ann, signedFields{all, math.MaxUint32, all, all, capycoin.MaxSupply, capycoin.MaxSupply, wire.MaxTime, strings.Repeat("~", capycoin.MaxKeyLen)}},
		{"every character of a key", ann, signedFields{signingLedger, 256, signingAnn, signingBob, 65536, 255, signingTime.UnixMicro(), every.String()}},
		{"no microseconds", ann, signedFields{signingLedger, 65536, signingAnn, signingBob, 1 << 32, 1 << 40, 1_700_000_000_000_000, "d9428888-122b-11e1-b85c-61cd3cbb3210"}},
	} {
		v.Transfers = append(v.Transfers, signedVector(t, x.name, x.private, x.fields))
	}
	for _, x := range []struct {
		name     string
		old, new ed25519.PrivateKey
		version  uint32
	}{
		{"example", seeds[0], seeds[1], 1},
		{"back again", seeds[1], seeds[0], 2},
		{"the same key", ann, ann, math.MaxUint32 - 1},
	} {
		c := capycoin.KeyChange{Account: signingAnn, Version: x.version, NewKey: capycoin.PublicKey(x.new[32:])}
		message := sign.AppendKeyChange(nil, signingLedger, c.Account, c.Version, c.NewKey)
		c = signedChange(t, x.version, x.old, x.new)
		v.KeyChanges = append(v.KeyChanges, keyChangeVector{
			Name: x.name, OldSeed: hex.EncodeToString(x.old.Seed()), OldPublicKey: capycoin.PublicKey(x.old[32:]).String(),
			NewSeed: hex.EncodeToString(x.new.Seed()), PublicKey: c.NewKey.String(),
			Ledger: signingLedger, Account: c.Account, KeyVersion: c.Version, Message: hex.EncodeToString(message),
			OldSignature: base64Of(c.OldSignature[:]), NewSignature: base64Of(c.NewSignature[:]),
		})
	}
	v.BadSignatures = badSignatures(t, v.Transfers[0])
	for _, k := range curve.Small() {
		v.BadPublicKeys = append(v.BadPublicKeys, badKeyVector{"small order", capycoin.PublicKey(k).String()})
	}
	for _, k := range curve.NotCanonical() {
		v.BadPublicKeys = append(v.BadPublicKeys, badKeyVector{"not canonical", capycoin.PublicKey(k).String()})
	}
	for i := range int64(20) {
		k := curve.Encode(big.NewInt(i), i%2 == 1)
		if curve.Check(k) == curve.ErrNotOnCurve {
			v.BadPublicKeys = append(v.BadPublicKeys, badKeyVector{"not on the curve", capycoin.PublicKey(k).String()})
		}
	}
	for _, n := range []int{0, 31, 33} {
		key := append(bytes.Clone(seeds[0][32:]), 0)
		v.BadPublicKeys = append(v.BadPublicKeys, badKeyVector{fmt.Sprintf("%d bytes", n), base64Of(key[:n])})
	}
	return v
}

func signedVector(t *testing.T, name string, private ed25519.PrivateKey, f signedFields) transferVector {
	t.Helper()
	s, err := capycoin.SignTransfer(f.ledger, f.version, capycoin.Transfer{Sender: f.sender, Receiver: f.receiver, Amount: f.amount, Key: f.key, MaxFee: &f.maxFee}, wire.TimeOf(f.notAfter), private)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return transferVector{
		Name: name, Seed: hex.EncodeToString(private.Seed()), PublicKey: capycoin.PublicKey(private[32:]).String(),
		Ledger: f.ledger, KeyVersion: f.version, Sender: f.sender, Receiver: f.receiver, Amount: f.amount, MaxFee: f.maxFee,
		NotAfter: wire.TimeOf(f.notAfter).Format(wire.TimeForm), Key: f.key,
		Message: hex.EncodeToString(f.message()), Signature: base64Of(s.Bytes[:]),
	}
}

// badSignatures are those of the example that some verifiers take and we refuse.
func badSignatures(t *testing.T, v transferVector) []transferVector {
	t.Helper()
	good, err := base64.StdEncoding.DecodeString(v.Signature)
	if err != nil {
		t.Fatal(err)
	}
	vector := func(name string, key capycoin.PublicKey, s []byte) transferVector {
		bad := v
		bad.Name, bad.PublicKey, bad.Signature = name, key.String(), base64Of(s)
		if key.String() != v.PublicKey {
			bad.Seed = "" // it has none
		}
		return bad
	}
	key, err := capycoin.ParsePublicKey(v.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	large := withLargeS([ed25519.SignatureSize]byte(good))
	flipped := bytes.Clone(good)
	flipped[0] ^= 1

	// A public key with a part of order 8, and a signature that holds only if both
	// sides of the equation are multiplied by 8. R counts up until that part does
	// not vanish by chance.
	m, err := hex.DecodeString(v.Message)
	if err != nil {
		t.Fatal(err)
	}
	secret := big.NewInt(1_000_003)
	eighth, err := curve.Decode(curve.Small()[4])
	if err != nil {
		t.Fatal(err)
	}
	base, order := curve.Base(), curve.Order()
	mixed := capycoin.PublicKey(base.Times(secret).Plus(eighth).Key())
	if err := mixed.Check(); err != nil {
		t.Fatal(err)
	}
	cofactor := make([]byte, ed25519.SignatureSize)
	for r := int64(1); ; r++ {
		R := base.Times(big.NewInt(r)).Key()
		k := littleEndian(hash512(R[:], mixed[:], m))
		k.Mod(k, order)
		if new(big.Int).Mod(k, big.NewInt(8)).Sign() == 0 {
			continue
		}
		S := new(big.Int).Mul(k, secret)
		S.Mod(S.Add(S, big.NewInt(r)), order).FillBytes(cofactor[32:])
		slices.Reverse(cofactor[32:])
		copy(cofactor, R[:])
		break
	}
	return []transferVector{
		vector("S is not below the order of the group", key, large[:]),
		vector("a bit of R", key, flipped),
		vector("it holds only with the cofactor", mixed, cofactor),
	}
}

func hash512(parts ...[]byte) []byte {
	h := sha512.New()
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

func littleEndian(b []byte) *big.Int {
	b = bytes.Clone(b)
	slices.Reverse(b)
	return new(big.Int).SetBytes(b)
}

// vectorsText is the file as it has to be.
func vectorsText(t *testing.T) []byte {
	t.Helper()
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("", "\t")
	if err := e.Encode(makeVectors(t)); err != nil {
		t.Fatal(err)
	}
	return text.Bytes()
}

// TestSigningVectors: the vectors are what this version makes. If
// CAPYCOIN_NEW_VECTORS is set it writes them; those that there were must stay, or
// signatures that are on their way hold no longer.
func TestSigningVectors(t *testing.T) {
	want := vectorsText(t)
	if os.Getenv("CAPYCOIN_NEW_VECTORS") != "" {
		if err := os.WriteFile(vectorsFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(vectorsFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what this version signs", vectorsFile)
	}
}

func readVectors(t *testing.T) (v signingVectors) {
	t.Helper()
	text, err := os.ReadFile(vectorsFile)
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	if len(v.Transfers) < 8 || len(v.KeyChanges) < 3 || len(v.BadSignatures) < 3 || len(v.BadPublicKeys) < 58 {
		t.Fatalf("%s has %d transfers, %d changes, %d bad signatures and %d bad keys", vectorsFile,
			len(v.Transfers), len(v.KeyChanges), len(v.BadSignatures), len(v.BadPublicKeys))
	}
	return v
}

// plainMessage puts values one after the other, as docs/signing.md says it.
func plainMessage(t *testing.T, values ...any) string {
	t.Helper()
	var b bytes.Buffer
	for _, v := range values {
		if s, ok := v.(string); ok {
			v = []byte(s)
		}
		if err := binary.Write(&b, binary.BigEndian, v); err != nil {
			t.Fatal(err)
		}
	}
	return hex.EncodeToString(b.Bytes())
}

func bytesOf(t *testing.T, decode func(string) ([]byte, error), text string, size int) []byte {
	t.Helper()
	b, err := decode(text)
	if err != nil || len(b) != size {
		t.Fatalf("%q: got %d bytes, %v, want %d", text, len(b), err, size)
	}
	return b
}

// slowVerify is the equation of RFC 8032, section 5.1.7, in numbers; with eight on
// both sides if cofactor is 8.
func slowVerify(key, message, signature []byte, cofactor int64) bool {
	A, errA := curve.Decode(curve.Key(key))
	R, errR := curve.Decode(curve.Key(signature[:32]))
	S := littleEndian(signature[32:])
	if errA != nil || errR != nil || S.Cmp(curve.Order()) >= 0 {
		return false
	}
	k := littleEndian(hash512(signature[:32], key, message))
	left, right := curve.Base().Times(S), R.Plus(A.Times(k))
	n := big.NewInt(cofactor)
	return left.Times(n).Key() == right.Times(n).Key()
}

// TestVectorsFromOutside checks the vectors by other means than those that they are
// made with: the message is put together plainly, the signature is made and verified
// by package ed25519 alone, and then by the equation.
func TestVectorsFromOutside(t *testing.T) {
	v := readVectors(t)
	of64 := base64.StdEncoding.DecodeString
	message := func(x transferVector) []byte {
		at, err := time.Parse(time.RFC3339Nano, x.NotAfter)
		if err != nil {
			t.Fatal(err)
		}
		want := plainMessage(t, "capycoin/transfer/v1\n", x.Ledger, x.KeyVersion, x.Sender, x.Receiver,
			int64(x.Amount), int64(x.MaxFee), at.UnixMicro(), uint8(len(x.Key)), x.Key)
		if x.Message != want {
			t.Errorf("%s: the message is %s, want %s", x.Name, x.Message, want)
		}
		return bytesOf(t, hex.DecodeString, x.Message, len(want)/2)
	}
	verify := func(x transferVector) error {
		key, err := capycoin.ParsePublicKey(x.PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		at, err := time.Parse(time.RFC3339Nano, x.NotAfter)
		if err != nil {
			t.Fatal(err)
		}
		return capycoin.VerifyTransfer(x.Ledger, x.KeyVersion, capycoin.Transfer{
			Sender: x.Sender, Receiver: x.Receiver, Amount: x.Amount, Key: x.Key, MaxFee: &x.MaxFee,
			Signature: &capycoin.Signature{NotAfter: at, Bytes: [64]byte(bytesOf(t, of64, x.Signature, 64))},
		}, key)
	}
	for _, x := range v.Transfers {
		m := message(x)
		private := ed25519.NewKeyFromSeed(bytesOf(t, hex.DecodeString, x.Seed, 32))
		if base64Of(private[32:]) != x.PublicKey || base64Of(ed25519.Sign(private, m)) != x.Signature {
			t.Errorf("%s: the seed is of another public key, or signs otherwise", x.Name)
		}
		if err := verify(x); err != nil {
			t.Errorf("%s: %v", x.Name, err)
		}
		if !slowVerify(bytesOf(t, of64, x.PublicKey, 32), m, bytesOf(t, of64, x.Signature, 64), 1) {
			t.Errorf("%s: the equation does not hold", x.Name)
		}
	}
	for _, x := range v.BadSignatures {
		m := message(x)
		if err := verify(x); !errors.Is(err, sign.ErrInvalidSignature) {
			t.Errorf("%s: got %v, want ErrInvalidSignature", x.Name, err)
		}
		key, s := bytesOf(t, of64, x.PublicKey, 32), bytesOf(t, of64, x.Signature, 64)
		withCofactor := strings.Contains(x.Name, "cofactor")
		if slowVerify(key, m, s, 1) || slowVerify(key, m, s, 8) != withCofactor {
			t.Errorf("%s: it is not what its name says", x.Name)
		}
	}
	for _, x := range v.KeyChanges {
		newKey := bytesOf(t, of64, x.PublicKey, 32)
		want := plainMessage(t, "capycoin/key/v1\n", x.Ledger, x.Account, x.KeyVersion, newKey)
		if x.Message != want {
			t.Errorf("%s: the message is %s, want %s", x.Name, x.Message, want)
		}
		m := bytesOf(t, hex.DecodeString, x.Message, 84)
		oldPrivate := ed25519.NewKeyFromSeed(bytesOf(t, hex.DecodeString, x.OldSeed, 32))
		newPrivate := ed25519.NewKeyFromSeed(bytesOf(t, hex.DecodeString, x.NewSeed, 32))
		if base64Of(oldPrivate[32:]) != x.OldPublicKey || base64Of(newPrivate[32:]) != x.PublicKey ||
			base64Of(ed25519.Sign(oldPrivate, m)) != x.OldSignature || base64Of(ed25519.Sign(newPrivate, m)) != x.NewSignature {
			t.Errorf("%s: a seed is of another public key, or signs otherwise", x.Name)
		}
		if err := capycoin.VerifyKeyChange(x.Ledger, capycoin.KeyChange{
			Account: x.Account, Version: x.KeyVersion, NewKey: capycoin.PublicKey(newKey),
			OldSignature: [64]byte(bytesOf(t, of64, x.OldSignature, 64)), NewSignature: [64]byte(bytesOf(t, of64, x.NewSignature, 64)),
		}, capycoin.PublicKey(oldPrivate[32:])); err != nil {
			t.Errorf("%s: %v", x.Name, err)
		}
	}
	for _, x := range v.BadPublicKeys {
		_, err := capycoin.ParsePublicKey(x.PublicKey)
		says := x.Name
		if says == "small order" {
			says = "its order is small"
		}
		if !errors.Is(err, sign.ErrBadPublicKey) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s %s: got %v", x.Name, x.PublicKey, err)
		}
	}
}
