package capycoin

import (
	"context"
	"crypto/ed25519"
	"errors"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/chain"
	"github.com/capycoin/capycoin/internal/wire"
	"github.com/capycoin/capycoin/store"
)

// exampleFile makes a ledger of records.
func exampleFile(t *testing.T, records []record) (path string, err error) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "coins.db")
	_, err = Build(context.Background(), path, pageOf(records), nil)
	return path, err
}

// resign signs record 14 as it is now, by a key.
func resign(t *testing.T, r []record, key ed25519.PrivateKey) {
	t.Helper()
	tr := &r[13].transfer
	maxFee := Coins(tr.signed.maxFee)
	pay := Transfer{Sender: tr.sender, Receiver: tr.receiver, Amount: Coins(tr.amount), Key: tr.key, MaxFee: &maxFee}
	s, err := SignTransfer(r[0].body.(*genesisRecord).ledger, tr.signed.version, pay, wire.TimeOf(tr.signed.notAfter), key)
	if err != nil {
		t.Fatal(err)
	}
	tr.signed.signature = s.Bytes
}

// TestAuditFindsForgedRules has journals in which all adds up and each checksum is
// right, but coins were moved by the wrong hand, for another fee, or to others than
// the stipend is for: whoever can write the file can write that. The audit finds it.
func TestAuditFindsForgedRules(t *testing.T) {
	if _, err := exampleFile(t, exampleRecords()); err != nil {
		t.Fatalf("the examples make no ledger: %v", err)
	}
	first, _ := exampleKey("the first key of Carol")
	mallory, malloryPublic := exampleKey("Mallory")
	day := microsPerDay
	for name, tt := range map[string]struct {
		forge    func(t *testing.T, r []record)
		kind     string
		position uint64
		says     string
	}{
		"a bit of a signature": {func(t *testing.T, r []record) { r[13].transfer.signed.signature[40] ^= 1 }, FaultSignature, 14, "not signed by its key"},
		"another's signature":  {func(t *testing.T, r []record) { resign(t, r, mallory) }, FaultSignature, 14, "not signed by its key"},
		"no signature":         {func(t *testing.T, r []record) { r[13].transfer.signed = signedPart{} }, FaultSignature, 14, "(0: not signed)"},
		"a later version": {func(t *testing.T, r []record) {
			r[13].transfer.signed.version = 2
			resign(t, r, first)
		}, FaultSignature, 14, "by version 2 of its key"},
		"a coin more": {func(t *testing.T, r []record) {
			tr := &r[13].transfer
			tr.amount, tr.from.funds, tr.to.funds = 11, 37, 311
			r[16].transfer.to.funds = 39
		}, FaultSignature, 14, "not signed by its key"},
		"another key than was signed": {func(t *testing.T, r []record) { r[13].transfer.key = "dinner" }, FaultSignature, 14, "not signed by its key"},
		"a higher fee allowed":        {func(t *testing.T, r []record) { r[13].transfer.signed.maxFee = 3 }, FaultSignature, 14, "not signed by its key"},
		"more time":                   {func(t *testing.T, r []record) { r[13].transfer.signed.notAfter++ }, FaultSignature, 14, "not signed by its key"},
		"too late": {func(t *testing.T, r []record) {
			r[13].transfer.signed.notAfter = r[13].time - 1
			resign(t, r, first)
		}, FaultSignature, 14, "was to be made until"},
		"a day and a microsecond early": {func(t *testing.T, r []record) {
			r[13].transfer.signed.notAfter = r[13].time + day + 1
			resign(t, r, first)
		}, FaultSignature, 14, "was to be made until"},
		"signed without a key": {func(t *testing.T, r []record) {
			s := r[13].transfer.signed
			r[12].transfer.signed, r[12].transfer.key = s, "x"
		}, FaultSignature, 13, "it has no key"},
		"a small-order key": {func(t *testing.T, r []record) { r[9].body.(*accountRecord).key = PublicKey{1} }, FaultSignature, 10, "its key: "},
		"an account without its key": {func(t *testing.T, r []record) { r[9].body.(*accountRecord).key = PublicKey{} }, FaultSignature, 14,
			"it has no key, and a transfer that is said to be signed"},
		"a change not by the old key": {func(t *testing.T, r []record) { r[14].body.(*keyRecord).old[0] ^= 1 }, FaultSignature, 15, "by the old one, is not signed"},
		"a change not by the new key": {func(t *testing.T, r []record) { r[14].body.(*keyRecord).new[0] ^= 1 }, FaultSignature, 15, "by the new one, is not signed"},
		"a change to another's key":   {func(t *testing.T, r []record) { r[14].body.(*keyRecord).key = malloryPublic }, FaultSignature, 15, "is not signed by its key"},
		"a change of another version": {func(t *testing.T, r []record) { r[14].body.(*keyRecord).ends = 2 }, FaultSignature, 15, "version 2 of its key is changed, it has version 1"},
		"a change where there is no key": {func(t *testing.T, r []record) { r[14].body.(*keyRecord).account = r[1].body.(*accountRecord).id }, FaultSignature, 15,
			"its key is changed, and it has none"},

		"a lower fee": {func(t *testing.T, r []record) {
			tr := &r[13].transfer
			tr.fee, tr.from.funds, tr.pool.funds = 1, 39, 1
		}, FaultFee, 14, "it pays a fee of 1, by the policy in force it is 2"},
		"a fee of an exempt one": {func(t *testing.T, r []record) {
			r[11].body.(*feePolicyRecord).Exempt = []uuid.UUID{r[1].body.(*accountRecord).id}
		}, FaultFee, 14, "by the policy in force it is 0"},
		"a fee of another policy":  {func(t *testing.T, r []record) { r[11].body.(*feePolicyRecord).Flat = 0 }, FaultFee, 14, "by the policy in force it is 1"},
		"a policy over the supply": {func(t *testing.T, r []record) { r[11].body.(*feePolicyRecord).Max = 100_001 }, FaultFee, 12, "option Max is 100001"},
		"an exempt account that is not there": {func(t *testing.T, r []record) {
			r[11].body.(*feePolicyRecord).Exempt = []uuid.UUID{uuid.MustParse("11111111-1111-4111-8111-111111111111")}
		}, FaultAccount, 12, "never opened"},
		"an account exempt twice over": {func(t *testing.T, r []record) {
			r[11].body.(*feePolicyRecord).Exempt = []uuid.UUID{r[0].body.(*genesisRecord).seed, r[6].body.(*accountRecord).id}
		}, FaultFee, 12, "which it always is"},
		"no fee account": {func(t *testing.T, r []record) { r[10].body.(*accountRecord).id[0]++ }, FaultFee, 12, "not opened right before"},
		"a fee account before its time": {func(t *testing.T, r []record) {
			carols, fees := r[9].body.(*accountRecord), r[10].body.(*accountRecord)
			carols.id, carols.key, fees.id = feeAccount, noKey, carols.id
		}, FaultFee, 12, "not opened right before the first fee policy"},
		"a fee that the fee account lacks": {func(t *testing.T, r []record) { r[13].transfer.pool.funds = 1 }, FaultFunds, 14, "it has 1 after it, should have 2"},
		"a fee outside of the chain": {func(t *testing.T, r []record) { r[13].transfer.pool.Link = chain.Link{Prev: 12, Jump: 12, Ordinal: 2} }, FaultChain, 14,
			"should be by record 0 and 0 as its 1-th"},

		"other payees": {func(t *testing.T, r []record) { r[15].body.(*stipendRecord).hash[0] ^= 1 }, FaultStipend, 16, "for 1 others"},
		"more payees": {func(t *testing.T, r []record) {
			r[15].body.(*stipendRecord).payees, r[15].body.(*stipendRecord).share = 2, 1
		}, FaultStipend, 16, "for 2 accounts"},
		"another record": {func(t *testing.T, r []record) { r[15].body.(*stipendRecord).before = 14 }, FaultStipend, 16, "the last one before its day is 15"},
		"more coins": {func(t *testing.T, r []record) {
			r[15].body.(*stipendRecord).funds, r[15].body.(*stipendRecord).share = 3, 3
		}, FaultStipend, 16, "which is not what the fee account has"},
		"a shorter window":      {func(t *testing.T, r []record) { r[15].body.(*stipendRecord).rules.Window = 1 }, FaultStipend, 16, "by the journal it is for 0 others"},
		"a higher age":          {func(t *testing.T, r []record) { r[15].body.(*stipendRecord).rules.MinAge = 2 }, FaultStipend, 16, "by the journal it is for 0 others"},
		"a cap over the supply": {func(t *testing.T, r []record) { r[15].body.(*stipendRecord).rules.Cap = 100_001 }, FaultStipend, 16, "its cap is 100001"},
		"a payment to another": {func(t *testing.T, r []record) { r[16].transfer.receiver = r[6].body.(*accountRecord).id }, FaultStipend, 17,
			"which is not payment 1 of the stipend of record 16"},
		"a payment under a key":   {func(t *testing.T, r []record) { r[16].transfer.key = "mine" }, FaultStipend, 17, "which is not payment 1"},
		"a payment of less":       {func(t *testing.T, r []record) { r[16].transfer.amount = 1 }, FaultStipend, 17, "it pays 1 to account"},
		"a payment of no stipend": {func(t *testing.T, r []record) { r[12].transfer.sender = feeAccount }, FaultStipend, 13, "though no stipend is due"},
	} {
		t.Run(name, func(t *testing.T) {
			good, forged := exampleRecords(), exampleRecords()
			path, err := exampleFile(t, good)
			if err != nil {
				t.Fatal(err)
			}
			tt.forge(t, forged)
			w := &auditWorld{path: path}
			for i := range forged {
				if !reflect.DeepEqual(forged[i], good[i]) {
					w.rawRecord(t, good[i].position, func([]byte) []byte { return appendRecord(nil, &forged[i]) })
				}
			}
			led, err := Open(path, &Options{NoWitness: true})
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
	first, _ := exampleKey("the first key of Carol")
	for name, tt := range map[string]struct {
		forge func(t *testing.T, r []record) []record
		says  string
	}{
		"an old key's transfer": {func(t *testing.T, r []record) []record {
			again := r[13]
			again.position, again.time = 18, r[16].time
			tr := &again.transfer
			tr.key, tr.signed.notAfter = "again", again.time
			tr.from, tr.to = party{chain.Link{Prev: 17, Jump: 17, Ordinal: 4}, 28}, party{chain.Link{Prev: 14, Jump: 0, Ordinal: 3}, 320}
			tr.pool = party{chain.Link{Prev: 17, Jump: 0, Ordinal: 3}, 2}
			r[13] = again
			resign(t, r, first)
			return append(exampleRecords(), r[13])
		}, "by version 1 of its key (0: not signed), it has version 2"},
		"a second stipend of the day": {func(t *testing.T, r []record) []record {
			again := r[15]
			again.position, again.time = 18, r[16].time
			return append(r, again)
		}, "record 18 begins a stipend that can't be"},
		"a payment too many": {func(t *testing.T, r []record) []record {
			again := r[16]
			again.position, again.time, again.transfer.from.Prev, again.transfer.to.Prev = 18, r[16].time, 17, 17
			return append(r, again)
		}, "record 18 takes coins from the fee account"},
		"a payment without a stipend": {func(t *testing.T, r []record) []record {
			r[16].position, r[16].time = 16, r[14].time
			return append(r[:15], r[16])
		}, "record 16 takes coins from the fee account"},
		"a stipend before the last is paid": {func(t *testing.T, r []record) []record {
			again := r[15]
			again.position, again.time, again.body.(*stipendRecord).day, again.body.(*stipendRecord).before = 17, again.time+microsPerDay, again.body.(*stipendRecord).day+1, 16
			return append(r[:16], again)
		}, "record 17 begins a stipend that can't be"},
		"a token of the fee account": {func(t *testing.T, r []record) []record {
			tok := r[7]
			tok.position, tok.time = 18, r[16].time
			tok.body.(*tokenRecord).position, tok.body.(*tokenRecord).time, tok.body.(*tokenRecord).account, tok.body.(*tokenRecord).expires = 18, tok.time, feeAccount, tok.time+1
			tok.body.(*tokenRecord).selector[0]++
			return append(r, tok)
		}, "the fee account is given a token"},
		"a fee account at the end": {func(t *testing.T, r []record) []record { return r[:11] }, "opened without a first fee policy"},
		"a policy without a fee account": {func(t *testing.T, r []record) []record {
			r[11].position = 11
			return append(r[:10], r[11])
		}, "not opened right before the first fee policy"},
		"two changes of one version": {func(t *testing.T, r []record) []record {
			again := r[14]
			again.position, again.time = 18, r[16].time
			return append(r, again)
		}, "record 18 changes version 1 of the key"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := exampleFile(t, tt.forge(t, exampleRecords())); !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), tt.says) {
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
	r := exampleRecords()[:14]
	ann, bob, carol := r[1].body.(*accountRecord).id, r[6].body.(*accountRecord).id, r[9].body.(*accountRecord).id
	if hashKey(carol, carols) != hashKey(ann, anns) {
		t.Fatal("the keys have not one hash")
	}
	key, _ := exampleKey("the first key of Carol")
	r[13].transfer.key = carols
	resign(t, r, key)
	between := record{header: header{15, r[13].time, kindTransfer}, transfer: transferRecord{
		sender: ann, receiver: bob, amount: 1, key: anns,
		from: party{chain.Link{Prev: 14, Ordinal: 3}, 309}, to: party{chain.Link{Ordinal: 1}, 1}}}
	replay := r[13]
	replay.position = 16
	replay.transfer.from = party{chain.Link{Prev: 14, Ordinal: 3}, 26}
	replay.transfer.to = party{chain.Link{Prev: 15, Jump: 15, Ordinal: 4}, 319}
	replay.transfer.pool = party{chain.Link{Prev: 14, Jump: 14, Ordinal: 2}, 4}
	if _, err := exampleFile(t, append(r, between)); err != nil {
		t.Fatalf("two keys of one hash are no fault: %v", err)
	}
	_, err := exampleFile(t, append(r, between, replay))
	if err == nil || !strings.Contains(err.Error(), `record 16: account `+carol.String()+`: key: its key "`+carols+`" was that of record 14`) {
		t.Errorf("the audit says %v", err)
	}
}

// TestRecordsOfTheFeeAccount: it is not the seed account and has no key, or it could
// not pay the stipend. A record that says so is none.
func TestRecordsOfTheFeeAccount(t *testing.T) {
	_, mallory := exampleKey("Mallory")
	for name, forge := range map[string]func(r []record) *record{
		"a key":       func(r []record) *record { r[10].body.(*accountRecord).key = mallory; return &r[10] },
		"the genesis": func(r []record) *record { r[0].body.(*genesisRecord).seed = feeAccount; return &r[0] },
	} {
		r := forge(exampleRecords())
		if err := decodeRecord(new(record), r.position, appendRecord(nil, r)); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
