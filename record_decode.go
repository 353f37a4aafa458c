package capycoin

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/chain"
	"github.com/capycoin/capycoin/internal/wire"
	"github.com/capycoin/capycoin/store"
)

var errRecord = errors.New("not a record")

// decodeRecord decodes the record at a position into r. It keeps no part of b.
func decodeRecord(r *record, position uint64, b []byte) error {
	if len(b) < recordHeader {
		return fmt.Errorf("%w: record %d has %d bytes, fewer than a header", store.ErrCorrupt, position, len(b))
	}
	if got, want := recordCRC(position, b), binary.BigEndian.Uint32(b[crcOffset:]); got != want {
		return fmt.Errorf("%w: record %d has checksum %08x, its bytes make %08x", store.ErrCorrupt, position, want, got)
	}
	if b[1] < 1 || b[1] > maxVersion(b[0]) {
		return fmt.Errorf("%w: record %d is of kind %d, version %d", store.ErrNewerFormat, position, b[0], b[1])
	}
	r.position, r.kind = position, b[0]
	d := wire.Decoder{B: b[6:]}
	r.time = int64(d.Uint64(wire.MaxTime))
	switch r.kind {
	case kindGenesis:
		r.genesis.ledger = d.ID()
		r.genesis.supply = int64(d.Uint64(maxCoins))
		r.genesis.seed = d.ID()
		r.genesis.key = decodePublicKey(&d, b[1])
		d.Check(position == 1 && r.genesis.supply > 0 && r.genesis.seed != feeAccount)
	case kindAccount:
		r.account.id = d.ID()
		r.account.link = chain.DecodeLink(&d, position)
		r.account.key = decodePublicKey(&d, b[1])
		// Nobody signs for the account of the fees: with a key it could not pay.
		d.Check(r.account.id != feeAccount || r.account.key == noKey)
	case kindTransfer:
		t := &r.transfer
		t.sender = d.ID()
		t.receiver = d.ID()
		t.amount = int64(d.Uvarint(maxCoins))
		t.fee = int64(d.Uvarint(maxCoins))
		t.from.Link = chain.DecodeLink(&d, position)
		t.from.funds = int64(d.Uvarint(maxCoins))
		t.to.Link = chain.DecodeLink(&d, position)
		t.to.funds = int64(d.Uvarint(maxCoins))
		t.key = string(d.Bytes(uint64(d.Byte())))
		t.pool, t.signed = party{}, signedPart{}
		if b[1] > 1 {
			decodeFeeAndSignature(&d, position, t)
		}
		d.Check(t.amount > 0 && t.sender != t.receiver && (t.key == "" || ValidKey(t.key)) && r.version() == b[1])
	case kindToken:
		t := &r.token
		t.position, t.time = position, r.time
		t.account = d.ID()
		copy(t.selector[:], d.Bytes(16))
		copy(t.tag[:], d.Bytes(8))
		copy(t.hash[:], d.Bytes(bcryptLen))
		t.expires = int64(d.Uint64(wire.MaxTime))
		t.label = string(d.Bytes(d.Uvarint(4 * maxLabelRunes)))
		d.Check(t.expires > t.time && checkLabel(t.label) == nil)
	case kindRevocation:
		r.revocation.account = d.ID()
		r.revocation.token = d.Back(position)
		d.Check(r.revocation.token != 0)
	case kindInvite:
		i := &r.invite
		i.position, i.time = position, r.time
		copy(i.hash[:], d.Bytes(inviteHashLen))
		i.expires = int64(d.Uint64(wire.MaxTime))
		i.label = string(d.Bytes(d.Uvarint(4 * maxLabelRunes)))
		d.Check(i.expires > i.time && checkLabel(i.label) == nil)
	case kindInviteEnd:
		r.inviteEnd.invite = d.Back(position)
		r.inviteEnd.account = d.ID()
		d.Check(r.inviteEnd.invite != 0)
	case kindKey:
		k := &r.key
		k.account = d.ID()
		k.version = uint32(d.Uvarint(maxKeyVersion - 1))
		copy(k.key[:], d.Bytes(ed25519.PublicKeySize))
		copy(k.old[:], d.Bytes(ed25519.SignatureSize))
		copy(k.new[:], d.Bytes(ed25519.SignatureSize))
		d.Check(k.version > 0 && k.key != noKey)
	case kindFeePolicy:
		p := &r.policy
		p.Flat = int64(d.Uvarint(maxCoins))
		p.BasisPoints = int(d.Uvarint(maxBasisPoints))
		p.Min = int64(d.Uvarint(maxCoins))
		p.Max = int64(d.Uvarint(maxCoins))
		n := d.Byte()
		p.Exempt = nil
		for range n {
			p.Exempt = append(p.Exempt, d.ID())
		}
		d.Check(n <= MaxFeeExempt && (p.Max == 0 || p.Min <= p.Max) && ascending(p.Exempt))
	case kindStipend:
		s := &r.stipend
		s.day = int64(d.Uvarint(maxDay))
		s.before = d.Back(position)
		s.rules.Window = int(d.Uvarint(maxStipendDays))
		s.rules.MinAge = int(d.Uvarint(maxStipendDays))
		s.rules.Cap = int64(d.Uvarint(maxCoins))
		s.payees = int64(d.Uvarint(wire.MaxPosition))
		s.funds = int64(d.Uvarint(maxCoins))
		s.share = int64(d.Uvarint(maxCoins))
		copy(s.hash[:], d.Bytes(sha256.Size))
		d.Check(s.before > 0 && s.rules.Window > 0 && s.rules.MinAge > 0 && s.payees > 0 && s.share > 0 &&
			s.share == s.rules.share(s.funds, s.payees) && s.day == dayOf(r.time))
	}
	if !d.End() {
		return fmt.Errorf("%w: record %d: %w of kind %d", store.ErrCorrupt, position, errRecord, r.kind)
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

// decodeFeeAndSignature reads what version 2 of a transfer adds.
func decodeFeeAndSignature(d *wire.Decoder, position uint64, t *transferRecord) {
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

// decodePublicKey reads the key that version 2 of a body has.
func decodePublicKey(d *wire.Decoder, version byte) (key [ed25519.PublicKeySize]byte) {
	if version > 1 {
		copy(key[:], d.Bytes(ed25519.PublicKeySize))
		d.Check(key != noKey)
	}
	return key
}

// ascending says whether ids are in order, each of them once.
func ascending(ids []uuid.UUID) bool {
	for i := 1; i < len(ids); i++ {
		if wire.CompareIDs(&ids[i-1], &ids[i]) >= 0 {
			return false
		}
	}
	return true
}
