package capycoin_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/tune"
	"github.com/capycoin/capycoin/storetest"
)

// question is a method as a callback asks it. One that serves has no error.
type question struct {
	ask    func(w *callbackWorld) error
	writes bool // its error is the store's, if that has no room
	mute   bool // it has no error to return
	clock  bool // it asks the clock
	file   bool // it makes a file, which takes long
}

// questions are all methods of a ledger and of an issuer, by their names.
var questions = map[string]question{
	"Ledger.Account":     {ask: func(w *callbackWorld) error { return second(w.led.Account(ctx, w.bob)) }},
	"Ledger.AccountPage": {ask: func(w *callbackWorld) error { return second(w.led.AccountPage(ctx, "", 10)) }},
	"Ledger.Accounts":    {ask: func(w *callbackWorld) error { return lastError(w.led.Accounts(ctx)) }},
	"Ledger.Audit":       {ask: (*callbackWorld).audit, clock: true},
	"Ledger.Backup":      {ask: func(w *callbackWorld) error { return second(w.led.Backup(ctx, w.file(), nil)) }, file: true},
	"Ledger.ChangeKey":   {ask: (*callbackWorld).changeKey, writes: true},
	"Ledger.CheckWitness": {ask: func(w *callbackWorld) error {
		return w.led.CheckWitness(ctx, w.seen)
	}},
	"Ledger.Err":       {ask: func(w *callbackWorld) error { return w.led.Err() }},
	"Ledger.Fee":       {ask: func(w *callbackWorld) error { return second(w.led.Fee(ctx, 1)) }},
	"Ledger.FeePolicy": {ask: func(w *callbackWorld) error { _, _, err := w.led.FeePolicy(ctx); return err }},
	"Ledger.FundsAt":   {ask: func(w *callbackWorld) error { return second(w.led.FundsAt(ctx, w.bob, w.clock.now())) }},
	"Ledger.Journal":   {ask: func(w *callbackWorld) error { return lastError(w.led.Journal(ctx, 0)) }},
	"Ledger.JournalPage": {ask: func(w *callbackWorld) error {
		return second(w.led.JournalPage(ctx, 0))
	}},
	"Ledger.LastStipend": {ask: func(w *callbackWorld) error { return second(w.led.LastStipend(ctx)) }},
	"Ledger.OpenAccount": {ask: func(w *callbackWorld) error { return second(w.led.OpenAccount(ctx)) }, writes: true},
	"Ledger.OpenKeyedAccount": {ask: func(w *callbackWorld) error {
		return second(w.led.OpenKeyedAccount(ctx, w.public))
	}, writes: true},
	"Ledger.PayStipend": {ask: func(w *callbackWorld) error {
		return second(w.led.PayStipend(ctx, capycoin.StipendRules{}))
	}, writes: true},
	"Ledger.PlanStipend": {ask: func(w *callbackWorld) error {
		return second(w.led.PlanStipend(ctx, capycoin.StipendRules{}))
	}, clock: true},
	"Ledger.SetFeePolicy": {ask: func(w *callbackWorld) error {
		return w.led.SetFeePolicy(ctx, capycoin.FeePolicy{Flat: 1})
	}, writes: true},
	"Ledger.Stats":   {ask: func(w *callbackWorld) error { w.led.Stats(); return nil }, mute: true},
	"Ledger.Stopped": {ask: func(w *callbackWorld) error { w.led.Stopped(); return nil }, mute: true},
	"Ledger.Supply":  {ask: func(w *callbackWorld) error { return second(w.led.Supply(ctx)) }},
	"Ledger.Time":    {ask: func(w *callbackWorld) error { w.led.Time(); return nil }, mute: true, clock: true},
	"Ledger.Transaction": {ask: func(w *callbackWorld) error {
		return second(w.led.Transaction(ctx, w.bob, w.paid.TransactionID))
	}},
	"Ledger.TransactionByID": {ask: func(w *callbackWorld) error {
		return second(w.led.TransactionByID(ctx, w.paid.TransactionID))
	}},
	"Ledger.TransactionPage": {ask: func(w *callbackWorld) error {
		return second(w.led.TransactionPage(ctx, w.bob, capycoin.Range{}))
	}},
	"Ledger.Transactions": {ask: func(w *callbackWorld) error {
		return lastError(w.led.Transactions(ctx, w.ann, capycoin.Range{}))
	}},
	"Ledger.Transfer": {ask: func(w *callbackWorld) error {
		return second(w.led.Transfer(ctx, capycoin.Transfer{Sender: w.bob, Receiver: w.ann, Amount: 1}))
	}, writes: true},
	"Ledger.TransferBatch": {ask: func(w *callbackWorld) error {
		two := []capycoin.Transfer{{Sender: w.bob, Receiver: w.ann, Amount: 1}, {Sender: w.bob, Receiver: w.ann, Amount: 2}}
		return second(w.led.TransferBatch(ctx, two, capycoin.Atomic))
	}, writes: true},

	"TokenIssuer.Invite": {ask: func(w *callbackWorld) error {
		return second(w.iss.Invite(ctx, capycoin.InviteRequest{}))
	}, writes: true},
	"TokenIssuer.InvitePage": {ask: func(w *callbackWorld) error {
		return second(w.iss.InvitePage(ctx, "", 10))
	}, clock: true},
	"TokenIssuer.Issue": {ask: func(w *callbackWorld) error {
		return second(w.iss.Issue(ctx, w.ann, capycoin.TokenRequest{}))
	}, writes: true},
	"TokenIssuer.List": {ask: func(w *callbackWorld) error { return second(w.iss.List(ctx, w.bob)) }, clock: true},
	"TokenIssuer.OpenAccount": {ask: func(w *callbackWorld) error {
		_, _, err := w.iss.OpenAccount(ctx)
		return err
	}, writes: true},
	"TokenIssuer.OpenInvited": {ask: func(w *callbackWorld) error {
		_, _, err := w.iss.OpenInvited(ctx, (<-w.invites).Code)
		return err
	}, writes: true},
	"TokenIssuer.OpenKeyedAccount": {ask: func(w *callbackWorld) error {
		_, _, err := w.iss.OpenKeyedAccount(ctx, w.public)
		return err
	}, writes: true},
	"TokenIssuer.OpenKeyedInvited": {ask: func(w *callbackWorld) error {
		_, _, err := w.iss.OpenKeyedInvited(ctx, (<-w.invites).Code, w.public)
		return err
	}, writes: true},
	"TokenIssuer.Revoke": {ask: func(w *callbackWorld) error {
		return w.iss.Revoke(ctx, w.bob, (<-w.tokens).ID)
	}, writes: true},
	"TokenIssuer.RevokeInvite": {ask: func(w *callbackWorld) error {
		return w.iss.RevokeInvite(ctx, (<-w.invites).ID)
	}, writes: true},
	"TokenIssuer.Stats": {ask: func(w *callbackWorld) error { w.iss.Stats(); return nil }, mute: true},
	"TokenIssuer.Verify": {ask: func(w *callbackWorld) error {
		return second(w.iss.Verify(ctx, w.token.Secret))
	}, clock: true},
}

