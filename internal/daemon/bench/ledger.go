package bench

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
)

// world is a ledger with accounts that have coins enough.
type world struct {
	name string
	led  *capycoin.Ledger
	ids  []uuid.UUID
}

// payer makes up a transfer.
type payer func(w *world, rng *rand.Rand) capycoin.Transfer

// ledger makes a ledger without accounts, which is audited at the end.
func (b *bench) ledger(name string) (*world, error) {
	rng := b.rng()
	var mu sync.Mutex
	led, err := capycoin.Open(filepath.Join(b.dir, name+".db"), &capycoin.Options{
		Supply: capycoin.MaxSupply,
		NewID: func() (uuid.UUID, error) {
			mu.Lock()
			defer mu.Unlock()
			return randomUUID(rng), nil
		},
	})
	if err != nil {
		return nil, err
	}
	b.atEnd = append(b.atEnd, led.Close)
	w := &world{name: name, led: led}
	b.worlds = append(b.worlds, w)
	return w, nil
}

// world returns the ledger of a name, and makes it with so many accounts. Cases
// that name the same one share it.
func (b *bench) world(ctx context.Context, name string, accounts int) (*world, error) {
	return b.worldOf(ctx, name, accounts, func(ctx context.Context, led *capycoin.Ledger) (capycoin.Account, error) {
		return led.OpenAccount(ctx)
	})
}

