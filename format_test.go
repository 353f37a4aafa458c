package capycoin_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
)

// The files in testdata are as a killed process left them: rows up to record
// 448, a journal of 485, and nothing that a later version may change in it.
const (
	formatToken   = "93BD884FF2FF363F6D20CE04F5631D466E5A3CF1347DB65AD9730324F6B98C81A87394C2FD14027BE561FA59C7FFAEB3AA5B6B27F4914D821A824824BFC73582702B19E37AC1AFBD2C66FF98F33F1439AC1E7CD58303B1DC8517CC40F40529DF7CF45AA8CEF3DE01EC9B744986DFB9A2D1180C0AFF85E242C0660AF9306783F5"
	formatRevoked = "22A7C81F84626B768A5A13A0A7F34474AEC218F25180257E3EE28800CB3B3DC9A70D601F35715E28D98B6943A5A04FCE36209BC2B3F16D076479FC77D7E27DE853FE2F895ED390216F9311C0EB48243774884576297630253D9121A1F0F543FDCE0F44B19751FE001ACB3C655FF725845461AF71B970D406314C5773161519C6"
)

// oldFile unpacks a file of an earlier format.
func oldFile(t *testing.T, name string) (path string) {
	t.Helper()
	packed, err := os.ReadFile(filepath.Join("testdata", name+".gz"))
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestOldFormats opens a file of every format there has been and finds in it
// what was written, twice: the first time may have brought it up to date.
func TestOldFormats(t *testing.T) {
	for _, name := range []string{"format1.db"} {
		t.Run(name, func(t *testing.T) {
			path := oldFile(t, name)
			for range 2 {
				checkOldFile(t, path)
			}
		})
	}
}

func checkOldFile(t *testing.T, path string) {
	t.Helper()
	ctx := context.Background()
	clock := func() time.Time { return time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC) }
	led, err := capycoin.Open(path, &capycoin.Options{Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	defer led.Close()
	if rep, err := led.Audit(ctx, nil); err != nil || rep.Err() != nil {
		t.Errorf("audit: %v, %v", err, rep.Err())
	}
	s, err := led.Supply(ctx)
	if err != nil || s.Supply != 1_000_000 || s.SeedFunds != 960_000 || s.Accounts != 42 || s.Transactions != 440 || s.Position != 485 {
		t.Errorf("supply: %+v, %v", s, err)
	}
	first := uuid.MustParse("fd015475-7490-4f2d-87fb-48f6b8713425")
	page, err := led.TransactionPage(ctx, first, capycoin.Range{Limit: 3, Order: capycoin.NewestFirst})
	if err != nil || len(page.Transactions) != 3 || page.Transactions[0].Position != 457 ||
		page.Transactions[1].Key != "order-360" || page.Transactions[2].FundsAfter != 1009 {
		t.Errorf("newest page: %+v, %v", page, err)
	}
	for _, k := range []struct {
		key      string
		to       string
		amount   capycoin.Coins
		position uint64
	}{
		{"order-360", "94f36afe-f1fc-4a38-858a-c8c5f456fa6d", 1, 446},
	} {
		rcpt, err := led.Transfer(ctx, capycoin.Transfer{Sender: first, Receiver: uuid.MustParse(k.to), Amount: k.amount, Key: k.key})
		if err != nil || !rcpt.Replayed || rcpt.Position != k.position {
			t.Errorf("key %s: %+v, %v", k.key, rcpt, err)
		}
	}
	iss, err := capycoin.NewTokenIssuer(led, nil)
	if err != nil {
		t.Fatal(err)
	}
	if tok, err := iss.Verify(ctx, formatToken); err != nil || tok.Account.String() != "00a19e72-4bde-4124-8610-3446cbaf782a" {
		t.Errorf("token: %v, %v", tok, err)
	}
	if _, err := iss.Verify(ctx, formatRevoked); !errors.Is(err, capycoin.ErrInvalidToken) {
		t.Errorf("revoked token: %v", err)
	}
}
