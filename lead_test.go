package capycoin_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/storetest"
)

// heldLog holds up one Append, and then gives it its outcome.
type heldLog struct {
	capycoin.Log
	outcome error // nil: it is made as any other
	armed   atomic.Bool
	held    chan struct{}
	release chan struct{}
	appends atomic.Int64
}

func (l *heldLog) Append(ctx context.Context, after uint64, records [][]byte) error {
	l.appends.Add(1)
	if l.armed.Swap(false) {
		close(l.held)
		if <-l.release; l.outcome != nil {
			return l.outcome
		}
	}
	return l.Log.Append(ctx, after, records)
}

func newHeldLog(log capycoin.Log, outcome error) *heldLog {
	return &heldLog{Log: log, outcome: outcome, held: make(chan struct{}), release: make(chan struct{})}
}

// TestStopWhileLeading lets the commit of a caller that leads end with an
// unknown outcome while others wait for theirs: nothing is built on it.
func TestStopWhileLeading(t *testing.T) {
	ctx := context.Background()
	mem := storetest.NewMemory()
	log := newHeldLog(mem, errors.New("the disk is on fire, and nobody knows what is written"))
	led, err := capycoin.OpenStore(ctx, log, mem, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer led.Close()
	a := openAccount(t, led, 0)
	pay := func() error {
		_, err := led.Transfer(ctx, capycoin.Transfer{Sender: capycoin.DefaultSeedAccount(), Receiver: a, Amount: 1})
		return err
	}
	log.armed.Store(true)
	leads := make(chan error, 1)
	go func() { leads <- pay() }()
	<-log.held

	const callers = 20
	errs := make(chan error, callers)
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() { errs <- pay() })
	}
	// The writer has one of them in its hand.
	for led.Stats().QueueLength < callers-1 {
		time.Sleep(time.Millisecond)
	}
	before := log.appends.Load()
	close(log.release)
	if err := <-leads; !errors.Is(err, capycoin.ErrOutcomeUnknown) {
		t.Errorf("the caller that leads: got %v, want %v", err, capycoin.ErrOutcomeUnknown)
	}
	wg.Wait()
	for range callers {
		if err := <-errs; !errors.Is(err, capycoin.ErrStopped) {
			t.Errorf("a caller that waits: got %v, want %v", err, capycoin.ErrStopped)
		}
	}
	if n := log.appends.Load() - before; n > 0 {
		t.Errorf("%d commits were made after it", n)
	}
}

// TestCloseCommitsTheQueue closes a ledger while one commit is on the disk and
// others are queued: all of them get their receipts, those that come later don't.
func TestCloseCommitsTheQueue(t *testing.T) {
	ctx := context.Background()
	mem := storetest.NewMemory()
	log := newHeldLog(mem, nil)
	led, err := capycoin.OpenStore(ctx, log, mem, nil)
	if err != nil {
		t.Fatal(err)
	}
	a := openAccount(t, led, 0)
	pay := func() error {
		_, err := led.Transfer(ctx, capycoin.Transfer{Sender: capycoin.DefaultSeedAccount(), Receiver: a, Amount: 1})
		return err
	}
	const callers = 20
	errs := make(chan error, callers+1)
	log.armed.Store(true)
	var wg sync.WaitGroup
	wg.Go(func() { errs <- pay() })
	<-log.held
	for range callers {
		wg.Go(func() { errs <- pay() })
	}
	for led.Stats().QueueLength < callers-1 { // the writer has one of them in its hand
		time.Sleep(time.Millisecond)
	}
	closed := make(chan error)
	go func() { closed <- led.Close() }()
	for led.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	if err := pay(); !errors.Is(err, capycoin.ErrClosed) {
		t.Errorf("a transfer after Close was called: got %v, want %v", err, capycoin.ErrClosed)
	}
	close(log.release)
	if err := <-closed; err != nil {
		t.Errorf("Close: got %v", err)
	}
	wg.Wait()
	for range callers + 1 {
		if err := <-errs; err != nil {
			t.Errorf("one of what was queued before Close: got %v, want a receipt", err)
		}
	}
}
