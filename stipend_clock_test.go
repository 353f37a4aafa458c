package capycoin_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/storetest"
)

// TestStipendClockBack has a stipend planned in the first moment of a day. Before it is
// begun the clock is set back and a record gets in before the day, or it is set to
// another day, or somebody else begins it: the writer does not begin what was planned.
func TestStipendClockBack(t *testing.T) {
	midnight := time.Date(2026, 3, 9, 0, 0, 0, 0, time.UTC)
	type world struct {
		clock      *fakeClock
		log        *meanwhileLog
		led, other *capycoin.Ledger
		ids        [2]uuid.UUID
	}
	payBy := func(w *world, i int) {
		t.Helper()
		pay(t, w.led, capycoin.Transfer{Sender: w.ids[i], Receiver: w.ids[1-i], Amount: 1})
	}
	for name, tt := range map[string]struct {
		meanwhile func(w *world) // the payees are looked for
		before    func(w *world) // the begin is written
		right     func(s capycoin.Stipend) bool
	}{
		"nothing happens": {right: func(s capycoin.Stipend) bool { return s.Day.Equal(midnight) && s.Payees == 1 && s.Done() }},
		"a day later": {
			meanwhile: func(w *world) { w.clock.set(midnight.Add(24 * time.Hour)) },
			right: func(s capycoin.Stipend) bool {
				return s.Day.Equal(midnight.Add(24*time.Hour)) && s.Payees == 1 && s.Done()
			},
		},
		"a second before the day": {
			meanwhile: func(w *world) { w.clock.set(midnight.Add(-time.Second)) },
			right:     func(s capycoin.Stipend) bool { return s.Day.Equal(midnight.Add(-24*time.Hour)) && s.Position == 0 },
		},
		"with another record before the day": {
			meanwhile: func(w *world) {
				w.clock.set(midnight.Add(-time.Second))
				payBy(w, 1)
				w.clock.set(midnight)
			},
			right: func(s capycoin.Stipend) bool { return s.Day.Equal(midnight) && s.Payees == 2 && s.Done() },
		},
		"once it was begun": {
			before: func(w *world) {
				if s, err := w.other.PayStipend(ctx, capycoin.StipendRules{Cap: 1}); err != nil || !s.Done() {
					t.Errorf("the other's is %+v, %v", s, err)
				}
			},
			right: func(s capycoin.Stipend) bool { return s.Day.Equal(midnight) && s.Rules.Cap == 1 && s.Done() },
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{clock: new(fakeClock)}
			w.clock.set(midnight.Add(-48 * time.Hour))
			memory := storetest.NewMemory()
			handle := memory.Handle()
			w.log = &meanwhileLog{Log: memory}
			open := func(log capycoin.Log, folds capycoin.Folds) *capycoin.Ledger {
				led, err := capycoin.OpenStore(ctx, log, folds, &capycoin.Options{Clock: w.clock.now})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { led.Close() })
				return led
			}
			w.led, w.other = open(w.log, memory), open(handle, handle)
			if err := w.led.SetFeePolicy(ctx, capycoin.FeePolicy{Flat: 1}); err != nil {
				t.Fatal(err)
			}
			for i := range w.ids {
				w.ids[i] = openAccount(t, w.led, 50)
			}
			w.clock.set(midnight.Add(-time.Hour))
			payBy(w, 0)
			w.clock.set(midnight)
			catchUp(t, w.other)
			if tt.meanwhile != nil {
				what := func() { tt.meanwhile(w) }
				w.log.meanwhile.Store(&what)
			}
			if tt.before != nil {
				what := func() { tt.before(w) }
				w.log.before.Store(&what)
			}
			s, err := w.led.PayStipend(ctx, capycoin.StipendRules{})
			if err != nil || !tt.right(s) {
				t.Errorf("%s: %+v, %v", name, s, err)
			}
			if w.log.meanwhile.Load() != nil || w.log.before.Load() != nil {
				t.Error("nothing happened meanwhile")
			}
			audit(t, w.led)
		})
	}
}
