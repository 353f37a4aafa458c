package capycoin_test

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/harness"
)

// TestHarnessConcurrentCalls lets many callers transfer at once and then does the same
// to the model, one after the other in order of position. That must give every
// receipt, and every refusal at some moment while its call was under way.
func TestHarnessConcurrentCalls(t *testing.T) {
	histories, operations := 0, 0
	check := func(t *rapid.T) {
		s := fileSubject(t)
		if rapid.Bool().Draw(t, "memory") {
			s = memorySubject()
		}
		var clock atomic.Int64 // every look takes a microsecond
		clock.Store(time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC).UnixMicro())
		led, err := s.reopen(&capycoin.Options{
			Supply: 1000, AccountCache: 16, QueueSize: rapid.SampledFrom([]int{1, 2, 4096}).Draw(t, "queue"),
			Clock: func() time.Time { return time.UnixMicro(clock.Add(1)) },
		}, 0)
		if err != nil {
			t.Fatalf("opening: got error %v, want none", err)
		}
		defer led.Close()
		m := newLinear(t, led)
		var calls []*call
		var calling sync.WaitGroup
		for range rapid.IntRange(2, 12).Draw(t, "callers") {
			own := make([]*call, rapid.IntRange(1, 6).Draw(t, "calls"))
			for i := range own {
				own[i] = m.drawCall(t)
			}
			calls = append(calls, own...)
			calling.Go(func() {
				for _, c := range own {
					c.run(led)
				}
			})
		}
		calling.Wait()
		m.replay(t, led, calls)
		report, err := led.Audit(ctx, nil)
		if err == nil {
			err = report.Err()
		}
		if err != nil {
			t.Fatalf("Audit: got error %v, want none", err)
		}
		histories++
		operations += len(calls)
	}
	for end := time.Now().Add(harness.Budget(t, time.Millisecond)); histories == 0 || time.Now().Before(end); {
		rapid.Check(t, check)
	}
	harness.Count(t, "histories of concurrent calls replayed", histories)
	harness.Count(t, "concurrent calls in them", operations)
}

// linear is the model that the calls are done to in order of position.
type linear struct {
	*model
	ids []uuid.UUID
}

// newLinear opens a few accounts: the fewer, the more the calls meet.
func newLinear(t *rapid.T, led *capycoin.Ledger) *linear {
	supply, err := led.Supply(ctx)
	if err != nil {
		t.Fatalf("Supply: got error %v, want none", err)
	}
	m := &linear{model: newModel(supply.Supply, supply.SeedAccount, supply.Time.UnixMicro())}
	m.ids = []uuid.UUID{m.seed}
	for range rapid.IntRange(1, 3).Draw(t, "accounts") {
		account, err := led.OpenAccount(ctx)
		if err != nil {
			t.Fatalf("OpenAccount: got error %v, want none", err)
		}
		m.model.openAccount(account.ID, account.Created)
		m.ids = append(m.ids, account.ID)
	}
	if rapid.Bool().Draw(t, "a fee") {
		p := capycoin.FeePolicy{Flat: 1, BasisPoints: rapid.IntRange(0, 1000).Draw(t, "basis points")}
		if err := led.SetFeePolicy(ctx, p); err != nil {
			t.Fatalf("SetFeePolicy: got error %v, want none", err)
		}
		_, since, _ := led.FeePolicy(ctx)
		m.setFeePolicy(p, since)
		m.ids = append(m.ids, capycoin.FeeAccount())
	}
	return m
}

// call is one call of TransferBatch, or of Transfer.
type call struct {
	transfers []capycoin.Transfer
	mode      capycoin.BatchMode
	single    bool

	results  []capycoin.Result
	err      error
	from, to uint64 // the last position before the call, and after it
	readErr  error  // what was wrong with reading what it wrote
}

func (m *linear) drawCall(t *rapid.T) *call {
	c := &call{single: rapid.Bool().Draw(t, "single")}
	size := 1
	if !c.single {
		size = rapid.IntRange(1, 20).Draw(t, "size")
		c.mode = rapid.SampledFrom([]capycoin.BatchMode{capycoin.EachAlone, capycoin.Atomic}).Draw(t, "mode")
	}
	for range size {
		c.transfers = append(c.transfers, capycoin.Transfer{
			Sender:   rapid.SampledFrom(m.ids).Draw(t, "sender"),
			Receiver: rapid.SampledFrom(m.ids).Draw(t, "receiver"),
			Amount:   capycoin.Coins(rapid.SampledFrom([]int{1, 2, 3, 100, 400, 0}).Draw(t, "amount")),
			Key:      rapid.SampledFrom([]string{"", "", "", "k1", "k2", "k3"}).Draw(t, "key"),
			MaxFee:   drawMaxFee(t),
		})
	}
	return c
}

