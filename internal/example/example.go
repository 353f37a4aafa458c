// Package example has the small journal that the documents show, with a record of each
// kind, and rows of Folds, for tests of all rooms.
//
// It knows nothing that is done with records, rows and what is signed. Only
// tests may call it. It has no locks.
package example

import (
	"crypto/ed25519"
	"crypto/sha256"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/chain"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/internal/sign"
)

// seedAccount is the library's default.
var seedAccount = uuid.MustParse("4e9b616a-f11e-48b6-8c2f-9534d482e48e")

// Records are the records that docs/format.md shows: a small journal.
func Records() []record.Record {
	seed := seedAccount
	ann := uuid.MustParse("0b8e4d5a-2f6c-4a71-9d3e-5c1f7a8b9e02")
	const at = 1_660_569_863_136_285 // 2022-08-15T13:24:23.136285Z
	tok := record.Token{Position: 4, Time: at + 2_000_000, Account: ann, Label: "phone", Expires: at + 2_592_002_000_000}
	copy(tok.Selector[:], "selector of 16 B")
	copy(tok.Tag[:], "tag of 8")
	copy(tok.Hash[:], "$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy")
	bob := uuid.MustParse("5d1f3c2b-8a47-4e60-b9d8-2c6e0f4a7b13")
	bobs := tok
	bobs.Position, bobs.Time, bobs.Account, bobs.Label, bobs.Expires = 8, at+5_000_000, bob, "", at+2_592_005_000_000
	copy(bobs.Selector[:], "another selector")
	inv := record.Invite{Position: 6, Time: at + 4_000_000, Expires: at + 2_592_004_000_000, Label: "Bob"}
	inv.Hash = sha256.Sum256([]byte("capycoin invite v1\x00MFRGGZDFMZTWQ2LKNNWG23TPOA"))
	records := []record.Record{
		{Header: record.Header{Position: 1, Time: at, Kind: record.KindGenesis}, Body: &record.Genesis{
			Ledger: uuid.MustParse("7c9e6679-7425-40de-944b-e07fc1f90ae7"), Supply: 100_000, Seed: seed}},
		{Header: record.Header{Position: 2, Time: at + 1_000_000, Kind: record.KindAccount}, Body: &record.Account{ID: ann, Link: chain.Link{Prev: 1, Jump: 1, Ordinal: 2}}},
		{Header: record.Header{Position: 3, Time: at + 1_500_000, Kind: record.KindTransfer}, Transfer: record.Transfer{
			Sender: seed, Receiver: ann, Amount: 300, Key: "welcome-1",
			From: record.Party{Link: chain.Link{Ordinal: 1}, Funds: 99_700}, To: record.Party{Link: chain.Link{Ordinal: 1}, Funds: 300}}},
		{Header: record.Header{Position: 4, Time: at + 2_000_000, Kind: record.KindToken}, Body: &tok},
		{Header: record.Header{Position: 5, Time: at + 3_000_000, Kind: record.KindRevocation}, Body: &record.Revocation{Account: ann, Token: 4}},
		{Header: record.Header{Position: 6, Time: at + 4_000_000, Kind: record.KindInvite}, Body: &inv},
		{Header: record.Header{Position: 7, Time: at + 5_000_000, Kind: record.KindAccount}, Body: &record.Account{ID: bob, Link: chain.Link{Prev: 2, Ordinal: 3}}},
		{Header: record.Header{Position: 8, Time: at + 5_000_000, Kind: record.KindToken}, Body: &bobs},
		{Header: record.Header{Position: 9, Time: at + 5_000_000, Kind: record.KindInviteEnd}, Body: &record.InviteEnd{Invite: 6, Account: bob}},
	}
	return append(records, rules(records)...)
}

// Key is a private key for examples.
func Key(name string) (ed25519.PrivateKey, [ed25519.PublicKeySize]byte) {
	seed := sha256.Sum256([]byte(name))
	key := ed25519.NewKeyFromSeed(seed[:])
	return key, [ed25519.PublicKeySize]byte(key.Public().(ed25519.PublicKey))
}

