package capycoin

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/chain"
	"github.com/capycoin/capycoin/internal/wire"
	"github.com/capycoin/capycoin/store"
)

// exampleRecords are the records that docs/format.md shows: a small journal.
func exampleRecords() []record {
	seed := DefaultSeedAccount()
	ann := uuid.MustParse("0b8e4d5a-2f6c-4a71-9d3e-5c1f7a8b9e02")
	const at = 1_660_569_863_136_285 // 2022-08-15T13:24:23.136285Z
	tok := tokenRecord{position: 4, time: at + 2_000_000, account: ann, label: "phone", expires: at + 2_592_002_000_000}
	copy(tok.selector[:], "selector of 16 B")
	copy(tok.tag[:], "tag of 8")
	copy(tok.hash[:], "$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy")
	bob := uuid.MustParse("5d1f3c2b-8a47-4e60-b9d8-2c6e0f4a7b13")
	bobs := tok
	bobs.position, bobs.time, bobs.account, bobs.label, bobs.expires = 8, at+5_000_000, bob, "", at+2_592_005_000_000
	copy(bobs.selector[:], "another selector")
	inv := inviteRecord{position: 6, time: at + 4_000_000, expires: at + 2_592_004_000_000, label: "Bob"}
	inv.hash, _ = inviteHash("MFRGGZDFMZTWQ2LKNNWG23TPOA")
	records := []record{
		{header: header{1, at, kindGenesis}, body: &genesisRecord{
			ledger: uuid.MustParse("7c9e6679-7425-40de-944b-e07fc1f90ae7"), supply: int64(DefaultSupply), seed: seed}},
		{header: header{2, at + 1_000_000, kindAccount}, body: &accountRecord{id: ann, link: chain.Link{Prev: 1, Jump: 1, Ordinal: 2}}},
		{header: header{3, at + 1_500_000, kindTransfer}, transfer: transferRecord{
			sender: seed, receiver: ann, amount: 300, key: "welcome-1",
			from: party{chain.Link{Ordinal: 1}, 99_700}, to: party{chain.Link{Ordinal: 1}, 300}}},
		{header: header{4, at + 2_000_000, kindToken}, body: &tok},
		{header: header{5, at + 3_000_000, kindRevocation}, body: &revocationRecord{account: ann, token: 4}},
		{header: header{6, at + 4_000_000, kindInvite}, body: &inv},
		{header: header{7, at + 5_000_000, kindAccount}, body: &accountRecord{id: bob, link: chain.Link{Prev: 2, Ordinal: 3}}},
		{header: header{8, at + 5_000_000, kindToken}, body: &bobs},
		{header: header{9, at + 5_000_000, kindInviteEnd}, body: &inviteEndRecord{invite: 6, account: bob}},
	}
	return append(records, exampleRules(records)...)
}

// exampleKey is a private key for examples.
func exampleKey(name string) (ed25519.PrivateKey, PublicKey) {
	seed := sha256.Sum256([]byte(name))
	key := ed25519.NewKeyFromSeed(seed[:])
	return key, PublicKey(key.Public().(ed25519.PublicKey))
}

