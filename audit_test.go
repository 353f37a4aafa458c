package capycoin_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	bolt "go.etcd.io/bbolt"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/accounts"
	rules "github.com/capycoin/capycoin/internal/audit"
	"github.com/capycoin/capycoin/internal/boltfile"
	"github.com/capycoin/capycoin/internal/example"
	"github.com/capycoin/capycoin/internal/keyindex"
	"github.com/capycoin/capycoin/internal/pages"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/internal/wire"
	"github.com/capycoin/capycoin/store"
)

// auditWorld is the file of a ledger with something of everything: accounts,
// keyed transfers, tokens live, revoked and expired, invites live, used, revoked
// and expired, all folded.
type auditWorld struct {
	path       string
	seed, a, b uuid.UUID
	keyed      capycoin.Receipt // a's
	plain      capycoin.Receipt // a's
	live, dead record.Token
	used       record.Invite // by c, of which the end is the record usedEnd
	usedEnd    uint64
	c          uuid.UUID
	revoked    record.Invite // in the record after usedEnd
	invite     record.Invite // live
	clock      func() time.Time
}

func newAuditWorld(t *testing.T) *auditWorld {
	t.Helper()
	now := time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC)
	w := &auditWorld{path: filepath.Join(t.TempDir(), "coins.db"), seed: capycoin.DefaultSeedAccount(), clock: func() time.Time { return now }}
	led := w.open(t)
	ctx := context.Background()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []*uuid.UUID{&w.a, &w.b} {
		acct, err := led.OpenAccount(ctx)
		must(err)
		*id = acct.ID
	}
	_, err := led.Transfer(ctx, capycoin.Transfer{Sender: w.seed, Receiver: w.a, Amount: 1000})
	must(err)
	w.keyed, err = led.Transfer(ctx, capycoin.Transfer{Sender: w.a, Receiver: w.b, Amount: 7, Key: "k"})
	must(err)
	w.plain, err = led.Transfer(ctx, capycoin.Transfer{Sender: w.a, Receiver: w.b, Amount: 30})
	must(err)
	iss, err := capycoin.NewTokenIssuer(led, &capycoin.TokenOptions{BcryptCost: 4})
	must(err)
	issue := func(life time.Duration) (capycoin.IssuedToken, record.Token) {
		tok, err := iss.Issue(ctx, w.b, capycoin.TokenRequest{Expires: now.Add(life)})
		must(err)
		return tok, *lastRecord(t, led).Body.(*record.Token)
	}
	issue(time.Minute) // expires
	revoked, dead := issue(time.Hour)
	must(iss.Revoke(ctx, w.b, revoked.ID))
	w.dead = dead
	_, w.live = issue(time.Hour)
	invite := func(life time.Duration) (capycoin.IssuedInvite, record.Invite) {
		inv, err := iss.Invite(ctx, capycoin.InviteRequest{Expires: now.Add(life)})
		must(err)
		return inv, *lastRecord(t, led).Body.(*record.Invite)
	}
	var used, ended capycoin.IssuedInvite
	used, w.used = invite(time.Hour)
	ended, w.revoked = invite(time.Hour)
	_, w.invite = invite(time.Hour)
	invite(time.Minute) // expires
	now = now.Add(time.Second)
	c, _, err := iss.OpenInvited(ctx, used.Code)
	must(err)
	w.c, w.usedEnd = c.ID, lastRecord(t, led).Position
	must(iss.RevokeInvite(ctx, ended.ID))
	now = now.Add(2 * time.Minute)
	for range 5 {
		_, err = led.Transfer(ctx, capycoin.Transfer{Sender: w.b, Receiver: w.a, Amount: 1})
		must(err)
	}
	rep, err := led.Audit(ctx, nil)
	must(errors.Join(err, rep.Err()))
	must(led.Close())
	return w
}

func (w *auditWorld) open(t *testing.T) *capycoin.Ledger {
	t.Helper()
	led, err := capycoin.Open(w.path, &capycoin.Options{Clock: w.clock})
	if err != nil {
		t.Fatal(err)
	}
	return led
}

