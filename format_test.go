package capycoin_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	bolt "go.etcd.io/bbolt"

	"github.com/capycoin/capycoin"
)

// oldFormat is a file in testdata and what was written into it. It is as a
// killed process left it: rows up to some record, a longer journal, and nothing
// that a later version may change in it.
type oldFormat struct {
	name    string
	folded  uint64 // right after opening: of format 1 the rows are made anew
	supply  capycoin.Supply
	account string // whose newest page is looked at:
	newest  []capycoin.Transaction
	keyed   capycoin.Transfer // paid in record
	record  uint64
	token   string // of owner
	owner   string
	revoked string
}

var oldFormats = []oldFormat{
	{
		name: "format1.db", folded: 0,
		supply:  capycoin.Supply{Supply: 1_000_000, SeedFunds: 960_000, Accounts: 42, Transactions: 440, Position: 485},
		account: "fd015475-7490-4f2d-87fb-48f6b8713425",
		newest:  []capycoin.Transaction{{Position: 457, FundsAfter: 1010}, {Position: 446, Key: "order-360", FundsAfter: 1008}, {Position: 417, FundsAfter: 1009}},
		keyed:   capycoin.Transfer{Sender: uuid.MustParse("fd015475-7490-4f2d-87fb-48f6b8713425"), Receiver: uuid.MustParse("94f36afe-f1fc-4a38-858a-c8c5f456fa6d"), Amount: 1, Key: "order-360"}, record: 446,
		token:   "93BD884FF2FF363F6D20CE04F5631D466E5A3CF1347DB65AD9730324F6B98C81A87394C2FD14027BE561FA59C7FFAEB3AA5B6B27F4914D821A824824BFC73582702B19E37AC1AFBD2C66FF98F33F1439AC1E7CD58303B1DC8517CC40F40529DF7CF45AA8CEF3DE01EC9B744986DFB9A2D1180C0AFF85E242C0660AF9306783F5",
		owner:   "00a19e72-4bde-4124-8610-3446cbaf782a",
		revoked: "22A7C81F84626B768A5A13A0A7F34474AEC218F25180257E3EE28800CB3B3DC9A70D601F35715E28D98B6943A5A04FCE36209BC2B3F16D076479FC77D7E27DE853FE2F895ED390216F9311C0EB48243774884576297630253D9121A1F0F543FDCE0F44B19751FE001ACB3C655FF725845461AF71B970D406314C5773161519C6",
	},
	{
		name: "format2.db", folded: 583,
		supply:  capycoin.Supply{Supply: 2_000_000, SeedFunds: 1_992_230, Accounts: 32, Transactions: 600, Position: 636},
		account: "53255fc9-eb07-4c74-ab04-562d1d86f2c6",
		newest:  []capycoin.Transaction{{Position: 629, Key: "order-592", FundsAfter: 276}, {Position: 611, FundsAfter: 273}, {Position: 598, FundsAfter: 274}},
		keyed:   capycoin.Transfer{Sender: uuid.MustParse("5f089574-d99b-4bc1-a641-b7da736cf1c9"), Receiver: uuid.MustParse("2397107f-b152-4bff-9cb3-918dc24e4100"), Amount: 2, Key: "order-596"}, record: 633,
		token:   "77A42CD30DADAD48381F39DC15DA72BF918FD022E866F948339C7F5B61F7448E401B5C63E968E8A666F3F57D6D4FD67B2D133CCE39490EDA17BBEBFE6057E33E6640B99315408F5C341BD73C57005AF2E8225B84690AD9361E5B8B519A2118B94CCFE29D0D23ACF0AF75A2E98A577A51754A548A5AB10AAD75E04AA5483CC6FE",
		owner:   "2e2dafbb-f192-49ea-9a59-ecc63c74f0fb",
		revoked: "EEBB76CF5AD21C4A8FA79B42B5F553C9BB4303959B1AA93035EA7A58AA4935BEAC2F13820F58B2F6876D4496977CDCB2ADCDC7098CDC7A16A49E9B8F13741DC6DD314CE60DCE7BE80B41C0DCFB2C8F1A7907CCFACB2CD86E5F072D64465F1CEE3300AE567412417C33444A3C166CF5F64FA9835351FCA59456A6C5F74D2B315C",
	},
}

// oldFile unpacks a file of an earlier format.
func oldFile(t *testing.T, name string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, unpack(t, filepath.Join("testdata", name+".gz")), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestOldFormats opens a file of every format there has been and finds in it
// what was written, twice: the first time may have brought it up to date.
func TestOldFormats(t *testing.T) {
	for _, f := range oldFormats {
		t.Run(f.name, func(t *testing.T) {
			path := oldFile(t, f.name)
			for range 2 {
				checkOldFile(t, path)
				checkFormat(t, path, 4)
			}
			led, err := capycoin.Open(oldFile(t, f.name), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer led.Close()
			if got := led.Stats().FoldPosition; got != f.folded {
				t.Errorf("when it is opened its rows are right up to record %d, want %d", got, f.folded)
			}
		})
	}
}

// checkOldFile opens an unpacked file of testdata, and finds in it what was
// written.
func checkOldFile(t *testing.T, path string) {
	t.Helper()
	ctx := context.Background()
	f := oldFormats[slices.IndexFunc(oldFormats, func(f oldFormat) bool { return f.name == filepath.Base(path) })]
	clock := func() time.Time { return time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC) }
	led, err := capycoin.Open(path, &capycoin.Options{Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	defer led.Close()
	if rep, err := led.Audit(ctx, nil); err != nil || rep.Err() != nil {
		t.Errorf("audit: %v, %v", err, rep.Err())
	}
	want := f.supply
	s, err := led.Supply(ctx)
	want.LedgerID, want.SeedAccount, want.Circulating, want.Time = s.LedgerID, s.SeedAccount, want.Supply-want.SeedFunds, s.Time
	if err != nil || s != want {
		t.Errorf("supply: %+v, %v, want %+v", s, err, want)
	}
	page, err := led.TransactionPage(ctx, uuid.MustParse(f.account), capycoin.Range{Limit: 3, Order: capycoin.NewestFirst})
	if err != nil || len(page.Transactions) != 3 {
		t.Fatalf("newest page: %+v, %v", page, err)
	}
	for i, want := range f.newest {
		got := page.Transactions[i]
		if got.Position != want.Position || got.Key != want.Key || got.FundsAfter != want.FundsAfter {
			t.Errorf("newest page: %+v, want %+v", got, want)
		}
	}
	rcpt, err := led.Transfer(ctx, f.keyed)
	if err != nil || !rcpt.Replayed || rcpt.Position != f.record {
		t.Errorf("key %s: %+v, %v", f.keyed.Key, rcpt, err)
	}
	iss, err := capycoin.NewTokenIssuer(led, nil)
	if err != nil {
		t.Fatal(err)
	}
	if tok, err := iss.Verify(ctx, f.token); err != nil || tok.Account.String() != f.owner {
		t.Errorf("token: %v, %v", tok, err)
	}
	if _, err := iss.Verify(ctx, f.revoked); !errors.Is(err, capycoin.ErrInvalidToken) {
		t.Errorf("revoked token: %v", err)
	}
}

// checkFormat looks at a file's format number.
func checkFormat(t *testing.T, path string, want byte) {
	t.Helper()
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: time.Second, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.View(func(tx *bolt.Tx) error {
		if v := tx.Bucket([]byte("meta")).Get([]byte("format")); len(v) != 16 || v[11] != want {
			return fmt.Errorf("the format is %x, want %d", v, want)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
