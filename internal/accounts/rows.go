package accounts

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/chain"
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
//	tokens   selector 16                  position uvarint · expiry 8 · for an invite 1 · for a token nothing
//	state    "state"                      folded up to uvarint · as of uvarint · time 8 · accounts uvarint ·
//	                                      transactions uvarint · roots of the chain of accounts · if there was
//	                                      ever a fee: position of the policy in force, of the last stipend (0:
//	                                      none), how many payments of that were made, all uvarint
//
// The last row of accounts has the key ff…ff.
var StateKey = []byte("state")

// TokenRef is a token in its account's state. It takes its place among the
// ten until it is revoked, or has expired when another one is issued.
type TokenRef struct {
	Position uint64
	Expires  int64
	Selector [16]byte
}

// TokenRow is a row of the tokens table, of a token or an invite; a zero
// position says deleted.
type TokenRow struct {
	Position uint64
	Expires  int64
	Invite   bool
}

// Totals are the numbers about the whole ledger.
type Totals struct {
	Position     uint64
	Time         int64
	Accounts     int64
	Transactions int64
	Opened       []uint64 // roots of the chain of accounts
	PolicyAt     uint64   // position of the fee policy in force; 0: there never was one
	StipendAt    uint64   // of the last stipend; 0: there was none
	Paid         int64    // how many payments of it were made
}

// String lists what is compared.
func (b *Totals) String() string {
	return fmt.Sprintf("record %d of %s, %d accounts, %d transactions, accounts linked to %d, fee policy %d, stipend %d with %d payments",
		b.Position, wire.TimeOf(b.Time), b.Accounts, b.Transactions, b.Opened, b.PolicyAt, b.StipendAt, b.Paid)
}

// maxTokens is how many tokens an account can have.
const maxTokens = 10

// accountRowSize is how long the value of a row of accounts may be, if it holds
// more than one: about as long as the others of a page can stand.
const accountRowSize = 1024

// LastKey is the key of the last row of accounts.
var LastKey = uuid.UUID(slices.Repeat([]byte{0xff}, 16))

// AppendAccount encodes an account as it is in the cache.
func (c *Cache) AppendAccount(b []byte, i uint32) []byte {
	s := c.At(i)
	b = append(b, s.ID[:]...)
	start := len(b)
	b = append(b, 0, 0)
	b = binary.AppendUvarint(b, s.AsOf)
	b = binary.BigEndian.AppendUint64(b, uint64(s.Created))
	b = binary.AppendUvarint(b, uint64(s.Funds))
	b = binary.AppendUvarint(b, uint64(s.Count))
	b = append(b, c.PackedRoots(i)...)
	var tokens []TokenRef
	if s.owner {
		tokens = c.tokens[i]
	}
	b = append(b, byte(len(tokens)))
	for i := range tokens {
		t := &tokens[i]
		b = binary.AppendUvarint(b, t.Position)
		b = binary.BigEndian.AppendUint64(b, uint64(t.Expires))
		b = append(b, t.Selector[:]...)
	}
	if key := c.Key(i); key != nil {
		b = binary.AppendUvarint(b, uint64(key.Version))
		b = append(b, key.Public[:]...)
	}
	binary.BigEndian.PutUint16(b[start:], uint16(len(b)-start-2))
	return b
}

