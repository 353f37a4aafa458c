package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
)

// world is a ledger with accounts that have coins enough.
type world struct {
	led *capycoin.Ledger
	ids []uuid.UUID
}

// world returns the ledger of a name, and makes it with so many accounts.
func (b *bench) world(ctx context.Context, name string, accounts int) (*world, error) {
	if w := b.worlds[name]; w != nil {
		return w, nil
	}
	b.progress("  opening %d accounts", accounts)
	led, err := capycoin.Open(filepath.Join(b.dir, name+".db"), &capycoin.Options{Supply: capycoin.MaxSupply})
	if err != nil {
		return nil, err
	}
	b.atEnd = append(b.atEnd, led.Close)
	w := &world{led: led, ids: make([]uuid.UUID, accounts)}
	b.worlds[name] = w
	var next atomic.Int64
	err = parallel(min(1024, accounts), func() error {
		for i := next.Add(1) - 1; i < int64(accounts); i = next.Add(1) - 1 {
			acct, err := led.OpenAccount(ctx)
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
	each := capycoin.MaxSupply / capycoin.Coins(accounts+1)
	for first := 0; first < accounts; first += capycoin.MaxBatch {
		var grants []capycoin.Transfer
		for _, id := range w.ids[first:min(first+capycoin.MaxBatch, accounts)] {
			grants = append(grants, capycoin.Transfer{Sender: capycoin.DefaultSeedAccount(), Receiver: id, Amount: each})
		}
		if _, err := led.TransferBatch(ctx, grants, capycoin.Atomic); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// parallel runs fn so many times side by side and returns the first error.
func parallel(n int, fn func() error) error {
	errs := make(chan error, n)
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() { errs <- fn() })
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// payment is a transfer of a coin or a few between two random accounts.
func (w *world) payment(rng *rand.Rand) capycoin.Transfer {
	from := rng.IntN(len(w.ids))
	to := (from + 1 + rng.IntN(len(w.ids)-1)) % len(w.ids)
	return capycoin.Transfer{Sender: w.ids[from], Receiver: w.ids[to], Amount: capycoin.Coins(1 + rng.IntN(100))}
}

// hotPayment is one whose sender is always the same.
func (w *world) hotPayment(rng *rand.Rand) capycoin.Transfer {
	return capycoin.Transfer{Sender: w.ids[0], Receiver: w.ids[1+rng.IntN(len(w.ids)-1)], Amount: 1}
}

// keyedPayment is one with a key that is as good as certainly new.
func (w *world) keyedPayment(rng *rand.Rand) capycoin.Transfer {
	t := w.payment(rng)
	var key uuid.UUID
	for i := range key {
		key[i] = byte(rng.Uint32())
	}
	t.Key = key.String()
	return t
}

// callers are so many goroutines that make one transfer after the other.
func (b *bench) callers(ctx context.Context, w *world, n int, payment func(*world, *rand.Rand) capycoin.Transfer) load {
	l := load{used: w.used}
	for i := range n {
		rng := b.rng(uint64(i))
		l.workers = append(l.workers, func() (int, error) {
			_, err := w.led.Transfer(ctx, payment(w, rng))
			return 1, err
		})
	}
	return l
}

// batchers are so many goroutines that make batches.
func (b *bench) batchers(ctx context.Context, w *world, n, size int, payment func(*world, *rand.Rand) capycoin.Transfer) load {
	l := load{used: w.used}
	for i := range n {
		rng := b.rng(1<<32 + uint64(i))
		batch := make([]capycoin.Transfer, size)
		l.workers = append(l.workers, func() (int, error) {
			for i := range batch {
				batch[i] = payment(w, rng)
			}
			results, err := w.led.TransferBatch(ctx, batch, capycoin.EachAlone)
			for i := range results {
				if results[i].Err != nil {
					return 0, fmt.Errorf("transfer %d of a batch: %w", i, results[i].Err)
				}
			}
			return size, err
		})
	}
	return l
}

func (w *world) used() int64 { return w.led.Stats().FileUsed }

// fill makes transfers until the ledger has so many.
func (b *bench) fill(ctx context.Context, w *world, transfers int64, payment func(*world, *rand.Rand) capycoin.Transfer) error {
	b.progress("  making %d transfers", transfers)
	l := b.batchers(ctx, w, 2, capycoin.MaxBatch, payment)
	var each []func() error
	for _, worker := range l.workers {
		each = append(each, func() error {
			for w.led.Stats().Transactions < transfers {
				if _, err := worker(); err != nil {
					return err
				}
			}
			return nil
		})
	}
	var next atomic.Int64
	return parallel(len(each), func() error { return each[next.Add(1)-1]() })
}

const manyTransactions = 1_000_000

// pages reads pages of 100 at random dates of an account's history.
func (b *bench) pages(ctx context.Context, led *capycoin.Ledger, id uuid.UUID) (load, error) {
	rng := b.rng(uint64(id[0]))
	ends := [2]time.Time{}
	for i, order := range []capycoin.Order{capycoin.OldestFirst, capycoin.NewestFirst} {
		page, err := led.TransactionPage(ctx, id, capycoin.Range{Order: order, Limit: 1})
		if err != nil {
			return load{}, err
		}
		ends[i] = page.Transactions[0].Timestamp
	}
	span := int64(max(ends[1].Sub(ends[0]), 1))
	return load{workers: []func() (int, error){func() (int, error) {
		start := ends[0].Add(time.Duration(rng.Int64N(span)))
		page, err := led.TransactionPage(ctx, id, capycoin.Range{Start: start, Limit: 100})
		if err == nil && len(page.Transactions) == 0 {
			err = fmt.Errorf("no transaction since %s", start)
		}
		return 1, err
	}}}, nil
}

// history returns a ledger with an account of many transactions, the first
// one, and one of 1,000, the second.
func (b *bench) history(ctx context.Context) (*world, error) {
	if w := b.worlds["history"]; w != nil {
		return w, nil
	}
	w, err := b.world(ctx, "history", 1000)
	if err != nil {
		return nil, err
	}
	// The second one has a payment in a thousand of those of the first.
	n := 0
	return w, b.fill(ctx, w, manyTransactions, func(w *world, rng *rand.Rand) capycoin.Transfer {
		t := capycoin.Transfer{Sender: w.ids[0], Receiver: w.ids[2+rng.IntN(len(w.ids)-2)], Amount: 1}
		if rng.IntN(1000) == 0 && n < 999 {
			t.Receiver, n = w.ids[1], n+1
		}
		return t
	})
}
