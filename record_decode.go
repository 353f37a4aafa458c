package capycoin

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/google/uuid"
)

var errRecord = errors.New("not a record")

// decodeRecord decodes the record at a position into r. It keeps no part of b.
func decodeRecord(r *record, position uint64, b []byte) error {
	if len(b) < recordHeader {
		return fmt.Errorf("%w: record %d has %d bytes, fewer than a header", ErrCorrupt, position, len(b))
	}
	if got, want := recordCRC(position, b), binary.BigEndian.Uint32(b[crcOffset:]); got != want {
		return fmt.Errorf("%w: record %d has checksum %08x, its bytes make %08x", ErrCorrupt, position, want, got)
	}
	if b[1] < 1 || b[1] > maxVersion(b[0]) {
		return fmt.Errorf("%w: record %d is of kind %d, version %d", ErrNewerFormat, position, b[0], b[1])
	}
	r.position, r.kind = position, b[0]
	d := decoder{b: b[6:]}
	r.time = int64(d.uint64(maxTime))
	switch r.kind {
	case kindGenesis:
		r.genesis.ledger = d.id()
		r.genesis.supply = Coins(d.uint64(uint64(MaxSupply)))
		r.genesis.seed = d.id()
		r.genesis.key = d.publicKey(b[1])
		d.check(position == 1 && r.genesis.supply > 0 && r.genesis.seed != feeAccount)
	case kindAccount:
		r.account.id = d.id()
		r.account.link = d.link(position)
		r.account.key = d.publicKey(b[1])
		// Nobody signs for the account of the fees: with a key it could not pay.
		d.check(r.account.id != feeAccount || r.account.key.IsZero())
	case kindTransfer:
		t := &r.transfer
		t.sender = d.id()
		t.receiver = d.id()
		t.amount = Coins(d.uvarint(uint64(MaxSupply)))
		t.fee = Coins(d.uvarint(uint64(MaxSupply)))
		t.from.link = d.link(position)
		t.from.funds = Coins(d.uvarint(uint64(MaxSupply)))
		t.to.link = d.link(position)
		t.to.funds = Coins(d.uvarint(uint64(MaxSupply)))
		t.key = string(d.bytes(uint64(d.byte())))
		t.pool, t.signed = party{}, signedPart{}
		if b[1] > 1 {
			d.feeAndSignature(position, t)
		}
		d.check(t.amount > 0 && t.sender != t.receiver && (t.key == "" || ValidKey(t.key)) && r.version() == b[1])
	case kindToken:
		t := &r.token
		t.position, t.time = position, r.time
		t.account = d.id()
		copy(t.selector[:], d.bytes(16))
		copy(t.tag[:], d.bytes(8))
		copy(t.hash[:], d.bytes(bcryptLen))
		t.expires = int64(d.uint64(maxTime))
		t.label = string(d.bytes(d.uvarint(4 * maxLabelRunes)))
		d.check(t.expires > t.time && checkLabel(t.label) == nil)
	case kindRevocation:
		r.revocation.account = d.id()
		r.revocation.token = d.back(position)
		d.check(r.revocation.token != 0)
	case kindInvite:
		i := &r.invite
		i.position, i.time = position, r.time
		copy(i.hash[:], d.bytes(inviteHashLen))
		i.expires = int64(d.uint64(maxTime))
		i.label = string(d.bytes(d.uvarint(4 * maxLabelRunes)))
		d.check(i.expires > i.time && checkLabel(i.label) == nil)
	case kindInviteEnd:
		r.inviteEnd.invite = d.back(position)
		r.inviteEnd.account = d.id()
		d.check(r.inviteEnd.invite != 0)
	case kindKey:
		k := &r.key
		k.account = d.id()
		k.version = uint32(d.uvarint(maxKeyVersion - 1))
		copy(k.key[:], d.bytes(ed25519.PublicKeySize))
		copy(k.old[:], d.bytes(ed25519.SignatureSize))
		copy(k.new[:], d.bytes(ed25519.SignatureSize))
		d.check(k.version > 0 && !k.key.IsZero())
	case kindFeePolicy:
		p := &r.policy
		p.Flat = Coins(d.uvarint(uint64(MaxSupply)))
		p.BasisPoints = int(d.uvarint(maxBasisPoints))
		p.Min = Coins(d.uvarint(uint64(MaxSupply)))
		p.Max = Coins(d.uvarint(uint64(MaxSupply)))
		n := d.byte()
		p.Exempt = nil
		for range n {
			p.Exempt = append(p.Exempt, d.id())
		}
		d.check(n <= MaxFeeExempt && (p.Max == 0 || p.Min <= p.Max) && ascending(p.Exempt))
	case kindStipend:
		s := &r.stipend
		s.day = int64(d.uvarint(maxDay))
		s.before = d.back(position)
		s.rules.Window = int(d.uvarint(maxStipendDays))
		s.rules.MinAge = int(d.uvarint(maxStipendDays))
		s.rules.Cap = Coins(d.uvarint(uint64(MaxSupply)))
		s.payees = int64(d.uvarint(maxOrdinal))
		s.funds = Coins(d.uvarint(uint64(MaxSupply)))
		s.share = Coins(d.uvarint(uint64(MaxSupply)))
		copy(s.hash[:], d.bytes(sha256.Size))
		d.check(s.before > 0 && s.rules.Window > 0 && s.rules.MinAge > 0 && s.payees > 0 && s.share > 0 &&
			s.share == s.rules.share(s.funds, s.payees) && s.day == dayOf(r.time))
	}
	if d.bad || len(d.b) != 0 {
		return fmt.Errorf("%w: record %d: %w of kind %d", ErrCorrupt, position, errRecord, r.kind)
	}
	return nil
}

