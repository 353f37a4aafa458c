// Package record is the vocabulary of the journal: a record of each kind, as bytes
// ([Append], [Decode]) and as a line of an export ([AppendLine], [ReadLine]), the ids that
// are made from positions, and the bounds of what records say.
//
// A record is one change of the books:
//
//	offset size field
//	0      1    kind, see [Kind]
//	1      1    version of the kind's body: 1, or 2 with a field that 1 lacks
//	2      4    CRC-32C of the position (8 bytes), kind, version, and all from offset 6
//	6      8    time, µs since 1970
//	14     …    body, see the type of each kind
//
// Integers are as package wire has them, so one byte string has one meaning and encodes
// back to itself; a link is as package chain has it. docs/format.md has a hex example of
// each kind.
//
// A kind is one file here. To add one, see docs/architecture.md.
//
// It knows nothing of Folds, of the state that records make, or of what they are allowed
// to do: rules are the judge's, and the audit's. All rooms above it may call it. It has no
// state and no locks; a Record belongs to one goroutine.
package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/wire"
	"github.com/capycoin/capycoin/store"
)

const (
	// HeaderLen is how many bytes come before the body, CRCOffset where the checksum is.
	HeaderLen = 14
	CRCOffset = 2

	// MaxCommit is the most records of one commit.
	MaxCommit = 16_384
	// MaxOtherLen bounds every record but a transfer's and a fee policy's.
	MaxOtherLen = HeaderLen + 16 + 16 + 8 + 60 + 8 + 2 + 4*maxLabelRunes + 32
)

// Header is what all records have.
type Header struct {
	Position uint64
	Time     int64 // µs since 1970
	Kind     Kind
}

// Record is a decoded record. What a transfer says lies in place, as most records are
// transfers; of any other kind it is in Body.
type Record struct {
	Header
	Transfer Transfer
	Body     Body
	spare    Body // of an earlier record, to be used again
}

// ID returns the id of a transfer's, a token's or an invite's record.
func (h *Header) ID() uuid.UUID { return IDAt(h.Time, h.Position) }

// New makes a record of a body.
func New(position uint64, time int64, b Body) Record {
	return Record{Header: Header{position, time, b.Kind()}, Body: b}
}

// Append appends the encoding of r to b. What r holds must be in range.
func Append(b []byte, r *Record) []byte {
	start := len(b)
	b = append(b, byte(r.Kind), 0, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint64(b, uint64(r.Time))
	if r.Kind == KindTransfer {
		b[start+1] = r.Transfer.version()
		b = r.Transfer.append(b, r.Position)
	} else {
		b[start+1] = r.Body.version()
		b = r.Body.append(b, r.Position)
	}
	binary.BigEndian.PutUint32(b[start+CRCOffset:], CRC(r.Position, b[start:]))
	return b
}

var errRecord = errors.New("not a record")

// Decode decodes the record at a position into r. It keeps no part of b.
func Decode(r *Record, position uint64, b []byte) error {
	if len(b) < HeaderLen {
		return fmt.Errorf("%w: record %d has %d bytes, fewer than a header", store.ErrCorrupt, position, len(b))
	}
	if got, want := CRC(position, b), binary.BigEndian.Uint32(b[CRCOffset:]); got != want {
		return fmt.Errorf("%w: record %d has checksum %08x, its bytes make %08x", store.ErrCorrupt, position, want, got)
	}
	kind, version := Kind(b[0]), b[1]
	if int(kind) >= len(kinds) || version < 1 || version > kinds[kind].versions {
		return fmt.Errorf("%w: record %d is of kind %d, version %d", store.ErrNewerFormat, position, kind, version)
	}
	r.Position, r.Kind = position, kind
	if r.Body != nil {
		r.Body, r.spare = nil, r.Body
	}
	good := false
	if kind == KindTransfer {
		d := wire.Decoder{B: b[6:]}
		r.Time = int64(d.Uint64(wire.MaxTime))
		r.Transfer.decode(&d, position, version)
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
func (r *Record) decodeBody(b []byte, version byte) bool {
	d := wire.Decoder{B: b}
	r.Time = int64(d.Uint64(wire.MaxTime))
	if r.Body = r.spare; r.Body == nil || r.Body.Kind() != r.Kind {
		r.Body = kinds[r.Kind].body()
	}
	r.spare = nil
	r.Body.decode(&d, &r.Header, version)
	return d.End()
}

func CRC(position uint64, b []byte) uint32 {
	// Ten bytes that are not in a row: to put them there would be to allocate.
	crc := ^uint32(0)
	for shift := 56; shift >= 0; shift -= 8 {
		crc = wire.Castagnoli[byte(crc)^byte(position>>shift)] ^ crc>>8
	}
	crc = wire.Castagnoli[byte(crc)^b[0]] ^ crc>>8
	crc = wire.Castagnoli[byte(crc)^b[1]] ^ crc>>8
	return crc32.Update(^crc, wire.Castagnoli, b[6:])
}

// IDAt returns the id of the record at a position: a version-7 UUID (RFC 9562)
// whose 48 bits of time are the record's milliseconds, whose rand_a is the
// microseconds within that one, and whose rand_b is the position.
func IDAt(micros int64, position uint64) (id uuid.UUID) {
	binary.BigEndian.PutUint64(id[:], uint64(micros/1000)<<16|0x7000|uint64(micros%1000))
	binary.BigEndian.PutUint64(id[8:], 1<<63|position)
	return id
}

// PositionOf returns the time and position that an id names, false if it is
// not of the form that idAt makes.
func PositionOf(id uuid.UUID) (micros int64, position uint64, ok bool) {
	hi, lo := binary.BigEndian.Uint64(id[:]), binary.BigEndian.Uint64(id[8:])
	micros, position = int64(hi>>16)*1000+int64(hi&0xfff), lo&(1<<62-1)
	return micros, position, position > 0 && hi&0xfff < 1000 && IDAt(micros, position) == id
}

func (p Party) String() string { return fmt.Sprintf("%v and %d coins", p.Link, p.Funds) }
