package capycoin_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/chain"
	"github.com/capycoin/capycoin/internal/example"
	"github.com/capycoin/capycoin/internal/keyindex"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/internal/wire"
	"github.com/capycoin/capycoin/store"
)

// exampleFile makes a ledger of records.
func exampleFile(t *testing.T, records []record.Record) (path string, err error) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "coins.db")
	_, err = capycoin.Build(context.Background(), path, pageOf(records), nil)
	return path, err
}

// resign signs record 14 as it is now, by a key.
func resign(t *testing.T, r []record.Record, key ed25519.PrivateKey) {
	t.Helper()
	tr := &r[13].Transfer
	maxFee := capycoin.Coins(tr.Signed.MaxFee)
	pay := capycoin.Transfer{Sender: tr.Sender, Receiver: tr.Receiver, Amount: capycoin.Coins(tr.Amount), Key: tr.Key, MaxFee: &maxFee}
	s, err := capycoin.SignTransfer(r[0].Body.(*record.Genesis).Ledger, tr.Signed.Version, pay, wire.TimeOf(tr.Signed.NotAfter), key)
	if err != nil {
		t.Fatal(err)
	}
	tr.Signed.Signature = s.Bytes
}

// TestAuditFindsForgedRules has journals in which all adds up and each checksum is
// right, but coins were moved by the wrong hand, for another fee, or to others than
// the stipend is for: whoever can write the file can write that. The audit finds it.
func TestAuditFindsForgedRules(t *testing.T) {
	if _, err := exampleFile(t, example.Records()); err != nil {
		t.Fatalf("the examples make no ledger: %v", err)
	}
	first, _ := example.Key("the first key of Carol")
	mallory, malloryPublic := example.Key("Mallory")
	day := record.MicrosPerDay
	for name, tt := range map[string]struct {
		forge    func(t *testing.T, r []record.Record)
		kind     string
		position uint64
		says     string
	}{
		"a bit of a signature": {func(t *testing.T, r []record.Record) { r[13].Transfer.Signed.Signature[40] ^= 1 }, capycoin.FaultSignature, 14, "not signed by its key"},
		"another's signature":  {func(t *testing.T, r []record.Record) { resign(t, r, mallory) }, capycoin.FaultSignature, 14, "not signed by its key"},
		"no signature":         {func(t *testing.T, r []record.Record) { r[13].Transfer.Signed = record.Signed{} }, capycoin.FaultSignature, 14, "(0: not signed)"},
		"a later version": {func(t *testing.T, r []record.Record) {
			r[13].Transfer.Signed.Version = 2
			resign(t, r, first)
		}, capycoin.FaultSignature, 14, "by version 2 of its key"},
		"a coin more": {func(t *testing.T, r []record.Record) {
			tr := &r[13].Transfer
			tr.Amount, tr.From.Funds, tr.To.Funds = 11, 37, 311
			r[16].Transfer.To.Funds = 39
		}, capycoin.FaultSignature, 14, "not signed by its key"},
		"another key than was signed": {func(t *testing.T, r []record.Record) { r[13].Transfer.Key = "dinner" }, capycoin.FaultSignature, 14, "not signed by its key"},
		"a higher fee allowed":        {func(t *testing.T, r []record.Record) { r[13].Transfer.Signed.MaxFee = 3 }, capycoin.FaultSignature, 14, "not signed by its key"},
		"more time":                   {func(t *testing.T, r []record.Record) { r[13].Transfer.Signed.NotAfter++ }, capycoin.FaultSignature, 14, "not signed by its key"},
		"too late": {func(t *testing.T, r []record.Record) {
			r[13].Transfer.Signed.NotAfter = r[13].Time - 1
			resign(t, r, first)
		}, capycoin.FaultSignature, 14, "was to be made until"},
		"a day and a microsecond early": {func(t *testing.T, r []record.Record) {
			r[13].Transfer.Signed.NotAfter = r[13].Time + day + 1
			resign(t, r, first)
		}, capycoin.FaultSignature, 14, "was to be made until"},
		"signed without a key": {func(t *testing.T, r []record.Record) {
			s := r[13].Transfer.Signed
			r[12].Transfer.Signed, r[12].Transfer.Key = s, "x"
		}, capycoin.FaultSignature, 13, "it has no key"},
		"a small-order key": {func(t *testing.T, r []record.Record) { r[9].Body.(*record.Account).Key = capycoin.PublicKey{1} }, capycoin.FaultSignature, 10, "its key: "},
		"an account without its key": {func(t *testing.T, r []record.Record) { r[9].Body.(*record.Account).Key = capycoin.PublicKey{} }, capycoin.FaultSignature, 14,
			"it has no key, and a transfer that is said to be signed"},
		"a change not by the old key": {func(t *testing.T, r []record.Record) { r[14].Body.(*record.KeyChange).Old[0] ^= 1 }, capycoin.FaultSignature, 15, "by the old one, is not signed"},
		"a change not by the new key": {func(t *testing.T, r []record.Record) { r[14].Body.(*record.KeyChange).New[0] ^= 1 }, capycoin.FaultSignature, 15, "by the new one, is not signed"},
		"a change to another's key":   {func(t *testing.T, r []record.Record) { r[14].Body.(*record.KeyChange).Key = malloryPublic }, capycoin.FaultSignature, 15, "is not signed by its key"},
		"a change of another version": {func(t *testing.T, r []record.Record) { r[14].Body.(*record.KeyChange).Ends = 2 }, capycoin.FaultSignature, 15, "version 2 of its key is changed, it has version 1"},
		"a change where there is no key": {func(t *testing.T, r []record.Record) {
			r[14].Body.(*record.KeyChange).Account = r[1].Body.(*record.Account).ID
		}, capycoin.FaultSignature, 15,
			"its key is changed, and it has none"},

		"a lower fee": {func(t *testing.T, r []record.Record) {
			tr := &r[13].Transfer
			tr.Fee, tr.From.Funds, tr.Pool.Funds = 1, 39, 1
		}, capycoin.FaultFee, 14, "it pays a fee of 1, by the policy in force it is 2"},
		"a fee of an exempt one": {func(t *testing.T, r []record.Record) {
			r[11].Body.(*record.FeePolicy).Exempt = []uuid.UUID{r[1].Body.(*record.Account).ID}
		}, capycoin.FaultFee, 14, "by the policy in force it is 0"},
		"a fee of another policy":  {func(t *testing.T, r []record.Record) { r[11].Body.(*record.FeePolicy).Flat = 0 }, capycoin.FaultFee, 14, "by the policy in force it is 1"},
		"a policy over the supply": {func(t *testing.T, r []record.Record) { r[11].Body.(*record.FeePolicy).Max = 100_001 }, capycoin.FaultFee, 12, "option Max is 100001"},
		"an exempt account that is not there": {func(t *testing.T, r []record.Record) {
			r[11].Body.(*record.FeePolicy).Exempt = []uuid.UUID{uuid.MustParse("11111111-1111-4111-8111-111111111111")}
		}, capycoin.FaultAccount, 12, "never opened"},
		"an account exempt twice over": {func(t *testing.T, r []record.Record) {
			r[11].Body.(*record.FeePolicy).Exempt = []uuid.UUID{r[0].Body.(*record.Genesis).Seed, r[6].Body.(*record.Account).ID}
		}, capycoin.FaultFee, 12, "which it always is"},
		"no fee account": {func(t *testing.T, r []record.Record) { r[10].Body.(*record.Account).ID[0]++ }, capycoin.FaultFee, 12, "not opened right before"},
		"a fee account before its time": {func(t *testing.T, r []record.Record) {
			carols, fees := r[9].Body.(*record.Account), r[10].Body.(*record.Account)
			carols.ID, carols.Key, fees.ID = record.FeeAccount, record.NoKey, carols.ID
		}, capycoin.FaultFee, 12, "not opened right before the first fee policy"},
		"a fee that the fee account lacks": {func(t *testing.T, r []record.Record) { r[13].Transfer.Pool.Funds = 1 }, capycoin.FaultFunds, 14, "it has 1 after it, should have 2"},
		"a fee outside of the chain": {func(t *testing.T, r []record.Record) {
			r[13].Transfer.Pool.Link = chain.Link{Prev: 12, Jump: 12, Ordinal: 2}
		}, capycoin.FaultChain, 14,
			"should be by record 0 and 0 as its 1-th"},

		"other payees": {func(t *testing.T, r []record.Record) { r[15].Body.(*record.Stipend).Hash[0] ^= 1 }, capycoin.FaultStipend, 16, "for 1 others"},
		"more payees": {func(t *testing.T, r []record.Record) {
			r[15].Body.(*record.Stipend).Payees, r[15].Body.(*record.Stipend).Share = 2, 1
		}, capycoin.FaultStipend, 16, "for 2 accounts"},
		"another record": {func(t *testing.T, r []record.Record) { r[15].Body.(*record.Stipend).Before = 14 }, capycoin.FaultStipend, 16, "the last one before its day is 15"},
		"more coins": {func(t *testing.T, r []record.Record) {
			r[15].Body.(*record.Stipend).Funds, r[15].Body.(*record.Stipend).Share = 3, 3
		}, capycoin.FaultStipend, 16, "which is not what the fee account has"},
		"a shorter window":      {func(t *testing.T, r []record.Record) { r[15].Body.(*record.Stipend).Rules.Window = 1 }, capycoin.FaultStipend, 16, "by the journal it is for 0 others"},
		"a higher age":          {func(t *testing.T, r []record.Record) { r[15].Body.(*record.Stipend).Rules.MinAge = 2 }, capycoin.FaultStipend, 16, "by the journal it is for 0 others"},
		"a cap over the supply": {func(t *testing.T, r []record.Record) { r[15].Body.(*record.Stipend).Rules.Cap = 100_001 }, capycoin.FaultStipend, 16, "its cap is 100001"},
		"a payment to another": {func(t *testing.T, r []record.Record) { r[16].Transfer.Receiver = r[6].Body.(*record.Account).ID }, capycoin.FaultStipend, 17,
			"which is not payment 1 of the stipend of record 16"},
		"a payment under a key":   {func(t *testing.T, r []record.Record) { r[16].Transfer.Key = "mine" }, capycoin.FaultStipend, 17, "which is not payment 1"},
		"a payment of less":       {func(t *testing.T, r []record.Record) { r[16].Transfer.Amount = 1 }, capycoin.FaultStipend, 17, "it pays 1 to account"},
		"a payment of no stipend": {func(t *testing.T, r []record.Record) { r[12].Transfer.Sender = record.FeeAccount }, capycoin.FaultStipend, 13, "though no stipend is due"},
	} {
		t.Run(name, func(t *testing.T) {
			good, forged := example.Records(), example.Records()
			path, err := exampleFile(t, good)
			if err != nil {
				t.Fatal(err)
			}
			tt.forge(t, forged)
			w := &auditWorld{path: path}
			for i := range forged {
				if !reflect.DeepEqual(forged[i], good[i]) {
					w.rawRecord(t, good[i].Position, func([]byte) []byte { return record.Append(nil, &forged[i]) })
				}
			}
			led, err := capycoin.Open(path, &capycoin.Options{NoWitness: true})
			if err != nil {
				t.Fatal(err)
			}
			defer led.Close()
			rep, err := led.Audit(context.Background(), nil)
			if err != nil {
				t.Fatal(err)
			}
			found := false
			for _, f := range rep.Faults {
				found = found || f.Kind == tt.kind && f.Position == tt.position && strings.Contains(f.Detail, tt.says)
			}
			if !found {
				t.Errorf("got faults %v, want one of kind %q of record %d: %s", rep.Faults, tt.kind, tt.position, tt.says)
			}
			// The ledger that is made of such a journal does not come to be.
			if _, err := exampleFile(t, forged); !errors.Is(err, store.ErrCorrupt) {
				t.Errorf("a file is made of it: %v", err)
			}
		})
	}
}

