package capycoin

import (
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/wire"
	"github.com/capycoin/capycoin/store"
)

// A record is one change of the books. All integers are big-endian; a uvarint
// is the shortest LEB128 form (as in encoding/binary), and a longer form of the
// same number is refused, so one byte string has one meaning and encodes back
// to itself.
//
//	offset size field
//	0      1    kind: 1 genesis, 2 account, 3 transfer, 4 token, 5 revocation,
//	              6 invite, 7 end of an invite, 8 key, 9 fee policy, 10 stipend
//	1      1    version of the kind's body: 1, or 2 with a field that 1 lacks
//	2      4    CRC-32C of the position (8 bytes), kind, version, and all from offset 6
//	6      8    time, µs since 1970
//	14     …    body
//
//	genesis     ledger id 16 · supply 8 · seed account 16 ·
//	            version 2: its public key 32
//	account     id 16 · link · version 2: its public key 32
//	transfer    sender 16 · receiver 16 · amount uvarint · fee uvarint ·
//	            link and funds (uvarint) of the sender · the same of the receiver ·
//	            key length 1 · key ·
//	            version 2: if there is a fee, link and funds of the fee account ·
//	            if it is signed, key version uvarint · max fee uvarint ·
//	            not after 8 (µs) · signature 64
//	token       account 16 · selector 16 · tag 8 · bcrypt hash 60 · expiry 8 (µs) ·
//	            label length uvarint · label (UTF-8)
//	revocation  account 16 · how many positions back the token's record is, uvarint
//	invite      hash 32 · expiry 8 (µs) · label length uvarint · label (UTF-8)
//	end         how many positions back the invite's record is, uvarint ·
//	            the account that it opened 16, all zero: it was revoked
//	key         account 16 · version that it ends uvarint · new public key 32 ·
//	            signatures by the old key 64 and the new 64
//	fee policy  flat, basis points, minimum, maximum (0: none), all uvarint ·
//	            number of exempt accounts 1 · their ids 16, ascending
//	stipend     day uvarint (since 1970) · how many positions back the last record
//	            before that day is, uvarint · window and age in days, cap (0: none),
//	            number of payees, funds of the fee account, share, all uvarint ·
//	            hash of the payees 32
//	link        how many positions back the chain's previous record is, uvarint
//	            (0: none) · the same for the jump pointer · ordinal, uvarint
//
// The genesis record is the first of the chain of accounts: it opens the seed
// account. docs/format.md has a hex example of each.
const (
	kindGenesis    byte = 1
	kindAccount    byte = 2
	kindTransfer   byte = 3
	kindToken      byte = 4
	kindRevocation byte = 5
	kindInvite     byte = 6
	kindInviteEnd  byte = 7
	kindKey        byte = 8
	kindFeePolicy  byte = 9
	kindStipend    byte = 10

	recordHeader = 14
	crcOffset    = 2

	// maxTransferRecord bounds a transfer's record without its key and what is
	// signed: header, two ids, two amounts, three parties of two distances, an
	// ordinal and funds.
	maxTransferRecord = recordHeader + 32 + 2*8 + 3*(10+10+9+8) + 1
	// maxCoins is the most that an amount, funds or a supply can be.
	maxCoins = 1<<53 - 1
	// signedLen bounds what a signature adds to it.
	signedLen = 5 + 8 + 8 + ed25519.SignatureSize
	// maxOtherRecord bounds every other record, but for a fee policy's.
	maxOtherRecord = recordHeader + 16 + 16 + 8 + 60 + 8 + 2 + 4*maxLabelRunes + 32
	// maxPolicyRecord bounds that.
	maxPolicyRecord = recordHeader + 4*8 + 1 + 16*maxFeeExempt

	bcryptLen = 60
)

// header is what all records have.
type header struct {
	position uint64
	time     int64 // µs since 1970
	kind     byte
}

// record is a decoded record. What a transfer says lies in place, as most records are
// transfers; of any other kind it is in body.
type record struct {
	header
	transfer transferRecord
	body     body
	spare    body // of an earlier record, to be used again
}

// id returns the id of a transfer's, a token's or an invite's record.
func (h *header) id() uuid.UUID { return idAt(h.time, h.position) }

