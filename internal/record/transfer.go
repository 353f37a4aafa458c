package record

import (
	"crypto/ed25519"
	"encoding/binary"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/chain"
	"github.com/capycoin/capycoin/internal/wire"
)

// KindTransfer is the kind of a [Transfer].
const KindTransfer Kind = 3

// Transfer moves coins from an account to another one, and the fee to the account
// of the fees.
//
//	sender 16 · receiver 16 · amount uvarint · fee uvarint ·
//	link and funds (uvarint) of the sender · the same of the receiver ·
//	key length 1 · key ·
//	version 2: if there is a fee, link and funds of the fee account ·
//	if it is signed, key version uvarint · max fee uvarint ·
//	not after 8 (µs) · signature 64
type Transfer struct {
	Sender, Receiver uuid.UUID
	Amount, Fee      int64
	From, To         Party
	Key              string
	Pool             Party // what the fee did to the fee account; zero without one
	Signed           Signed
}

// Party is what a transfer did to one of its accounts.
type Party struct {
	chain.Link
	Funds int64 // afterwards
}

// Signed is what a transfer's sender signed beside the transfer, and the
// signature.
type Signed struct {
	Version   uint32 // of the sender's key; 0: it is not signed
	MaxFee    int64
	NotAfter  int64 // µs since 1970
	Signature [ed25519.SignatureSize]byte
}

// Of returns what a transfer did to one of its accounts, nil if it is none of
// them.
func (t *Transfer) Of(account uuid.UUID) *Party {
	switch {
	case account == t.Sender:
		return &t.From
	case account == t.Receiver:
		return &t.To
	case t.Fee > 0 && account == FeeAccount:
		return &t.Pool
	}
	return nil
}

func (t *Transfer) version() byte {
	if t.Fee > 0 || t.Signed.Version > 0 {
		return 2
	}
	return 1
}

func (t *Transfer) append(b []byte, position uint64) []byte {
	b = append(b, t.Sender[:]...)
	b = append(b, t.Receiver[:]...)
	b = binary.AppendUvarint(b, uint64(t.Amount))
	b = binary.AppendUvarint(b, uint64(t.Fee))
	b = chain.AppendLink(b, position, t.From.Link)
	b = binary.AppendUvarint(b, uint64(t.From.Funds))
	b = chain.AppendLink(b, position, t.To.Link)
	b = binary.AppendUvarint(b, uint64(t.To.Funds))
	b = append(b, byte(len(t.Key)))
	b = append(b, t.Key...)
	if t.Fee > 0 {
		b = chain.AppendLink(b, position, t.Pool.Link)
		b = binary.AppendUvarint(b, uint64(t.Pool.Funds))
	}
	if s := &t.Signed; s.Version > 0 {
		b = binary.AppendUvarint(b, uint64(s.Version))
		b = binary.AppendUvarint(b, uint64(s.MaxFee))
		b = binary.BigEndian.AppendUint64(b, uint64(s.NotAfter))
		b = append(b, s.Signature[:]...)
	}
	return b
}

func (t *Transfer) decode(d *wire.Decoder, position uint64, version byte) {
	t.Sender = d.ID()
	t.Receiver = d.ID()
	t.Amount = int64(d.Uvarint(wire.MaxCoins))
	t.Fee = int64(d.Uvarint(wire.MaxCoins))
	t.From.Link = chain.DecodeLink(d, position)
	t.From.Funds = int64(d.Uvarint(wire.MaxCoins))
	t.To.Link = chain.DecodeLink(d, position)
	t.To.Funds = int64(d.Uvarint(wire.MaxCoins))
	t.Key = string(d.Bytes(uint64(d.Byte())))
	t.Pool, t.Signed = Party{}, Signed{}
	if version > 1 {
		t.decodeFeeAndSignature(d, position)
	}
	d.Check(t.Amount > 0 && t.Sender != t.Receiver && (t.Key == "" || ValidKey(t.Key)) && t.version() == version)
}

// decodeFeeAndSignature takes what version 2 adds.
func (t *Transfer) decodeFeeAndSignature(d *wire.Decoder, position uint64) {
	if t.Fee > 0 {
		t.Pool.Link = chain.DecodeLink(d, position)
		t.Pool.Funds = int64(d.Uvarint(wire.MaxCoins))
	}
	if len(d.B) > 0 {
		s := &t.Signed
		s.Version = uint32(d.Uvarint(wire.MaxVersion))
		s.MaxFee = int64(d.Uvarint(wire.MaxCoins))
		s.NotAfter = int64(d.Uint64(wire.MaxTime))
		copy(s.Signature[:], d.Bytes(ed25519.SignatureSize))
		d.Check(s.Version > 0 && t.Key != "" && t.Fee <= s.MaxFee)
	}
}

func (t *Transfer) line(c *lineCodec, h *Header) {
	c.id("sender_account_id", &t.Sender)
	c.id("receiver_account_id", &t.Receiver)
	if t.Sender == t.Receiver {
		c.fail("the sender is the receiver")
	}
	c.coins("amount", &t.Amount, 1)
	c.coins("fee", &t.Fee, 0)
	c.link(&senderLink, h.Position, &t.From.Link)
	c.coins("sender_funds", &t.From.Funds, 0)
	c.link(&receiverLink, h.Position, &t.To.Link)
	c.coins("receiver_funds", &t.To.Funds, 0)
	c.text("key", &t.Key)
	if t.Key != "" && !ValidKey(t.Key) {
		c.fail("key is %q, which can't be one", t.Key)
	}
	if t.Fee > 0 {
		c.link(&feeLink, h.Position, &t.Pool.Link)
		c.coins("fee_account_funds", &t.Pool.Funds, 0)
	} else {
		t.Pool = Party{}
	}
	t.signatureLine(c)
}

// signatureLine is there if a transfer is signed.
func (t *Transfer) signatureLine(c *lineCodec) {
	s := &t.Signed
	if !c.more(s.Version > 0) {
		*s = Signed{}
		return
	}
	s.Version = uint32(c.integer("key_version", uint64(s.Version), 1, wire.MaxVersion))
	c.coins("max_fee", &s.MaxFee, 0)
	c.time("not_after", &s.NotAfter)
	c.hex("signature", s.Signature[:])
	if t.Key == "" || s.MaxFee < t.Fee {
		c.fail("it is signed, without a key or for a lower fee")
	}
}

const (
	// MaxTransferLen bounds a transfer's record without its key and what is
	// signed: header, two ids, two amounts, three parties of two distances, an
	// ordinal and funds.
	MaxTransferLen = HeaderLen + 32 + 2*8 + 3*(10+10+9+8) + 1
	// MaxSignedLen bounds what a signature adds to it.
	MaxSignedLen = 5 + 8 + 8 + ed25519.SignatureSize
)

// MaxKeyLen is the longest idempotency key, in bytes.
const MaxKeyLen = 255

// ValidKey says whether a string can be an idempotency key: 1 to MaxKeyLen bytes 0x21 to
// 0x7E without '"' and '\'.
func ValidKey(key string) bool {
	if len(key) == 0 || len(key) > MaxKeyLen {
		return false
	}
	for i := range len(key) {
		if c := key[i]; c < 0x21 || c > 0x7e || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}