// run makes the call and reads what it wrote.
func (c *call) run(led *capycoin.Ledger) {
	c.from = led.Stats().Position
	if c.single {
		receipt, err := led.Transfer(ctx, c.transfers[0])
		c.results = []capycoin.Result{{Receipt: receipt, Err: err}}
	} else {
		c.results, c.err = led.TransferBatch(ctx, c.transfers, c.mode)
	}
	c.to = led.Stats().Position
	for _, result := range c.results {
		if result.Err != nil {
			continue
		}
		tx, err := led.TransactionByID(ctx, result.Receipt.TransactionID)
		if err == nil && (tx.Position != result.Receipt.Position || tx.FundsAfter != result.Receipt.SenderFunds) {
			err = errors.New("it is another transaction")
		}
		if err == nil {
			_, err = led.Transaction(ctx, result.Receipt.Receiver, result.Receipt.TransactionID)
		}
		c.readErr = errors.Join(c.readErr, err)
	}
}

// answer is the outcome of a transfer, or the refusal of an atomic batch.
type answer struct {
	transfers []capycoin.Transfer // one, or all of the batch
	mode      capycoin.BatchMode
	receipt   capycoin.Receipt
	err       error
	from, to  uint64 // between these positions it was judged
	explained bool
}

// answers takes calls apart: into those that took a position, by position, and
// the others.
func answers(t *rapid.T, calls []*call) (made map[uint64]*answer, others []*answer) {
	made = make(map[uint64]*answer)
	for _, c := range calls {
		if c.readErr != nil {
			t.Fatalf("reading what a call had written: got error %v, want none", c.readErr)
		}
		if c.err != nil {
			others = append(others, &answer{transfers: c.transfers, mode: c.mode, err: c.err, from: c.from, to: c.to})
			continue
		}
		from := c.from
		for i, result := range c.results {
			a := &answer{transfers: c.transfers[i : i+1], receipt: result.Receipt, err: result.Err, from: from, to: c.to}
			if result.Err != nil || result.Receipt.Replayed {
				others = append(others, a)
				continue
			}
			pos := result.Receipt.Position
			if pos <= from || pos > c.to {
				t.Fatalf("a receipt has position %d, the call was made between %d and %d", pos, from, c.to)
			}
			if c.mode == capycoin.Atomic && from != c.from && pos != from+1 {
				t.Fatalf("an atomic batch has a record at %d and then at %d", from, pos)
			}
			if made[pos] != nil {
				t.Fatalf("two receipts have position %d: %+v and %+v", pos, made[pos].receipt, result.Receipt)
			}
			made[pos] = a
			from = pos
		}
	}
	return made, others
}

// replay does to the model what the calls did, by position.
func (m *linear) replay(t *rapid.T, led *capycoin.Ledger, calls []*call) {
	made, others := answers(t, calls)
	tail := led.Stats().Position
	if got, want := uint64(len(made)), tail-m.pos; got != want {
		t.Fatalf("got %d receipts for %d records", got, want)
	}
	for {
		for _, a := range others {
			if !a.explained && a.from <= m.pos && m.pos <= a.to {
				a.explained = m.explains(a)
			}
		}
		if m.pos == tail {
			break
		}
		a := made[m.pos+1]
		if a == nil {
			t.Fatalf("nobody got a receipt for position %d", m.pos+1)
		}
		want, err := m.transfer(a.transfers[0], a.receipt.Timestamp)
		if err != nil || want != a.receipt {
			t.Fatalf("in order of position, the transfer %+v gives %+v, error %v; the caller got %+v",
				a.transfers[0], want, err, a.receipt)
		}
	}
	for _, a := range others {
		if !a.explained {
			t.Fatalf("the transfers %+v, mode %d, gave %+v, error %v; at no position from %d to %d that is right",
				a.transfers, a.mode, a.receipt, a.err, a.from, a.to)
		}
	}
	want := m.supplyNow()
	got, err := led.Supply(ctx)
	if err != nil || got.Transactions != want.Transactions || got.SeedFunds != want.SeedFunds {
		t.Fatalf("Supply: got %+v, error %v; want %+v", got, err, want)
	}
	for _, id := range m.ids {
		history, err := led.TransactionPage(ctx, id, capycoin.Range{Limit: capycoin.MaxPage})
		if want := m.list(id, capycoin.Range{}, 0); err != nil || !slices.Equal(history.Transactions, want) {
			t.Fatalf("the history of %v: got %d transactions, error %v; want %d, or the same ones in another form",
				id, len(history.Transactions), err, len(want))
		}
	}
}

// explains tells whether the model answers the same as it stands now. It
// leaves the model as it is.
func (m *linear) explains(a *answer) bool {
	pos, last, made := m.pos, m.time, len(m.txs)
	var receipt capycoin.Receipt
	var err error
	if len(a.transfers) > 1 || a.mode == capycoin.Atomic {
		_, err = m.batch(a.transfers, capycoin.Atomic, micros(m.time))
	} else {
		receipt, err = m.transfer(a.transfers[0], micros(m.time))
	}
	for len(m.txs) > made {
		m.undo()
	}
	m.rewind(pos, last)
	return describe(err) == describe(a.err) && receipt == a.receipt
}
