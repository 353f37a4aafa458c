package capycoin

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"

	"github.com/google/uuid"
)

// The rows of Folds. Every value begins with a CRC-32C of key and value; the
// integers are as in records.
//
//	table    key                          value after the checksum
//	accounts the last id that it may hold the accounts with ids up to there, and after the key of the
//	         16                           row before, in order: id 16 · length 2 · as of which position
//	                                      uvarint · created 8 (µs) · funds uvarint · transactions uvarint ·
//	                                      roots of its chain, head first: uvarint, then how much further
//	                                      back each is · number of tokens 1 · each: position uvarint,
//	                                      expiry 8, selector 16 · if it has a public key: version uvarint ·
//	                                      key 32
//	keys     level 1 · run 8 · hash 8 ·   the keys up to there, after the row before of the same level and
//	         position 8 of the last key   run: least position uvarint · width 1 · each: hash 8 ·
//	                                      how much more its position is, as many bytes as width says
//	tokens   selector 16                  position uvarint · expiry 8 · for an invite 1 · for a token nothing
//	state    "state"                      folded up to uvarint · as of uvarint · time 8 · accounts uvarint ·
//	                                      transactions uvarint · roots of the chain of accounts · if there was
//	                                      ever a fee: position of the policy in force, of the last stipend (0:
//	                                      none), how many payments of that were made, all uvarint
//
// The last row of accounts has the key ff…ff. The hash of a key is the first 8
// bytes of SHA-256(sender ‖ key).
const rowCRC = 4

var stateKey = []byte("state")

// tokenRef is a token in its account's state. It takes its place among the
// ten until it is revoked, or has expired when another one is issued.
type tokenRef struct {
	position uint64
	expires  int64
	selector [16]byte
}

// tokenRow is a row of the tokens table, of a token or an invite; a zero
// position says deleted.
type tokenRow struct {
	position uint64
	expires  int64
	invite   bool
}

