package capycoin_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	bolt "go.etcd.io/bbolt"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/accounts"
	"github.com/capycoin/capycoin/internal/boltfile"
	"github.com/capycoin/capycoin/internal/example"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/internal/wire"
	"github.com/capycoin/capycoin/store"
)

// TestForeignRows puts rows into a ledger's file that are of another journal, or
// of records that it does not have. Opening it says so, and changes nothing.
func TestForeignRows(t *testing.T) {
	other, longer := newFile(t), newFile(t)
	more(t, longer, 7)
	state := func(change func(folded *uint64, b *accounts.Totals)) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			inBolt(t, path, func(tx *bolt.Tx) error {
				bucket := tx.Bucket(boltfile.Tables[store.TableState])
				folded, b, err := accounts.DecodeState(bucket.Get(accounts.StateKey))
				if err != nil {
					return err
				}
				change(&folded, &b)
				return bucket.Put(accounts.StateKey, wire.AppendRow(nil, accounts.StateKey, accounts.AppendState(nil, folded, &b)))
			})
		}
	}
	rowsOf := func(from string) func(*testing.T, string) {
		return func(t *testing.T, path string) { copyRows(t, from, path) }
	}
	for name, tt := range map[string]struct {
		change func(*testing.T, string)
		says   string
	}{
		"another ledger's":   {rowsOf(other), "the rows are not of this journal: record 5 is of "},
		"a longer one's":     {rowsOf(longer), "the rows are as of record 13, the journal ends at 5"},
		"ahead":              {state(func(folded *uint64, b *accounts.Totals) { *folded, b.Position = 6, 6 }), "the rows are as of record 6, the journal ends at 5"},
		"behind in time":     {state(func(_ *uint64, b *accounts.Totals) { b.Time-- }), "the rows are not of this journal: record 5 is of "},
		"folded nothing":     {state(func(folded *uint64, _ *accounts.Totals) { *folded = 0 }), "the rows are folded up to record 0 and as of record 5"},
		"too many counted":   {state(func(_ *uint64, b *accounts.Totals) { b.Transactions = 4 }), "with 2 accounts and 4 transactions"},
		"another chain":      {state(func(_ *uint64, b *accounts.Totals) { b.Opened[len(b.Opened)-1] = 3 }), "record 3 does not open account 2"},
		"a chain ahead":      {state(func(_ *uint64, b *accounts.Totals) { b.Opened[len(b.Opened)-1] = 6 }), "the rows are as of record 5, and name record 6"},
		"an account missing": {state(func(_ *uint64, b *accounts.Totals) { b.Accounts, b.Opened = 1, []uint64{2} }), "record 2 does not open account 1"},
	} {
		t.Run(name, func(t *testing.T) {
			path := newFile(t)
			tt.change(t, path)
			before := readFile(t, path)
			led, err := capycoin.Open(path, nil)
			if err == nil {
				led.Close()
			}
			if !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, want ErrCorrupt that says %q", err, tt.says)
			}
			if !bytes.Equal(readFile(t, path), before) {
				t.Error("the file has changed")
			}
		})
	}
}

