package capycoin

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"

	"github.com/capycoin/capycoin/internal/wire"
)

// A cursor is base64url (RFC 4648, section 5) of what a listing goes on with
// and a CRC-32C of that. It is no secret and no authority: it says where to
// read, not whether one may. The checksum tells a mistyped one.
//
//	transactions  'T' · account 16 · order 1 · start 8 · end 8 · next ordinal 8 · CRC-32C 4
//	accounts      'A' · next ordinal 8 · CRC-32C 4
const (
	cursorTransactions = 'T'
	cursorAccounts     = 'A'
)

func (li *listing) cursor() string {
	b := make([]byte, 0, 46)
	b = append(b, cursorTransactions)
	b = append(b, li.account[:]...)
	b = append(b, byte(li.order))
	b = binary.BigEndian.AppendUint64(b, uint64(li.start))
	b = binary.BigEndian.AppendUint64(b, uint64(li.end))
	b = binary.BigEndian.AppendUint64(b, uint64(li.next))
	return sealCursor(b)
}

func parseCursor(s string) (li listing, err error) {
	d, err := openCursor(s, cursorTransactions)
	if err != nil {
		return listing{}, err
	}
	li.account = d.ID()
	li.order = Order(d.Byte())
	// A bound before all records is -1, so all 64 bits are in use.
	li.start = int64(d.Uint64(1<<64 - 1))
	li.end = int64(d.Uint64(1<<64 - 1))
	li.next = int64(d.Uint64(wire.MaxPosition))
	d.Check(li.order == OldestFirst || li.order == NewestFirst)
	d.Check(li.next > 0)
	if !d.End() {
		return listing{}, fmt.Errorf("%w: it is not one of this version", ErrBadCursor)
	}
	return li, nil
}

func accountCursor(next int64) string {
	return sealCursor(binary.BigEndian.AppendUint64([]byte{cursorAccounts}, uint64(next)))
}

func parseAccountCursor(s string) (next int64, err error) {
	d, err := openCursor(s, cursorAccounts)
	if err != nil {
		return 0, err
	}
	next = int64(d.Uint64(wire.MaxPosition))
	d.Check(next > 0)
	if !d.End() {
		return 0, fmt.Errorf("%w: it is not one of this version", ErrBadCursor)
	}
	return next, nil
}

func sealCursor(b []byte) string {
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b, wire.Castagnoli))
	return base64.RawURLEncoding.EncodeToString(b)
}

func openCursor(s string, kind byte) (wire.Decoder, error) {
	// The longest has 62 characters; a longer one need not be decoded.
	if len(s) > 64 {
		return wire.Decoder{}, fmt.Errorf("%w: it is too long", ErrBadCursor)
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) < 5 || strings.ContainsAny(s, "\r\n") {
		return wire.Decoder{}, fmt.Errorf("%w: it is not in form", ErrBadCursor)
	}
	body, sum := b[:len(b)-4], binary.BigEndian.Uint32(b[len(b)-4:])
	if crc32.Checksum(body, wire.Castagnoli) != sum {
		return wire.Decoder{}, fmt.Errorf("%w: it is damaged", ErrBadCursor)
	}
	if body[0] != kind {
		return wire.Decoder{}, fmt.Errorf("%w: it is of another listing", ErrBadCursor)
	}
	return wire.Decoder{B: body[1:]}, nil
}