// newRecord makes a record of a body.
func newRecord(position uint64, time int64, b body) record {
	return record{header: header{position, time, b.kind()}, body: b}
}

// appendRecord appends the encoding of r to b. What r holds must be in range.
func appendRecord(b []byte, r *record) []byte {
	start := len(b)
	b = append(b, r.kind, 0, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint64(b, uint64(r.time))
	if r.kind == kindTransfer {
		b[start+1] = r.transfer.version()
		b = r.transfer.append(b, r.position)
	} else {
		b[start+1] = r.body.version()
		b = r.body.append(b, r.position)
	}
	binary.BigEndian.PutUint32(b[start+crcOffset:], recordCRC(r.position, b[start:]))
	return b
}

var errRecord = errors.New("not a record")

// decodeRecord decodes the record at a position into r. It keeps no part of b.
func decodeRecord(r *record, position uint64, b []byte) error {
	if len(b) < recordHeader {
		return fmt.Errorf("%w: record %d has %d bytes, fewer than a header", store.ErrCorrupt, position, len(b))
	}
	if got, want := recordCRC(position, b), binary.BigEndian.Uint32(b[crcOffset:]); got != want {
		return fmt.Errorf("%w: record %d has checksum %08x, its bytes make %08x", store.ErrCorrupt, position, want, got)
	}
	kind, version := b[0], b[1]
	if int(kind) >= len(kinds) || version < 1 || version > kinds[kind].versions {
		return fmt.Errorf("%w: record %d is of kind %d, version %d", store.ErrNewerFormat, position, kind, version)
	}
	r.position, r.kind = position, kind
	if r.body != nil {
		r.body, r.spare = nil, r.body
	}
	good := false
	if kind == kindTransfer {
		d := wire.Decoder{B: b[6:]}
		r.time = int64(d.Uint64(wire.MaxTime))
		r.transfer.decode(&d, position, version)
		good = d.End()
	} else {
		good = r.decodeBody(b[6:], version)
	}
	if !good {
		return fmt.Errorf("%w: record %d: %w of kind %d", store.ErrCorrupt, position, errRecord, kind)
	}
	return nil
}

// decodeBody decodes what is not a transfer. It stands apart since what is called by an
// interface costs a Decoder on the heap.
func (r *record) decodeBody(b []byte, version byte) bool {
	d := wire.Decoder{B: b}
	r.time = int64(d.Uint64(wire.MaxTime))
	if r.body = r.spare; r.body == nil || r.body.kind() != r.kind {
		r.body = kinds[r.kind].body()
	}
	r.spare = nil
	r.body.decode(&d, &r.header, version)
	return d.End()
}

func recordCRC(position uint64, b []byte) uint32 {
	// Ten bytes that are not in a row: to put them there would be to allocate.
	crc := ^uint32(0)
	for shift := 56; shift >= 0; shift -= 8 {
		crc = wire.Castagnoli[byte(crc)^byte(position>>shift)] ^ crc>>8
	}
	crc = wire.Castagnoli[byte(crc)^b[0]] ^ crc>>8
	crc = wire.Castagnoli[byte(crc)^b[1]] ^ crc>>8
	return crc32.Update(^crc, wire.Castagnoli, b[6:])
}

// idAt returns the id of the record at a position: a version-7 UUID (RFC 9562)
// whose 48 bits of time are the record's milliseconds, whose rand_a is the
// microseconds within that one, and whose rand_b is the position.
func idAt(micros int64, position uint64) (id uuid.UUID) {
	binary.BigEndian.PutUint64(id[:], uint64(micros/1000)<<16|0x7000|uint64(micros%1000))
	binary.BigEndian.PutUint64(id[8:], 1<<63|position)
	return id
}

// positionOf returns the time and position that an id names, false if it is
// not of the form that idAt makes.
func positionOf(id uuid.UUID) (micros int64, position uint64, ok bool) {
	hi, lo := binary.BigEndian.Uint64(id[:]), binary.BigEndian.Uint64(id[8:])
	micros, position = int64(hi>>16)*1000+int64(hi&0xfff), lo&(1<<62-1)
	return micros, position, position > 0 && hi&0xfff < 1000 && idAt(micros, position) == id
}

func (p party) String() string { return fmt.Sprintf("%v and %d coins", p.Link, p.funds) }