// copyRows puts all that is folded in one file into another.
func copyRows(t *testing.T, from, to string) {
	t.Helper()
	rows := make(map[store.Table][][2][]byte)
	inBolt(t, from, func(tx *bolt.Tx) error {
		for table, name := range boltfile.Tables {
			err := tx.Bucket(name).ForEach(func(k, v []byte) error {
				rows[table] = append(rows[table], [2][]byte{bytes.Clone(k), bytes.Clone(v)})
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	inBolt(t, to, func(tx *bolt.Tx) error {
		for table, name := range boltfile.Tables {
			if err := tx.DeleteBucket(name); err != nil {
				return err
			}
			b, err := tx.CreateBucket(name)
			if err != nil {
				return err
			}
			for _, kv := range rows[table] {
				if err := b.Put(kv[0], kv[1]); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// TestRowAhead gives an account a row that is as of a record the journal does
// not have, as rows have that are kept apart from a journal which was put back.
// Nothing is judged by it.
func TestRowAhead(t *testing.T) {
	ctx := context.Background()
	for name, ask := range map[string]func(*capycoin.Ledger, uuid.UUID) error{
		"read": func(led *capycoin.Ledger, id uuid.UUID) error { _, err := led.Account(ctx, id); return err },
		"written": func(led *capycoin.Ledger, id uuid.UUID) error {
			_, err := led.Transfer(ctx, capycoin.Transfer{Sender: id, Receiver: capycoin.DefaultSeedAccount(), Amount: 1})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := newFile(t)
			var id uuid.UUID
			inBolt(t, path, func(tx *bolt.Tx) error {
				b := tx.Bucket(boltfile.Tables[store.TableAccounts])
				var all []accounts.Account
				err := accounts.InRow(accounts.LastKey[:], b.Get(accounts.LastKey[:]), func(got uuid.UUID, _, state []byte) bool {
					a, err := accounts.Decode(got, state)
					if err != nil {
						t.Fatal(err)
					}
					if got != capycoin.DefaultSeedAccount() {
						id, a.AsOf, a.Funds = got, 6, 100
					}
					all = append(all, *a)
					return true
				})
				if err != nil {
					return err
				}
				return b.Put(accounts.LastKey[:], example.AccountRow(accounts.LastKey[:], all...))
			})
			led, err := capycoin.Open(path, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer led.Close()
			if err := ask(led, id); !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), "is as of record 6, the journal ends at 5") {
				t.Errorf("got %v, want ErrCorrupt that says that the row is ahead", err)
			}
			select {
			case <-led.Stopped():
			case <-time.After(10 * time.Second):
				t.Error("the ledger goes on")
			}
		})
	}
}

// TestTailDamaged damages the last record of a journal whose rows are up to it,
// so that it is not replayed.
func TestTailDamaged(t *testing.T) {
	path := newFile(t)
	inBolt(t, path, func(tx *bolt.Tx) error {
		b := tx.Bucket(boltfile.JournalBucket)
		k, v := b.Cursor().Last()
		v = bytes.Clone(v)
		v[len(v)-1] ^= 1
		return b.Put(bytes.Clone(k), v)
	})
	if led, err := capycoin.Open(path, &capycoin.Options{NoWitness: true}); !errors.Is(err, store.ErrCorrupt) {
		led.Close()
		t.Errorf("got %v, want ErrCorrupt", err)
	}
}

// TestReplayRefusesInvites plants ends of invites that do not follow from the
// records before them, and has the rows made again: the ledger is damaged.
func TestReplayRefusesInvites(t *testing.T) {
	for name, plant := range map[string]func(*auditWorld, *record.Record){
		"used and revoked": func(w *auditWorld, r *record.Record) { r.Body.(*record.InviteEnd).Invite = w.used.Position },
		"of no invite":     func(w *auditWorld, r *record.Record) { r.Body.(*record.InviteEnd).Invite = w.live.Position },
		"of an expired one": func(w *auditWorld, r *record.Record) {
			r.Body.(*record.InviteEnd).Invite = w.invite.Position + 1
			r.Time += time.Minute.Microseconds()
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newAuditWorld(t)
			w.record(t, w.usedEnd+1, func(r *record.Record) { plant(w, r) })
			inBolt(t, w.path, func(tx *bolt.Tx) error {
				for _, bucket := range boltfile.Tables {
					if err := tx.DeleteBucket(bucket); err != nil {
						return err
					}
					if _, err := tx.CreateBucket(bucket); err != nil {
						return err
					}
				}
				return nil
			})
			led, err := capycoin.Open(w.path, &capycoin.Options{Clock: w.clock})
			if !errors.Is(err, store.ErrCorrupt) {
				t.Errorf("got error %v, want %v", err, store.ErrCorrupt)
			}
			if err == nil {
				led.Close()
			}
		})
	}
}
