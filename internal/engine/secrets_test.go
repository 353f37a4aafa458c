package engine

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/boltfile"
	"github.com/capycoin/capycoin/internal/books"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/store"
)

// What the writer judges of tokens and invites by itself, whoever asked, and whatever was
// found before.

// seed is the seed account of test ledgers.
var seed = uuid.MustParse("10000000-0000-4000-8000-000000000001")

// testEngine is an engine over a new file.
type testEngine struct {
	*Engine
	t   *testing.T
	now time.Time // of its clock; set while nothing is written
	ids byte      // of accounts, the last one
}

func newTestEngine(t *testing.T) *testEngine {
	t.Helper()
	w := &testEngine{t: t, now: time.Date(2026, 3, 4, 5, 6, 7, 89_012_000, time.UTC)}
	file, err := boltfile.Open(filepath.Join(t.TempDir(), "coins.db"), boltfile.Options{
		LockTimeout: time.Second,
		Begin: func(log store.Log) error {
			began := record.Genesis{Ledger: uuid.New(), Supply: 1000, Seed: seed}
			return books.WriteGenesis(context.Background(), log, began, w.now.UnixMicro())
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.Engine, err = Open(t.Context(), file, file, Options{
		Books: books.Options{AccountCache: 100, Verifying: 1}, Logger: slog.New(slog.DiscardHandler), Close: file.Close,
		Clock: func() time.Time { return w.now }, QueueSize: 64,
	})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// try has an operation judged and returns why it was refused.
func (w *testEngine) try(op interface {
	Op
	Refused() error
}) error {
	w.t.Helper()
	if _, err := w.Submit(context.Background(), op); err != nil {
		w.t.Fatal(err)
	}
	return op.Refused()
}

// newAccount asks for a new account.
func (w *testEngine) newAccount(tok *record.Token, inv *record.Invite) *books.OpenAccount {
	w.ids++
	return &books.OpenAccount{ID: uuid.UUID{6: 0x40, 8: 0x80, 15: w.ids}, Token: tok, Invite: inv}
}

// account opens an account without a token.
func (w *testEngine) account() uuid.UUID {
	w.t.Helper()
	o := w.newAccount(nil, nil)
	if err := w.try(o); err != nil {
		w.t.Fatal(err)
	}
	return o.ID
}

// token is a token of an account that begins with a byte and lives for an hour.
func (w *testEngine) token(account uuid.UUID, first byte) *record.Token {
	tok := &record.Token{Account: account, Selector: [16]byte{first, 1}, Expires: w.now.Add(time.Hour).UnixMicro()}
	copy(tok.Hash[:], "$2a$04$"+strings.Repeat(".", 53))
	return tok
}

// invite makes an invite that lives for a day.
func (w *testEngine) invite() record.Invite {
	w.t.Helper()
	inv := record.Invite{Hash: [32]byte{1, 2, 3, 31: 4}, Expires: w.now.Add(24 * time.Hour).UnixMicro()}
	if err := w.try(&books.MakeInvite{Invite: &inv}); err != nil {
		w.t.Fatal(err)
	}
	return inv
}

func TestWriterJudgesTokens(t *testing.T) {
	w := newTestEngine(t)
	full := w.account()
	for n := range byte(books.MaxTokens) {
		if err := w.try(&books.IssueToken{Token: w.token(full, n+1)}); err != nil {
			t.Fatal(err)
		}
	}
	later := w.now.Add(time.Hour)
	for _, tt := range []struct {
		account uuid.UUID
		expires time.Time
		want    error
	}{
		{seed, later, books.ErrSeedToken},
		{uuid.MustParse("7f4b9b5e-0c7b-4f5a-9d0a-3f1d6f2b8c11"), later, books.ErrAccountNotFound},
		{full, later, books.ErrTooManyTokens},
		{w.account(), w.now, books.ErrBadExpiry},
	} {
		before := w.Books().Position()
		tok := w.token(tt.account, 99)
		tok.Expires = tt.expires.UnixMicro()
		if err := w.try(&books.IssueToken{Token: tok}); !errors.Is(err, tt.want) {
			t.Errorf("got error %v, want %v", err, tt.want)
		}
		if got := w.Books().Position(); got != before {
			t.Errorf("%v: %d records were written", tt.want, got-before)
		}
	}
}

// TestInviteUsedAtOnce has many use an invite at the same time, all judged in
// one commit: it opens one account.
func TestInviteUsedAtOnce(t *testing.T) {
	w := newTestEngine(t)
	inv := w.invite()
	totals, _ := w.Books().Totals()
	commits := w.Stats().Commits.Count
	const callers = 20
	results := make(chan error, callers+1)
	use := func(op interface {
		Op
		Refused() error
	}) {
		if _, err := w.Submit(context.Background(), op); err != nil {
			results <- err
			return
		}
		results <- op.Refused()
	}
	w.writing.Lock() // so that they gather
	for n := range byte(callers) {
		go use(w.newAccount(w.token(uuid.UUID{}, n), &inv))
	}
	go use(&books.RevokeInvite{Invite: inv})
	// The writer has taken one from the queue and waits for the lock.
	for deadline := time.Now().Add(10 * time.Second); w.Stats().QueueLength < callers; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d operations are queued, want %d", w.Stats().QueueLength, callers)
		}
	}
	w.writing.Unlock()
	ended := 0
	for range callers + 1 {
		switch err := <-results; {
		case err == nil:
			ended++
		case err != books.ErrInvalidInvite && err != books.ErrInviteNotFound:
			t.Errorf("got error %v", err)
		}
	}
	after, _ := w.Books().Totals()
	made := w.Stats().Commits.Count - commits
	if opened := after.Accounts - totals.Accounts; ended != 1 || opened > 1 || made != 1 {
		t.Errorf("the invite ended %d times and opened %d accounts in %d commits", ended, opened, made)
	}
	if err := w.try(w.newAccount(w.token(uuid.UUID{}, 99), &inv)); err != books.ErrInvalidInvite {
		t.Errorf("used again: got error %v, want %v", err, books.ErrInvalidInvite)
	}
	if live, _, err := w.Books().LiveInvites(t.Context(), 0, 10, w.Time()); err != nil || len(live) > 0 {
		t.Errorf("invites: got %+v, error %v, want none", live, err)
	}
	if got := w.Books().Position(); got != after.Position {
		t.Errorf("%d records were written", got-after.Position)
	}
}

// TestInviteJudgedAgain lets an invite expire, and be taken by another hash,
// between the look at it and the commit.
func TestInviteJudgedAgain(t *testing.T) {
	w := newTestEngine(t)
	inv := w.invite()
	again := record.Invite{Hash: inv.Hash, Expires: inv.Expires}
	if err := w.try(&books.MakeInvite{Invite: &again}); err != books.ErrSelectorTaken {
		t.Errorf("a second invite of the code: got error %v, want %v", err, books.ErrSelectorTaken)
	}
	tok := w.token(w.account(), 1)
	tok.Selector = inv.Selector()
	if err := w.try(&books.IssueToken{Token: tok}); err != books.ErrSelectorTaken {
		t.Errorf("a token of the invite's selector: got error %v, want %v", err, books.ErrSelectorTaken)
	}
	other := inv.Hash
	other[31]++
	if _, err := w.Books().InviteByHash(t.Context(), other, w.Time()); err != books.ErrInvalidInvite {
		t.Errorf("a hash that only begins like it: got error %v, want %v", err, books.ErrInvalidInvite)
	}
	w.now = time.UnixMicro(inv.Expires)
	before := w.Books().Position()
	if err := w.try(w.newAccount(w.token(uuid.UUID{}, 1), &inv)); err != books.ErrInvalidInvite {
		t.Errorf("expired meanwhile: got error %v, want %v", err, books.ErrInvalidInvite)
	}
	if got := w.Books().Position(); got != before {
		t.Errorf("%d records were written", got-before)
	}
}
