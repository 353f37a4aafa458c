package capycoin_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/storetest"
)

// notAsked are the methods that no callback asks, each with its reason.
var notAsked = map[string]string{
	"Ledger.Close": "it waits for the goroutine that keeps the witness, which calls the logger",
}

// TestCallbacksAskAll: no method is forgotten.
func TestCallbacksAskAll(t *testing.T) {
	missing, known := 0, 0
	for _, typ := range []reflect.Type{reflect.TypeFor[*capycoin.Ledger](), reflect.TypeFor[*capycoin.TokenIssuer]()} {
		for m := range typ.NumMethod() {
			name := typ.Elem().Name() + "." + typ.Method(m).Name
			_, asked := questions[name]
			if _, not := notAsked[name]; asked == not {
				t.Errorf("%s is to be asked by callbacks, or to have a reason why not", name)
				missing++
			} else {
				known++
			}
		}
	}
	if all := len(questions) + len(notAsked); missing == 0 && known != all {
		t.Errorf("there are %d methods, and %d are asked or have a reason", known, all)
	}
}

// TestLoggerAsksTheLedger has a logger that asks the ledger everything, while it is
// called: no lock is held then. That is most likely when something is wrong, so a payer
// without an answer and a program that does not end would come on top of it.
func TestLoggerAsksTheLedger(t *testing.T) {
	const stopped, declined, again = "the ledger stopped", "changes are declined, as they can't be written", "changes are written again"
	payment := func(w *callbackWorld) error { return questions["Ledger.Transfer"].ask(w) }
	for name, tt := range map[string]struct {
		state  error // in which the ledger is when it says so
		says   string
		cause  func(w *callbackWorld) error
		answer error
	}{
		"a caller's commit fails": {capycoin.ErrStopped, stopped, func(w *callbackWorld) error {
			w.store.Fail(storetest.OpAppend, 1, storetest.YetDone)
			return payment(w)
		}, capycoin.ErrOutcomeUnknown},
		"the writer's commit fails": {capycoin.ErrStopped, stopped, func(w *callbackWorld) error {
			w.store.Fail(storetest.OpAppend, 2, storetest.NotDone)
			return w.queued(payment)
		}, capycoin.ErrOutcomeUnknown},
		"a reader finds damage": {capycoin.ErrStopped, stopped, func(w *callbackWorld) error {
			w.mem.SetRecord(w.paid.Position, []byte("damaged"))
			return second(w.led.TransactionByID(ctx, w.paid.TransactionID))
		}, capycoin.ErrCorrupt},
		"the writer finds damage": {capycoin.ErrStopped, stopped, func(w *callbackWorld) error {
			w.mem.SetRecord(w.paid.Position, []byte("damaged"))
			return second(w.led.Transfer(ctx, w.payment)) // its key was used by the damaged record
		}, capycoin.ErrCorrupt},
		"a caller's commit is declined": {capycoin.ErrDiskFull, declined, func(w *callbackWorld) error {
			w.full.full.Store(true)
			return payment(w)
		}, capycoin.ErrDiskFull},
		"the writer's commit is declined": {capycoin.ErrDiskFull, declined, func(w *callbackWorld) error {
			return w.queued(func(w *callbackWorld) error {
				w.full.full.Store(true) // after the first, which is not to fail
				return payment(w)
			})
		}, capycoin.ErrDiskFull},
		"an invite is used": {nil, "an invite was used", func(w *callbackWorld) error {
			return questions["TokenIssuer.OpenInvited"].ask(w)
		}, nil},
		"the witness can't be written": {nil, "the witness can't be written; the ledger goes on without", func(w *callbackWorld) error {
			// A folder in its place.
			if err := errors.Join(os.Remove(w.witness), os.Mkdir(w.witness, 0o700)); err != nil {
				return err
			}
			return payment(w)
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newCallbackWorld(t)
			w.begin(tt.state)
			if err := w.answered("the call that it is about", func() error { return tt.cause(w) }); !errors.Is(err, tt.answer) {
				t.Errorf("it is answered with %v, want %v", err, tt.answer)
			}
			eventually(t, tt.says, func() bool { return t.Failed() || w.asked(tt.says) > 0 })
			if n := w.asked(tt.says); n != 1 {
				t.Errorf("the logger has asked in %d of the calls that say %q, want 1", n, tt.says)
			}
			if tt.state == capycoin.ErrDiskFull {
				w.begin(nil)
				w.full.full.Store(false)
				eventually(t, again, func() bool {
					if err := w.answered("a payment", func() error { return payment(w) }); err != nil {
						t.Fatal(err)
					}
					return t.Failed() || w.asked(again) > 0
				})
			}
			if err := w.answered("Close", w.led.Close); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
}

// queued calls fn by several callers at once, while the commit of another one is on the
// disk, so that the writer's goroutine has them all in the next one. It returns what is
// wrong with the other one, or a caller's answer: others may only hear that it has stopped.
func (w *callbackWorld) queued(fn func(*callbackWorld) error) error {
	w.held.armed.Store(true)
	first := make(chan error, 1)
	go func() { first <- questions["Ledger.Transfer"].ask(w) }()
	<-w.held.held
	const callers = 6
	answers := make(chan error, callers)
	for range callers {
		go func() { answers <- fn(w) }()
	}
	// The writer has one of them and waits for its turn.
	eventually(w.t, "the others are queued", func() bool { return w.led.Stats().QueueLength == callers-1 })
	close(w.held.release)
	if err := <-first; err != nil {
		return fmt.Errorf("the commit before: %w", err)
	}
	var answer error
	for range callers {
		if err := <-answers; answer == nil || errors.Is(err, capycoin.ErrOutcomeUnknown) {
			answer = err
		}
	}
	return answer
}

// TestClockAsksTheLedger has a clock and a source of ids that ask the ledger what does
// not ask them, while many call at once. The clock is asked with the turn to write held,
// so it must not come back with an operation.
func TestClockAsksTheLedger(t *testing.T) {
	w := newCallbackWorld(t)
	var looks atomic.Int64
	w.onClock.Store(new(func() { looks.Add(1) }))
	w.begin(nil)
	for _, name := range asks(func(q *question) bool { return !q.writes && !q.clock && !q.file }) {
		if w.ask(name, nil); looks.Swap(0) > 0 {
			t.Errorf("%s asks the clock", name)
		}
	}
	clock := newRota(w, asks(func(q *question) bool { return !q.writes && !q.clock && !q.file }))
	ids := newRota(w, asks(func(q *question) bool { return !q.writes && !q.file }))
	w.onClock.Store(new(clock.next))
	w.onID.Store(new(ids.next))
	err := w.answered("what its callers ask for", func() error {
		var callers sync.WaitGroup
		var failed atomic.Value
		for n := range 8 {
			callers.Go(func() {
				operation := questions[[]string{"Ledger.Transfer", "Ledger.TransferBatch", "Ledger.OpenAccount", "Ledger.OpenKeyedAccount"}[n%4]]
				for !t.Failed() && failed.Load() == nil && !(clock.through() && ids.through()) {
					if err := operation.ask(w); err != nil {
						failed.Store(err)
					}
				}
			})
		}
		callers.Wait()
		err, _ := failed.Load().(error)
		return err
	})
	w.onClock.Store(nil)
	w.onID.Store(nil)
	if err != nil {
		t.Error(err)
	}
	if err := w.answered("Close", w.led.Close); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// rota asks one question after another, over and over.
type rota struct {
	w     *callbackWorld
	names []string
	begun atomic.Int64
	done  []atomic.Int64 // how often each was answered
}

func newRota(w *callbackWorld, names []string) *rota {
	return &rota{w: w, names: names, done: make([]atomic.Int64, len(names))}
}

func (r *rota) next() {
	n := int(r.begun.Add(1)-1) % len(r.names)
	if !r.w.t.Failed() && r.w.ask(r.names[n], nil) {
		r.done[n].Add(1)
	}
}

// through says whether each was answered twice.
func (r *rota) through() bool {
	for n := range r.done {
		if r.done[n].Load() < 2 {
			return false
		}
	}
	return true
}

// TestProgressAsksTheLedger has what is told of an audit and of a copy pay, and ask for the
// supply. Nothing is read meanwhile: a file that outgrows its map waits for its readers.
func TestProgressAsksTheLedger(t *testing.T) {
	w := newCallbackWorld(t)
	told := map[string]int{}
	tell := func(what string) {
		if !t.Failed() && w.ask("Ledger.Transfer", nil) && w.ask("Ledger.Supply", nil) {
			told[what]++
		}
	}
	source := func(ctx context.Context, after uint64) (capycoin.JournalPage, error) {
		tell("source")
		return w.led.JournalPage(ctx, after)
	}
	copying := &capycoin.BuildOptions{Progress: func(p capycoin.BuildProgress) { tell("building, " + p.Stage) }}
	auditing := &capycoin.AuditOptions{
		Progress: func(p capycoin.AuditProgress) { tell("auditing, " + p.Stage) },
		OnFault:  func(capycoin.AuditFault) { tell("a fault") },
	}
	for what, do := range map[string]func() error{
		"Build":  func() error { return second(capycoin.Build(ctx, w.file(), source, copying)) },
		"Backup": func() error { return second(w.led.Backup(ctx, w.file(), copying)) },
		"Audit":  func() error { return second(w.led.Audit(ctx, auditing)) },
	} {
		if err := w.answered(what, do); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	w.mem.SetRecord(w.paid.Position, []byte("damaged"))
	if err := w.answered("Audit", func() error { return second(w.led.Audit(ctx, auditing)) }); err != nil {
		t.Errorf("Audit of a damaged journal: %v", err)
	}
	want := strings.Fields("copying folding rows journal accounts keys tokens")
	for i, stage := range want {
		want[i] = "building, " + stage
		if i > 1 {
			want = append(want, "auditing, "+stage)
		}
	}
	for _, what := range append(want, "source", "a fault") {
		if told[what] == 0 {
			t.Errorf("nobody was told of: %s", what)
		}
	}
	if err := w.answered("Close", w.led.Close); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// TestFaultsOfRowsAskTheLedger: a row of keys that leads to no record is told of when the
// journal is let go, for which a commit may have to wait.
func TestFaultsOfRowsAskTheLedger(t *testing.T) {
	w := newCallbackWorld(t)
	if err := w.led.Close(); err != nil { // which folds the keys
		t.Fatal(err)
	}
	store := &mappedStore{Log: w.mem, Folds: w.mem}
	var err error
	if w.led, err = capycoin.OpenStore(ctx, store, store, &capycoin.Options{Clock: w.clock.now}); err != nil {
		t.Fatal(err)
	}
	w.mem.SetRecord(w.paid.Position, []byte("damaged"))
	told := 0
	audit := func() error {
		return second(w.led.Audit(ctx, &capycoin.AuditOptions{OnFault: func(f capycoin.AuditFault) {
			if strings.HasPrefix(f.Detail, "row ") && f.Kind == capycoin.FaultKey && w.ask("Ledger.Transfer", nil) {
				told++
			}
		}}))
	}
	if err := w.answered("Audit", audit); err != nil {
		t.Error(err)
	}
	if told == 0 {
		t.Error("nobody was told of the row")
	}
	if err := w.answered("Close", w.led.Close); err != nil {
		t.Error(err)
	}
}