// rules are the records that follow: an account with a key, a fee, and the
// stipend that it comes back as.
func rules(before []record.Record) []record.Record {
	ledger, seed, ann, bob := before[0].Body.(*record.Genesis).Ledger, before[0].Body.(*record.Genesis).Seed, before[1].Body.(*record.Account).ID, before[6].Body.(*record.Account).ID
	carol := uuid.MustParse("c3a1e0d4-9b6f-4f28-8f57-1d2b3c4e5f60")
	first, firstPublic := Key("the first key of Carol")
	second, secondPublic := Key("the second key of Carol")
	at := before[8].Time
	notAfter := int64(at + 60_000_000)
	signature := [ed25519.SignatureSize]byte(ed25519.Sign(first, sign.AppendTransfer(nil, ledger, 1, carol, ann, 10, 2, notAfter, "lunch")))
	change := sign.AppendKeyChange(nil, ledger, carol, 1, secondPublic)
	old := [ed25519.SignatureSize]byte(ed25519.Sign(first, change))
	fresh := [ed25519.SignatureSize]byte(ed25519.Sign(second, change))
	day := record.DayOf(at) + 2
	return []record.Record{
		{Header: record.Header{Position: 10, Time: at + 1_000_000, Kind: record.KindAccount}, Body: &record.Account{ID: carol, Key: firstPublic, Link: chain.Link{Prev: 7, Jump: 7, Ordinal: 4}}},
		{Header: record.Header{Position: 11, Time: at + 2_000_000, Kind: record.KindAccount}, Body: &record.Account{ID: record.FeeAccount, Link: chain.Link{Prev: 10, Jump: 10, Ordinal: 5}}},
		{Header: record.Header{Position: 12, Time: at + 2_000_000, Kind: record.KindFeePolicy}, Body: &record.FeePolicy{Flat: 1, BasisPoints: 25, Max: 20, Exempt: []uuid.UUID{bob}}},
		{Header: record.Header{Position: 13, Time: at + 3_000_000, Kind: record.KindTransfer}, Transfer: record.Transfer{
			Sender: seed, Receiver: carol, Amount: 50,
			From: record.Party{Link: chain.Link{Prev: 3, Jump: 3, Ordinal: 2}, Funds: 99_650}, To: record.Party{Link: chain.Link{Ordinal: 1}, Funds: 50}}},
		{Header: record.Header{Position: 14, Time: at + 4_000_000, Kind: record.KindTransfer}, Transfer: record.Transfer{
			Sender: carol, Receiver: ann, Amount: 10, Fee: 2, Key: "lunch",
			From: record.Party{Link: chain.Link{Prev: 13, Jump: 13, Ordinal: 2}, Funds: 38}, To: record.Party{Link: chain.Link{Prev: 3, Jump: 3, Ordinal: 2}, Funds: 310},
			Pool:   record.Party{Link: chain.Link{Ordinal: 1}, Funds: 2},
			Signed: record.Signed{Version: 1, MaxFee: 2, NotAfter: notAfter, Signature: signature}}},
		{Header: record.Header{Position: 15, Time: at + 5_000_000, Kind: record.KindKeyChange}, Body: &record.KeyChange{Account: carol, Ends: 1, Key: secondPublic, Old: old, New: fresh}},
		{Header: record.Header{Position: 16, Time: day * record.MicrosPerDay, Kind: record.KindStipend}, Body: &record.Stipend{
			Day: day, Before: 15, Rules: record.StipendRules{Window: 7, MinAge: 1}, Payees: 1, Funds: 2, Share: 2,
			Hash: record.HashPayees([]uuid.UUID{carol})}},
		{Header: record.Header{Position: 17, Time: day*record.MicrosPerDay + 200, Kind: record.KindTransfer}, Transfer: record.Transfer{
			Sender: record.FeeAccount, Receiver: carol, Amount: 2,
			From: record.Party{Link: chain.Link{Prev: 14, Jump: 14, Ordinal: 2}, Funds: 0}, To: record.Party{Link: chain.Link{Prev: 14, Jump: 0, Ordinal: 3}, Funds: 40}}},
	}
}