// TestForgedEnds is about records that come after all others.
func TestForgedEnds(t *testing.T) {
	first, _ := example.Key("the first key of Carol")
	for name, tt := range map[string]struct {
		forge func(t *testing.T, r []record.Record) []record.Record
		says  string
	}{
		"an old key's transfer": {func(t *testing.T, r []record.Record) []record.Record {
			again := r[13]
			again.Position, again.Time = 18, r[16].Time
			tr := &again.Transfer
			tr.Key, tr.Signed.NotAfter = "again", again.Time
			tr.From, tr.To = record.Party{Link: chain.Link{Prev: 17, Jump: 17, Ordinal: 4}, Funds: 28}, record.Party{Link: chain.Link{Prev: 14, Jump: 0, Ordinal: 3}, Funds: 320}
			tr.Pool = record.Party{Link: chain.Link{Prev: 17, Jump: 0, Ordinal: 3}, Funds: 2}
			r[13] = again
			resign(t, r, first)
			return append(example.Records(), r[13])
		}, "by version 1 of its key (0: not signed), it has version 2"},
		"a second stipend of the day": {func(t *testing.T, r []record.Record) []record.Record {
			again := r[15]
			again.Position, again.Time = 18, r[16].Time
			return append(r, again)
		}, "record 18 begins a stipend that can't be"},
		"a payment too many": {func(t *testing.T, r []record.Record) []record.Record {
			again := r[16]
			again.Position, again.Time, again.Transfer.From.Prev, again.Transfer.To.Prev = 18, r[16].Time, 17, 17
			return append(r, again)
		}, "record 18 takes coins from the fee account"},
		"a payment without a stipend": {func(t *testing.T, r []record.Record) []record.Record {
			r[16].Position, r[16].Time = 16, r[14].Time
			return append(r[:15], r[16])
		}, "record 16 takes coins from the fee account"},
		"a stipend before the last is paid": {func(t *testing.T, r []record.Record) []record.Record {
			again := r[15]
			s := *again.Body.(*record.Stipend)
			s.Day, s.Before = s.Day+1, 16
			again.Position, again.Time, again.Body = 17, again.Time+record.MicrosPerDay, &s
			return append(r[:16], again)
		}, "record 17 begins a stipend that can't be"},
		"a token of the fee account": {func(t *testing.T, r []record.Record) []record.Record {
			tok := r[7]
			tok.Position, tok.Time = 18, r[16].Time
			body := *tok.Body.(*record.Token)
			body.Position, body.Time, body.Account, body.Expires = 18, tok.Time, record.FeeAccount, tok.Time+1
			body.Selector[0]++
			tok.Body = &body
			return append(r, tok)
		}, "the fee account is given a token"},
		"a fee account at the end": {func(t *testing.T, r []record.Record) []record.Record { return r[:11] }, "opened without a first fee policy"},
		"a policy without a fee account": {func(t *testing.T, r []record.Record) []record.Record {
			r[11].Position = 11
			return append(r[:10], r[11])
		}, "not opened right before the first fee policy"},
		"two changes of one version": {func(t *testing.T, r []record.Record) []record.Record {
			again := r[14]
			again.Position, again.Time = 18, r[16].Time
			return append(r, again)
		}, "record 18 changes version 1 of the key"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := exampleFile(t, tt.forge(t, example.Records())); !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, want %s", err, tt.says)
			}
		})
	}
}

