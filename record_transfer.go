package capycoin

import (
	"crypto/ed25519"
	"encoding/binary"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/chain"
	"github.com/capycoin/capycoin/internal/wire"
)

// transferRecord moves coins from an account to another one, and the fee to the account
// of the fees.
type transferRecord struct {
	sender, receiver uuid.UUID
	amount, fee      int64
	from, to         party
	key              string
	pool             party // what the fee did to the fee account; zero without one
	signed           signedPart
}

// party is what a transfer did to one of its accounts.
type party struct {
	chain.Link
	funds int64 // afterwards
}

// signedPart is what a transfer's sender signed beside the transfer, and the
// signature.
type signedPart struct {
	version   uint32 // of the sender's key; 0: it is not signed
	maxFee    int64
	notAfter  int64 // µs since 1970
	signature [ed25519.SignatureSize]byte
}

// of returns what a transfer did to one of its accounts, nil if it is none of
// them.
func (t *transferRecord) of(account uuid.UUID) *party {
	switch {
	case account == t.sender:
		return &t.from
	case account == t.receiver:
		return &t.to
	case t.fee > 0 && account == feeAccount:
		return &t.pool
	}
	return nil
}

func (t *transferRecord) version() byte {
	if t.fee > 0 || t.signed.version > 0 {
		return 2
	}
	return 1
}

func (t *transferRecord) append(b []byte, position uint64) []byte {
	b = append(b, t.sender[:]...)
	b = append(b, t.receiver[:]...)
	b = binary.AppendUvarint(b, uint64(t.amount))
	b = binary.AppendUvarint(b, uint64(t.fee))
	b = chain.AppendLink(b, position, t.from.Link)
	b = binary.AppendUvarint(b, uint64(t.from.funds))
	b = chain.AppendLink(b, position, t.to.Link)
	b = binary.AppendUvarint(b, uint64(t.to.funds))
	b = append(b, byte(len(t.key)))
	b = append(b, t.key...)
	if t.fee > 0 {
		b = chain.AppendLink(b, position, t.pool.Link)
		b = binary.AppendUvarint(b, uint64(t.pool.funds))
	}
	if s := &t.signed; s.version > 0 {
		b = binary.AppendUvarint(b, uint64(s.version))
		b = binary.AppendUvarint(b, uint64(s.maxFee))
		b = binary.BigEndian.AppendUint64(b, uint64(s.notAfter))
		b = append(b, s.signature[:]...)
	}
	return b
}

func (t *transferRecord) decode(d *wire.Decoder, position uint64, version byte) {
	t.sender = d.ID()
	t.receiver = d.ID()
	t.amount = int64(d.Uvarint(maxCoins))
	t.fee = int64(d.Uvarint(maxCoins))
	t.from.Link = chain.DecodeLink(d, position)
	t.from.funds = int64(d.Uvarint(maxCoins))
	t.to.Link = chain.DecodeLink(d, position)
	t.to.funds = int64(d.Uvarint(maxCoins))
	t.key = string(d.Bytes(uint64(d.Byte())))
	t.pool, t.signed = party{}, signedPart{}
	if version > 1 {
		t.decodeFeeAndSignature(d, position)
	}
	d.Check(t.amount > 0 && t.sender != t.receiver && (t.key == "" || validKey(t.key)) && t.version() == version)
}

// decodeFeeAndSignature takes what version 2 adds.
func (t *transferRecord) decodeFeeAndSignature(d *wire.Decoder, position uint64) {
	if t.fee > 0 {
		t.pool.Link = chain.DecodeLink(d, position)
		t.pool.funds = int64(d.Uvarint(maxCoins))
	}
	if len(d.B) > 0 {
		s := &t.signed
		s.version = uint32(d.Uvarint(maxKeyVersion))
		s.maxFee = int64(d.Uvarint(maxCoins))
		s.notAfter = int64(d.Uint64(wire.MaxTime))
		copy(s.signature[:], d.Bytes(ed25519.SignatureSize))
		d.Check(s.version > 0 && t.key != "" && t.fee <= s.maxFee)
	}
}

func (t *transferRecord) line(c *lineCodec, h *header) {
	c.id("sender_account_id", &t.sender)
	c.id("receiver_account_id", &t.receiver)
	if t.sender == t.receiver {
		c.fail("the sender is the receiver")
	}
	c.coins("amount", &t.amount, 1)
	c.coins("fee", &t.fee, 0)
	c.link(&senderLink, h.position, &t.from.Link)
	c.coins("sender_funds", &t.from.funds, 0)
	c.link(&receiverLink, h.position, &t.to.Link)
	c.coins("receiver_funds", &t.to.funds, 0)
	c.text("key", &t.key)
	if t.key != "" && !validKey(t.key) {
		c.fail("key is %q, which can't be one", t.key)
	}
	if t.fee > 0 {
		c.link(&feeLink, h.position, &t.pool.Link)
		c.coins("fee_account_funds", &t.pool.funds, 0)
	} else {
		t.pool = party{}
	}
	t.signatureLine(c)
}

// signatureLine is there if a transfer is signed.
func (t *transferRecord) signatureLine(c *lineCodec) {
	s := &t.signed
	if !c.more(s.version > 0) {
		*s = signedPart{}
		return
	}
	s.version = uint32(c.integer("key_version", uint64(s.version), 1, maxKeyVersion))
	c.coins("max_fee", &s.maxFee, 0)
	c.time("not_after", &s.notAfter)
	c.hex("signature", s.signature[:])
	if t.key == "" || s.maxFee < t.fee {
		c.fail("it is signed, without a key or for a lower fee")
	}
}

// maxKeyLen is the longest idempotency key, in bytes.
const maxKeyLen = 255

// validKey says whether a string can be an idempotency key: 1 to maxKeyLen bytes 0x21 to
// 0x7E without '"' and '\'.
func validKey(key string) bool {
	if len(key) == 0 || len(key) > maxKeyLen {
		return false
	}
	for i := range len(key) {
		if c := key[i]; c < 0x21 || c > 0x7e || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}
