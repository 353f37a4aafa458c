package capycoin

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/bits"
	"time"

	"github.com/google/uuid"
)

// A record is one change of the books. All integers are big-endian; a uvarint
// is the shortest LEB128 form (as in encoding/binary), and a longer form of the
// same number is refused, so one byte string has one meaning and encodes back
// to itself.
//
//	offset size field
//	0      1    kind: 1 genesis, 2 account, 3 transfer, 4 token, 5 revocation,
//	              6 invite, 7 end of an invite
//	1      1    version of the kind's body: 1
//	2      4    CRC-32C of the position (8 bytes), kind, version, and all from offset 6
//	6      8    time, µs since 1970
//	14     …    body
//
//	genesis     ledger id 16 · supply 8 · seed account 16
//	account     id 16 · link
//	transfer    sender 16 · receiver 16 · amount uvarint · fee uvarint ·
//	            link and funds (uvarint) of the sender · the same of the receiver ·
//	            key length 1 · key
//	token       account 16 · selector 16 · tag 8 · bcrypt hash 60 · expiry 8 (µs) ·
//	            label length uvarint · label (UTF-8)
//	revocation  account 16 · how many positions back the token's record is, uvarint
//	invite      hash 32 · expiry 8 (µs) · label length uvarint · label (UTF-8)
//	end         how many positions back the invite's record is, uvarint ·
//	            the account that it opened 16, all zero: it was revoked
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

	recordVersion = 1
	recordHeader  = 14
	crcOffset     = 2

	// maxTransferRecord bounds a transfer's record without its key: header,
	// two ids, two amounts, two parties of two distances, an ordinal and funds.
	maxTransferRecord = recordHeader + 32 + 2*8 + 2*(10+10+9+8) + 1
	// maxOtherRecord bounds every other record.
	maxOtherRecord = recordHeader + 16 + 16 + 8 + 60 + 8 + 2 + 4*maxLabelRunes + 32

	maxTime    = 253_402_300_799_999_999 // the last microsecond of the year 9999
	maxOrdinal = 1<<62 - 1               // the room of the position in an id
	bcryptLen  = 60
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// link is a record's place in a chain (see history.go): the positions of the
// record before it and of its jump pointer, 0 for none, and its ordinal from 1.
type link struct {
	prev, jump uint64
	ordinal    int64
}

// party is what a transfer did to one of its accounts.
type party struct {
	link
	funds Coins // afterwards
}

type genesisRecord struct {
	ledger uuid.UUID
	supply Coins
	seed   uuid.UUID
}

type accountRecord struct {
	id   uuid.UUID
	link link
}

type transferRecord struct {
	sender, receiver uuid.UUID
	amount, fee      Coins
	from, to         party
	key              string
}

// tokenRecord is a token that was issued. The token itself is nowhere: see
// token.go for how selector, tag and hash are made from it.
type tokenRecord struct {
	position uint64
	time     int64
	account  uuid.UUID
	selector [16]byte
	tag      [8]byte
	hash     [bcryptLen]byte
	expires  int64 // µs since 1970
	label    string
}

type revocationRecord struct {
	account uuid.UUID
	token   uint64 // position of the token's record
}

// inviteRecord is an invite that was made. Its code is nowhere: see invite.go.
type inviteRecord struct {
	position uint64
	time     int64
	hash     [inviteHashLen]byte
	expires  int64 // µs since 1970
	label    string
}

func (i *inviteRecord) selector() [selectorLen]byte { return [selectorLen]byte(i.hash[:]) }

// inviteEndRecord says that an invite opened an account, or was revoked.
type inviteEndRecord struct {
	invite  uint64    // position of the invite's record
	account uuid.UUID // the account; zero: it was revoked
}

// record is a decoded record: the field of its kind is set.
type record struct {
	position   uint64
	time       int64 // µs since 1970
	kind       byte
	genesis    genesisRecord
	account    accountRecord
	transfer   transferRecord
	token      tokenRecord
	revocation revocationRecord
	invite     inviteRecord
	inviteEnd  inviteEndRecord
}

// id returns the id of a transfer's, a token's or an invite's record.
func (r *record) id() uuid.UUID { return idAt(r.time, r.position) }

