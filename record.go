package capycoin

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/chain"
	"github.com/capycoin/capycoin/internal/wire"
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
	maxPolicyRecord = recordHeader + 4*8 + 1 + 16*MaxFeeExempt

	bcryptLen = 60
)

// party is what a transfer did to one of its accounts.
type party struct {
	chain.Link
	funds int64 // afterwards
}

type genesisRecord struct {
	ledger uuid.UUID
	supply int64
	seed   uuid.UUID
	key    [ed25519.PublicKeySize]byte // zero: the seed account has none
}

type accountRecord struct {
	id   uuid.UUID
	link chain.Link
	key  [ed25519.PublicKeySize]byte // zero: none
}

type transferRecord struct {
	sender, receiver uuid.UUID
	amount, fee      int64
	from, to         party
	key              string
	pool             party // what the fee did to the fee account; zero without one
	signed           signedPart
}

// signedPart is what a transfer's sender signed beside the transfer, and the
// signature.
type signedPart struct {
	version   uint32 // of the sender's key; 0: it is not signed
	maxFee    int64
	notAfter  int64 // µs since 1970
	signature [ed25519.SignatureSize]byte
}

// keyRecord is a change of an account's key.
type keyRecord struct {
	account  uuid.UUID
	version  uint32 // of the key that it ends
	key      [ed25519.PublicKeySize]byte
	old, new [ed25519.SignatureSize]byte // signatures of the change
}

// stipendRecord begins the payment of a day's stipend; see stipend.go.
type stipendRecord struct {
	day    int64  // since 1970
	before uint64 // position of the last record before that day
	rules  stipendTerms
	payees int64
	funds  int64 // of the account of the fees, before
	share  int64
	hash   [sha256.Size]byte // of the payees
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
	key        keyRecord
	policy     feeTerms
	stipend    stipendRecord
}

// id returns the id of a transfer's, a token's or an invite's record.
func (r *record) id() uuid.UUID { return idAt(r.time, r.position) }

// appendRecord appends the encoding of r to b. What r holds must be in range.
func appendRecord(b []byte, r *record) []byte {
	start := len(b)
	b = append(b, r.kind, r.version(), 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint64(b, uint64(r.time))
	switch r.kind {
	case kindGenesis:
		b = append(b, r.genesis.ledger[:]...)
		b = binary.BigEndian.AppendUint64(b, uint64(r.genesis.supply))
		b = append(b, r.genesis.seed[:]...)
		b = appendPublicKey(b, &r.genesis.key)
	case kindAccount:
		b = append(b, r.account.id[:]...)
		b = chain.AppendLink(b, r.position, r.account.link)
		b = appendPublicKey(b, &r.account.key)
	case kindTransfer:
		t := &r.transfer
		b = append(b, t.sender[:]...)
		b = append(b, t.receiver[:]...)
		b = binary.AppendUvarint(b, uint64(t.amount))
		b = binary.AppendUvarint(b, uint64(t.fee))
		b = chain.AppendLink(b, r.position, t.from.Link)
		b = binary.AppendUvarint(b, uint64(t.from.funds))
		b = chain.AppendLink(b, r.position, t.to.Link)
		b = binary.AppendUvarint(b, uint64(t.to.funds))
		b = append(b, byte(len(t.key)))
		b = append(b, t.key...)
		if t.fee > 0 {
			b = chain.AppendLink(b, r.position, t.pool.Link)
			b = binary.AppendUvarint(b, uint64(t.pool.funds))
		}
		if s := &t.signed; s.version > 0 {
			b = binary.AppendUvarint(b, uint64(s.version))
			b = binary.AppendUvarint(b, uint64(s.maxFee))
			b = binary.BigEndian.AppendUint64(b, uint64(s.notAfter))
			b = append(b, s.signature[:]...)
		}
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
	case kindKey:
		k := &r.key
		b = append(b, k.account[:]...)
		b = binary.AppendUvarint(b, uint64(k.version))
		b = append(b, k.key[:]...)
		b = append(b, k.old[:]...)
		b = append(b, k.new[:]...)
	case kindFeePolicy:
		p := &r.policy
		b = binary.AppendUvarint(b, uint64(p.Flat))
		b = binary.AppendUvarint(b, uint64(p.BasisPoints))
		b = binary.AppendUvarint(b, uint64(p.Min))
		b = binary.AppendUvarint(b, uint64(p.Max))
		b = append(b, byte(len(p.Exempt)))
		for i := range p.Exempt {
			b = append(b, p.Exempt[i][:]...)
		}
	case kindStipend:
		s := &r.stipend
		b = binary.AppendUvarint(b, uint64(s.day))
		b = wire.AppendBack(b, r.position, s.before)
		b = binary.AppendUvarint(b, uint64(s.rules.Window))
		b = binary.AppendUvarint(b, uint64(s.rules.MinAge))
		b = binary.AppendUvarint(b, uint64(s.rules.Cap))
		b = binary.AppendUvarint(b, uint64(s.payees))
		b = binary.AppendUvarint(b, uint64(s.funds))
		b = binary.AppendUvarint(b, uint64(s.share))
		b = append(b, s.hash[:]...)
	}
	binary.BigEndian.PutUint32(b[start+crcOffset:], recordCRC(r.position, b[start:]))
	return b
}

// version is the least that has a place for all that is in r.
func (r *record) version() byte {
	switch {
	case r.kind == kindGenesis && r.genesis.key != noKey, r.kind == kindAccount && r.account.key != noKey,
		r.kind == kindTransfer && (r.transfer.fee > 0 || r.transfer.signed.version > 0):
		return 2
	}
	return 1
}

func appendPublicKey(b []byte, key *[ed25519.PublicKeySize]byte) []byte {
	if *key == noKey {
		return b
	}
	return append(b, key[:]...)
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
