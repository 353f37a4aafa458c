package capycoin_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/storetest"
)

// meanwhileLog is a log in which something happens before it is read, or written, the
// next time.
type meanwhileLog struct {
	capycoin.Log
	meanwhile, before atomic.Pointer[func()]
}

func (l *meanwhileLog) Append(ctx context.Context, after uint64, records [][]byte) error {
	if what := l.before.Swap(nil); what != nil {
		(*what)()
	}
	return l.Log.Append(ctx, after, records)
}

func (l *meanwhileLog) View(ctx context.Context, fn func(capycoin.LogReader) error) error {
	if what := l.meanwhile.Swap(nil); what != nil {
		(*what)()
	}
	return l.Log.View(ctx, fn)
}

// twoPayers are two ledgers on one journal, on the third day, with an account that was
// active on the second.
func twoPayers(t *testing.T) (first, second *capycoin.Ledger, log *meanwhileLog) {
	t.Helper()
	clock := &fakeClock{}
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	clock.set(noon)
	store := storetest.NewMemory()
	other := store.Handle()
	log = &meanwhileLog{Log: other}
	open := func(log capycoin.Log, folds capycoin.Folds) *capycoin.Ledger {
		led, err := capycoin.OpenStore(ctx, log, folds, &capycoin.Options{Clock: clock.now})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { led.Close() })
		return led
	}
	first, second = open(store, store), open(log, other)
	if err := first.SetFeePolicy(ctx, capycoin.FeePolicy{Flat: 1}); err != nil {
		t.Fatal(err)
	}
	ann, bob := openAccount(t, first, 10), openAccount(t, first, 10)
	clock.set(noon.Add(day))
	pay(t, first, capycoin.Transfer{Sender: ann, Receiver: bob, Amount: 1})
	clock.set(noon.Add(2 * day))
	catchUp(t, second)
	return first, second, log
}

// catchUp has a ledger read what another one has written.
func catchUp(t *testing.T, led *capycoin.Ledger) {
	t.Helper()
	seed := capycoin.DefaultSeedAccount()
	if _, err := led.Transfer(ctx, capycoin.Transfer{Sender: seed, Receiver: seed, Amount: 1}); !errors.Is(err, capycoin.ErrSameAccount) {
		t.Fatal(err)
	}
}

// TestStipendBegunMeanwhile has another begin and pay the stipend while its payees are
// looked for. The account of the fees is empty then: that is not the day's end.
func TestStipendBegunMeanwhile(t *testing.T) {
	for name, ask := range map[string]func(*capycoin.Ledger) (capycoin.Stipend, error){
		"pay": func(led *capycoin.Ledger) (capycoin.Stipend, error) {
			return led.PayStipend(ctx, capycoin.StipendRules{})
		},
		"plan": func(led *capycoin.Ledger) (capycoin.Stipend, error) {
			return led.PlanStipend(ctx, capycoin.StipendRules{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			first, second, log := twoPayers(t)
			var want capycoin.Stipend
			others := func() {
				var err error
				if want, err = first.PayStipend(ctx, capycoin.StipendRules{}); err != nil || !want.Done() {
					t.Fatalf("the other's is %+v, %v", want, err)
				}
				catchUp(t, second)
			}
			log.meanwhile.Store(&others)
			if s, err := ask(second); err != nil || s != want || s.Share != 1 {
				t.Errorf("got %+v, %v, want %+v", s, err, want)
			}
		})
	}
}

// TestStipendPaidMeanwhile has another pay those whom a ledger that began the stipend
// is about to pay.
func TestStipendPaidMeanwhile(t *testing.T) {
	first, second, log := twoPayers(t)
	others := func() {
		catchUp(t, first)
		if s, err := first.PayStipend(ctx, capycoin.StipendRules{}); err != nil || !s.Done() {
			t.Errorf("the other's is %+v, %v", s, err)
		}
	}
	begun := func() { log.before.Store(&others) }
	log.before.Store(&begun)
	s, err := second.PayStipend(ctx, capycoin.StipendRules{})
	if err != nil || !s.Done() || s.Payees != 1 || funds(t, second, capycoin.FeeAccount()) != 0 {
		t.Errorf("got %+v, %v", s, err)
	}
	audit(t, second)
}

// TestStipendOneByOne: of those who ask for the stipend at once, or for a plan of it,
// one looks for the payees, and the others come after it.
func TestStipendOneByOne(t *testing.T) {
	for name, ask := range map[string]func(context.Context, *capycoin.Ledger) (capycoin.Stipend, error){
		"pay": func(ctx context.Context, led *capycoin.Ledger) (capycoin.Stipend, error) {
			return led.PayStipend(ctx, capycoin.StipendRules{})
		},
		"plan": func(ctx context.Context, led *capycoin.Ledger) (capycoin.Stipend, error) {
			return led.PlanStipend(ctx, capycoin.StipendRules{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, led, log := twoPayers(t)
			within, leave := make(chan struct{}), make(chan struct{})
			hold := func() { close(within); <-leave }
			log.meanwhile.Store(&hold)
			done := make(chan error, 1)
			go func() {
				_, err := ask(ctx, led)
				done <- err
			}()
			<-within
			short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
			defer cancel()
			if s, err := ask(short, led); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("another one got %+v, %v", s, err)
			}
			close(leave)
			if err := <-done; err != nil {
				t.Error(err)
			}
			if s, err := ask(ctx, led); err != nil || s.Share != 1 || s.Done() != (name == "pay") {
				t.Errorf("afterwards: %+v, %v", s, err)
			}
		})
	}
}
