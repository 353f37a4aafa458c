package capycoin

import (
	"cmp"
	"encoding/binary"
	"hash/crc32"
	"time"

	"github.com/google/uuid"
)

// Decoder takes fields off the front of b. The first one that is missing or
// out of range makes it bad; all after that are zero.
type Decoder struct {
	B   []byte
	Bad bool
}

func (d *Decoder) Check(ok bool) {
	if !ok {
		d.Bad, d.B = true, nil
	}
}

func (d *Decoder) Bytes(n uint64) []byte {
	if uint64(len(d.B)) < n {
		d.Check(false)
		return nil
	}
	b := d.B[:n]
	d.B = d.B[n:]
	return b
}

func (d *Decoder) Byte() byte {
	if b := d.Bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *Decoder) ID() (id uuid.UUID) {
	copy(id[:], d.Bytes(16))
	return id
}

func (d *Decoder) Uint16() uint16 {
	if b := d.Bytes(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (d *Decoder) Uint64(limit uint64) uint64 {
	b := d.Bytes(8)
	if b == nil {
		return 0
	}
	v := binary.BigEndian.Uint64(b)
	d.Check(v <= limit)
	return v
}

func (d *Decoder) Uvarint(limit uint64) uint64 {
	v, n := binary.Uvarint(d.B)
	// The last byte of a shortest form is not zero, but for zero itself.
	if n <= 0 || (n > 1 && d.B[n-1] == 0) || v > limit {
		d.Check(false)
		return 0
	}
	d.B = d.B[n:]
	return v
}

// Back reads a distance from position; 0 is no position.
func (d *Decoder) Back(position uint64) uint64 {
	v := d.Uvarint(position - 1)
	if v == 0 {
		return 0
	}
	return position - v
}

const (
	MaxTime     = 253_402_300_799_999_999 // the last microsecond of the year 9999
	MaxPosition = 1<<62 - 1               // the room of the position in an id
)

var Castagnoli = crc32.MakeTable(crc32.Castagnoli)

// TimeForm is the form of times in files, in UTC.
const TimeForm = "2006-01-02T15:04:05.000000Z"

// TimeOf turns ledger time into a time.Time.
func TimeOf(micros int64) time.Time { return time.UnixMicro(micros).UTC() }

// CompareIDs is bytes.Compare, without the call for what the first half tells.
func CompareIDs(a, b *uuid.UUID) int {
	if x, y := binary.BigEndian.Uint64(a[:8]), binary.BigEndian.Uint64(b[:8]); x != y {
		return cmp.Compare(x, y)
	}
	return cmp.Compare(binary.BigEndian.Uint64(a[8:]), binary.BigEndian.Uint64(b[8:]))
}

func AppendBack(b []byte, position, to uint64) []byte {
	if to == 0 {
		return append(b, 0)
	}
	return binary.AppendUvarint(b, position-to)
}