// row changes an account in its row, with a right checksum.
func (w *auditWorld) row(t *testing.T, id uuid.UUID, change func(*accounts.Account)) {
	t.Helper()
	w.rows(t, func(accounts []accounts.Account) []accounts.Account {
		for i := range accounts {
			if accounts[i].ID == id {
				change(&accounts[i])
			}
		}
		return accounts
	})
}

// rows changes the one row of accounts that this world has.
func (w *auditWorld) rows(t *testing.T, change func([]accounts.Account) []accounts.Account) {
	t.Helper()
	inBolt(t, w.path, func(tx *bolt.Tx) error {
		b := tx.Bucket(boltfile.Tables[store.TableAccounts])
		var all []accounts.Account
		err := accounts.InRow(accounts.LastKey[:], b.Get(accounts.LastKey[:]), func(id uuid.UUID, _, state []byte) bool {
			a, err := accounts.Decode(id, state)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, *a)
			return true
		})
		if err != nil {
			return err
		}
		return b.Put(accounts.LastKey[:], example.AccountRow(accounts.LastKey[:], change(all)...))
	})
}

// keys changes the one row of keys that this world has.
func (w *auditWorld) keys(t *testing.T, change func([]keyindex.Entry) []keyindex.Entry) {
	t.Helper()
	inBolt(t, w.path, func(tx *bolt.Tx) error {
		b := tx.Bucket(boltfile.Tables[store.TableKeys])
		k, v := b.Cursor().First()
		all, err := keyindex.DecodeRow(k, v, nil)
		if err != nil {
			return err
		}
		if err := b.Delete(k); err != nil {
			return err
		}
		if all = change(all); len(all) == 0 {
			return nil
		}
		slices.SortFunc(all, keyindex.Entry.Compare)
		return b.Put(example.KeyRowKey(all), example.KeyRow(all))
	})
}

// put writes a row of another table, or deletes it.
func (w *auditWorld) put(t *testing.T, table store.Table, key, value []byte) {
	t.Helper()
	inBolt(t, w.path, func(tx *bolt.Tx) error {
		b := tx.Bucket(boltfile.Tables[table])
		if value == nil {
			if b.Get(key) == nil {
				return fmt.Errorf("table %s has no row %x", table, key)
			}
			return b.Delete(key)
		}
		return b.Put(key, value)
	})
}

// record changes a record of the journal, with a right checksum.
func (w *auditWorld) record(t *testing.T, position uint64, change func(*record.Record)) {
	t.Helper()
	w.rawRecord(t, position, func(b []byte) []byte {
		var r record.Record
		if err := record.Decode(&r, position, b); err != nil {
			t.Fatal(err)
		}
		change(&r)
		return record.Append(nil, &r)
	})
}

func (w *auditWorld) rawRecord(t *testing.T, position uint64, change func(b []byte) []byte) {
	t.Helper()
	inBolt(t, w.path, func(tx *bolt.Tx) error {
		journal := tx.Bucket(boltfile.JournalBucket)
		// Every commit of this world was up to three records.
		key := binary.BigEndian.AppendUint64(nil, position)
		k, v := journal.Cursor().Seek(key)
		r, err := pages.OpenJournalRow(k, v)
		if err != nil {
			return err
		}
		value := []byte{v[0]}
		for r.Left > 0 {
			at := r.First
			b, err := r.Next()
			if err != nil {
				return err
			}
			if b = bytes.Clone(b); at == position {
				b = change(b)
			}
			value = append(binary.AppendUvarint(value, uint64(len(b))), b...)
		}
		return journal.Put(bytes.Clone(k), value)
	})
}

