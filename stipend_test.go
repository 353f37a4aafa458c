package capycoin_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/storetest"
)

const day = 24 * time.Hour

// stipendWorld is a ledger at noon of a day, with a fee and accounts that were
// opened two days before, of which some have paid another.
type stipendWorld struct {
	t      testing.TB
	clock  *fakeClock
	led    *capycoin.Ledger
	path   string
	noon   time.Time // of the first day
	active []uuid.UUID
	idle   []uuid.UUID
}

func newStipendWorld(t testing.TB, active, idle int) *stipendWorld {
	t.Helper()
	w := &stipendWorld{t: t, clock: &fakeClock{}, path: filepath.Join(t.TempDir(), "coins.db")}
	w.noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	w.clock.set(w.noon)
	w.open()
	if err := w.led.SetFeePolicy(ctx, capycoin.FeePolicy{Flat: 1}); err != nil {
		t.Fatal(err)
	}
	for range active {
		w.active = append(w.active, openAccount(t, w.led, 100))
	}
	for range idle {
		w.idle = append(w.idle, openAccount(t, w.led, 100))
	}
	w.clock.set(w.noon.Add(day))
	for i, id := range w.active {
		w.pay(id, w.active[(i+1)%active], 1)
	}
	return w
}

func (w *stipendWorld) open() {
	w.t.Helper()
	w.led = openLedger(w.t, w.path, &capycoin.Options{Clock: w.clock.now, Supply: 1_000_000})
}

func (w *stipendWorld) pay(from, to uuid.UUID, amount capycoin.Coins) {
	w.t.Helper()
	pay(w.t, w.led, capycoin.Transfer{Sender: from, Receiver: to, Amount: amount})
}

// donate gives the fee account coins.
func (w *stipendWorld) donate(amount capycoin.Coins) {
	w.t.Helper()
	w.pay(capycoin.DefaultSeedAccount(), capycoin.FeeAccount(), amount)
}

