package capycoin_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/tune"
	"github.com/capycoin/capycoin/storetest"
)

// TestEarlyTime: no record is of a time before its call, although others of its
// commit were judged before that.
func TestEarlyTime(t *testing.T) {
	led, log, id := openSlowLedger(t, 2*time.Millisecond)
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for range 40 {
				called := time.Now().Truncate(time.Microsecond)
				r := pay(t, led, capycoin.Transfer{Sender: capycoin.DefaultSeedAccount(), Receiver: id, Amount: 1})
				if r.Timestamp.Before(called) {
					t.Errorf("a transfer is of %s, it was called %s later", r.Timestamp, called.Sub(r.Timestamp))
				}
			}
		})
	}
	wg.Wait()
	if n := len(log.sizes); n > 32*40/4 {
		t.Errorf("there were %d commits, so none that waited", n)
	}
}

// TestEarlyFenced: what was judged early is judged again when another ledger has
// written meanwhile. Both pay from accounts that soon have nothing left.
func TestEarlyFenced(t *testing.T) {
	const callers, funded = 32, 200
	mem := storetest.NewMemory()
	var leds [2]*capycoin.Ledger
	for i, handle := range []*storetest.Memory{mem, mem.Handle()} {
		log := &slowLog{Log: handle, takes: time.Millisecond}
		led, err := capycoin.OpenStore(t.Context(), log, handle, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer led.Close()
		leds[i] = led
	}
	from, to := openAccount(t, leds[0], funded), openAccount(t, leds[0], 0)
	var paid, refused atomic.Int64
	var wg sync.WaitGroup
	for n := range 2 * callers {
		led := leds[n%2]
		wg.Go(func() {
			for range funded / callers {
				switch _, err := led.Transfer(t.Context(), capycoin.Transfer{Sender: from, Receiver: to, Amount: 1}); {
				case err == nil:
					paid.Add(1)
				case errors.Is(err, capycoin.ErrInsufficientFunds):
					refused.Add(1)
				default:
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if paid.Load() != funded || refused.Load() == 0 {
		t.Errorf("%d coins were paid of %d, %d transfers refused", paid.Load(), funded, refused.Load())
	}
	// The first one learns of what the other wrote last when it writes itself.
	pay(t, leds[0], capycoin.Transfer{Sender: to, Receiver: from, Amount: 1})
	pay(t, leds[0], capycoin.Transfer{Sender: from, Receiver: to, Amount: 1})
	if got := funds(t, leds[0], to); got != funded {
		t.Errorf("%d coins have come", got)
	}
	for _, led := range leds {
		if rep, err := led.Audit(t.Context(), nil); err != nil || rep.Err() != nil {
			t.Error(err, rep.Err())
		}
	}
}

// TestEarlyFault fails to read accounts while operations are judged early: each
// has an outcome of its own, and nothing is written of those that failed.
func TestEarlyFault(t *testing.T) {
	const callers = 32
	failures := int64(0)
	for n := range 40 {
		mem := storetest.NewMemory()
		faulty := storetest.NewFaulty(mem, mem)
		log := &slowLog{Log: faulty}
		led, err := capycoin.OpenStore(tune.With(t.Context(), folding(16, 8)), log, faulty, &capycoin.Options{AccountCache: 16})
		if err != nil {
			t.Fatal(err)
		}
		var ids []uuid.UUID
		for range 200 {
			ids = append(ids, openAccount(t, led, 0))
		}
		log.takes = time.Millisecond
		faulty.Fail(storetest.OpScan, 10+5*n, storetest.NotDone)
		var paid, failed atomic.Int64
		var wg sync.WaitGroup
		for c := range callers {
			wg.Go(func() {
				for i := range 5 {
					to := ids[5*c+i]
					switch _, err := led.Transfer(t.Context(), capycoin.Transfer{Sender: capycoin.DefaultSeedAccount(), Receiver: to, Amount: 1}); {
					case err == nil:
						paid.Add(1)
					case errors.Is(err, capycoin.ErrNotWritten):
						failed.Add(1)
					default:
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		failures += failed.Load()
		supply, err := led.Supply(t.Context())
		if err != nil || supply.Transactions != paid.Load() {
			t.Errorf("fault %d: %d transactions, %d were paid, %d failed, %v", n, supply.Transactions, paid.Load(), failed.Load(), err)
		}
		rep, err := led.Audit(t.Context(), nil)
		if errors.Is(err, storetest.ErrInjected) { // there were fewer reads before
			rep, err = led.Audit(t.Context(), nil)
		}
		if err != nil || rep.Err() != nil {
			t.Error(err, rep.Err())
		}
		led.Close()
	}
	if failures == 0 {
		t.Error("no transfer met a fault")
	}
}