// TestAuditFinds plants faults in the rows and in the journal, one at a time,
// each with right checksums where not the checksum is the fault. The audit
// finds each, says where, and goes on to the end.
func TestAuditFinds(t *testing.T) {
	for name, tt := range map[string]struct {
		plant    func(t *testing.T, w *auditWorld)
		kind     string
		position func(w *auditWorld) uint64 // of the first fault; nil: any
	}{
		"a row with more funds": {func(t *testing.T, w *auditWorld) { w.row(t, w.a, func(a *accounts.Account) { a.Funds++ }) }, capycoin.FaultAccount, nil},
		"funds moved between rows": {func(t *testing.T, w *auditWorld) {
			w.row(t, w.a, func(a *accounts.Account) { a.Funds-- })
			w.row(t, w.b, func(a *accounts.Account) { a.Funds++ })
		}, capycoin.FaultAccount, nil},
		"a row with another time of opening": {func(t *testing.T, w *auditWorld) { w.row(t, w.a, func(a *accounts.Account) { a.Created++ }) }, capycoin.FaultAccount, nil},
		"a row with another chain": {func(t *testing.T, w *auditWorld) {
			w.row(t, w.b, func(a *accounts.Account) { roots := a.Roots(); roots[0]--; a.SetRoots(roots) })
		}, capycoin.FaultAccount, nil},
		"a row without its tokens":  {func(t *testing.T, w *auditWorld) { w.row(t, w.b, func(a *accounts.Account) { a.Tokens = nil }) }, capycoin.FaultAccount, nil},
		"a row with another expiry": {func(t *testing.T, w *auditWorld) { w.row(t, w.b, func(a *accounts.Account) { a.Tokens[1].Expires++ }) }, capycoin.FaultAccount, nil},
		"an old row": {func(t *testing.T, w *auditWorld) {
			w.row(t, w.a, func(a *accounts.Account) { a.AsOf, a.Funds, a.Count = 4, 1000, 1; a.SetRoots([]uint64{4}) })
		}, capycoin.FaultAccount, nil},
		"a row from the future": {func(t *testing.T, w *auditWorld) { w.row(t, w.a, func(a *accounts.Account) { a.AsOf += 5 }) }, capycoin.FaultAccount, nil},
		"a row too few": {func(t *testing.T, w *auditWorld) {
			w.rows(t, func(all []accounts.Account) []accounts.Account {
				return slices.DeleteFunc(all, func(a accounts.Account) bool { return a.ID == w.b })
			})
		}, capycoin.FaultAccount, nil},
		"a row too many": {func(t *testing.T, w *auditWorld) {
			w.rows(t, func(all []accounts.Account) []accounts.Account {
				all = append(all, accounts.Account{State: accounts.State{ID: uuid.New(), Created: 1, AsOf: 3, Funds: 5}})
				slices.SortFunc(all, func(a, b accounts.Account) int { return wire.CompareIDs(&a.ID, &b.ID) })
				return all
			})
		}, capycoin.FaultAccount, nil},
		"a damaged row": {func(t *testing.T, w *auditWorld) {
			w.put(t, store.TableAccounts, accounts.LastKey[:], []byte("damaged row"))
		}, capycoin.FaultAccount, nil},
		"a key that paid twice": {func(t *testing.T, w *auditWorld) {
			w.record(t, w.plain.Position, func(r *record.Record) { r.Transfer.Key = "k" })
			w.keys(t, func(all []keyindex.Entry) []keyindex.Entry {
				return append(all, keyindex.Entry{Hash: keyindex.HashOf(w.a, "k"), Position: w.plain.Position})
			})
		}, capycoin.FaultKey, func(w *auditWorld) uint64 { return w.plain.Position }},
		"a key without a row": {func(t *testing.T, w *auditWorld) { w.keys(t, func([]keyindex.Entry) []keyindex.Entry { return nil }) }, capycoin.FaultKey,
			func(w *auditWorld) uint64 { return w.keyed.Position }},
		"a key that leads elsewhere": {func(t *testing.T, w *auditWorld) {
			w.keys(t, func([]keyindex.Entry) []keyindex.Entry {
				return []keyindex.Entry{{Hash: keyindex.HashOf(w.a, "k"), Position: w.plain.Position}}
			})
		}, capycoin.FaultKey, func(w *auditWorld) uint64 { return w.keyed.Position }},
		"a key that nobody used": {func(t *testing.T, w *auditWorld) {
			w.keys(t, func(all []keyindex.Entry) []keyindex.Entry {
				return append(all, keyindex.Entry{Hash: keyindex.HashOf(w.a, "x"), Position: w.keyed.Position})
			})
		}, capycoin.FaultKey, func(w *auditWorld) uint64 { return w.keyed.Position }},
		"a token without a row": {func(t *testing.T, w *auditWorld) { w.put(t, store.TableTokens, w.live.Selector[:], nil) }, capycoin.FaultToken,
			func(w *auditWorld) uint64 { return w.live.Position }},
		"a token that lives longer": {func(t *testing.T, w *auditWorld) {
			w.put(t, store.TableTokens, w.live.Selector[:], wire.AppendRow(nil, w.live.Selector[:], accounts.AppendToken(nil, accounts.TokenRow{Position: w.live.Position, Expires: w.live.Expires + 1})))
		}, capycoin.FaultToken, func(w *auditWorld) uint64 { return w.live.Position }},
		"a revoked token's row": {func(t *testing.T, w *auditWorld) {
			w.put(t, store.TableTokens, w.dead.Selector[:], wire.AppendRow(nil, w.dead.Selector[:], accounts.AppendToken(nil, accounts.TokenRow{Position: w.dead.Position, Expires: w.dead.Expires})))
		}, capycoin.FaultToken, func(w *auditWorld) uint64 { return w.dead.Position }},
		"a token nobody has": {func(t *testing.T, w *auditWorld) {
			s := [16]byte{9}
			w.put(t, store.TableTokens, s[:], wire.AppendRow(nil, s[:], accounts.AppendToken(nil, accounts.TokenRow{Position: w.live.Position, Expires: w.live.Expires})))
		}, capycoin.FaultToken, func(w *auditWorld) uint64 { return w.live.Position }},
		"a transfer of more": {func(t *testing.T, w *auditWorld) {
			w.record(t, w.plain.Position, func(r *record.Record) { r.Transfer.Amount++ })
		}, capycoin.FaultFunds, func(w *auditWorld) uint64 { return w.plain.Position }},
		"coins made in a transfer": {func(t *testing.T, w *auditWorld) {
			w.record(t, w.plain.Position, func(r *record.Record) { r.Transfer.To.Funds++ })
		}, capycoin.FaultFunds, func(w *auditWorld) uint64 { return w.plain.Position }},
		"another receiver": {func(t *testing.T, w *auditWorld) {
			w.record(t, w.plain.Position, func(r *record.Record) { r.Transfer.Receiver = w.seed })
		}, capycoin.FaultFunds, func(w *auditWorld) uint64 { return w.plain.Position }},
		"a receiver that is not there": {func(t *testing.T, w *auditWorld) {
			w.record(t, w.plain.Position, func(r *record.Record) { r.Transfer.Receiver = uuid.New() })
		}, capycoin.FaultAccount, func(w *auditWorld) uint64 { return w.plain.Position }},
		"another link": {func(t *testing.T, w *auditWorld) {
			w.record(t, w.plain.Position, func(r *record.Record) { r.Transfer.From.Prev-- })
		}, capycoin.FaultChain, func(w *auditWorld) uint64 { return w.plain.Position }},
		"another key": {func(t *testing.T, w *auditWorld) {
			w.record(t, w.keyed.Position, func(r *record.Record) { r.Transfer.Key = "l" })
		}, capycoin.FaultKey, func(w *auditWorld) uint64 { return w.keyed.Position }},
		"time going back": {func(t *testing.T, w *auditWorld) {
			w.record(t, w.plain.Position, func(r *record.Record) { r.Time-- })
		}, capycoin.FaultRecord, func(w *auditWorld) uint64 { return w.plain.Position }},
		"a flipped bit in a record": {func(t *testing.T, w *auditWorld) {
			w.rawRecord(t, w.plain.Position, func(b []byte) []byte { b[20] ^= 4; return b })
		}, capycoin.FaultRecord, func(w *auditWorld) uint64 { return w.plain.Position }},
		"a record in another's place": {func(t *testing.T, w *auditWorld) {
			var other []byte
			w.rawRecord(t, w.keyed.Position, func(b []byte) []byte { other = bytes.Clone(b); return b })
			w.rawRecord(t, w.plain.Position, func([]byte) []byte { return other })
		}, capycoin.FaultRecord, func(w *auditWorld) uint64 { return w.plain.Position }},
		"a missing record": {func(t *testing.T, w *auditWorld) {
			w.put2(t, func(journal *bolt.Bucket) error {
				return journal.Delete(binary.BigEndian.AppendUint64(nil, w.plain.Position))
			})
		}, capycoin.FaultRecord, func(w *auditWorld) uint64 { return w.plain.Position }},
		"a token of the seed account": {func(t *testing.T, w *auditWorld) {
			w.record(t, w.live.Position, func(r *record.Record) { r.Body.(*record.Token).Account = w.seed })
		}, capycoin.FaultToken, func(w *auditWorld) uint64 { return w.live.Position }},
		"an account opened twice": {func(t *testing.T, w *auditWorld) {
			w.record(t, 3, func(r *record.Record) { r.Body.(*record.Account).ID = w.a })
		}, capycoin.FaultAccount, func(*auditWorld) uint64 { return 3 }},
		"an account out of order": {func(t *testing.T, w *auditWorld) {
			w.record(t, 3, func(r *record.Record) { r.Body.(*record.Account).Link.Prev-- })
		}, capycoin.FaultChain, func(*auditWorld) uint64 { return 3 }},
		"counters": {func(t *testing.T, w *auditWorld) {
			inBolt(t, w.path, func(tx *bolt.Tx) error {
				b := tx.Bucket(boltfile.Tables[store.TableState])
				folded, s, err := accounts.DecodeState(b.Get(accounts.StateKey))
				if err != nil {
					return err
				}
				s.Transactions++
				return b.Put(accounts.StateKey, wire.AppendRow(nil, accounts.StateKey, accounts.AppendState(nil, folded, &s)))
			})
		}, capycoin.FaultBooks, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := newAuditWorld(t)
			tt.plant(t, w)
			led := w.open(t)
			defer led.Close()
			var told []capycoin.AuditFault
			rep, err := led.Audit(context.Background(), &capycoin.AuditOptions{OnFault: func(f capycoin.AuditFault) { told = append(told, f) }})
			if err != nil {
				t.Fatal(err)
			}
			if len(rep.Faults) == 0 || !errors.Is(rep.Err(), store.ErrCorrupt) || len(told) != rep.FaultCount {
				t.Fatalf("got %d faults, told of %d, %v, want some", rep.FaultCount, len(told), rep.Err())
			}
			if rep.Position != endOf(led) {
				t.Errorf("got to record %d, want %d", rep.Position, endOf(led))
			}
			found := false
			for _, f := range rep.Faults {
				found = found || f.Kind == tt.kind && (tt.position == nil || f.Position == tt.position(w))
			}
			if !found || !strings.Contains(rep.Err().Error(), rep.Faults[0].Detail) {
				t.Errorf("got faults %v, want one of kind %q", rep.Faults, tt.kind)
			}
		})
	}
}