// asks lists those questions that are so, in order.
func asks(so func(*question) bool) (names []string) {
	for _, name := range slices.Sorted(maps.Keys(questions)) {
		if q := questions[name]; so(&q) {
			names = append(names, name)
		}
	}
	return names
}

// lastError lists all, and returns the error at the end.
func lastError[T any](list func(func(T, error) bool)) (err error) {
	list(func(_ T, bad error) bool { err = bad; return true })
	return err
}

// callbackWorld is a ledger whose callbacks ask it, from when the test begins with that.
type callbackWorld struct {
	t             *testing.T
	dir, witness  string
	seen          string // a copy of the witness, which stays
	files         atomic.Int64
	clock         fakeClock
	onClock, onID atomic.Pointer[func()]

	mem   *storetest.Memory
	store *storetest.Faulty
	held  *heldLog
	full  *fullLog
	led   *capycoin.Ledger
	iss   *capycoin.TokenIssuer

	private  ed25519.PrivateKey // Ann's
	public   capycoin.PublicKey
	ledger   uuid.UUID
	ann, bob uuid.UUID
	payment  capycoin.Transfer // of Bob's, with a key
	paid     capycoin.Receipt  // of it
	token    capycoin.IssuedToken
	tokens   chan capycoin.IssuedToken  // Bob's, to be revoked,
	invites  chan capycoin.IssuedInvite // and invites, to be used: enough for all rounds

	asking atomic.Bool // somebody asks: what is logged about that is not a reason to ask
	mu     sync.Mutex
	begun  bool
	state  error          // that the ledger is in: nil, ErrStopped or ErrDiskFull
	rounds map[string]int // of questions, by what was logged
}

