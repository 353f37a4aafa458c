// Package wire has the bytes that records, rows and cursors have in common: a [Decoder]
// that takes fields off and refuses what is out of range, rows of a store's Folds with
// their checksums, a [Batch] that collects such rows, and [ScanRows], which reads them
// in pages.
//
// All integers are big-endian. A uvarint is the shortest LEB128 form (as in
// encoding/binary), and a longer form of the same number is refused, so one byte string
// has one meaning and encodes back to itself.
//
// It knows nothing of records or accounts: what the fields mean is for those who call
// it, which are all rooms that write something down. It has no locks; a Decoder and a
// Batch belong to one goroutine.
package wire

import (
	"cmp"
	"encoding/binary"
	"hash/crc32"
	"time"

	"github.com/google/uuid"
)

// Decoder takes fields off the front of B. The first one that is missing or
// out of range makes it bad; all after that are zero.
type Decoder struct {
	B   []byte // what is left
	Bad bool
}

// End says whether all was in range and nothing is left.
func (d *Decoder) End() bool { return !d.Bad && len(d.B) == 0 }

// Check makes it bad unless something holds of what was taken.
func (d *Decoder) Check(ok bool) {
	if !ok {
		d.Bad, d.B = true, nil
	}
}

// Bytes takes n bytes, which are those of B itself.
func (d *Decoder) Bytes(n uint64) []byte {
	if uint64(len(d.B)) < n {
		d.Check(false)
		return nil
	}
	b := d.B[:n]
	d.B = d.B[n:]
	return b
}

// Byte takes one byte.
func (d *Decoder) Byte() byte {
	if b := d.Bytes(1); b != nil {
		return b[0]
	}
	return 0
}

// ID takes the 16 bytes of a UUID.
func (d *Decoder) ID() (id uuid.UUID) {
	copy(id[:], d.Bytes(16))
	return id
}

// Uint16 takes 2 bytes.
func (d *Decoder) Uint16() uint16 {
	if b := d.Bytes(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

// Uint64 takes 8 bytes, of at most a limit.
func (d *Decoder) Uint64(limit uint64) uint64 {
	b := d.Bytes(8)
	if b == nil {
		return 0
	}
	v := binary.BigEndian.Uint64(b)
	d.Check(v <= limit)
	return v
}

// Uvarint takes a uvarint of at most a limit.
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

// Back takes what [AppendBack] appends.
func (d *Decoder) Back(position uint64) uint64 {
	v := d.Uvarint(position - 1)
	if v == 0 {
		return 0
	}
	return position - v
}

// The bounds of what many records and rows have.
const (
	MaxTime     = 253_402_300_799_999_999 // the last microsecond of the year 9999
	MaxPosition = 1<<62 - 1               // the room of the position in an id
	MaxCoins    = 1<<53 - 1               // the most that an amount, funds or a supply can be
	MaxVersion  = 1<<32 - 1               // the highest version of a key
)

// Castagnoli is the polynomial of all CRC-32C, RFC 3720.
var Castagnoli = crc32.MakeTable(crc32.Castagnoli)

// TimeForm is the form of times in files, in UTC.
const TimeForm = "2006-01-02T15:04:05.000000Z"

// TimeOf turns ledger time into a time.Time.
func TimeOf(micros int64) time.Time { return time.UnixMicro(micros).UTC() }

// CompareIDs is bytes.Compare for ids, without the call for what the first half tells.
func CompareIDs(a, b *uuid.UUID) int {
	if x, y := binary.BigEndian.Uint64(a[:8]), binary.BigEndian.Uint64(b[:8]); x != y {
		return cmp.Compare(x, y)
	}
	return cmp.Compare(binary.BigEndian.Uint64(a[8:]), binary.BigEndian.Uint64(b[8:]))
}

// AppendBack appends how far back from a position another one is, 0 for none.
func AppendBack(b []byte, position, to uint64) []byte {
	if to == 0 {
		return append(b, 0)
	}
	return binary.AppendUvarint(b, position-to)
}