func (w *stipendWorld) run(rules capycoin.StipendRules) capycoin.Stipend {
	w.t.Helper()
	s, err := w.led.PayStipend(ctx, rules)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

func (w *stipendWorld) funds(id uuid.UUID) capycoin.Coins { w.t.Helper(); return funds(w.t, w.led, id) }

// TestStipend pays a day's stipend once, and the next day's to who was active then.
func TestStipend(t *testing.T) {
	w := newStipendWorld(t, 3, 2)
	w.clock.set(w.noon.Add(2 * day))
	w.donate(20) // 23 with the fees
	plan, err := w.led.PlanStipend(ctx, capycoin.StipendRules{})
	if err != nil || plan.Payees != 3 || plan.Share != 7 || plan.Funds != 23 || plan.Position != 0 || plan.Paid != 0 ||
		!plan.Day.Equal(w.noon.Add(36*time.Hour)) || plan.Rules != (capycoin.StipendRules{Window: 7, MinAge: 1}) {
		t.Fatalf("planned is %+v, %v", plan, err)
	}
	if last, err := w.led.LastStipend(ctx); err != nil || last != (capycoin.Stipend{}) {
		t.Errorf("a plan began %+v, %v", last, err)
	}
	s := w.run(capycoin.StipendRules{})
	want := plan
	want.Position, want.Paid = s.Position, 3
	if s != want || s.Position == 0 || !s.Done() {
		t.Errorf("paid is %+v, want %+v", s, want)
	}
	for _, id := range w.active {
		if got := w.funds(id); got != 100-1+7 {
			t.Errorf("an active account has %d", got)
		}
	}
	for _, id := range w.idle {
		if got := w.funds(id); got != 100 {
			t.Errorf("an idle account has %d", got)
		}
	}
	if got := w.funds(capycoin.FeeAccount()); got != 2 {
		t.Errorf("the fee account is left %d", got)
	}
	page, err := w.led.TransactionPage(ctx, w.active[0], capycoin.Range{Order: capycoin.NewestFirst, Limit: 1})
	if tx := page.Transactions[0]; err != nil || tx.Sender != capycoin.FeeAccount() || tx.Amount != 7 || tx.Fee != 0 {
		t.Errorf("its history has %+v, %v", tx, err)
	}
	// Once a day, whatever comes in meanwhile, and after a restart.
	w.donate(30)
	for range 2 {
		if again := w.run(capycoin.StipendRules{Cap: 1}); again != s {
			t.Errorf("the same day again: %+v, was %+v", again, s)
		}
		if plan, err := w.led.PlanStipend(ctx, capycoin.StipendRules{}); err != nil || plan != s {
			t.Errorf("a plan after it: %+v, %v", plan, err)
		}
		if err := w.led.Close(); err != nil {
			t.Fatal(err)
		}
		w.open()
	}
	// The clock goes back to the day before: it is still paid.
	w.clock.set(w.noon.Add(day))
	if again := w.run(capycoin.StipendRules{}); again != s {
		t.Errorf("with the clock set back: %+v", again)
	}
	// Days on which nobody asks are left out, and their coins stay.
	w.clock.set(w.noon.Add(5 * day))
	next := w.run(capycoin.StipendRules{Cap: 5})
	if next.Payees != 3 || next.Share != 5 || next.Funds != 32 || w.funds(capycoin.FeeAccount()) != 17 {
		t.Errorf("three days later: %+v", next)
	}
	if rep := audit(t, w.led); rep.Stipends != 2 {
		t.Errorf("the audit counts %d stipends", rep.Stipends)
	}
}

// TestStipendWho is about the bounds of who is active: to the microsecond.
func TestStipendWho(t *testing.T) {
	w := &stipendWorld{t: t, clock: &fakeClock{}, path: filepath.Join(t.TempDir(), "coins.db")}
	midnight := time.Date(2026, 3, 9, 0, 0, 0, 0, time.UTC)
	w.clock.set(midnight.Add(-100 * day))
	w.open()
	if err := w.led.SetFeePolicy(ctx, capycoin.FeePolicy{}); err != nil {
		t.Fatal(err)
	}
	opened := make(map[uuid.UUID]string)
	open := func(name string) uuid.UUID {
		id := openAccount(t, w.led, 10)
		opened[id] = name
		return id
	}
	old := open("sent 7 days before")
	tooEarly := open("sent 7 days and a microsecond before")
	onlyGot := open("only got some")
	last := open("sent in the last microsecond")
	today := open("sent today")
	both := open("sent long ago, and today")
	w.pay(both, onlyGot, 1)
	w.clock.set(midnight.Add(-7*day - time.Microsecond))
	w.pay(tooEarly, onlyGot, 1)
	w.clock.set(midnight.Add(-7 * day))
	w.pay(old, onlyGot, 1)
	w.clock.set(midnight.Add(-day))
	aDay := open("opened a day before")
	w.clock.set(midnight.Add(-day + time.Microsecond))
	young := open("opened a day before, and a microsecond after that")
	w.pay(aDay, onlyGot, 1)
	w.pay(young, onlyGot, 1)
	w.clock.set(midnight.Add(-time.Microsecond))
	w.pay(last, onlyGot, 1)
	supply, err := w.led.Supply(ctx)
	if err != nil {
		t.Fatal(err)
	}
	w.clock.set(midnight)
	w.pay(today, onlyGot, 1)
	w.pay(both, onlyGot, 1)
	w.donate(1000)
	before := make(map[uuid.UUID]capycoin.Coins)
	for id := range opened {
		before[id] = w.funds(id)
	}
	s := w.run(capycoin.StipendRules{})
	if s.Before != supply.Position || s.Payees != 3 || s.Share != 333 {
		t.Errorf("the stipend is %+v, the last record before the day %d", s, supply.Position)
	}
	for id, name := range opened {
		want := id == old || id == aDay || id == last
		if got := w.funds(id) - before[id]; (got == 333) != want || !want && got != 0 {
			t.Errorf("%s: it got %d", name, got)
		}
	}
	// They are paid in order of opening.
	page, err := w.led.TransactionPage(ctx, capycoin.FeeAccount(), capycoin.Range{Order: capycoin.NewestFirst, Limit: 3})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []uuid.UUID{aDay, last, old} {
		if got := page.Transactions[i].Receiver; got != want {
			t.Errorf("payment %d is to the one that %s", 3-i, opened[got])
		}
	}
}

// TestStipendNothing pays nothing where there are fewer coins than payees, or none of
// either, and leaves the day open.
func TestStipendNothing(t *testing.T) {
	bare := newLedger(t)
	if s, err := bare.PayStipend(ctx, capycoin.StipendRules{}); err != nil || s.Payees != 0 || s.Share != 0 || s.Position != 0 {
		t.Errorf("without a policy: %+v, %v", s, err)
	}
	w := newStipendWorld(t, 4, 1)
	w.pay(w.idle[0], w.active[0], 1)
	if s := w.run(capycoin.StipendRules{}); s.Payees != 0 || s.Position != 0 {
		t.Errorf("on the day of the first payments: %+v", s)
	}
	w.clock.set(w.noon.Add(2 * day))
	s := w.run(capycoin.StipendRules{Window: 1})
	if s.Payees != 5 || s.Share != 1 || s.Funds != 5 {
		t.Fatalf("the fifth fee makes enough: %+v", s)
	}
	w.clock.set(w.noon.Add(3 * day))
	for _, want := range []capycoin.Stipend{{Payees: 0}, {Payees: 5}} {
		rules := capycoin.StipendRules{Window: 1}
		if want.Payees > 0 {
			rules.Window = 2
		}
		if s := w.run(rules); s.Payees != want.Payees || s.Share != 0 || s.Position != 0 || s.Done() {
			t.Errorf("without coins: %+v", s)
		}
	}
	w.donate(4)
	if s := w.run(capycoin.StipendRules{}); s.Share != 0 || s.Funds != 4 || s.Payees != 5 {
		t.Errorf("with a coin too few: %+v", s)
	}
	w.donate(1)
	if s := w.run(capycoin.StipendRules{}); s.Share != 1 || !s.Done() {
		t.Errorf("with enough: %+v", s)
	}
	for _, rules := range []capycoin.StipendRules{{Window: -1}, {Window: 366}, {MinAge: -1}, {MinAge: 366}, {Cap: -1}, {Cap: 1_000_001}} {
		if _, err := w.led.PayStipend(ctx, rules); !errors.Is(err, capycoin.ErrBadOption) {
			t.Errorf("%+v: %v", rules, err)
		}
		if _, err := w.led.PlanStipend(ctx, rules); !errors.Is(err, capycoin.ErrBadOption) {
			t.Errorf("a plan by %+v: %v", rules, err)
		}
	}
}

// TestStipendResumes breaks a stipend off between its batches, opens the ledger again,
// lets days pass, and finishes it before the next one begins. Two do so at once.
func TestStipendResumes(t *testing.T) {
	w := newStipendWorld(t, 900, 0) // in four batches
	w.clock.set(w.noon.Add(2 * day))
	w.donate(9000) // and 900 fees
	for n := 0; ; n++ {
		before, err := w.led.LastStipend(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if before.Position > 0 && before.Paid > 500 {
			break
		}
		// The context ends between two batches, as soon as one has been paid.
		broken := endingWhen(func() bool { s, _ := w.led.LastStipend(ctx); return s.Paid > before.Paid }, context.Canceled)
		s, err := w.led.PayStipend(broken, capycoin.StipendRules{})
		if !errors.Is(err, context.Canceled) || s.Paid <= before.Paid || s.Done() {
			t.Fatalf("try %d: paid is %+v, %v", n, s, err)
		}
		if err := w.led.Close(); err != nil {
			t.Fatal(err)
		}
		w.open()
	}
	// Others may go on meanwhile, and get what was for the day.
	w.pay(w.active[5], w.active[6], 50)
	w.clock.set(w.noon.Add(3 * day))
	w.donate(900 * 3)
	var all sync.WaitGroup
	results := make([]capycoin.Stipend, 4)
	for i := range results {
		all.Go(func() {
			var err error
			if results[i], err = w.led.PayStipend(ctx, capycoin.StipendRules{}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, s := range results {
		if s != results[0] || s.Share != 3 || !s.Done() {
			t.Errorf("paid is %+v, another says %+v", s, results[0])
		}
	}
	for i, id := range w.active {
		want := capycoin.Coins(100 - 1 + 11 + 3)
		switch i {
		case 5:
			want -= 51
		case 6:
			want += 50
		}
		if got := w.funds(id); got != want {
			t.Fatalf("account %d has %d, want %d", i, got, want)
		}
	}
	if got := w.funds(capycoin.FeeAccount()); got != 1 {
		t.Errorf("the fee account is left %d", got)
	}
}

// TestStipendOfTwoLedgers lets two ledgers on one journal pay the stipend at once: it
// is paid once.
func TestStipendOfTwoLedgers(t *testing.T) {
	clock := &fakeClock{}
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	clock.set(noon)
	store := storetest.NewMemory()
	open := func(m *storetest.Memory) *capycoin.Ledger {
		led, err := capycoin.OpenStore(ctx, m, m, &capycoin.Options{Clock: clock.now})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { led.Close() })
		return led
	}
	first, second := open(store), open(store.Handle())
	if err := first.SetFeePolicy(ctx, capycoin.FeePolicy{Flat: 1}); err != nil {
		t.Fatal(err)
	}
	accounts := make([]uuid.UUID, 600)
	for i := range accounts {
		accounts[i] = openAccount(t, first, 10)
	}
	clock.set(noon.Add(day))
	for i, id := range accounts {
		pay(t, first, capycoin.Transfer{Sender: id, Receiver: accounts[(i+1)%len(accounts)], Amount: 1})
	}
	clock.set(noon.Add(2 * day))
	var all sync.WaitGroup
	for _, led := range []*capycoin.Ledger{first, second} {
		all.Go(func() {
			if s, err := led.PayStipend(ctx, capycoin.StipendRules{}); err != nil || !s.Done() || s.Payees != 600 || s.Share != 1 {
				t.Errorf("%+v, %v", s, err)
			}
		})
	}
	all.Wait()
	for _, led := range []*capycoin.Ledger{first, second} {
		// What the other has written is seen with the next change.
		if _, err := led.Transfer(ctx, capycoin.Transfer{Sender: accounts[0], Receiver: accounts[0], Amount: 1}); !errors.Is(err, capycoin.ErrSameAccount) {
			t.Fatal(err)
		}
		if rep := audit(t, led); rep.Stipends != 1 {
			t.Errorf("there are %d stipends", rep.Stipends)
		}
		for _, id := range accounts {
			if got := funds(t, led, id); got != 10 {
				t.Fatalf("an account has %d", got)
			}
		}
	}
}