// TestAuditFindsHiddenReplay has a signed payment that was made twice, within the time
// that it was signed for, and between the two one of another account, whose key was
// chosen to have the same hash in the index: it took minutes to find the pair. The two
// do not stand beside each other there.
func TestAuditFindsHiddenReplay(t *testing.T) {
	const carols, anns = "152b7e9ffd56edaf", "f62445cc8ba69760"
	r := example.Records()[:14]
	ann, bob, carol := r[1].Body.(*record.Account).ID, r[6].Body.(*record.Account).ID, r[9].Body.(*record.Account).ID
	if keyindex.HashOf(carol, carols) != keyindex.HashOf(ann, anns) {
		t.Fatal("the keys have not one hash")
	}
	key, _ := example.Key("the first key of Carol")
	r[13].Transfer.Key = carols
	resign(t, r, key)
	between := record.Record{Header: record.Header{Position: 15, Time: r[13].Time, Kind: record.KindTransfer}, Transfer: record.Transfer{
		Sender: ann, Receiver: bob, Amount: 1, Key: anns,
		From: record.Party{Link: chain.Link{Prev: 14, Ordinal: 3}, Funds: 309}, To: record.Party{Link: chain.Link{Ordinal: 1}, Funds: 1}}}
	replay := r[13]
	replay.Position = 16
	replay.Transfer.From = record.Party{Link: chain.Link{Prev: 14, Ordinal: 3}, Funds: 26}
	replay.Transfer.To = record.Party{Link: chain.Link{Prev: 15, Jump: 15, Ordinal: 4}, Funds: 319}
	replay.Transfer.Pool = record.Party{Link: chain.Link{Prev: 14, Jump: 14, Ordinal: 2}, Funds: 4}
	if _, err := exampleFile(t, append(r, between)); err != nil {
		t.Fatalf("two keys of one hash are no fault: %v", err)
	}
	_, err := exampleFile(t, append(r, between, replay))
	if err == nil || !strings.Contains(err.Error(), `record 16: account `+carol.String()+`: key: its key "`+carols+`" was that of record 14`) {
		t.Errorf("the audit says %v", err)
	}
}
