package sign_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/example"
	"github.com/capycoin/capycoin/internal/sign"
)

var (
	ledgerID = uuid.MustParse("7c9e6679-7425-40de-944b-e07fc1f90ae7")
	ann      = uuid.MustParse("0b8e4d5a-2f6c-4a71-9d3e-5c1f7a8b9e02")
	bob      = uuid.MustParse("5d1f3c2b-8a47-4e60-b9d8-2c6e0f4a7b13")
)

const (
	notAfter  = 1_660_573_463_136_285
	maxKeyLen = 255
)

// TestMessageOfTransferIsNoOther: what is signed for a transfer is nothing that is
// signed for a change of a key, whatever is in either.
func TestMessageOfTransferIsNoOther(t *testing.T) {
	if strings.HasPrefix(sign.TransferDomain, sign.KeyChangeDomain) || strings.HasPrefix(sign.KeyChangeDomain, sign.TransferDomain) {
		t.Errorf("%q and %q: one begins the other", sign.TransferDomain, sign.KeyChangeDomain)
	}
	if got := len(sign.AppendTransfer(nil, uuid.UUID{}, 0, uuid.UUID{}, uuid.UUID{}, 0, 0, 0, strings.Repeat("k", maxKeyLen))); got != sign.MaxTransferLen {
		t.Errorf("the longest message has %d bytes, not %d", got, sign.MaxTransferLen)
	}
	if got := len(sign.AppendKeyChange(nil, uuid.UUID{}, uuid.UUID{}, 0, [ed25519.PublicKeySize]byte{})); got != sign.KeyChangeLen {
		t.Errorf("the message of a change has %d bytes, not %d", got, sign.KeyChangeLen)
	}
}

// TestVerifyAllocatesNothing: the writer's callers verify a transfer each.
func TestVerifyAllocatesNothing(t *testing.T) {
	private, public := example.Key("Ann")
	key := strings.Repeat("k", maxKeyLen)
	signature := [ed25519.SignatureSize]byte(ed25519.Sign(private, sign.AppendTransfer(nil, ledgerID, 1, ann, bob, 5, 2, notAfter, key)))
	if n := testing.AllocsPerRun(20, func() {
		if !sign.TransferIsBy(&public, &signature, ledgerID, 1, ann, bob, 5, 2, notAfter, key) {
			t.Error("the signature does not hold")
		}
	}); n > 0 {
		t.Errorf("%.0f allocations, want none", n)
	}
}

func BenchmarkVerifyTransfer(b *testing.B) {
	private, public := example.Key("Ann")
	signature := [ed25519.SignatureSize]byte(ed25519.Sign(private, sign.AppendTransfer(nil, ledgerID, 1, ann, bob, 5, 2, notAfter, "order-17")))
	b.ReportAllocs()
	for b.Loop() {
		if !sign.TransferIsBy(&public, &signature, ledgerID, 1, ann, bob, 5, 2, notAfter, "order-17") {
			b.Fatal("the signature does not hold")
		}
	}
}

// signedFields are the arguments of AppendTransfer.
type signedFields struct {
	ledger           uuid.UUID
	version          uint32
	sender, receiver uuid.UUID
	amount, maxFee   int64
	notAfter         int64
	key              string
}

func (f *signedFields) message() []byte {
	return sign.AppendTransfer(nil, f.ledger, f.version, f.sender, f.receiver, f.amount, f.maxFee, f.notAfter, f.key)
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
	f.amount = int64(binary.BigEndian.Uint64(m[73:]))
	f.maxFee = int64(binary.BigEndian.Uint64(m[81:]))
	f.notAfter = int64(binary.BigEndian.Uint64(m[89:]))
	if f.key = string(m[98:]); len(f.key) != int(m[97]) {
		return f, errors.New("the key has another length")
	}
	return f, nil
}

// FuzzTransferMessage reads the fields of a message back: so no two transfers have
// the same, and a field that changes changes it.
func FuzzTransferMessage(f *testing.F) {
	f.Add(ledgerID[:], ann[:], bob[:], uint32(1), int64(5), int64(0), int64(notAfter), "order-17")
	f.Add([]byte{}, []byte{}, []byte{}, uint32(0), int64(0), int64(0), int64(0), "")
	f.Add([]byte{0xff}, []byte{1, 2}, []byte{2, 1}, uint32(math.MaxUint32), int64(math.MaxInt64), int64(math.MinInt64), int64(-1), strings.Repeat("~", maxKeyLen))
	f.Fuzz(func(t *testing.T, ledger, sender, receiver []byte, version uint32, amount, maxFee, notAfter int64, key string) {
		fields := signedFields{version: version, amount: amount, maxFee: maxFee, notAfter: notAfter, key: key[:min(len(key), maxKeyLen)]}
		copy(fields.ledger[:], ledger)
		copy(fields.sender[:], sender)
		copy(fields.receiver[:], receiver)
		m := fields.message()
		got, err := readTransferMessage(m)
		if err != nil || got != fields {
			t.Fatalf("got %+v, %v, want %+v", got, err, fields)
		}
		if longer := sign.AppendTransfer([]byte("before"), fields.ledger, version, fields.sender, fields.receiver, fields.amount, fields.maxFee, notAfter, fields.key); string(longer) != "before"+string(m) {
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
		change("longer key", func(f *signedFields) { f.key = (f.key + "k")[:min(len(f.key)+1, maxKeyLen)] })
		change("shorter key", func(f *signedFields) { f.key = f.key[:max(len(f.key)-1, 0)] })
		for name, other := range others {
			if bytes.Equal(other.message(), m) {
				t.Fatalf("another %s makes the same message of %+v and %+v", name, other, fields)
			}
		}
	})
}
