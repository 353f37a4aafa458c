package capycoin_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	bolt "go.etcd.io/bbolt"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/boltfile"
	"github.com/capycoin/capycoin/internal/pages"
	"github.com/capycoin/capycoin/internal/salvage"
	"github.com/capycoin/capycoin/internal/tune"
	"github.com/capycoin/capycoin/store"
)

// damageLedger is a small ledger whose file is to be damaged, and all that it
// answered while it was whole.
type damageLedger struct {
	file     []byte
	old      [][]byte // as earlier commits left it
	pageSize int
	pages    int
	free     map[int]bool // pages that hold nothing
	journal  map[int]bool // pages with records, and those that say where it ends

	ids     []uuid.UUID
	secrets []string // of tokens, revoked and expired ones among them
	keyed   []capycoin.Transfer
	want    string // what allAnswers says of it
	records [][]byte
}

// newDamageLedger makes one. Small pages give it trees of three levels and rows
// that are longer than a page is; a killed one has rows that lag, in the midst of
// being written.
func newDamageLedger(t testing.TB, pageSize int, killed bool) *damageLedger {
	t.Helper()
	var settings tune.Options
	if killed {
		settings = tune.Options{FoldLag: 100, FoldSlice: 16, FoldAhead: 1024}
	}
	d := &damageLedger{pageSize: pageSize}
	path := filepath.Join(t.TempDir(), "coins.db")
	if err := emptyLedger(path, pageSize); err != nil {
		t.Fatal(err)
	}
	ids := rand.NewChaCha8([32]byte{1}) // the same ones each time
	clock := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	opts := &capycoin.Options{
		NoWitness: true,
		NewID:     func() (uuid.UUID, error) { return uuid.NewRandomFromReader(ids) },
		Clock:     func() time.Time { clock = clock.Add(time.Second); return clock },
	}
	led, err := tunedLedger(path, opts, settings)
	if err != nil {
		t.Fatal(err)
	}
	keep := func() {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		d.old = append(d.old, b)
	}
	issuer := func() *capycoin.TokenIssuer {
		iss, err := capycoin.NewTokenIssuer(led.Ledger, &capycoin.TokenOptions{BcryptCost: 4})
		if err != nil {
			t.Fatal(err)
		}
		return iss
	}
	ctx := context.Background()
	seed := capycoin.DefaultSeedAccount()
	d.ids = append(d.ids, seed)
	iss := issuer()
	accounts := 100
	for range accounts {
		acct, tok, err := iss.OpenAccount(ctx)
		if err != nil {
			t.Fatal(err)
		}
		d.ids, d.secrets = append(d.ids, acct.ID), append(d.secrets, tok.Secret)
	}
	for n := range 12 {
		var batch []capycoin.Transfer
		for i := range 20 + 40*pageSize/testPage {
			tr := capycoin.Transfer{Sender: seed, Receiver: d.ids[1+(7*n+i)%accounts], Amount: capycoin.Coins(10 + i), Key: fmt.Sprintf("%d-%d-%s", n, i, strings.Repeat("k", 8*(i%20)))}
			if i%3 == 2 {
				tr.Sender, tr.Receiver, tr.Amount = batch[i-1].Receiver, d.ids[1+(n+5*i)%accounts], 1
			}
			if tr.Sender == tr.Receiver {
				tr.Receiver = seed
			}
			batch = append(batch, tr)
		}
		if _, err := led.TransferBatch(ctx, batch, capycoin.Atomic); err != nil {
			t.Fatal(err)
		}
		d.keyed = append(d.keyed, batch...)
		issued, err := iss.Issue(ctx, d.ids[1+n], capycoin.TokenRequest{Label: strings.Repeat("é", 60)})
		if err != nil {
			t.Fatal(err)
		}
		d.secrets = append(d.secrets, issued.Secret)
		if n%2 == 0 {
			if err := iss.Revoke(ctx, issued.Account, issued.ID); err != nil {
				t.Fatal(err)
			}
		}
		keep()
		if n == 4 || n == 8 { // rows, and old copies of them
			if err := led.Close(); err != nil {
				t.Fatal(err)
			}
			if led, err = tunedLedger(path, opts, settings); err != nil {
				t.Fatal(err)
			}
			iss = issuer()
		}
	}
	if killed {
		keep()
	}
	if d.want, err = d.answers(led.Ledger); err != nil {
		t.Fatal(err)
	}
	for p := uint64(1); p <= endOf(led.Ledger); p++ {
		if err := led.file.View(ctx, func(r store.LogReader) error {
			b, err := r.Record(p)
			d.records = append(d.records, bytes.Clone(b))
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := led.Close(); err != nil {
		t.Fatal(err)
	}
	if !killed {
		keep()
	}
	d.file, d.old = d.old[len(d.old)-1], d.old[:len(d.old)-1]
	newer := max(binary.NativeEndian.Uint64(d.file[pages.MetaPages:]), binary.NativeEndian.Uint64(d.file[pageSize+pages.MetaPages:]))
	d.pages = int(newer)
	d.file = d.file[:d.pages*pageSize]
	whole := filepath.Join(t.TempDir(), "whole.db")
	if err := os.WriteFile(whole, d.file, 0o600); err != nil {
		t.Fatal(err)
	}
	d.inspect(t, whole)
	return d
}

// emptyLedger makes a ledger that has nothing but its genesis, in a file with
// pages of a given size.
func emptyLedger(path string, pageSize int) error {
	db, err := bolt.Open(path, 0o600, &bolt.Options{PageSize: pageSize})
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bolt.Tx) error {
		for _, name := range []string{"meta", "journal", "accounts", "keys", "tokens", "state"} {
			if _, err := tx.CreateBucket([]byte(name)); err != nil {
				return err
			}
		}
		return tx.Bucket(boltfile.MetaBucket).Put(boltfile.FormatKey, boltfile.FormatValue(boltfile.FormatNumber))
	})
	return errors.Join(err, onlyGenesis(&boltfile.File{DB: db}, nil), db.Close())
}

// inspect makes sure that the file has every kind of page, and notes which hold
// nothing.
func (d *damageLedger) inspect(t testing.TB, path string) {
	t.Helper()
	db, err := bolt.Open(path, 0o600, &bolt.Options{ReadOnly: true, PreLoadFreelist: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	d.free, d.journal = make(map[int]bool), map[int]bool{0: true, 1: true}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s, err := salvage.Open(t.Context(), f, func(_, _ uint64) {})
	if err != nil {
		t.Fatal(err)
	}
	if s.End != uint64(len(d.records)) || len(s.Gaps) > 0 {
		t.Fatalf("of a whole file %d records are read, want %d; gaps %v", s.End, len(d.records), s.Gaps)
	}
	d.journal[int(s.Newest.Root)] = true
	for _, k := range s.Keys {
		d.journal[int(k.Page)] = true
	}
	overflow := 0
	err = db.View(func(tx *bolt.Tx) error {
		for name, min := range map[string]int{"journal": 2, "accounts": 2, "keys": 2, "tokens": 2} {
			st := tx.Bucket([]byte(name)).Stats()
			overflow += st.LeafOverflowN
			if st.Depth < min || st.BranchPageN == 0 {
				t.Errorf("pages of %d bytes: the tree of %s has %d levels, %d branches", d.pageSize, name, st.Depth, st.BranchPageN)
			}
		}
		for n := range d.pages {
			p, err := tx.Page(n)
			if err != nil {
				return err
			}
			if p != nil && p.Type == "free" {
				d.free[n] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(d.free) == 0 || d.pageSize < testPage && overflow == 0 {
		t.Errorf("pages of %d bytes: %d are free, %d belong to longer ones", d.pageSize, len(d.free), overflow)
	}
}

// answers asks a ledger everything.
func (d *damageLedger) answers(led *capycoin.Ledger) (string, error) {
	ctx := context.Background()
	all, err := allAnswers(led, d.ids)
	if err != nil {
		return "", err
	}
	b := bytes.NewBufferString(all)
	iss, err := capycoin.NewTokenIssuer(led, &capycoin.TokenOptions{BcryptCost: 4})
	if err != nil {
		return "", err
	}
	for _, secret := range d.secrets {
		tok, err := iss.Verify(ctx, secret)
		if err != nil && !errors.Is(err, capycoin.ErrInvalidToken) {
			return "", err
		}
		fmt.Fprintln(b, tok)
	}
	for _, id := range d.ids {
		toks, err := iss.List(ctx, id)
		if err != nil {
			return "", err
		}
		fmt.Fprintln(b, toks)
	}
	results, err := led.TransferBatch(ctx, d.keyed, capycoin.EachAlone)
	if err != nil {
		return "", err
	}
	for _, r := range results {
		fmt.Fprintln(b, r)
	}
	return b.String(), nil
}

// goOn pays every account, opens one and revokes tokens, so that rows are written
// and removed.
func (d *damageLedger) goOn(led *capycoin.Ledger) error {
	ctx := context.Background()
	iss, err := capycoin.NewTokenIssuer(led, &capycoin.TokenOptions{BcryptCost: 4})
	if err != nil {
		return err
	}
	_, _, err = iss.OpenAccount(ctx)
	var batch []capycoin.Transfer
	for i, id := range d.ids[1:] {
		batch = append(batch, capycoin.Transfer{Sender: capycoin.DefaultSeedAccount(), Receiver: id, Amount: 1, Key: fmt.Sprint("further-", i)})
	}
	results, paid := led.TransferBatch(ctx, batch, capycoin.EachAlone)
	err = errors.Join(err, paid)
	for _, r := range results {
		err = errors.Join(err, r.Err)
	}
	for _, id := range d.ids[1:5] {
		toks, listed := iss.List(ctx, id)
		err = errors.Join(err, listed)
		for _, tok := range toks {
			err = errors.Join(err, iss.Revoke(ctx, id, tok.ID))
		}
	}
	return err
}

// goesOn makes sure that a whole ledger is whole after all that was written to it.
func (d *damageLedger) goesOn(led *capycoin.Ledger, path string) error {
	if err := errors.Join(d.goOn(led), led.Close()); err != nil {
		return err
	}
	led, err := capycoin.Open(path, &capycoin.Options{NoWitness: true})
	if err != nil {
		return err
	}
	rep, err := led.Audit(context.Background(), nil)
	return errors.Join(err, rep.Err(), led.Close())
}

// allAnswers asks a ledger everything about some accounts and the supply.
func allAnswers(led *capycoin.Ledger, ids []uuid.UUID) (string, error) {
	ctx := context.Background()
	var b bytes.Buffer
	s, err := led.Supply(ctx)
	if err != nil {
		return "", err
	}
	fmt.Fprintln(&b, s)
	for acct, err := range led.Accounts(ctx) {
		if err != nil {
			return "", err
		}
		fmt.Fprintln(&b, acct)
	}
	for _, id := range ids {
		acct, err := led.Account(ctx, id)
		if err != nil {
			return "", err
		}
		fmt.Fprintln(&b, acct)
		for tx, err := range led.Transactions(ctx, id, capycoin.Range{Order: capycoin.NewestFirst, Limit: capycoin.MaxPage}) {
			if err != nil {
				return "", err
			}
			fmt.Fprintln(&b, tx)
		}
	}
	return b.String(), nil
}

func (d *damageLedger) page(b []byte, n int) []byte { return b[n*d.pageSize : (n+1)*d.pageSize] }

// elements returns how many elements a page says to have that fit into it.
func (d *damageLedger) elements(page []byte) int {
	return min(int(binary.NativeEndian.Uint16(page[pages.CountAt:])), (d.pageSize-pages.HeaderSize)/pages.ElementSize)
}

// element returns where an element's key and value are, or for a branch its key
// and the number of the page it leads to.
func (d *damageLedger) element(page []byte, i int) (key, value [2]int) {
	at := pages.HeaderSize + i*pages.ElementSize
	field := func(n int) int { return int(binary.NativeEndian.Uint32(page[at+4*n:])) }
	if pages.Flags(page)&pages.FlagBranch != 0 {
		return [2]int{at + field(0), field(1)}, [2]int{at + 8, 8}
	}
	return [2]int{at + field(1), field(2)}, [2]int{at + field(1) + field(2), field(3)}
}