// exampleRules are the records that follow: an account with a key, a fee, and the
// stipend that it comes back as.
func exampleRules(before []record) []record {
	ledger, seed, ann, bob := before[0].body.(*genesisRecord).ledger, before[0].body.(*genesisRecord).seed, before[1].body.(*accountRecord).id, before[6].body.(*accountRecord).id
	carol := uuid.MustParse("c3a1e0d4-9b6f-4f28-8f57-1d2b3c4e5f60")
	first, firstPublic := exampleKey("the first key of Carol")
	second, secondPublic := exampleKey("the second key of Carol")
	at := before[8].time
	maxFee := Coins(2)
	pay := Transfer{Sender: carol, Receiver: ann, Amount: 10, Key: "lunch", MaxFee: &maxFee}
	signature, err := SignTransfer(ledger, 1, pay, wire.TimeOf(at+60_000_000), first)
	old, oldErr := SignKeyChange(ledger, carol, 1, secondPublic, first)
	fresh, newErr := SignKeyChange(ledger, carol, 1, secondPublic, second)
	if err := errors.Join(err, oldErr, newErr); err != nil {
		panic(err)
	}
	day := dayOf(at) + 2
	return []record{
		{header: header{10, at + 1_000_000, kindAccount}, body: &accountRecord{id: carol, key: firstPublic, link: chain.Link{Prev: 7, Jump: 7, Ordinal: 4}}},
		{header: header{11, at + 2_000_000, kindAccount}, body: &accountRecord{id: feeAccount, link: chain.Link{Prev: 10, Jump: 10, Ordinal: 5}}},
		{header: header{12, at + 2_000_000, kindFeePolicy}, body: &feePolicyRecord{Flat: 1, BasisPoints: 25, Max: 20, Exempt: []uuid.UUID{bob}}},
		{header: header{13, at + 3_000_000, kindTransfer}, transfer: transferRecord{
			sender: seed, receiver: carol, amount: 50,
			from: party{chain.Link{Prev: 3, Jump: 3, Ordinal: 2}, 99_650}, to: party{chain.Link{Ordinal: 1}, 50}}},
		{header: header{14, at + 4_000_000, kindTransfer}, transfer: transferRecord{
			sender: carol, receiver: ann, amount: 10, fee: 2, key: "lunch",
			from: party{chain.Link{Prev: 13, Jump: 13, Ordinal: 2}, 38}, to: party{chain.Link{Prev: 3, Jump: 3, Ordinal: 2}, 310},
			pool:   party{chain.Link{Ordinal: 1}, 2},
			signed: signedPart{version: 1, maxFee: 2, notAfter: at + 60_000_000, signature: signature.Bytes}}},
		{header: header{15, at + 5_000_000, kindKey}, body: &keyRecord{account: carol, ends: 1, key: secondPublic, old: old, new: fresh}},
		{header: header{16, day * microsPerDay, kindStipend}, body: &stipendRecord{
			day: day, before: 15, rules: stipendTerms{Window: 7, MinAge: 1}, payees: 1, funds: 2, share: 2,
			hash: hashPayees([]uuid.UUID{carol})}},
		{header: header{17, day*microsPerDay + 200, kindTransfer}, transfer: transferRecord{
			sender: feeAccount, receiver: carol, amount: 2,
			from: party{chain.Link{Prev: 14, Jump: 14, Ordinal: 2}, 0}, to: party{chain.Link{Prev: 14, Jump: 0, Ordinal: 3}, 40}}},
	}
}

// TestFormatDocument holds docs/format.md to the codec: each example record's
// bytes are there, in lines of 16.
func TestFormatDocument(t *testing.T) {
	doc, err := os.ReadFile("docs/format.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range exampleRecords() {
		b := appendRecord(nil, &r)
		var want strings.Builder
		for line := range slices.Chunk(b, 16) {
			fmt.Fprintf(&want, "%s\n", strings.TrimSpace(fmt.Sprintf("% x", line)))
		}
		if !strings.Contains(string(doc), want.String()) {
			t.Errorf("docs/format.md has not the bytes of record %d:\n%s", r.position, want.String())
		}
	}
}

func TestRecordsComeBack(t *testing.T) {
	for _, want := range exampleRecords() {
		b := appendRecord(nil, &want)
		var got record
		if err := decodeRecord(&got, want.position, b); err != nil {
			t.Fatalf("record %d: %v", want.position, err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("record %d: got %+v, want %+v", want.position, got, want)
		}
		for at := range b {
			for bit := range 8 {
				bad := bytes.Clone(b)
				bad[at] ^= 1 << bit
				if err := decodeRecord(&got, want.position, bad); err == nil {
					t.Errorf("record %d with bit %d of byte %d flipped: got no error", want.position, bit, at)
				}
			}
			if err := decodeRecord(&got, want.position, b[:at]); !errors.Is(err, store.ErrCorrupt) {
				t.Errorf("record %d cut to %d bytes: got %v, want ErrCorrupt", want.position, at, err)
			}
		}
		if err := decodeRecord(&got, want.position+1, b); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("record %d in the place of the next: got %v, want ErrCorrupt", want.position, err)
		}
	}
}

// reseal gives a record's bytes the checksum that they should have.
func reseal(position uint64, b []byte) []byte {
	binary.BigEndian.PutUint32(b[crcOffset:], recordCRC(position, b))
	return b
}

