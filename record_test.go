package capycoin_test

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/accounts"
	"github.com/capycoin/capycoin/internal/example"
	"github.com/capycoin/capycoin/internal/keyindex"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/internal/wire"
)

// TestFormatDocument holds docs/format.md to the codec: each example record's
// bytes are there, in lines of 16.
func TestFormatDocument(t *testing.T) {
	doc, err := os.ReadFile("docs/format.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range example.Records() {
		b := record.Append(nil, &r)
		var want strings.Builder
		for line := range slices.Chunk(b, 16) {
			fmt.Fprintf(&want, "%s\n", strings.TrimSpace(fmt.Sprintf("% x", line)))
		}
		if !strings.Contains(string(doc), want.String()) {
			t.Errorf("docs/format.md has not the bytes of record %d:\n%s", r.Position, want.String())
		}
	}
}

// FuzzRows does the same for the rows of Folds.
func FuzzRows(f *testing.F) {
	acct := accounts.Account{State: accounts.State{ID: capycoin.DefaultSeedAccount(), Created: record.SeedCreated, AsOf: 9, Funds: 7, Count: 4},
		Tokens: []accounts.TokenRef{{Position: 3, Expires: 10}}}
	acct.SetRoots([]uint64{5, 9})
	key := acct.ID
	other := accounts.Account{State: accounts.State{ID: uuid.UUID{1}, Created: 5, AsOf: 2}}
	f.Add(byte(0), accountRowForTest(accounts.LastKey[:], other, acct))
	keys := []keyindex.Entry{{Hash: 7, Position: 5}, {Hash: 7, Position: 9}, {Hash: 9, Position: 300}}
	f.Add(byte(1), keyRowForTest(keys))
	f.Add(byte(2), wire.AppendRow(nil, key[:], accounts.AppendToken(nil, accounts.TokenRow{Position: 5, Expires: 6})))
	f.Add(byte(2), wire.AppendRow(nil, key[:], accounts.AppendToken(nil, accounts.TokenRow{Position: 5, Expires: 6, Invite: true})))
	f.Add(byte(3), wire.AppendRow(nil, accounts.StateKey, accounts.AppendState(nil, 8, &accounts.Totals{Position: 9, Time: 5, Accounts: 2, Opened: []uint64{1, 2}})))
	f.Fuzz(func(t *testing.T, table byte, b []byte) {
		b = bytes.Clone(b)
		k := key[:]
		switch table % 4 {
		case 0:
			k = accounts.LastKey[:]
		case 1:
			k = keyRowKeyForTest(keys)
		case 3:
			k = accounts.StateKey
		}
		if len(b) >= wire.ChecksumLen {
			b = wire.AppendRow(nil, k, b[wire.ChecksumLen:])
		}
		var again []byte
		switch table % 4 {
		case 0:
			var all []accounts.Account
			err := accounts.InRow(k, b, func(id uuid.UUID, _, state []byte) bool {
				a, err := accounts.Decode(id, state)
				if err == nil {
					all = append(all, *a)
				}
				return err == nil
			})
			if n := len(all); err == nil && n > 0 && len(accountRowForTest(k, all...)) == len(b) {
				again = accountRowForTest(k, all...)
			}
		case 1:
			if got, err := keyindex.DecodeRow(k, b, nil); err == nil {
				again = keyRowForTest(got)
			}
		case 2:
			if r, err := accounts.DecodeToken(k, b); err == nil {
				again = wire.AppendRow(nil, k, accounts.AppendToken(nil, r))
			}
		case 3:
			if folded, s, err := accounts.DecodeState(b); err == nil {
				again = wire.AppendRow(nil, accounts.StateKey, accounts.AppendState(nil, folded, &s))
			}
		}
		if again != nil && !bytes.Equal(again, b) {
			t.Fatalf("got %x, want %x", again, b)
		}
	})
}

// accountRowForTest encodes a row of accounts.
func accountRowForTest(key []byte, opened ...accounts.Account) []byte {
	c, b := accounts.New(16), []byte(nil)
	for i := range opened {
		b = c.AppendAccount(b, c.Add(&opened[i]))
	}
	return wire.AppendRow(nil, key, b)
}

// keyRowForTest encodes a row of keys of the first run.
func keyRowForTest(keys []keyindex.Entry) []byte {
	return wire.AppendRow(nil, keyRowKeyForTest(keys), keyindex.AppendRow(nil, keys))
}

func keyRowKeyForTest(keys []keyindex.Entry) []byte {
	key := keyindex.RowKey(&keyindex.Run{Number: 1}, keys[len(keys)-1])
	return key[:]
}