// maxVersion is the newest version of a kind's body, 0 if there is no such kind.
func maxVersion(kind byte) byte {
	switch {
	case kind == kindGenesis, kind == kindAccount, kind == kindTransfer:
		return 2
	case kind >= kindToken && kind <= kindStipend:
		return 1
	}
	return 0
}

// feeAndSignature reads what version 2 of a transfer adds.
func (d *decoder) feeAndSignature(position uint64, t *transferRecord) {
	if t.fee > 0 {
		t.pool.link = d.link(position)
		t.pool.funds = Coins(d.uvarint(uint64(MaxSupply)))
	}
	if len(d.b) > 0 {
		s := &t.signed
		s.version = uint32(d.uvarint(maxKeyVersion))
		s.maxFee = Coins(d.uvarint(uint64(MaxSupply)))
		s.notAfter = int64(d.uint64(maxTime))
		copy(s.signature[:], d.bytes(ed25519.SignatureSize))
		d.check(s.version > 0 && t.key != "" && t.fee <= s.maxFee)
	}
}

// publicKey reads the key that version 2 of a body has.
func (d *decoder) publicKey(version byte) (key PublicKey) {
	if version > 1 {
		copy(key[:], d.bytes(ed25519.PublicKeySize))
		d.check(!key.IsZero())
	}
	return key
}

// ascending says whether ids are in order, each of them once.
func ascending(ids []uuid.UUID) bool {
	for i := 1; i < len(ids); i++ {
		if compareIDs(&ids[i-1], &ids[i]) >= 0 {
			return false
		}
	}
	return true
}

// decoder takes fields off the front of b. The first one that is missing or
// out of range makes it bad; all after that are zero.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) check(ok bool) {
	if !ok {
		d.bad, d.b = true, nil
	}
}

func (d *decoder) bytes(n uint64) []byte {
	if uint64(len(d.b)) < n {
		d.check(false)
		return nil
	}
	b := d.b[:n]
	d.b = d.b[n:]
	return b
}

func (d *decoder) byte() byte {
	if b := d.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) id() (id uuid.UUID) {
	copy(id[:], d.bytes(16))
	return id
}

func (d *decoder) uint16() uint16 {
	if b := d.bytes(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (d *decoder) uint64(limit uint64) uint64 {
	b := d.bytes(8)
	if b == nil {
		return 0
	}
	v := binary.BigEndian.Uint64(b)
	d.check(v <= limit)
	return v
}

func (d *decoder) uvarint(limit uint64) uint64 {
	v, n := binary.Uvarint(d.b)
	// The last byte of a shortest form is not zero, but for zero itself.
	if n <= 0 || (n > 1 && d.b[n-1] == 0) || v > limit {
		d.check(false)
		return 0
	}
	d.b = d.b[n:]
	return v
}

// back reads a distance from position; 0 is no position.
func (d *decoder) back(position uint64) uint64 {
	v := d.uvarint(position - 1)
	if v == 0 {
		return 0
	}
	return position - v
}

func (d *decoder) link(position uint64) link {
	l := link{prev: d.back(position), jump: d.back(position), ordinal: int64(d.uvarint(maxOrdinal))}
	d.check(l.ordinal > 0 && (l.prev == 0) == (l.ordinal == 1) &&
		(l.jump == 0) == (treeSize(l.ordinal) == l.ordinal) && l.jump <= l.prev)
	return l
}