// appendRecord appends the encoding of r to b. What r holds must be in range.
func appendRecord(b []byte, r *record) []byte {
	start := len(b)
	b = append(b, r.kind, recordVersion, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint64(b, uint64(r.time))
	switch r.kind {
	case kindGenesis:
		b = append(b, r.genesis.ledger[:]...)
		b = binary.BigEndian.AppendUint64(b, uint64(r.genesis.supply))
		b = append(b, r.genesis.seed[:]...)
	case kindAccount:
		b = append(b, r.account.id[:]...)
		b = appendLink(b, r.position, r.account.link)
	case kindTransfer:
		t := &r.transfer
		b = append(b, t.sender[:]...)
		b = append(b, t.receiver[:]...)
		b = binary.AppendUvarint(b, uint64(t.amount))
		b = binary.AppendUvarint(b, uint64(t.fee))
		b = appendLink(b, r.position, t.from.link)
		b = binary.AppendUvarint(b, uint64(t.from.funds))
		b = appendLink(b, r.position, t.to.link)
		b = binary.AppendUvarint(b, uint64(t.to.funds))
		b = append(b, byte(len(t.key)))
		b = append(b, t.key...)
	case kindToken:
		t := &r.token
		b = append(b, t.account[:]...)
		b = append(b, t.selector[:]...)
		b = append(b, t.tag[:]...)
		b = append(b, t.hash[:]...)
		b = binary.BigEndian.AppendUint64(b, uint64(t.expires))
		b = binary.AppendUvarint(b, uint64(len(t.label)))
		b = append(b, t.label...)
	case kindRevocation:
		b = append(b, r.revocation.account[:]...)
		b = binary.AppendUvarint(b, r.position-r.revocation.token)
	case kindInvite:
		b = append(b, r.invite.hash[:]...)
		b = binary.BigEndian.AppendUint64(b, uint64(r.invite.expires))
		b = binary.AppendUvarint(b, uint64(len(r.invite.label)))
		b = append(b, r.invite.label...)
	case kindInviteEnd:
		b = binary.AppendUvarint(b, r.position-r.inviteEnd.invite)
		b = append(b, r.inviteEnd.account[:]...)
	}
	binary.BigEndian.PutUint32(b[start+crcOffset:], recordCRC(r.position, b[start:]))
	return b
}

func appendLink(b []byte, position uint64, l link) []byte {
	b = appendBack(b, position, l.prev)
	b = appendBack(b, position, l.jump)
	return binary.AppendUvarint(b, uint64(l.ordinal))
}

func appendBack(b []byte, position, to uint64) []byte {
	if to == 0 {
		return append(b, 0)
	}
	return binary.AppendUvarint(b, position-to)
}

func recordCRC(position uint64, b []byte) uint32 {
	// Ten bytes that are not in a row: to put them there would be to allocate.
	crc := ^uint32(0)
	for shift := 56; shift >= 0; shift -= 8 {
		crc = castagnoli[byte(crc)^byte(position>>shift)] ^ crc>>8
	}
	crc = castagnoli[byte(crc)^b[0]] ^ crc>>8
	crc = castagnoli[byte(crc)^b[1]] ^ crc>>8
	return crc32.Update(^crc, castagnoli, b[6:])
}

var errRecord = errors.New("not a record")

// decodeRecord decodes the record at a position into r. It keeps no part of b.
func decodeRecord(r *record, position uint64, b []byte) error {
	if len(b) < recordHeader {
		return fmt.Errorf("%w: record %d has %d bytes, fewer than a header", ErrCorrupt, position, len(b))
	}
	if got, want := recordCRC(position, b), binary.BigEndian.Uint32(b[crcOffset:]); got != want {
		return fmt.Errorf("%w: record %d has checksum %08x, its bytes make %08x", ErrCorrupt, position, want, got)
	}
	if b[1] != recordVersion || b[0] < kindGenesis || b[0] > kindInviteEnd {
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
		d.check(position == 1 && r.genesis.supply > 0)
	case kindAccount:
		r.account.id = d.id()
		r.account.link = d.link(position)
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
		d.check(t.amount > 0 && t.sender != t.receiver && (t.key == "" || ValidKey(t.key)))
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
	}
	if d.bad || len(d.b) != 0 {
		return fmt.Errorf("%w: record %d: %w of kind %d", ErrCorrupt, position, errRecord, r.kind)
	}
	return nil
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

// treeSize returns how many records the jump pointer of the n-th record of a
// chain skips, itself included: the smallest term of n written in skew binary,
// as a sum of numbers 2^k-1 with the largest ones taken first.
func treeSize(n int64) int64 {
	for {
		t := int64(1)<<(bits.Len64(uint64(n)+1)-1) - 1
		if t == n {
			return t
		}
		n -= t
	}
}

// microTime is the form of times in files, in UTC.
const microTime = "2006-01-02T15:04:05.000000Z"

// timeOf turns ledger time into a time.Time.
func timeOf(micros int64) time.Time { return time.UnixMicro(micros).UTC() }