func (w *auditWorld) put2(t *testing.T, change func(*bolt.Bucket) error) {
	t.Helper()
	inBolt(t, w.path, func(tx *bolt.Tx) error { return change(tx.Bucket(boltfile.JournalBucket)) })
}

// lastRecord returns the last record of a ledger.
func lastRecord(t testing.TB, led *capycoin.Ledger) *record.Record {
	t.Helper()
	page, err := led.JournalPage(context.Background(), endOf(led)-1)
	if err != nil || len(page.Records) != 1 {
		t.Fatalf("got %d records, %v, want the last one", len(page.Records), err)
	}
	var r record.Record
	if err := record.Decode(&r, page.Records[0].Position, page.Records[0].Data); err != nil {
		t.Fatal(err)
	}
	return &r
}

// endOf returns the position of the last record of a ledger.
func endOf(led *capycoin.Ledger) uint64 { return led.Stats().Position }

// TestAuditReport checks the figures, the progress, and the limit on faults.
func TestAuditReport(t *testing.T) {
	w := newAuditWorld(t)
	led := w.open(t)
	stages := make(map[string]capycoin.AuditProgress)
	rep, err := led.Audit(context.Background(), &capycoin.AuditOptions{Progress: func(p capycoin.AuditProgress) { stages[p.Stage] = p }})
	if err != nil || rep.Err() != nil {
		t.Fatal(err, rep.Err())
	}
	if rep.Accounts != 4 || rep.Transactions != 8 || rep.Keys != 1 || rep.Tokens != 2 || rep.Invites != 1 || rep.Supply != capycoin.DefaultSupply ||
		rep.Records != 23 || rep.Position != 23 || rep.Elapsed <= 0 {
		t.Errorf("got %+v", rep)
	}
	for _, stage := range []string{"rows", "journal", "accounts", "keys", "tokens"} {
		if p := stages[stage]; p.Stage == "" || p.Done != p.Total {
			t.Errorf("stage %s ended with %+v", stage, p)
		}
	}
	if err := led.Close(); err != nil {
		t.Fatal(err)
	}
	w.row(t, w.a, func(a *accounts.Account) { a.Funds++ })
	w.row(t, w.b, func(a *accounts.Account) { a.Funds++ })
	led = w.open(t)
	defer led.Close()
	rep, err = led.Audit(context.Background(), &capycoin.AuditOptions{MaxFaults: 1})
	if err != nil || len(rep.Faults) != 1 || rep.FaultCount < 2 {
		t.Errorf("got %d of %d faults, error %v, want 1 of 2 or more", len(rep.Faults), rep.FaultCount, err)
	}
}

