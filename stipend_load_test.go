package capycoin_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/harness"
)

// TestHarnessStipendUnderLoad makes transfers, one after the other, while a stipend is
// paid to many accounts: they are held up by a batch of its payments at most.
func TestHarnessStipendUnderLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("measures times")
	}
	payees := 2000
	if harness.Alone() {
		payees = 10_000
	}
	w := &stipendWorld{t: t, clock: &fakeClock{}, path: t.TempDir() + "/coins.db"}
	w.noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	w.clock.set(w.noon)
	w.open()
	if err := w.led.SetFeePolicy(ctx, capycoin.FeePolicy{Flat: 1}); err != nil {
		t.Fatal(err)
	}
	ids := make([]uuid.UUID, payees)
	var gifts, payments []capycoin.Transfer
	for i := range ids {
		acct, err := w.led.OpenAccount(ctx)
		if err != nil {
			t.Fatal(err)
		}
		ids[i] = acct.ID
		gifts = append(gifts, capycoin.Transfer{Sender: capycoin.DefaultSeedAccount(), Receiver: acct.ID, Amount: 3})
	}
	for i, id := range ids {
		payments = append(payments, capycoin.Transfer{Sender: id, Receiver: ids[(i+1)%payees], Amount: 1})
	}
	for n, all := range [][]capycoin.Transfer{gifts, payments} {
		for batch := range slices.Chunk(all, capycoin.MaxBatch) {
			if _, err := w.led.TransferBatch(ctx, batch, capycoin.Atomic); err != nil {
				t.Fatal(err)
			}
		}
		w.clock.set(w.noon.Add(time.Duration(n+1) * day))
	}
	seed := capycoin.DefaultSeedAccount()
	var times []time.Duration
	transfer := func() {
		start := time.Now()
		pay(t, w.led, capycoin.Transfer{Sender: seed, Receiver: ids[len(times)%payees], Amount: 1})
		times = append(times, time.Since(start))
	}
	p99 := func() (middle, slow time.Duration) {
		slices.Sort(times)
		return times[len(times)/2], times[len(times)*99/100]
	}
	for start := time.Now(); time.Since(start) < time.Second; {
		transfer()
	}
	alone, aloneSlow := p99()
	times = times[:0]
	paid := make(chan capycoin.Stipend)
	go func() {
		s, err := w.led.PayStipend(ctx, capycoin.StipendRules{})
		if err != nil {
			t.Error(err)
		}
		paid <- s
	}()
	start := time.Now()
	var s capycoin.Stipend
	for waiting := true; waiting; {
		select {
		case s = <-paid:
			waiting = false
		default:
			transfer()
		}
	}
	took := time.Since(start)
	beside, besideSlow := p99()
	t.Logf("a transfer took %v alone (p99 %v), %v (p99 %v) beside %d payments in %v", alone, aloneSlow, beside, besideSlow, s.Paid, took)
	if s.Payees != int64(payees) || !s.Done() || len(times) < payees/256 {
		t.Errorf("paid was %+v, with %d transfers meanwhile", s, len(times))
	}
	if harness.Alone() && (beside > 4*alone+time.Millisecond || besideSlow > 4*aloneSlow+10*time.Millisecond) {
		t.Errorf("transfers take %v (p99 %v) beside a stipend, %v (p99 %v) alone", beside, besideSlow, alone, aloneSlow)
	}
	harness.Count(t, "payments of stipends beside transfers", int(s.Paid))
}