// patience is for what waits for nothing but processors and the disk.
const patience = 10 * time.Second

func newCallbackWorld(t *testing.T) *callbackWorld {
	t.Helper()
	dir := t.TempDir()
	w := &callbackWorld{
		t: t, dir: dir, witness: filepath.Join(dir, "witness"), seen: filepath.Join(dir, "seen"),
		mem: storetest.NewMemory(), rounds: map[string]int{},
		tokens: make(chan capycoin.IssuedToken, 4), invites: make(chan capycoin.IssuedInvite, 16),
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	w.clock.set(noon)
	mapped := new(mappedStore)
	mapped.Log, mapped.Folds = w.mem, w.mem
	w.store = storetest.NewFaulty(mapped, mapped)
	w.held = newHeldLog(w.store, nil)
	w.full = &fullLog{Log: w.held}
	call := func(callback *atomic.Pointer[func()]) {
		if fn := callback.Load(); fn != nil {
			(*fn)()
		}
	}
	var err error
	w.led, err = capycoin.OpenStore(tune.With(ctx, tune.Options{WitnessEvery: 5 * time.Millisecond}), w.full, w.store, &capycoin.Options{
		Clock:   func() time.Time { call(&w.onClock); return w.clock.now() },
		NewID:   func() (uuid.UUID, error) { call(&w.onID); return uuid.NewRandom() },
		Logger:  slog.New(askingHandler{slog.DiscardHandler, w}),
		Witness: w.witness, AccountCache: 16,
	})
	must(err)
	t.Cleanup(func() {
		if !t.Failed() { // or it may hang
			w.led.Close()
		}
	})
	supply, err := w.led.Supply(ctx)
	must(err)
	w.ledger = supply.LedgerID
	w.private, w.public = testKey("Ann")
	ann, err := w.led.OpenKeyedAccount(ctx, w.public)
	must(err)
	w.ann, w.bob = ann.ID, openAccount(t, w.led, 50_000)
	// There is a stipend to be paid.
	must(w.led.SetFeePolicy(ctx, capycoin.FeePolicy{Flat: 1}))
	w.clock.set(noon.Add(day))
	w.payment = capycoin.Transfer{Sender: w.bob, Receiver: w.ann, Amount: 1, Key: "lunch"}
	w.paid = pay(t, w.led, w.payment)
	w.clock.set(noon.Add(2 * day))
	w.iss, err = capycoin.NewTokenIssuer(w.led, &capycoin.TokenOptions{BcryptCost: 4})
	must(err)
	w.token, err = w.iss.Issue(ctx, w.bob, capycoin.TokenRequest{})
	must(err)
	for range cap(w.tokens) {
		token, err := w.iss.Issue(ctx, w.bob, capycoin.TokenRequest{})
		must(err)
		w.tokens <- token
	}
	for range cap(w.invites) {
		invite, err := w.iss.Invite(ctx, capycoin.InviteRequest{})
		must(err)
		w.invites <- invite
	}
	eventually(t, "the witness has seen all", func() bool { s := w.led.Stats(); return s.WitnessPosition == s.Position })
	writeFile(t, w.seen, readFile(t, w.witness))
	return w
}

// file is the name of a new file.
func (w *callbackWorld) file() string {
	return filepath.Join(w.dir, fmt.Sprint("file ", w.files.Add(1)))
}

func (w *callbackWorld) audit() error {
	rep, err := w.led.Audit(ctx, nil)
	return errors.Join(err, rep.Err())
}

// changeKey gives Ann her key once more.
func (w *callbackWorld) changeKey() error {
	acct, err := w.led.Account(ctx, w.ann)
	if err != nil {
		return err
	}
	c := capycoin.KeyChange{Account: w.ann, Version: acct.KeyVersion, NewKey: w.public}
	if c.OldSignature, err = capycoin.SignKeyChange(w.ledger, w.ann, c.Version, c.NewKey, w.private); err != nil {
		return err
	}
	c.NewSignature = c.OldSignature
	return second(w.led.ChangeKey(ctx, c))
}

// ask asks a question, of which the answer is expected to be an error. It returns whether
// there was an answer.
func (w *callbackWorld) ask(name string, want error) bool {
	q := questions[name]
	err := w.within(patience, name, func() error { return q.ask(w) })
	if err == errHangs {
		return false
	}
	if !errors.Is(err, want) {
		w.t.Errorf("%s returns %v, want %v", name, err, want)
	}
	return true
}

var errHangs = errors.New("it hangs")

// answered is what is returned by a call in which callbacks may ask: one that hangs is told
// of before the call is.
func (w *callbackWorld) answered(what string, call func() error) error {
	return w.within(3*patience, what, call)
}

// within returns what a call returns, or after a while that it hangs.
func (w *callbackWorld) within(limit time.Duration, what string, call func() error) error {
	done := make(chan error, 1)
	go func() { done <- call() }()
	select {
	case err := <-done:
		return err
	case <-time.After(limit):
		w.t.Errorf("%s has not returned after %v", what, limit)
		return errHangs
	}
}

// begin has the logger ask from now on. The ledger is in a state when it says something.
func (w *callbackWorld) begin(state error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.begun, w.state = true, state
}

// asked returns in how many calls that say something the logger has asked everything.
func (w *callbackWorld) asked(says string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rounds[says]
}

// askingHandler asks the ledger everything whenever something is logged.
type askingHandler struct {
	slog.Handler
	w *callbackWorld
}

// Enabled implements [slog.Handler].
func (askingHandler) Enabled(context.Context, slog.Level) bool { return true }

// Handle implements [slog.Handler].
func (h askingHandler) Handle(_ context.Context, r slog.Record) error {
	w := h.w
	w.mu.Lock()
	begun, state := w.begun, w.state
	w.mu.Unlock()
	if !begun || !w.asking.CompareAndSwap(false, true) {
		return nil
	}
	defer w.asking.Store(false)
	for _, name := range asks(func(*question) bool { return true }) {
		want := state
		if q := questions[name]; q.mute || state == capycoin.ErrDiskFull && !q.writes {
			want = nil
		}
		if !w.ask(name, want) {
			return nil
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rounds[r.Message]++
	return nil
}

// mappedStore is a store whose commits wait for its readers, as those of a file that has
// outgrown its map do.
type mappedStore struct {
	capycoin.Log
	capycoin.Folds
	reading sync.RWMutex
}

// Append implements [capycoin.Log].
func (s *mappedStore) Append(ctx context.Context, after uint64, records [][]byte) error {
	s.reading.Lock()
	defer s.reading.Unlock()
	return s.Log.Append(ctx, after, records)
}

// View implements [capycoin.Log].
func (s *mappedStore) View(ctx context.Context, fn func(capycoin.LogReader) error) error {
	s.reading.RLock()
	defer s.reading.RUnlock()
	return s.Log.View(ctx, fn)
}

// Get implements [capycoin.Folds].
func (s *mappedStore) Get(ctx context.Context, table capycoin.Table, key []byte) ([]byte, error) {
	s.reading.RLock()
	defer s.reading.RUnlock()
	return s.Folds.Get(ctx, table, key)
}

// Scan implements [capycoin.Folds].
func (s *mappedStore) Scan(ctx context.Context, table capycoin.Table, from []byte, fn func(key, value []byte) bool) error {
	s.reading.RLock()
	defer s.reading.RUnlock()
	return s.Folds.Scan(ctx, table, from, fn)
}