// TestAuditOfOldRows plants faults in the row of an account that changes again
// afterwards: the row is compared with what the account was.
func TestAuditOfOldRows(t *testing.T) {
	for name, change := range map[string]func(*accounts.Account){
		"none":            func(*accounts.Account) {},
		"funds":           func(a *accounts.Account) { a.Funds++ },
		"time of opening": func(a *accounts.Account) { a.Created++ },
		"a token less":    func(a *accounts.Account) { a.Tokens = a.Tokens[:1] },
		"tokens":          func(a *accounts.Account) { a.Tokens[1].Expires++ },
		"chain":           func(a *accounts.Account) { roots := a.Roots(); roots[0]--; a.SetRoots(roots) },
		"as of":           func(a *accounts.Account) { a.AsOf-- },
	} {
		t.Run(name, func(t *testing.T) {
			w := newAuditWorld(t)
			var asOf uint64
			w.row(t, w.b, func(a *accounts.Account) { asOf = a.AsOf; change(a) })
			led := w.open(t)
			defer led.Close()
			for range 3 {
				if _, err := led.Transfer(t.Context(), capycoin.Transfer{Sender: w.seed, Receiver: w.b, Amount: 1}); err != nil {
					t.Fatal(err)
				}
			}
			rep, err := led.Audit(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			found := slices.ContainsFunc(rep.Faults, func(f capycoin.AuditFault) bool {
				return f.Account == w.b && f.Kind == capycoin.FaultAccount && f.Position == asOf
			})
			if found != (name != "none") {
				t.Errorf("got faults %v", rep.Faults)
			}
		})
	}
}

// TestFaultKinds: the kinds that reports have are those that the API names.
func TestFaultKinds(t *testing.T) {
	for inside, outside := range map[string]string{
		rules.FaultRecord: capycoin.FaultRecord, rules.FaultChain: capycoin.FaultChain, rules.FaultFunds: capycoin.FaultFunds,
		rules.FaultAccount: capycoin.FaultAccount, rules.FaultKey: capycoin.FaultKey, rules.FaultToken: capycoin.FaultToken,
		rules.FaultInvite: capycoin.FaultInvite, rules.FaultBooks: capycoin.FaultBooks, rules.FaultSignature: capycoin.FaultSignature,
		rules.FaultFee: capycoin.FaultFee, rules.FaultStipend: capycoin.FaultStipend,
	} {
		if inside != outside {
			t.Errorf("a fault is told as %q, the API has %q", inside, outside)
		}
	}
}
