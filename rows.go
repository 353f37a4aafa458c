package capycoin

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/chain"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/internal/wire"
	"github.com/capycoin/capycoin/store"
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

// totals are the numbers about the whole ledger.
type totals struct {
	position     uint64
	time         int64
	accounts     int64
	transactions int64
	opened       []uint64 // roots of the chain of accounts
	policyAt     uint64   // position of the fee policy in force; 0: there never was one
	stipendAt    uint64   // of the last stipend; 0: there was none
	paid         int64    // how many payments of it were made
}

// String lists what is compared.
func (b *totals) String() string {
	return fmt.Sprintf("record %d of %s, %d accounts, %d transactions, accounts linked to %d, fee policy %d, stipend %d with %d payments",
		b.position, wire.TimeOf(b.time), b.accounts, b.transactions, b.opened, b.policyAt, b.stipendAt, b.paid)
}

// maxTokens is how many tokens an account can have.
const maxTokens = 10

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
	d, err := wire.OpenRow(store.TableAccounts, key, value)
	if err != nil {
		return err
	}
	d.Check(len(key) == 16)
	last := uuid.UUID{}
	for first := true; len(d.B) > 0; first = false {
		entry := d.B
		id := d.ID()
		state := d.Bytes(uint64(d.Uint16()))
		d.Check(first || wire.CompareIDs(&last, &id) < 0)
		if d.Bad || string(id[:]) > string(key) {
			return wire.BadRow(store.TableAccounts, key)
		}
		if last = id; !fn(id, entry[:len(entry)-len(d.B)], state) {
			return nil
		}
	}
	if d.Bad {
		return wire.BadRow(store.TableAccounts, key)
	}
	return nil
}

// decodeAccount decodes what a row says of an account.
func decodeAccount(id uuid.UUID, state []byte) (*account, error) {
	d := wire.Decoder{B: state}
	a := new(account)
	a.id = id
	a.asOf = d.Uvarint(wire.MaxPosition)
	a.created = int64(d.Uint64(wire.MaxTime))
	a.funds = int64(d.Uvarint(record.MaxCoins))
	a.count = int64(d.Uvarint(wire.MaxPosition))
	packed := d.B
	chain.DecodeRoots(&d, a.count) // in memory they are as they are here
	a.setPacked(packed[:len(packed)-len(d.B)])
	n := int(d.Byte())
	d.Check(n <= maxTokens)
	for range n {
		t := tokenRef{position: d.Uvarint(wire.MaxPosition), expires: int64(d.Uint64(wire.MaxTime))}
		copy(t.selector[:], d.Bytes(16))
		a.tokens = append(a.tokens, t)
		if d.Bad {
			break
		}
	}
	if len(d.B) > 0 {
		a.key = &accountKey{version: uint32(d.Uvarint(record.MaxKeyVersion))}
		copy(a.key.public[:], d.Bytes(ed25519.PublicKeySize))
		d.Check(a.key.version > 0 && a.key.public != record.NoKey)
	}
	if !d.End() {
		return nil, wire.BadRow(store.TableAccounts, id[:])
	}
	return a, nil
}

// readAccount reads an account from its row, nil if there is none.
func readAccount(ctx context.Context, folds store.Folds, id uuid.UUID) (a *account, err error) {
	var bad error
	err = folds.Scan(ctx, store.TableAccounts, id[:], func(key, value []byte) bool {
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

// appendTokenRow encodes a row without its checksum.
func appendTokenRow(b []byte, t tokenRow) []byte {
	b = binary.AppendUvarint(b, t.position)
	b = binary.BigEndian.AppendUint64(b, uint64(t.expires))
	if t.invite {
		b = append(b, 1)
	}
	return b
}

func decodeTokenRow(key, value []byte) (tokenRow, error) {
	d, err := wire.OpenRow(store.TableTokens, key, value)
	if err != nil {
		return tokenRow{}, err
	}
	t := tokenRow{position: d.Uvarint(wire.MaxPosition), expires: int64(d.Uint64(wire.MaxTime))}
	if len(d.B) > 0 {
		t.invite = true
		d.Check(d.Byte() == 1)
	}
	if !d.End() || t.position == 0 {
		return tokenRow{}, wire.BadRow(store.TableTokens, key)
	}
	return t, nil
}

// appendStateRow encodes the row without its checksum.
func appendStateRow(b []byte, folded uint64, s *totals) []byte {
	b = binary.AppendUvarint(b, folded)
	b = binary.AppendUvarint(b, s.position)
	b = binary.BigEndian.AppendUint64(b, uint64(s.time))
	b = binary.AppendUvarint(b, uint64(s.accounts))
	b = binary.AppendUvarint(b, uint64(s.transactions))
	b = chain.AppendRoots(b, s.opened)
	if s.policyAt > 0 {
		b = binary.AppendUvarint(b, s.policyAt)
		b = binary.AppendUvarint(b, s.stipendAt)
		b = binary.AppendUvarint(b, uint64(s.paid))
	}
	return b
}

func decodeStateRow(value []byte) (folded uint64, s totals, err error) {
	d, err := wire.OpenRow(store.TableState, stateKey, value)
	if err != nil {
		return 0, totals{}, err
	}
	folded = d.Uvarint(wire.MaxPosition)
	s.position = d.Uvarint(wire.MaxPosition)
	s.time = int64(d.Uint64(wire.MaxTime))
	s.accounts = int64(d.Uvarint(wire.MaxPosition))
	s.transactions = int64(d.Uvarint(wire.MaxPosition))
	s.opened = chain.DecodeRoots(&d, s.accounts)
	if len(d.B) > 0 {
		s.policyAt = d.Uvarint(s.position)
		s.stipendAt = d.Uvarint(s.position)
		s.paid = int64(d.Uvarint(wire.MaxPosition))
		d.Check(s.policyAt > 0 && (s.stipendAt > 0 || s.paid == 0))
	}
	if !d.End() || folded > s.position {
		return 0, totals{}, wire.BadRow(store.TableState, stateKey)
	}
	return folded, s, nil
}
