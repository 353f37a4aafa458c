package capycoin

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	bolt "go.etcd.io/bbolt"

	"github.com/capycoin/capycoin/internal/accounts"
	"github.com/capycoin/capycoin/internal/boltfile"
	"github.com/capycoin/capycoin/internal/example"
	"github.com/capycoin/capycoin/internal/keyindex"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/store"
)

// copyWorld is a ledger that does something of everything, at random.
type copyWorld struct {
	t        testing.TB
	rng      *rand.Rand
	path     string
	now      time.Time
	led      *Ledger
	accounts []uuid.UUID
	tokens   []record.Token
	keys     map[uuid.UUID]ed25519.PrivateKey // of accounts that have one
	n        int
}

func newCopyWorld(t testing.TB, seed uint64) *copyWorld {
	t.Helper()
	w := &copyWorld{
		t: t, rng: rand.New(rand.NewPCG(seed, 0)), path: filepath.Join(t.TempDir(), "coins.db"),
		now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), keys: make(map[uuid.UUID]ed25519.PrivateKey),
	}
	t.Cleanup(TuneFolding(40, 3))
	w.open()
	w.accounts = []uuid.UUID{DefaultSeedAccount()}
	w.do(2) // so that somebody can pay somebody
	return w
}

func (w *copyWorld) open() {
	w.t.Helper()
	led, err := Open(w.path, &Options{Clock: func() time.Time { return w.now }, AccountCache: 16})
	if err != nil {
		w.t.Fatal(err)
	}
	w.led = led
	w.t.Cleanup(func() { led.Close() })
}

// do does n things at random.
func (w *copyWorld) do(n int) {
	w.t.Helper()
	ctx := context.Background()
	must := func(err error) {
		w.t.Helper()
		if err != nil {
			w.t.Fatal(err)
		}
	}
	some := func() uuid.UUID { return w.accounts[w.rng.IntN(len(w.accounts))] }
	for range n {
		w.n++
		w.now = w.now.Add(time.Duration(w.rng.IntN(3)) * time.Duration(w.rng.Int64N(100_000_000_000)))
		switch what := w.rng.IntN(23); {
		case what == 20:
			must(w.led.SetFeePolicy(ctx, FeePolicy{
				Flat: Coins(w.rng.IntN(3)), BasisPoints: w.rng.IntN(500), Max: Coins(w.rng.IntN(2) * 5),
				Exempt: []uuid.UUID{some()},
			}))
		case what == 21:
			w.changeKey(ctx)
		case what == 22:
			w.now = w.now.Add(time.Duration(w.rng.IntN(30)) * time.Hour)
			_, err := w.led.PayStipend(ctx, StipendRules{Window: 1 + w.rng.IntN(3), Cap: Coins(w.rng.IntN(3))})
			must(err)
		case what < 3 || len(w.accounts) < 3:
			var acct Account
			var err error
			if what == 0 {
				private, public := w.newKey()
				acct, err = w.led.OpenKeyedAccount(ctx, public)
				w.keys[acct.ID] = private
			} else {
				acct, err = w.led.OpenAccount(ctx)
			}
			must(err)
			w.accounts = append(w.accounts, acct.ID)
		case what < 5:
			rec := record.Token{Account: w.accounts[1+w.rng.IntN(len(w.accounts)-1)], Expires: w.now.Add(time.Hour).UnixMicro()}
			for i := range rec.Hash {
				rec.Hash[i] = byte(w.rng.Uint32())
			}
			copy(rec.Selector[:], rec.Hash[:])
			copy(rec.Tag[:], rec.Hash[30:])
			rec.Label = strings.Repeat([]string{"", "phone", `"\ ü☃𝄞 </script>`, "\u2028 "}[w.rng.IntN(4)], 1+w.rng.IntN(2))
			rec, err := w.led.issueToken(ctx, rec)
			if errors.Is(err, ErrTooManyTokens) {
				continue
			}
			must(err)
			w.tokens = append(w.tokens, rec)
		case what < 6 && len(w.tokens) > 0:
			i := w.rng.IntN(len(w.tokens))
			err := w.led.revokeToken(ctx, w.tokens[i].Account, idOfToken(&w.tokens[i]))
			if !errors.Is(err, ErrTokenNotFound) { // it has expired, or is revoked
				must(err)
			}
		case what < 7:
			inv := record.Invite{Expires: w.now.Add(time.Hour).UnixMicro(), Label: "Ann"}
			for i := range inv.Hash {
				inv.Hash[i] = byte(w.rng.Uint32())
			}
			must(w.led.makeInvite(ctx, &inv))
			switch w.rng.IntN(3) {
			case 0:
				must(w.led.revokeInvite(ctx, record.IDAt(inv.Time, inv.Position)))
			case 1:
				tok := record.Token{Expires: w.now.Add(time.Hour).UnixMicro()}
				copy(tok.Selector[:], inv.Hash[16:])
				acct, tok, err := w.led.openAccount(ctx, PublicKey{}, &tok, &inv)
				must(err)
				w.accounts, w.tokens = append(w.accounts, acct.ID), append(w.tokens, tok)
			}
		default:
			transfers := make([]Transfer, 1+w.rng.IntN(20))
			for i := range transfers {
				transfers[i] = Transfer{Sender: some(), Receiver: some(), Amount: Coins(1 + w.rng.IntN(30))}
				if w.rng.IntN(3) == 0 {
					transfers[i].Key = fmt.Sprintf("key-%d-%d%s", w.n, i, strings.Repeat("~", w.rng.IntN(200)))
				}
				if w.rng.IntN(3) > 0 {
					transfers[i].Sender = DefaultSeedAccount()
				}
				if key := w.keys[transfers[i].Sender]; key != nil {
					transfers[i].Key = fmt.Sprintf("signed-%d-%d", w.n, i)
					w.sign(ctx, &transfers[i], key)
				}
			}
			_, err := w.led.TransferBatch(ctx, transfers, EachAlone)
			must(err)
		}
	}
}