// TestRecordsOfOneMeaning has bytes with a right checksum that say something
// no record says, or say it in another way than the encoder.
func TestRecordsOfOneMeaning(t *testing.T) {
	transfer := exampleRecords()[2]
	change := func(f func(*record)) []byte {
		r := transfer
		f(&r)
		return appendRecord(nil, &r)
	}
	plain := appendRecord(nil, &transfer)
	amountAt := recordHeader + 32
	longer := slices.Concat(plain[:amountAt], []byte{0xac, 0x82, 0x00}, plain[amountAt+2:])
	later := bytes.Clone(plain)
	later[1] += 2
	unknown := bytes.Clone(plain)
	unknown[0] = 99
	for name, tt := range map[string]struct {
		b    []byte
		want error
	}{
		"amount 0":             {change(func(r *record) { r.transfer.amount = 0 }), store.ErrCorrupt},
		"amount over supply":   {change(func(r *record) { r.transfer.amount = maxCoins + 1 }), store.ErrCorrupt},
		"funds over supply":    {change(func(r *record) { r.transfer.to.funds = maxCoins + 1 }), store.ErrCorrupt},
		"sender is receiver":   {change(func(r *record) { r.transfer.receiver = r.transfer.sender }), store.ErrCorrupt},
		"ordinal 0":            {change(func(r *record) { r.transfer.to.Ordinal = 0 }), store.ErrCorrupt},
		"ordinal 2, no link":   {change(func(r *record) { r.transfer.to.Ordinal = 2 }), store.ErrCorrupt},
		"link before 1":        {change(func(r *record) { r.transfer.to.Link = chain.Link{Prev: ^uint64(0), Jump: 0, Ordinal: 2} }), store.ErrCorrupt},
		"a key with a space":   {change(func(r *record) { r.transfer.key = "a b" }), store.ErrCorrupt},
		"a time after 9999":    {change(func(r *record) { r.time = wire.MaxTime + 1 }), store.ErrCorrupt},
		"a longer number":      {reseal(3, longer), store.ErrCorrupt},
		"a byte too many":      {reseal(3, append(bytes.Clone(plain), 0)), store.ErrCorrupt},
		"a later version":      {reseal(3, later), store.ErrNewerFormat},
		"a kind not yet known": {reseal(3, unknown), store.ErrNewerFormat},
	} {
		var r record
		if err := decodeRecord(&r, 3, tt.b); !errors.Is(err, tt.want) {
			t.Errorf("%s: got error %v, want %v", name, err, tt.want)
		}
	}
}

// FuzzRecord checks that whatever decodes encodes to the same bytes, and that
// nothing makes the decoder panic. Bytes get the right checksum first, or
// nothing would get past it.
func FuzzRecord(f *testing.F) {
	for _, r := range exampleRecords() {
		f.Add(r.position, appendRecord(nil, &r))
	}
	f.Add(uint64(0), []byte{})
	f.Add(^uint64(0), bytes.Repeat([]byte{0xff}, 100))
	f.Fuzz(func(t *testing.T, position uint64, b []byte) {
		b = bytes.Clone(b)
		if len(b) >= recordHeader {
			reseal(position, b)
		}
		var r record
		if position == 0 || position > wire.MaxPosition || decodeRecord(&r, position, b) != nil {
			return
		}
		if again := appendRecord(nil, &r); !bytes.Equal(again, b) {
			t.Fatalf("got %s, want %s", hex.EncodeToString(again), hex.EncodeToString(b))
		}
	})
}

// FuzzRows does the same for the rows of Folds.
func FuzzRows(f *testing.F) {
	acct := account{state: state{id: DefaultSeedAccount(), created: seedCreated, asOf: 9, funds: 7, count: 4},
		tokens: []tokenRef{{position: 3, expires: 10}}}
	acct.setRoots([]uint64{5, 9})
	key := acct.id
	other := account{state: state{id: uuid.UUID{1}, created: 5, asOf: 2}}
	f.Add(byte(0), accountRowForTest(lastAccount[:], other, acct))
	keys := []keyEntry{{7, 5}, {7, 9}, {9, 300}}
	f.Add(byte(1), keyRowForTest(keys))
	f.Add(byte(2), wire.AppendRow(nil, key[:], appendTokenRow(nil, tokenRow{position: 5, expires: 6})))
	f.Add(byte(2), wire.AppendRow(nil, key[:], appendTokenRow(nil, tokenRow{position: 5, expires: 6, invite: true})))
	f.Add(byte(3), wire.AppendRow(nil, stateKey, appendStateRow(nil, 8, &books{position: 9, time: 5, accounts: 2, opened: []uint64{1, 2}})))
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

// TestIDs takes ids of records apart again, and others not.
func TestIDs(t *testing.T) {
	for _, tt := range []struct {
		micros   int64
		position uint64
	}{{0, 1}, {1_660_569_863_136_285, 3}, {wire.MaxTime, wire.MaxPosition}} {
		id := idAt(tt.micros, tt.position)
		if id.Version() != 7 || id.Variant() != uuid.RFC4122 {
			t.Errorf("%s: got version %v, variant %v, want 7 and that of RFC 4122", id, id.Version(), id.Variant())
		}
		micros, position, ok := positionOf(id)
		if !ok || micros != tt.micros || position != tt.position {
			t.Errorf("%s: got %d, %d, %v, want %d, %d", id, micros, position, ok, tt.micros, tt.position)
		}
	}
	for _, id := range []uuid.UUID{{}, DefaultSeedAccount(), idAt(5, 0), uuid.MustParse("0182a1ad-43e0-73e8-8000-000000000005")} {
		if _, _, ok := positionOf(id); ok {
			t.Errorf("%s: got a position, want none", id)
		}
	}
}
