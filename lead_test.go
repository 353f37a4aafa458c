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

// heldLog holds up one Append, and lets it fail without a word on whether it
// was written.
type heldLog struct {
	capycoin.Log
	armed   atomic.Bool
	held    chan struct{}
	release chan struct{}
	appends atomic.Int64
}

func (l *heldLog) Append(ctx context.Context, after uint64, records [][]byte) error {
	l.appends.Add(1)
	if l.armed.Swap(false) {
		close(l.held)
		<-l.release
		return errors.New("the disk is on fire")
	}
	return l.Log.Append(ctx, after, records)
}

// TestStopWhileLeading lets the commit of a caller that leads end with an
// unknown outcome while others wait for theirs: nothing is built on it.
func TestStopWhileLeading(t *testing.T) {
	ctx := context.Background()
	mem := storetest.NewMemory()
	log := &heldLog{Log: mem, held: make(chan struct{}), release: make(chan struct{})}
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
