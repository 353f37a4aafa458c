package serve

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
)

// countedLedger counts how often it is asked to pay, and refuses with its errors
// first.
type countedLedger struct {
	stipendLedger
	now   func() time.Time
	asked []time.Time
	errs  []error
}

func (l *countedLedger) PayStipend(ctx context.Context, rules capycoin.StipendRules) (capycoin.Stipend, error) {
	l.asked = append(l.asked, l.now())
	if len(l.errs) > 0 {
		err := l.errs[0]
		l.errs = l.errs[1:]
		return capycoin.Stipend{}, err
	}
	return l.stipendLedger.PayStipend(ctx, rules)
}

// payerTest is a ledger with a clock of its own and two accounts, of which one has
// sent ten payments with a fee of one coin each at one o'clock on the first day.
type payerTest struct {
	t          *testing.T
	now        atomic.Int64 // in ns
	led        *countedLedger
	alice, bob capycoin.Account
	log        bytes.Buffer
	logger     *slog.Logger

	waits chan time.Duration // what the payer waits for
	tick  chan time.Time     // lets it go on
	wait  time.Duration      // the wait it is in
}

var firstDay = time.Date(2026, time.March, 1, 0, 0, 0, 0, time.UTC)

func newPayerTest(t *testing.T) *payerTest {
	t.Helper()
	p := &payerTest{t: t, waits: make(chan time.Duration), tick: make(chan time.Time)}
	p.logger = slog.New(slog.NewTextHandler(&p.log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	p.now.Store(firstDay.Add(time.Hour).UnixNano())
	led, err := capycoin.Open(filepath.Join(t.TempDir(), "coins.db"), &capycoin.Options{NoWitness: true, Clock: p.clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := led.Close(); err != nil {
			t.Error(err)
		}
	})
	p.led = &countedLedger{stipendLedger: led, now: p.clock}
	p.alice, err = led.OpenAccount(t.Context())
	if err == nil {
		p.bob, err = led.OpenAccount(t.Context())
	}
	if err == nil {
		err = led.SetFeePolicy(t.Context(), capycoin.FeePolicy{Flat: 1})
	}
	if err != nil {
		t.Fatal(err)
	}
	p.transfer(capycoin.DefaultSeedAccount(), p.alice.ID, 100)
	for range 10 {
		p.transfer(p.alice.ID, p.bob.ID, 1)
	}
	return p
}

func (p *payerTest) ledger() *capycoin.Ledger { return p.led.stipendLedger.(*capycoin.Ledger) }

func (p *payerTest) transfer(from, to uuid.UUID, amount capycoin.Coins) {
	p.t.Helper()
	if _, err := p.ledger().Transfer(p.t.Context(), capycoin.Transfer{Sender: from, Receiver: to, Amount: amount}); err != nil {
		p.t.Fatal(err)
	}
}

func (p *payerTest) clock() time.Time { return time.Unix(0, p.now.Load()) }

// after is what the payer waits with.
func (p *payerTest) after(d time.Duration) <-chan time.Time {
	p.waits <- d
	return p.tick
}

// at lets a time come, by the day, 0 being the first, and the time of day. What the
// payer does until then it has done.
func (p *payerTest) at(day int, clock time.Duration) {
	until := firstDay.AddDate(0, 0, day).Add(clock)
	for p.wait > 0 && !p.clock().Add(p.wait).After(until) {
		p.now.Add(int64(p.wait))
		p.tick <- p.clock()
		p.wait = <-p.waits
	}
	p.now.Store(until.UnixNano())
}

// start runs a payer until end is called.
func (p *payerTest) start() (end func()) {
	ctx, cancel := context.WithCancel(p.t.Context())
	ended := make(chan struct{})
	go func() {
		(&poolPayer{led: p.led, logger: p.logger, after: p.after}).run(ctx)
		close(ended)
	}()
	p.wait = <-p.waits
	return func() {
		cancel()
		<-ended
		p.wait = 0
	}
}

// logged compares what was logged since it was called last.
func (p *payerTest) logged(want ...string) {
	p.t.Helper()
	var got []string
	for line := range strings.Lines(p.log.String()) {
		got = append(got, strings.TrimSpace(line))
	}
	p.log.Reset()
	if !slices.Equal(got, want) {
		p.t.Errorf("logged\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestPoolPayer: each day is looked at once, soon after it begins, and says what
// became of it.
func TestPoolPayer(t *testing.T) {
	t.Parallel()
	p := newPayerTest(t)
	end := p.start()
	nobody := func(day int) string {
		return fmt.Sprintf(`level=INFO msg="no stipend today: no account was active before the day" day=2026-03-%02d accounts=0 funds=10`, day)
	}
	p.logged(nobody(1)) // at the start
	p.at(0, 23*time.Hour+59*time.Minute)
	p.logged()
	p.at(1, stipendPoll)
	p.logged(nobody(2)) // Alice is not a day old
	p.at(2, -time.Second)
	p.logged()
	p.at(2, stipendPoll)
	p.logged(`level=INFO msg="the stipend was paid" day=2026-03-03 accounts=1 funds=10 share=10 coins=10`)
	acct, err := p.ledger().Account(t.Context(), p.alice.ID)
	if err != nil || acct.Funds != 90 {
		t.Errorf("Alice has %d coins, want 90: %v", acct.Funds, err)
	}
	p.at(2, 23*time.Hour)
	p.logged()
	p.at(3, stipendPoll)
	p.logged(`level=INFO msg="no stipend today: the account of the fees has fewer coins than there are active accounts" day=2026-03-04 accounts=1 funds=0`)
	if len(p.led.asked) != 4 {
		t.Errorf("it was paid at %v, want once a day", p.led.asked)
	}
	end()

	// A start on a day whose stipend was paid by hand.
	p.transfer(p.alice.ID, p.bob.ID, 1)
	p.at(4, time.Hour)
	if s, err := p.ledger().PayStipend(t.Context(), capycoin.StipendRules{}); err != nil || s.Share != 1 {
		t.Fatalf("got %+v, %v, want one coin paid", s, err)
	}
	p.led.asked = nil
	end = p.start()
	p.at(5, -time.Second)
	end()
	p.logged()
	if len(p.led.asked) > 0 {
		t.Errorf("it was paid at %v, though it had been", p.led.asked)
	}
}

// TestPoolPayerErrors: after an error it tries again, less and less often.
func TestPoolPayerErrors(t *testing.T) {
	t.Parallel()
	p := newPayerTest(t)
	p.at(2, 0)
	p.led.errs = slices.Repeat([]error{capycoin.ErrDiskFull}, 9)
	end := p.start()
	p.at(2, 23*time.Hour)
	end()
	var minutes []int
	for _, asked := range p.led.asked {
		minutes = append(minutes, int(asked.Sub(firstDay.AddDate(0, 0, 2)).Minutes()))
	}
	if want := []int{0, 1, 3, 7, 15, 31, 63, 123, 183, 243}; !slices.Equal(minutes, want) {
		t.Errorf("it was tried at minutes %v, want %v", minutes, want)
	}
	text := p.log.String()
	for _, want := range []string{
		`level=ERROR msg="the stipend could not be paid; it is tried again" day=2026-03-03 error="capycoin: not written: the disk is full" in=1m0s`,
		" in=2m0s", " in=1h0m0s", `msg="the stipend was paid" day=2026-03-03`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// TestPoolPayerEnds: a ledger that stopped ends it, without a word: the server has
// one.
func TestPoolPayerEnds(t *testing.T) {
	t.Parallel()
	for _, err := range []error{capycoin.ErrStopped, capycoin.ErrOutcomeUnknown, capycoin.ErrClosed} {
		p := newPayerTest(t)
		p.led.errs = []error{fmt.Errorf("%w: why", err)}
		(&poolPayer{led: p.led, logger: p.logger}).run(t.Context())
		if len(p.led.asked) != 1 {
			t.Errorf("%v: it was tried at %v, want once", err, p.led.asked)
		}
		p.logged()
	}
}

// blockedLedger pays until its context ends, as one with very many accounts.
type blockedLedger struct {
	stipendLedger
	begun chan struct{}
}

func (l *blockedLedger) PayStipend(ctx context.Context, _ capycoin.StipendRules) (capycoin.Stipend, error) {
	close(l.begun)
	<-ctx.Done()
	return capycoin.Stipend{}, ctx.Err()
}

// TestPoolPayerInterrupted: the end of the server ends it in the middle of a stipend,
// and is no error of it.
func TestPoolPayerInterrupted(t *testing.T) {
	t.Parallel()
	p := newPayerTest(t)
	led := &blockedLedger{stipendLedger: p.led, begun: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		(&poolPayer{led: led, logger: p.logger}).run(ctx)
		close(ended)
	}()
	<-led.begun
	cancel()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("it goes on")
	}
	p.logged()
}
