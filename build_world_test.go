package capycoin_test

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

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/accounts"
	"github.com/capycoin/capycoin/internal/boltfile"
	"github.com/capycoin/capycoin/internal/example"
	"github.com/capycoin/capycoin/internal/keyindex"
	"github.com/capycoin/capycoin/store"
)

// copyWorld is a ledger that does something of everything, at random.
type copyWorld struct {
	t        testing.TB
	rng      *rand.Rand
	path     string
	now      time.Time
	led      *tuned
	iss      *capycoin.TokenIssuer
	accounts []uuid.UUID
	tokens   []capycoin.IssuedToken
	keys     map[uuid.UUID]ed25519.PrivateKey // of accounts that have one
	n        int
}

func newCopyWorld(t testing.TB, seed uint64) *copyWorld {
	t.Helper()
	w := &copyWorld{
		t: t, rng: rand.New(rand.NewPCG(seed, 0)), path: filepath.Join(t.TempDir(), "coins.db"),
		now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), keys: make(map[uuid.UUID]ed25519.PrivateKey),
	}
	w.open()
	w.accounts = []uuid.UUID{capycoin.DefaultSeedAccount()}
	w.do(2) // so that somebody can pay somebody
	return w
}

func (w *copyWorld) open() {
	w.t.Helper()
	led, err := tunedLedger(w.path, &capycoin.Options{Clock: func() time.Time { return w.now }, AccountCache: 16}, folding(40, 3))
	if err != nil {
		w.t.Fatal(err)
	}
	w.led = led
	w.t.Cleanup(func() { led.Close() })
	if w.iss, err = capycoin.NewTokenIssuer(led.Ledger, &capycoin.TokenOptions{BcryptCost: 4}); err != nil {
		w.t.Fatal(err)
	}
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
			must(w.led.SetFeePolicy(ctx, capycoin.FeePolicy{
				Flat: capycoin.Coins(w.rng.IntN(3)), BasisPoints: w.rng.IntN(500), Max: capycoin.Coins(w.rng.IntN(2) * 5),
				Exempt: []uuid.UUID{some()},
			}))
		case what == 21:
			w.changeKey(ctx)
		case what == 22:
			w.now = w.now.Add(time.Duration(w.rng.IntN(30)) * time.Hour)
			_, err := w.led.PayStipend(ctx, capycoin.StipendRules{Window: 1 + w.rng.IntN(3), Cap: capycoin.Coins(w.rng.IntN(3))})
			must(err)
		case what < 3 || len(w.accounts) < 3:
			var acct capycoin.Account
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
			owner := w.accounts[1+w.rng.IntN(len(w.accounts)-1)]
			label := strings.Repeat([]string{"", "phone", `"\ ü☃𝄞 </script>`, "\u2028 "}[w.rng.IntN(4)], 1+w.rng.IntN(2))
			tok, err := w.iss.Issue(ctx, owner, capycoin.TokenRequest{Label: label, Expires: w.led.Time().Add(time.Hour)})
			if errors.Is(err, capycoin.ErrTooManyTokens) {
				continue
			}
			must(err)
			w.tokens = append(w.tokens, tok)
		case what < 6 && len(w.tokens) > 0:
			i := w.rng.IntN(len(w.tokens))
			err := w.iss.Revoke(ctx, w.tokens[i].Account, w.tokens[i].ID)
			if !errors.Is(err, capycoin.ErrTokenNotFound) { // it has expired, or is revoked
				must(err)
			}
		case what < 7:
			inv, err := w.iss.Invite(ctx, capycoin.InviteRequest{Expires: w.led.Time().Add(time.Hour), Label: "Ann"})
			must(err)
			switch w.rng.IntN(3) {
			case 0:
				must(w.iss.RevokeInvite(ctx, inv.ID))
			case 1:
				acct, tok, err := w.iss.OpenInvited(ctx, inv.Code)
				must(err)
				w.accounts, w.tokens = append(w.accounts, acct.ID), append(w.tokens, tok)
			}
		default:
			transfers := make([]capycoin.Transfer, 1+w.rng.IntN(20))
			for i := range transfers {
				transfers[i] = capycoin.Transfer{Sender: some(), Receiver: some(), Amount: capycoin.Coins(1 + w.rng.IntN(30))}
				if w.rng.IntN(3) == 0 {
					transfers[i].Key = fmt.Sprintf("key-%d-%d%s", w.n, i, strings.Repeat("~", w.rng.IntN(200)))
				}
				if w.rng.IntN(3) > 0 {
					transfers[i].Sender = capycoin.DefaultSeedAccount()
				}
				if key := w.keys[transfers[i].Sender]; key != nil {
					transfers[i].Key = fmt.Sprintf("signed-%d-%d", w.n, i)
					w.sign(ctx, &transfers[i], key)
				}
			}
			_, err := w.led.TransferBatch(ctx, transfers, capycoin.EachAlone)
			must(err)
		}
	}
}

func (w *copyWorld) newKey() (ed25519.PrivateKey, capycoin.PublicKey) {
	return example.Key(fmt.Sprint("a key of a copyWorld", w.rng.Uint64()))
}

// ledger returns the id of the ledger.
func (w *copyWorld) ledger() uuid.UUID {
	w.t.Helper()
	s, err := w.led.Supply(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	return s.LedgerID
}

// sign signs a transfer with a key that may have been changed.
func (w *copyWorld) sign(ctx context.Context, t *capycoin.Transfer, key ed25519.PrivateKey) {
	w.t.Helper()
	acct, err := w.led.Account(ctx, t.Sender)
	if err != nil {
		w.t.Fatal(err)
	}
	t.MaxFee = new(capycoin.Coins)
	*t.MaxFee = capycoin.Coins(w.rng.IntN(20))
	notAfter := w.led.Time().Add(time.Duration(w.rng.IntN(24)) * time.Hour)
	if t.Signature, err = capycoin.SignTransfer(w.ledger(), acct.KeyVersion, *t, notAfter, key); err != nil {
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
		c := capycoin.KeyChange{Account: id, Version: acct.KeyVersion, NewKey: public}
		c.OldSignature, err = capycoin.SignKeyChange(w.ledger(), id, c.Version, public, old)
		if err == nil {
			c.NewSignature, err = capycoin.SignKeyChange(w.ledger(), id, c.Version, public, private)
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
