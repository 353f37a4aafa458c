package capycoin

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/google/uuid"
)

// The rows of Folds. Every value begins with a CRC-32C of key and value; the
// integers are as in records.
//
//	table    key                        value after the checksum
//	accounts id 16                      as of which position uvarint · created 8 (µs) · funds uvarint ·
//	                                    transactions uvarint · roots of its chain, head first:
//	                                    uvarint, then how much further back each is ·
//	                                    number of tokens 1 · each: position uvarint, expiry 8, selector 16
//	keys     SHA-256(sender ‖ key)[:16] position uvarint
//	tokens   selector 16                position uvarint · expiry 8
//	state    "state"                    folded up to uvarint · as of uvarint · time 8 · accounts uvarint ·
//	                                    transactions uvarint · roots of the chain of accounts
const rowCRC = 4

var stateKey = []byte("state")

// keyHash names an idempotency key of a sender. Should two keys of a sender
// ever share one, the second is refused as reused: no coin moves.
type keyHash [16]byte

func hashKey(sender uuid.UUID, key string) keyHash {
	var buf [16 + MaxKeyLen]byte
	n := copy(buf[:], sender[:])
	n += copy(buf[n:], key)
	sum := sha256.Sum256(buf[:n])
	return keyHash(sum[:16])
}

// tokenRef is a token in its account's state. It takes its place among the
// ten until it is revoked, or has expired when another one is issued.
type tokenRef struct {
	position uint64
	expires  int64
	selector [16]byte
}

// tokenRow is a row of the tokens table; a zero position says deleted.
type tokenRow struct {
	position uint64
	expires  int64
}

// books are the numbers about the whole ledger.
type books struct {
	position     uint64
	time         int64
	accounts     int64
	transactions int64
	opened       []uint64 // roots of the chain of accounts
}

func sealRow(b []byte, start int, key []byte) []byte {
	crc := crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, b[start+rowCRC:])
	binary.BigEndian.PutUint32(b[start:], crc)
	return b
}

func openRow(table Table, key, value []byte) (decoder, error) {
	if len(value) < rowCRC {
		return decoder{}, badRow(table, key)
	}
	crc := crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, value[rowCRC:])
	if crc != binary.BigEndian.Uint32(value) {
		return decoder{}, badRow(table, key)
	}
	return decoder{b: value[rowCRC:]}, nil
}

func badRow(table Table, key []byte) error {
	return fmt.Errorf("%w: row %x of table %s", ErrCorrupt, key, table)
}

func appendAccountRow(b []byte, a *account) []byte {
	start := len(b)
	b = append(b, 0, 0, 0, 0)
	b = binary.AppendUvarint(b, a.asOf)
	b = binary.BigEndian.AppendUint64(b, uint64(a.created))
	b = binary.AppendUvarint(b, uint64(a.funds))
	b = binary.AppendUvarint(b, uint64(a.count))
	b = appendRoots(b, a.roots)
	b = append(b, byte(len(a.tokens)))
	for i := range a.tokens {
		t := &a.tokens[i]
		b = binary.AppendUvarint(b, t.position)
		b = binary.BigEndian.AppendUint64(b, uint64(t.expires))
		b = append(b, t.selector[:]...)
	}
	return sealRow(b, start, a.id[:])
}

func decodeAccountRow(key, value []byte) (*account, error) {
	d, err := openRow(TableAccounts, key, value)
	if err != nil {
		return nil, err
	}
	a := &account{id: uuid.UUID(key)}
	a.asOf = d.uvarint(maxOrdinal)
	a.created = int64(d.uint64(maxTime))
	a.funds = Coins(d.uvarint(uint64(MaxSupply)))
	a.count = int64(d.uvarint(maxOrdinal))
	a.roots = d.roots(a.count)
	n := int(d.byte())
	d.check(n <= MaxTokens)
	for range n {
		t := tokenRef{position: d.uvarint(maxOrdinal), expires: int64(d.uint64(maxTime))}
		copy(t.selector[:], d.bytes(16))
		a.tokens = append(a.tokens, t)
		if d.bad {
			break
		}
	}
	if d.bad || len(d.b) != 0 {
		return nil, badRow(TableAccounts, key)
	}
	return a, nil
}

func appendRoots(b []byte, roots []uint64) []byte {
	for i := len(roots) - 1; i >= 0; i-- {
		if i == len(roots)-1 {
			b = binary.AppendUvarint(b, roots[i])
		} else {
			b = binary.AppendUvarint(b, roots[i+1]-roots[i])
		}
	}
	return b
}

// roots reads the roots of a chain of n records; n tells how many there are.
func (d *decoder) roots(n int64) []uint64 {
	var sizes int
	for m := n; m > 0; m -= treeSize(m) {
		sizes++
	}
	if sizes == 0 {
		return nil
	}
	roots := make([]uint64, sizes)
	var last uint64
	for i := sizes - 1; i >= 0; i-- {
		v := d.uvarint(maxOrdinal)
		if i < sizes-1 {
			d.check(v > 0 && v < last)
			v = last - v
		}
		d.check(v > 0)
		roots[i], last = v, v
	}
	return roots
}

func appendPositionRow(b, key []byte, position uint64) []byte {
	start := len(b)
	b = append(b, 0, 0, 0, 0)
	b = binary.AppendUvarint(b, position)
	return sealRow(b, start, key)
}

func decodeKeyRow(key, value []byte) (uint64, error) {
	d, err := openRow(TableKeys, key, value)
	if err != nil {
		return 0, err
	}
	position := d.uvarint(maxOrdinal)
	if d.bad || len(d.b) != 0 || position == 0 {
		return 0, badRow(TableKeys, key)
	}
	return position, nil
}

func appendTokenRow(b, key []byte, t tokenRow) []byte {
	start := len(b)
	b = append(b, 0, 0, 0, 0)
	b = binary.AppendUvarint(b, t.position)
	b = binary.BigEndian.AppendUint64(b, uint64(t.expires))
	return sealRow(b, start, key)
}

func decodeTokenRow(key, value []byte) (tokenRow, error) {
	d, err := openRow(TableTokens, key, value)
	if err != nil {
		return tokenRow{}, err
	}
	t := tokenRow{position: d.uvarint(maxOrdinal), expires: int64(d.uint64(maxTime))}
	if d.bad || len(d.b) != 0 || t.position == 0 {
		return tokenRow{}, badRow(TableTokens, key)
	}
	return t, nil
}

func appendStateRow(b []byte, folded uint64, s *books) []byte {
	start := len(b)
	b = append(b, 0, 0, 0, 0)
	b = binary.AppendUvarint(b, folded)
	b = binary.AppendUvarint(b, s.position)
	b = binary.BigEndian.AppendUint64(b, uint64(s.time))
	b = binary.AppendUvarint(b, uint64(s.accounts))
	b = binary.AppendUvarint(b, uint64(s.transactions))
	b = appendRoots(b, s.opened)
	return sealRow(b, start, stateKey)
}

func decodeStateRow(value []byte) (folded uint64, s books, err error) {
	d, err := openRow(TableState, stateKey, value)
	if err != nil {
		return 0, books{}, err
	}
	folded = d.uvarint(maxOrdinal)
	s.position = d.uvarint(maxOrdinal)
	s.time = int64(d.uint64(maxTime))
	s.accounts = int64(d.uvarint(maxOrdinal))
	s.transactions = int64(d.uvarint(maxOrdinal))
	s.opened = d.roots(s.accounts)
	if d.bad || len(d.b) != 0 || folded > s.position {
		return 0, books{}, badRow(TableState, stateKey)
	}
	return folded, s, nil
}