// InRow calls fn with the accounts of a row, whose state is still encoded,
// until it returns false.
func InRow(key, value []byte, fn func(id uuid.UUID, entry, state []byte) bool) error {
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

// Decode decodes what a row says of an account.
func Decode(id uuid.UUID, state []byte) (*Account, error) {
	d := wire.Decoder{B: state}
	a := new(Account)
	a.ID = id
	a.AsOf = d.Uvarint(wire.MaxPosition)
	a.Created = int64(d.Uint64(wire.MaxTime))
	a.Funds = int64(d.Uvarint(wire.MaxCoins))
	a.Count = int64(d.Uvarint(wire.MaxPosition))
	packed := d.B
	chain.DecodeRoots(&d, a.Count) // in memory they are as they are here
	a.setPacked(packed[:len(packed)-len(d.B)])
	n := int(d.Byte())
	d.Check(n <= maxTokens)
	for range n {
		t := TokenRef{Position: d.Uvarint(wire.MaxPosition), Expires: int64(d.Uint64(wire.MaxTime))}
		copy(t.Selector[:], d.Bytes(16))
		a.Tokens = append(a.Tokens, t)
		if d.Bad {
			break
		}
	}
	if len(d.B) > 0 {
		a.Key = &Key{Version: uint32(d.Uvarint(wire.MaxVersion))}
		copy(a.Key.Public[:], d.Bytes(ed25519.PublicKeySize))
		d.Check(a.Key.Version > 0 && a.Key.Public != [ed25519.PublicKeySize]byte{})
	}
	if !d.End() {
		return nil, wire.BadRow(store.TableAccounts, id[:])
	}
	return a, nil
}

// Read reads an account from its row, nil if there is none.
func Read(ctx context.Context, folds store.Folds, id uuid.UUID) (a *Account, err error) {
	var bad error
	err = folds.Scan(ctx, store.TableAccounts, id[:], func(key, value []byte) bool {
		bad = InRow(key, value, func(got uuid.UUID, _, state []byte) bool {
			if got == id {
				a, err = Decode(id, state)
			}
			return got != id
		})
		bad = errors.Join(bad, err)
		return false
	})
	return a, errors.Join(err, bad)
}

// AppendToken encodes a row without its checksum.
func AppendToken(b []byte, t TokenRow) []byte {
	b = binary.AppendUvarint(b, t.Position)
	b = binary.BigEndian.AppendUint64(b, uint64(t.Expires))
	if t.Invite {
		b = append(b, 1)
	}
	return b
}

func DecodeToken(key, value []byte) (TokenRow, error) {
	d, err := wire.OpenRow(store.TableTokens, key, value)
	if err != nil {
		return TokenRow{}, err
	}
	t := TokenRow{Position: d.Uvarint(wire.MaxPosition), Expires: int64(d.Uint64(wire.MaxTime))}
	if len(d.B) > 0 {
		t.Invite = true
		d.Check(d.Byte() == 1)
	}
	if !d.End() || t.Position == 0 {
		return TokenRow{}, wire.BadRow(store.TableTokens, key)
	}
	return t, nil
}

// AppendState encodes the row without its checksum.
func AppendState(b []byte, folded uint64, s *Totals) []byte {
	b = binary.AppendUvarint(b, folded)
	b = binary.AppendUvarint(b, s.Position)
	b = binary.BigEndian.AppendUint64(b, uint64(s.Time))
	b = binary.AppendUvarint(b, uint64(s.Accounts))
	b = binary.AppendUvarint(b, uint64(s.Transactions))
	b = chain.AppendRoots(b, s.Opened)
	if s.PolicyAt > 0 {
		b = binary.AppendUvarint(b, s.PolicyAt)
		b = binary.AppendUvarint(b, s.StipendAt)
		b = binary.AppendUvarint(b, uint64(s.Paid))
	}
	return b
}

func DecodeState(value []byte) (folded uint64, s Totals, err error) {
	d, err := wire.OpenRow(store.TableState, StateKey, value)
	if err != nil {
		return 0, Totals{}, err
	}
	folded = d.Uvarint(wire.MaxPosition)
	s.Position = d.Uvarint(wire.MaxPosition)
	s.Time = int64(d.Uint64(wire.MaxTime))
	s.Accounts = int64(d.Uvarint(wire.MaxPosition))
	s.Transactions = int64(d.Uvarint(wire.MaxPosition))
	s.Opened = chain.DecodeRoots(&d, s.Accounts)
	if len(d.B) > 0 {
		s.PolicyAt = d.Uvarint(s.Position)
		s.StipendAt = d.Uvarint(s.Position)
		s.Paid = int64(d.Uvarint(wire.MaxPosition))
		d.Check(s.PolicyAt > 0 && (s.StipendAt > 0 || s.Paid == 0))
	}
	if !d.End() || folded > s.Position {
		return 0, Totals{}, wire.BadRow(store.TableState, StateKey)
	}
	return folded, s, nil
}