func (w *copyWorld) newKey() (ed25519.PrivateKey, PublicKey) {
	return example.Key(fmt.Sprint("a key of a copyWorld", w.rng.Uint64()))
}

// sign signs a transfer with a key that may have been changed.
func (w *copyWorld) sign(ctx context.Context, t *Transfer, key ed25519.PrivateKey) {
	w.t.Helper()
	acct, err := w.led.Account(ctx, t.Sender)
	if err != nil {
		w.t.Fatal(err)
	}
	t.MaxFee = new(Coins)
	*t.MaxFee = Coins(w.rng.IntN(20))
	notAfter := w.led.Time().Add(time.Duration(w.rng.IntN(24)) * time.Hour)
	if t.Signature, err = SignTransfer(w.led.genesis.Ledger, acct.KeyVersion, *t, notAfter, key); err != nil {
		w.t.Fatal(err)
	}
}

// changeKey changes the key of an account, if there is one with a key.
func (w *copyWorld) changeKey(ctx context.Context) {
	w.t.Helper()
	for _, id := range w.accounts {
		old := w.keys[id]
		if old == nil || w.rng.IntN(2) == 0 {
			continue
		}
		acct, err := w.led.Account(ctx, id)
		if err != nil {
			w.t.Fatal(err)
		}
		private, public := w.newKey()
		c := KeyChange{Account: id, Version: acct.KeyVersion, NewKey: public}
		c.OldSignature, err = SignKeyChange(w.led.genesis.Ledger, id, c.Version, public, old)
		if err == nil {
			c.NewSignature, err = SignKeyChange(w.led.genesis.Ledger, id, c.Version, public, private)
		}
		if err == nil {
			_, err = w.led.ChangeKey(ctx, c)
		}
		if err != nil {
			w.t.Fatal(err)
		}
		w.keys[id] = private
		return
	}
}

func idOfToken(t *record.Token) uuid.UUID { return record.IDAt(t.Time, t.Position) }

// fileContents is what a closed file says, but not how its rows are cut.
type fileContents struct {
	records  [][]byte
	state    string
	accounts map[uuid.UUID]string
	keys     map[keyindex.Entry]bool        // one may be there twice, after a crash
	tokens   map[[16]byte]accounts.TokenRow // that have not expired
}

func contentsOf(t testing.TB, path string) fileContents {
	t.Helper()
	s, err := boltfile.OpenReadOnly(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c := fileContents{accounts: make(map[uuid.UUID]string), keys: make(map[keyindex.Entry]bool), tokens: make(map[[16]byte]accounts.TokenRow)}
	err = s.ViewTx(func(tx *bolt.Tx) error {
		_, state, err := accounts.DecodeState(tx.Bucket(boltfile.Tables[store.TableState]).Get(accounts.StateKey))
		if err != nil {
			return err
		}
		c.state = state.String()
		err = tx.Bucket(boltfile.Tables[store.TableAccounts]).ForEach(func(k, v []byte) error {
			return accounts.InRow(k, v, func(id uuid.UUID, entry, _ []byte) bool {
				c.accounts[id] = string(entry)
				return true
			})
		})
		if err != nil {
			return err
		}
		err = tx.Bucket(boltfile.Tables[store.TableKeys]).ForEach(func(k, v []byte) error {
			list, err := keyindex.DecodeRow(k, v, nil)
			for _, e := range list {
				c.keys[e] = true
			}
			return err
		})
		if err != nil {
			return err
		}
		return tx.Bucket(boltfile.Tables[store.TableTokens]).ForEach(func(k, v []byte) error {
			row, err := accounts.DecodeToken(k, v)
			if row.Expires > state.Time {
				c.tokens[[16]byte(k)] = row
			}
			return err
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	err = s.View(context.Background(), func(r store.LogReader) error {
		return r.Scan(1, func(_ uint64, b []byte) bool {
			c.records = append(c.records, bytes.Clone(b))
			return true
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}