// worldOf is world with accounts that open opens.
func (b *bench) worldOf(ctx context.Context, name string, accounts int, open func(context.Context, *capycoin.Ledger) (capycoin.Account, error)) (*world, error) {
	if i := slices.IndexFunc(b.worlds, func(w *world) bool { return w.name == name }); i >= 0 {
		return b.worlds[i], nil
	}
	w, err := b.ledger(name)
	if err != nil {
		return nil, err
	}
	b.step("  opening %d accounts", accounts)
	defer b.watch.End()
	w.ids = make([]uuid.UUID, accounts)
	var next atomic.Int64
	err = parallel(min(1024, accounts), func(worker int) error {
		for i := next.Add(1) - 1; i < int64(accounts); i = next.Add(1) - 1 {
			if worker == 0 {
				b.watch.Show("  %d of %d accounts", i, accounts)
			}
			acct, err := open(ctx, w.led)
			if err != nil {
				return err
			}
			w.ids[i] = acct.ID
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	// The callers raced for their ids. In order, the same seed has the same
	// accounts pay each other.
	slices.SortFunc(w.ids, func(x, y uuid.UUID) int { return bytes.Compare(x[:], y[:]) })
	return w, w.grant(ctx)
}

// grant gives all accounts the same share of the supply.
func (w *world) grant(ctx context.Context) error {
	each := capycoin.MaxSupply / capycoin.Coins(len(w.ids)+1)
	for some := range slices.Chunk(w.ids, capycoin.MaxBatch) {
		var grants []capycoin.Transfer
		for _, id := range some {
			grants = append(grants, capycoin.Transfer{Sender: capycoin.DefaultSeedAccount(), Receiver: id, Amount: each})
		}
		if _, err := w.led.TransferBatch(ctx, grants, capycoin.Atomic); err != nil {
			return err
		}
	}
	return nil
}

// parallel runs fn so many times side by side and returns the first error.
func parallel(n int, fn func(worker int) error) error {
	errs := make(chan error, n)
	for i := range n {
		go func() { errs <- fn(i) }()
	}
	var first error
	for range n {
		if err := <-errs; first == nil {
			first = err
		}
	}
	return first
}

// plainPayment is a transfer of a coin or a few between two random accounts.
func plainPayment(w *world, rng *rand.Rand) capycoin.Transfer {
	from := rng.IntN(len(w.ids))
	to := (from + 1 + rng.IntN(len(w.ids)-1)) % len(w.ids)
	return capycoin.Transfer{Sender: w.ids[from], Receiver: w.ids[to], Amount: capycoin.Coins(1 + rng.IntN(100))}
}

// hotPayment is one whose sender is always the same. A share of the supply
// among 1,000 accounts lasts it for 9 * 10^12 of them.
func hotPayment(w *world, rng *rand.Rand) capycoin.Transfer {
	return capycoin.Transfer{Sender: w.ids[0], Receiver: w.ids[1+rng.IntN(len(w.ids)-1)], Amount: 1}
}

// keyedPayment is one with a key that is as good as certainly new.
func keyedPayment(w *world, rng *rand.Rand) capycoin.Transfer {
	t := plainPayment(w, rng)
	t.Key = randomUUID(rng).String()
	return t
}

// randomUUID returns an id of version 4.
func randomUUID(rng *rand.Rand) (id uuid.UUID) {
	binary.BigEndian.PutUint64(id[:8], rng.Uint64())
	binary.BigEndian.PutUint64(id[8:], rng.Uint64())
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return id
}

// callers are so many goroutines that make one transfer after the other.
func (b *bench) callers(ctx context.Context, w *world, n int, pay payer) load {
	l := load{used: w.used}
	for range n {
		rng := b.rng()
		l.workers = append(l.workers, func() (int, time.Duration, error) {
			t := pay(w, rng)
			start := time.Now()
			_, err := w.led.Transfer(ctx, t)
			return 1, time.Since(start), err
		})
	}
	return l
}

// batchers are two goroutines that make one batch after the other: one makes
// up its next one while that of the other is committed.
func (b *bench) batchers(ctx context.Context, w *world, size int, pay payer) load {
	l := load{used: w.used}
	for range 2 {
		rng, batch := b.rng(), make([]capycoin.Transfer, size)
		l.workers = append(l.workers, func() (int, time.Duration, error) {
			for i := range batch {
				batch[i] = pay(w, rng)
			}
			return w.makeBatch(ctx, batch)
		})
	}
	return l
}

// makeBatch makes a batch of which no transfer may be refused, and times it.
func (w *world) makeBatch(ctx context.Context, batch []capycoin.Transfer) (int, time.Duration, error) {
	start := time.Now()
	results, err := w.led.TransferBatch(ctx, batch, capycoin.EachAlone)
	took := time.Since(start)
	for i := range results {
		if results[i].Err != nil {
			return 0, took, fmt.Errorf("transfer %d of a batch: %w", i, results[i].Err)
		}
	}
	return len(batch), took, err
}

func (w *world) used() int64 { return w.led.Stats().FileUsed }

// fill makes so many transfers, in batches of a size that divides them.
func (b *bench) fill(ctx context.Context, w *world, transfers, size int, pay payer) error {
	b.step("  making %d transfers", transfers)
	defer b.watch.End()
	workers := b.batchers(ctx, w, size, pay).workers
	var next atomic.Int64
	return parallel(len(workers), func(worker int) error {
		for done := next.Add(int64(size)) - int64(size); done < int64(transfers); done = next.Add(int64(size)) - int64(size) {
			if worker == 0 {
				b.watch.Show("  %d of %d transfers", done, transfers)
			}
			if _, _, err := workers[worker](); err != nil {
				return err
			}
		}
		return nil
	})
}

// readers are two goroutines that ask for one random account after the other.
func (b *bench) readers(ctx context.Context, w *world) load {
	// An answer takes about as long as a look at the clock: it is one in so many
	// that is measured.
	const measured = 64
	var l load
	for range 2 {
		rng := b.rng()
		l.workers = append(l.workers, func() (int, time.Duration, error) {
			var start time.Time
			for i := range measured {
				id := w.ids[rng.IntN(len(w.ids))]
				if i == measured-1 {
					start = time.Now()
				}
				if _, err := w.led.Account(ctx, id); err != nil {
					return 0, 0, err
				}
			}
			return measured, time.Since(start), nil
		})
	}
	return l
}

// history returns a ledger whose first account has 1,000,000 transactions and
// whose second has 1,000 of them, beside their grants.
func (b *bench) history(ctx context.Context) (*world, error) {
	const transactions, other = 1_000_000, 1_000
	w, err := b.world(ctx, "history", fewAccounts)
	if err != nil {
		return nil, err
	}
	var n atomic.Int64
	// A commit's transfers are of one time, so small batches make more dates.
	return w, b.fill(ctx, w, transactions, 500, func(w *world, rng *rand.Rand) capycoin.Transfer {
		t := capycoin.Transfer{Sender: w.ids[0], Receiver: w.ids[2+rng.IntN(len(w.ids)-2)], Amount: 1}
		if n.Add(1)%(transactions/other) == 0 {
			t.Receiver = w.ids[1]
		}
		return t
	})
}

// pages are one caller that reads pages of 100 of an account's history, each
// from a random date in it.
func (b *bench) pages(ctx context.Context, w *world, id uuid.UUID) (load, error) {
	var ends [2]time.Time
	for i, order := range []capycoin.Order{capycoin.OldestFirst, capycoin.NewestFirst} {
		page, err := w.led.TransactionPage(ctx, id, capycoin.Range{Order: order, Limit: 1})
		if err == nil && len(page.Transactions) == 0 {
			err = errors.New("an account has no transactions")
		}
		if err != nil {
			return load{}, err
		}
		ends[i] = page.Transactions[0].Timestamp
	}
	span, rng := int64(max(ends[1].Sub(ends[0]), 1)), b.rng()
	return load{workers: []operation{func() (int, time.Duration, error) {
		from := ends[0].Add(time.Duration(rng.Int64N(span)))
		start := time.Now()
		page, err := w.led.TransactionPage(ctx, id, capycoin.Range{Start: from, Limit: 100})
		took := time.Since(start)
		if err == nil && len(page.Transactions) == 0 {
			err = fmt.Errorf("there is no transaction since %s", from)
		}
		return 1, took, err
	}}}, nil
}
