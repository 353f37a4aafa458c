package accounts_test

import (
	"bytes"
	"testing"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/accounts"
	"github.com/capycoin/capycoin/internal/example"
	"github.com/capycoin/capycoin/internal/keyindex"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/internal/wire"
)

// FuzzRows: whatever row of Folds is taken is, to the byte, the one that its content makes.
func FuzzRows(f *testing.F) {
	acct := accounts.Account{State: accounts.State{ID: uuid.MustParse("4e9b616a-f11e-48b6-8c2f-9534d482e48e"), Created: record.SeedCreated, AsOf: 9, Funds: 7, Count: 4},
		Tokens: []accounts.TokenRef{{Position: 3, Expires: 10}}}
	acct.SetRoots([]uint64{5, 9})
	key := acct.ID
	other := accounts.Account{State: accounts.State{ID: uuid.UUID{1}, Created: 5, AsOf: 2}}
	f.Add(byte(0), example.AccountRow(accounts.LastKey[:], other, acct))
	keys := []keyindex.Entry{{Hash: 7, Position: 5}, {Hash: 7, Position: 9}, {Hash: 9, Position: 300}}
	f.Add(byte(1), example.KeyRow(keys))
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
			k = example.KeyRowKey(keys)
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
			if n := len(all); err == nil && n > 0 && len(example.AccountRow(k, all...)) == len(b) {
				again = example.AccountRow(k, all...)
			}
		case 1:
			if got, err := keyindex.DecodeRow(k, b, nil); err == nil {
				again = example.KeyRow(got)
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
