package main

import (
	"context"
	"math/rand/v2"

	"github.com/capycoin/capycoin"
)

const (
	benchAccounts = 1000
	benchBatch    = 8192
)

// benchCases are all cases, in the order they run. docs/performance.md says
// more about each.
var benchCases = []benchCase{
	{name: "callers-1", about: "one caller, one transfer after the other", limit: "bbolt, commits of 1", target: 0.9,
		setUp: callersCase(1, 1)},
	{name: "callers-64", about: "64 callers", limit: "bbolt, commits of 32", target: 0.75,
		setUp: callersCase(64, 32)},
	{name: "callers-1024", about: "1,024 callers", limit: "bbolt, commits of 512", target: 0.6,
		setUp: callersCase(1024, 512)},
	{name: "batch-8192", about: "two callers, batches of 8,192 transfers", limit: "bbolt, commits of 8192", target: 0.9,
		setUp: func(ctx context.Context, b *bench) (c, limit load, err error) {
			w, err := b.world(ctx, "plain", benchAccounts)
			if err != nil {
				return c, limit, err
			}
			limit, err = b.rawLoad(plainRecord, benchBatch)
			return b.batchers(ctx, w, 2, benchBatch, (*world).payment), limit, err
		}},
	{name: "hot-1024", about: "1,024 callers, all paying from one account", limit: "callers-1024", target: 0.9,
		setUp: againstCallers(func(_ context.Context, b *bench) (*world, error) { return b.worlds["plain"], nil }, (*world).hotPayment)},
	{name: "keys-1024", about: "1,024 callers with a fresh key each, 5,000,000 keys there already", limit: "callers-1024", target: 0.5,
		setUp: againstCallers(keysWorld, (*world).keyedPayment)},
	{name: "million-batch-8192", about: "batch-8192 among 1,000,000 accounts at random", limit: "batch-8192", target: 0.45,
		setUp: func(ctx context.Context, b *bench) (c, limit load, err error) {
			plain, err := b.world(ctx, "plain", benchAccounts)
			if err != nil {
				return c, limit, err
			}
			w, err := b.world(ctx, "million", 1_000_000)
			if err != nil {
				return c, limit, err
			}
			limit = b.batchers(ctx, plain, 2, benchBatch, (*world).payment)
			return b.batchers(ctx, w, 2, benchBatch, (*world).payment), limit, nil
		}},
	{name: "grown", about: "batch-8192 after 10,000,000 transfers", limit: "bbolt, after as many rows", target: 0.85, long: true,
		setUp: grownCase},
	{name: "million-callers-64", about: "64 callers among 1,000,000 accounts at random", limit: "callers-64", long: true,
		setUp: func(ctx context.Context, b *bench) (c, limit load, err error) {
			plain, err := b.world(ctx, "plain", benchAccounts)
			if err != nil {
				return c, limit, err
			}
			w, err := b.world(ctx, "million", 1_000_000)
			if err != nil {
				return c, limit, err
			}
			return b.callers(ctx, w, 64, (*world).payment), b.callers(ctx, plain, 64, (*world).payment), nil
		}},
	{name: "account", about: "two readers of random accounts while 64 callers pay",
		setUp: func(ctx context.Context, b *bench) (c, limit load, err error) {
			w, err := b.world(ctx, "plain", benchAccounts)
			if err != nil {
				return c, limit, err
			}
			beside := b.callers(ctx, w, 64, (*world).payment)
			c.beside, c.grouped = &beside, 64 // a look at the clock costs more than a read
			for i := range 2 {
				rng := b.rng(2<<32 + uint64(i))
				c.workers = append(c.workers, func() (int, error) {
					for range c.grouped {
						if _, err := w.led.Account(ctx, w.ids[rng.IntN(len(w.ids))]); err != nil {
							return 0, err
						}
					}
					return c.grouped, nil
				})
			}
			return c, limit, nil
		}},
	{name: "page", about: "a page of 100 at a random date, of an account with 1,000,000 transactions",
		limit: "of one with 1,000", target: 0.5,
		setUp: func(ctx context.Context, b *bench) (c, limit load, err error) {
			w, err := b.history(ctx)
			if err != nil {
				return c, limit, err
			}
			if limit, err = b.pages(ctx, w.led, w.ids[1]); err != nil {
				return c, limit, err
			}
			c, err = b.pages(ctx, w.led, w.ids[0])
			return c, limit, err
		}},
	{name: "http-post-64", about: "POST of a transfer, 64 connections and accounts", limit: "bare handler", target: 0.5,
		setUp: postCase},
	{name: "http-batch-1000", about: "POST of 1,000 transfers, 4 connections; counts transfers", limit: "bare handler", target: 0.5,
		setUp: postBatchCase},
	{name: "http-get-64", about: "GET of an account, 64 connections", limit: "bare handler", target: 0.7,
		setUp: getCase("")},
	{name: "http-page-64", about: "GET of a page of 100 transactions, 64 connections", limit: "bare handler", target: 0.25,
		setUp: getCase("/transactions?limit=100")},
}

// callersCase is so many callers against raw bbolt in commits of so many.
func callersCase(callers, rows int) func(context.Context, *bench) (load, load, error) {
	return func(ctx context.Context, b *bench) (c, limit load, err error) {
		w, err := b.world(ctx, "plain", benchAccounts)
		if err != nil {
			return c, limit, err
		}
		limit, err = b.rawLoad(plainRecord, rows)
		return b.callers(ctx, w, callers, (*world).payment), limit, err
	}
}

// againstCallers is 1,024 callers of some sort against plain ones.
func againstCallers(of func(context.Context, *bench) (*world, error), payment func(*world, *rand.Rand) capycoin.Transfer) func(context.Context, *bench) (load, load, error) {
	return func(ctx context.Context, b *bench) (c, limit load, err error) {
		plain, err := b.world(ctx, "plain", benchAccounts)
		if err != nil {
			return c, limit, err
		}
		w, err := of(ctx, b)
		if err != nil {
			return c, limit, err
		}
		return b.callers(ctx, w, 1024, payment), b.callers(ctx, plain, 1024, (*world).payment), nil
	}
}

func keysWorld(ctx context.Context, b *bench) (*world, error) {
	w, err := b.world(ctx, "keys", benchAccounts)
	if err != nil {
		return nil, err
	}
	return w, b.fill(ctx, w, 5_000_000, (*world).keyedPayment)
}

func grownCase(ctx context.Context, b *bench) (c, limit load, err error) {
	const size = 10_000_000
	w, err := b.world(ctx, "grown", benchAccounts)
	if err == nil {
		err = b.fill(ctx, w, size, (*world).payment)
	}
	if err != nil {
		return c, limit, err
	}
	r, err := b.raw(plainRecord)
	for err == nil && ctx.Err() == nil && r.position < size {
		_, err = r.commit(capycoin.MaxBatch)
	}
	if err != nil {
		return c, limit, err
	}
	limit, err = b.rawLoad(plainRecord, benchBatch)
	return b.batchers(ctx, w, 2, benchBatch, (*world).payment), limit, err
}