// books are the numbers about the whole ledger.
type books struct {
	position     uint64
	time         int64
	accounts     int64
	transactions int64
	opened       []uint64     // roots of the chain of accounts
	policy       *feePolicyAt // in force; nil: there never was one
	stipend      *stipendAt   // the last one; nil: there was none
	paid         int64        // how many payments of it were made
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

// accountRowSize is how long the value of a row of accounts may be, if it holds
// more than one: about as long as the others of a page can stand.
const accountRowSize = 1024

// lastAccount is the key of the last row of accounts.
var lastAccount = uuid.UUID(slices.Repeat([]byte{0xff}, 16))

// appendAccount encodes an account as it is in the cache.
func (c *cache) appendAccount(b []byte, i uint32) []byte {
	s := c.at(i)
	b = append(b, s.id[:]...)
	start := len(b)
	b = append(b, 0, 0)
	b = binary.AppendUvarint(b, s.asOf)
	b = binary.BigEndian.AppendUint64(b, uint64(s.created))
	b = binary.AppendUvarint(b, uint64(s.funds))
	b = binary.AppendUvarint(b, uint64(s.count))
	b = append(b, c.packedRoots(i)...)
	var tokens []tokenRef
	if s.owner {
		tokens = c.tokens[i]
	}
	b = append(b, byte(len(tokens)))
	for i := range tokens {
		t := &tokens[i]
		b = binary.AppendUvarint(b, t.position)
		b = binary.BigEndian.AppendUint64(b, uint64(t.expires))
		b = append(b, t.selector[:]...)
	}
	if key := c.key(i); key != nil {
		b = binary.AppendUvarint(b, uint64(key.version))
		b = append(b, key.public[:]...)
	}
	binary.BigEndian.PutUint16(b[start:], uint16(len(b)-start-2))
	return b
}

// accountsIn calls fn with the accounts of a row, whose state is still encoded,
// until it returns false.
func accountsIn(key, value []byte, fn func(id uuid.UUID, entry, state []byte) bool) error {
	d, err := openRow(TableAccounts, key, value)
	if err != nil {
		return err
	}
	d.check(len(key) == 16)
	last := uuid.UUID{}
	for first := true; len(d.b) > 0; first = false {
		entry := d.b
		id := d.id()
		state := d.bytes(uint64(d.uint16()))
		d.check(first || compareIDs(&last, &id) < 0)
		if d.bad || string(id[:]) > string(key) {
			return badRow(TableAccounts, key)
		}
		if last = id; !fn(id, entry[:len(entry)-len(d.b)], state) {
			return nil
		}
	}
	if d.bad {
		return badRow(TableAccounts, key)
	}
	return nil
}

// decodeAccount decodes what a row says of an account.
func decodeAccount(id uuid.UUID, state []byte) (*account, error) {
	d := decoder{b: state}
	a := new(account)
	a.id = id
	a.asOf = d.uvarint(maxOrdinal)
	a.created = int64(d.uint64(maxTime))
	a.funds = Coins(d.uvarint(uint64(MaxSupply)))
	a.count = int64(d.uvarint(maxOrdinal))
	packed := d.b
	d.roots(a.count) // in memory they are as they are here
	a.setPacked(packed[:len(packed)-len(d.b)])
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
	if len(d.b) > 0 {
		a.key = &accountKey{version: uint32(d.uvarint(maxKeyVersion))}
		copy(a.key.public[:], d.bytes(ed25519.PublicKeySize))
		d.check(a.key.version > 0 && !a.key.public.IsZero())
	}
	if d.bad || len(d.b) != 0 {
		return nil, badRow(TableAccounts, id[:])
	}
	return a, nil
}

// accountRow reads an account from its row, nil if there is none.
func (l *Ledger) accountRow(ctx context.Context, id uuid.UUID) (a *account, err error) {
	var bad error
	err = l.folds.Scan(ctx, TableAccounts, id[:], func(key, value []byte) bool {
		bad = accountsIn(key, value, func(got uuid.UUID, _, state []byte) bool {
			if got == id {
				a, err = decodeAccount(id, state)
			}
			return got != id
		})
		bad = errors.Join(bad, err)
		return false
	})
	return a, errors.Join(err, bad)
}

// scanRows calls fn with all rows of a table that scan, of [Folds] or like it, finds,
// a page of them in one read: a longer one would hold up the writer.
func scanRows(ctx context.Context, scan func(context.Context, Table, []byte, func(key, value []byte) bool) error,
	table Table, fn func(key, value []byte) error) error {
	for from, more := []byte{}, true; more; {
		if err := ctx.Err(); err != nil {
			return err
		}
		var last []byte
		var bad error
		rows := 0
		more = false
		err := scan(ctx, table, from, func(key, value []byte) bool {
			if rows++; rows > auditPage {
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

// leadsTo says whether a row is that of a record.
func (t tokenRow) leadsTo(key []byte, r *record) bool {
	selector, expires := r.token.selector, r.token.expires
	kind := kindToken
	if t.invite {
		selector, expires, kind = r.invite.selector(), r.invite.expires, kindInvite
	}
	return r.kind == kind && string(key) == string(selector[:]) && t.expires == expires
}

func appendTokenRow(b, key []byte, t tokenRow) []byte {
	start := len(b)
	b = append(b, 0, 0, 0, 0)
	b = binary.AppendUvarint(b, t.position)
	b = binary.BigEndian.AppendUint64(b, uint64(t.expires))
	if t.invite {
		b = append(b, 1)
	}
	return sealRow(b, start, key)
}

func decodeTokenRow(key, value []byte) (tokenRow, error) {
	d, err := openRow(TableTokens, key, value)
	if err != nil {
		return tokenRow{}, err
	}
	t := tokenRow{position: d.uvarint(maxOrdinal), expires: int64(d.uint64(maxTime))}
	if len(d.b) > 0 {
		t.invite = true
		d.check(d.byte() == 1)
	}
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
	if s.policy != nil {
		b = binary.AppendUvarint(b, s.policy.position)
		b = binary.AppendUvarint(b, s.stipend.at())
		b = binary.AppendUvarint(b, uint64(s.paid))
	}
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
	if len(d.b) > 0 {
		// What their records say is read from these: see [Ledger.readRules].
		s.policy = &feePolicyAt{position: d.uvarint(s.position)}
		if at := d.uvarint(s.position); at > 0 {
			s.stipend = &stipendAt{position: at}
		}
		s.paid = int64(d.uvarint(maxOrdinal))
		d.check(s.policy.position > 0 && (s.stipend != nil || s.paid == 0))
	}
	if d.bad || len(d.b) != 0 || folded > s.position {
		return 0, books{}, badRow(TableState, stateKey)
	}
	return folded, s, nil
}

// readRules reads the records that the state row names.
func (l *Ledger) readRules(ctx context.Context) error {
	b, r := &l.books, &l.scratch
	if b.policy == nil {
		return nil
	}
	if err := l.readRecord(ctx, b.policy.position, r); err != nil {
		return err
	}
	if r.kind != kindFeePolicy {
		return fmt.Errorf("%w: the rows name record %d, which is no fee policy", ErrCorrupt, r.position)
	}
	b.policy = feePolicyOf(r)
	if b.stipend == nil {
		return nil
	}
	if err := l.readRecord(ctx, b.stipend.position, r); err != nil {
		return err
	}
	if r.kind != kindStipend || b.paid > r.stipend.payees {
		return fmt.Errorf("%w: the rows name record %d with %d payments, which is no such stipend", ErrCorrupt, r.position, b.paid)
	}
	b.stipend = stipendOf(r)
	return nil
}
