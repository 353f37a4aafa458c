package pages

import (
	"encoding/binary"
	"fmt"

	"github.com/capycoin/capycoin/store"
)

// JournalBucket is the name of the bucket with the journal.
const JournalBucket = "journal"

// JournalRow takes the records out of a row.
type JournalRow struct {
	First uint64 // position of its first record
	Left  int
	B     []byte
}

func OpenJournalRow(key, value []byte) (JournalRow, error) {
	if len(key) != 8 || len(value) < 2 || value[0] == 0 {
		return JournalRow{}, fmt.Errorf("%w: the journal has a row %x of %d bytes", store.ErrCorrupt, key, len(value))
	}
	last, n := binary.BigEndian.Uint64(key), int(value[0])
	if uint64(n) > last {
		return JournalRow{}, fmt.Errorf("%w: row %d of the journal claims %d records", store.ErrCorrupt, last, n)
	}
	return JournalRow{First: last - uint64(n) + 1, Left: n, B: value[1:]}, nil
}

func (r *JournalRow) Next() ([]byte, error) {
	n, size := binary.Uvarint(r.B)
	if size <= 0 || n > uint64(len(r.B)-size) || (r.Left == 1) != (n == uint64(len(r.B)-size)) {
		return nil, fmt.Errorf("%w: the row of the journal with record %d has no room for it", store.ErrCorrupt, r.First)
	}
	record := r.B[size : size+int(n)]
	r.B = r.B[size+int(n):]
	r.First++
	r.Left--
	return record, nil
}

const (
	RowRecords = 8
	RowBytes   = 1024
)

// Elements calls fn with the elements of a leaf that lie within it.
func Elements(page []byte, fn func(key, value []byte)) {
	n := min(int(binary.NativeEndian.Uint16(page[CountAt:])), (len(page)-HeaderSize)/ElementSize)
	for i := range n {
		at := HeaderSize + i*ElementSize
		field := func(n int) uint64 { return uint64(binary.NativeEndian.Uint32(page[at+4*n:])) }
		key := uint64(at) + field(1)
		value := key + field(2)
		if end := value + field(3); end <= uint64(len(page)) {
			fn(page[key:value], page[value:end])
		}
	}
}
