package capycoin_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/storetest"
)

// slowLog takes a time for each Append.
type slowLog struct {
	capycoin.Log
	takes time.Duration
	sizes []int // of the appends
	began time.Time
}

func (l *slowLog) Append(ctx context.Context, after uint64, records [][]byte) error {
	l.began = time.Now()
	time.Sleep(l.takes)
	l.sizes = append(l.sizes, len(records))
	return l.Log.Append(ctx, after, records)
}

// openSlowLedger opens a ledger whose commits take a time, with an account.
func openSlowLedger(t *testing.T, takes time.Duration) (*capycoin.Ledger, *slowLog, uuid.UUID) {
	t.Helper()
	mem := storetest.NewMemory()
	log := &slowLog{Log: mem, takes: takes}
	led, err := capycoin.OpenStore(t.Context(), log, mem, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { led.Close() })
	id := openAccount(t, led, 0)
	log.sizes = nil
	return led, log, id
}

// payRounds lets callers pay a coin so many times each, side by side.
func payRounds(t *testing.T, led *capycoin.Ledger, to uuid.UUID, callers, rounds int) {
	t.Helper()
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range rounds {
				pay(t, led, capycoin.Transfer{Sender: capycoin.DefaultSeedAccount(), Receiver: to, Amount: 1})
			}
		})
	}
	wg.Wait()
}

// TestLinger: callers that come again at once go into one commit, not by turns
// into two.
func TestLinger(t *testing.T) {
	const callers, rounds = 32, 20
	led, log, id := openSlowLedger(t, 10*time.Millisecond)
	for range 3 {
		log.sizes = nil
		payRounds(t, led, id, callers, rounds)
		// The first ones find out how many there are, and a busy machine may be late.
		if len(log.sizes) <= rounds*3/2 {
			return
		}
	}
	t.Errorf("%d rounds of %d callers were %d commits: %v", rounds, callers, len(log.sizes), log.sizes)
}

// TestLingerIsShort: whoever does not come again holds the others up for less
// than a commit takes.
func TestLingerIsShort(t *testing.T) {
	const takes = 100 * time.Millisecond
	led, log, id := openSlowLedger(t, takes)
	payRounds(t, led, id, 32, 3)
	for _, callers := range []int{20, 10, 1} {
		least := time.Hour // of some tries: a busy machine may be late
		for try := 0; try < 5 && least > takes*19/10; try++ {
			if try > 0 {
				payRounds(t, led, id, 32, 3)
			}
			log.sizes = nil
			start := time.Now()
			payRounds(t, led, id, callers, 1)
			if least = min(least, time.Since(start)); len(log.sizes) > 1 {
				least = 0 // some came late, or were not waited for
			}
		}
		if least > takes*19/10 {
			t.Errorf("%d callers waited %s for a commit of %s", callers, least, takes)
		}
	}
}

// TestLingerPasses: an operation long after a busy time waits for nobody.
func TestLingerPasses(t *testing.T) {
	const takes = 20 * time.Millisecond
	led, log, id := openSlowLedger(t, takes)
	least := time.Hour // of some tries: a busy machine may be late
	for range 5 {
		payRounds(t, led, id, 32, 2)
		time.Sleep(2 * takes)
		start := time.Now()
		payRounds(t, led, id, 1, 1)
		least = min(least, log.began.Sub(start))
	}
	if least > 4*time.Millisecond {
		t.Errorf("the commit of a single operation began %s after its call", least)
	}
}
