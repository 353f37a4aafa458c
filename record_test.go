package capycoin

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/example"
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
	acct := account{state: state{id: DefaultSeedAccount(), created: record.SeedCreated, asOf: 9, funds: 7, count: 4},
		tokens: []tokenRef{{position: 3, expires: 10}}}
	acct.setRoots([]uint64{5, 9})
	key := acct.id
	other := account{state: state{id: uuid.UUID{1}, created: 5, asOf: 2}}
	f.Add(byte(0), accountRowForTest(lastAccount[:], other, acct))
	keys := []keyEntry{{7, 5}, {7, 9}, {9, 300}}
	f.Add(byte(1), keyRowForTest(keys))
	f.Add(byte(2), wire.AppendRow(nil, key[:], appendTokenRow(nil, tokenRow{position: 5, expires: 6})))
	f.Add(byte(2), wire.AppendRow(nil, key[:], appendTokenRow(nil, tokenRow{position: 5, expires: 6, invite: true})))
	f.Add(byte(3), wire.AppendRow(nil, stateKey, appendStateRow(nil, 8, &totals{position: 9, time: 5, accounts: 2, opened: []uint64{1, 2}})))
	f.Fuzz(func(t *testing.T, table byte, b []byte) {
		b = bytes.Clone(b)
		k := key[:]
		switch table % 4 {
		case 0:
			k = lastAccount[:]
		case 1:
			k = keyRowKeyForTest(keys)
		case 3:
			k = stateKey
		}
		if len(b) >= wire.ChecksumLen {
			b = wire.AppendRow(nil, k, b[wire.ChecksumLen:])
		}
		var again []byte
		switch table % 4 {
		case 0:
			var all []account
			err := accountsIn(k, b, func(id uuid.UUID, _, state []byte) bool {
				a, err := decodeAccount(id, state)
				if err == nil {
					all = append(all, *a)
				}
				return err == nil
			})
			if n := len(all); err == nil && n > 0 && len(accountRowForTest(k, all...)) == len(b) {
				again = accountRowForTest(k, all...)
			}
		case 1:
			if got, err := decodeKeys(k, b, nil); err == nil {
				again = keyRowForTest(got)
			}
		case 2:
			if r, err := decodeTokenRow(k, b); err == nil {
				again = wire.AppendRow(nil, k, appendTokenRow(nil, r))
			}
		case 3:
			if folded, s, err := decodeStateRow(b); err == nil {
				again = wire.AppendRow(nil, stateKey, appendStateRow(nil, folded, &s))
			}
		}
		if again != nil && !bytes.Equal(again, b) {
			t.Fatalf("got %x, want %x", again, b)
		}
	})
}

// accountRowForTest encodes a row of accounts.
func accountRowForTest(key []byte, accounts ...account) []byte {
	c, b := newCache(16), []byte(nil)
	for i := range accounts {
		b = c.appendAccount(b, c.add(&accounts[i]))
	}
	return wire.AppendRow(nil, key, b)
}

// keyRowForTest encodes a row of keys of the first run.
func keyRowForTest(keys []keyEntry) []byte {
	return wire.AppendRow(nil, keyRowKeyForTest(keys), appendKeys(nil, keys))
}

func keyRowKeyForTest(keys []keyEntry) []byte {
	key := keyRowKey(&keyRun{number: 1}, keys[len(keys)-1])
	return key[:]
}

// FuzzCursor checks that a cursor that parses is one that was given out.
func FuzzCursor(f *testing.F) {
	li := listing{account: DefaultSeedAccount(), order: NewestFirst, start: -1, end: wire.MaxTime + 1, next: 12}
	f.Add(li.cursor())
	f.Add(accountCursor(77))
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		if got, err := parseCursor(s); err == nil && got.cursor() != s {
			t.Fatalf("%q parses as %+v, which is %q", s, got, got.cursor())
		}
		if got, err := parseAccountCursor(s); err == nil && accountCursor(got) != s {
			t.Fatalf("%q parses as %d, which is %q", s, got, accountCursor(got))
		}
	})
}
