package wire

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/capycoin/capycoin/store"
)

// FoldParts is how many parts the accounts and the fresh keys are kept in, by the first
// FoldBits of their name, so that a sweep can go through them in key order and never has
// to sort more than one part at once.
const (
	FoldParts = 1 << FoldBits
	FoldBits  = 10
)

// ChecksumLen is how long the checksum is that every value begins with.
const ChecksumLen = 4

// AppendRow appends a row's value: the checksum of key and value, and the value.
func AppendRow(b, key, value []byte) []byte {
	crc := crc32.Update(crc32.Checksum(key, Castagnoli), Castagnoli, value)
	return append(binary.BigEndian.AppendUint32(b, crc), value...)
}

// OpenRow returns what a row's value has after its checksum, if that is right.
func OpenRow(table store.Table, key, value []byte) (Decoder, error) {
	if len(value) < ChecksumLen {
		return Decoder{}, BadRow(table, key)
	}
	crc := crc32.Update(crc32.Checksum(key, Castagnoli), Castagnoli, value[ChecksumLen:])
	if crc != binary.BigEndian.Uint32(value) {
		return Decoder{}, BadRow(table, key)
	}
	return Decoder{B: value[ChecksumLen:]}, nil
}

// BadRow is the error of a row that is not as it was written.
func BadRow(table store.Table, key []byte) error {
	return fmt.Errorf("%w: row %x of table %s", store.ErrCorrupt, key, table)
}

// scanPage is how many rows are read in one call of Scan.
const scanPage = 1024

// ScanRows calls fn with all rows of a table that scan, of [store.Folds] or like it, finds,
// a page of them in one read: a longer one would hold up the writer.
func ScanRows(ctx context.Context, scan func(context.Context, store.Table, []byte, func(key, value []byte) bool) error,
	table store.Table, fn func(key, value []byte) error) error {
	for from, more := []byte{}, true; more; {
		if err := ctx.Err(); err != nil {
			return err
		}
		var last []byte
		var bad error
		rows := 0
		more = false
		err := scan(ctx, table, from, func(key, value []byte) bool {
			if rows++; rows > scanPage {
				more = true
				return false
			}
			last = append(last[:0], key...)
			bad = fn(key, value)
			return bad == nil
		})
		if err = cmp.Or(bad, err); err != nil {
			return err
		}
		from = append(last, 0)
	}
	return nil
}
