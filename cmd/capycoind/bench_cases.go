package main

import (
	"context"

	"github.com/capycoin/capycoin"
)

const (
	benchAccounts = 1000
	benchBatch    = 8192
)

// benchCases are all cases, in the order they run, and what each has to reach.
// docs/performance.md says more about each.
var benchCases = []benchCase{
	{name: "callers-1", about: "one caller, one transfer after the other", limit: "bbolt, commits of 1", target: 0.9,
		setUp: callersCase(1, 1)},
	{name: "callers-64", about: "64 callers", limit: "bbolt, commits of 32", target: 0.75,
		setUp: callersCase(64, 32)},
	{name: "callers-1024", about: "1,024 callers", limit: "bbolt, commits of 512", target: 0.6,
		setUp: callersCase(1024, 512)},
	{name: "batch-8192", about: "two callers, batches of 8,192 transfers", limit: "bbolt, commits of 8192", target: 0.9,
		setUp: batchCase},
	{name: "hot-1024", about: "callers-1024, all paying from one account", limit: "callers-1024", target: 0.9,
		setUp: hotCase},
	{name: "keys-1024", about: "callers-1024, a fresh key each, 5,000,000 keys there already", limit: "callers-1024", target: 0.5,
		setUp: keysCase},
	{name: "million-batch-8192", about: "batch-8192 among 1,000,000 accounts at random", limit: "batch-8192", target: 0.45,
		setUp: millionCase},
	{name: "grown", about: "batch-8192 after 10,000,000 transfers", limit: "bbolt, after as many rows", target: 0.85, long: true,
		setUp: grownCase},
	{name: "million-callers-64", about: "callers-64 among 1,000,000 accounts at random", limit: "callers-64", long: true,
		setUp: millionCallersCase},
	{name: "account", about: "two readers of random accounts, callers-64 beside them", perSecond: 1_000_000,
		setUp: accountCase},
	{name: "page", about: "a page of 100 at a random date, of an account with 1,000,000", limit: "of one with 1,000", target: 0.5,
		setUp: pageCase},
	{name: "http-post-64", about: "POST of a transfer, 64 connections, an account each", limit: "bare handler", target: 0.5,
		setUp: postCase},
	{name: "http-batch-1000", about: "POST of 1,000 transfers, 4 connections; counts transfers", limit: "bare handler", target: 0.5,
		setUp: postBatchCase},
	{name: "http-get-64", about: "GET of an account, 64 connections", limit: "bare handler", target: 0.7,
		setUp: getCase},
	{name: "http-page-64", about: "GET of a page of 100 transactions, 64 connections", limit: "bare handler", target: 0.25,
		setUp: getPageCase},
}

// plainWorld is the ledger that most cases share.
func (b *bench) plainWorld(ctx context.Context) (*world, error) {
	return b.world(ctx, "plain", benchAccounts)
}

func (b *bench) millionWorld(ctx context.Context) (*world, error) {
	return b.world(ctx, "million", 1_000_000)
}

// callersCase is so many callers against raw bbolt in commits of so many.
func callersCase(callers, rows int) func(context.Context, *bench) (load, load, error) {
	return func(ctx context.Context, b *bench) (c, limit load, err error) {
		w, err := b.plainWorld(ctx)
		if err != nil {
			return c, limit, err
		}
		r, err := b.raw("raw")
		if err != nil {
			return c, limit, err
		}
		return b.callers(ctx, w, callers, plainPayment), r.load(rows), nil
	}
}

func batchCase(ctx context.Context, b *bench) (c, limit load, err error) {
	w, err := b.plainWorld(ctx)
	if err != nil {
		return c, limit, err
	}
	r, err := b.raw("raw")
	if err != nil {
		return c, limit, err
	}
	return b.batchers(ctx, w, benchBatch, plainPayment), r.load(benchBatch), nil
}

func hotCase(ctx context.Context, b *bench) (c, limit load, err error) {
	w, err := b.plainWorld(ctx)
	if err != nil {
		return c, limit, err
	}
	return b.callers(ctx, w, 1024, hotPayment), b.callers(ctx, w, 1024, plainPayment), nil
}

func keysCase(ctx context.Context, b *bench) (c, limit load, err error) {
	plain, err := b.plainWorld(ctx)
	if err != nil {
		return c, limit, err
	}
	w, err := b.world(ctx, "keys", benchAccounts)
	if err == nil {
		err = b.fill(ctx, w, 5_000_000, capycoin.MaxBatch, keyedPayment)
	}
	if err != nil {
		return c, limit, err
	}
	return b.callers(ctx, w, 1024, keyedPayment), b.callers(ctx, plain, 1024, plainPayment), nil
}

func millionCase(ctx context.Context, b *bench) (c, limit load, err error) {
	plain, err := b.plainWorld(ctx)
	if err != nil {
		return c, limit, err
	}
	w, err := b.millionWorld(ctx)
	if err != nil {
		return c, limit, err
	}
	return b.batchers(ctx, w, benchBatch, plainPayment), b.batchers(ctx, plain, benchBatch, plainPayment), nil
}

func millionCallersCase(ctx context.Context, b *bench) (c, limit load, err error) {
	plain, err := b.plainWorld(ctx)
	if err != nil {
		return c, limit, err
	}
	w, err := b.millionWorld(ctx)
	if err != nil {
		return c, limit, err
	}
	return b.callers(ctx, w, 64, plainPayment), b.callers(ctx, plain, 64, plainPayment), nil
}

func grownCase(ctx context.Context, b *bench) (c, limit load, err error) {
	const size = 10_000_000
	w, err := b.world(ctx, "grown", benchAccounts)
	if err == nil {
		err = b.fill(ctx, w, size, capycoin.MaxBatch, plainPayment)
	}
	if err != nil {
		return c, limit, err
	}
	b.step("  making %d rows of bbolt", size)
	r, err := b.raw("raw-grown")
	if err == nil {
		err = r.grow(ctx, size, capycoin.MaxBatch)
	}
	if err != nil {
		return c, limit, err
	}
	return b.batchers(ctx, w, benchBatch, plainPayment), r.load(benchBatch), nil
}

// accountCase has no limit: nothing durable is to be had that fast.
func accountCase(ctx context.Context, b *bench) (c, limit load, err error) {
	w, err := b.plainWorld(ctx)
	if err != nil {
		return c, limit, err
	}
	beside := b.callers(ctx, w, 64, plainPayment)
	c = b.readers(ctx, w)
	c.beside = &beside
	return c, limit, nil
}

func pageCase(ctx context.Context, b *bench) (c, limit load, err error) {
	w, err := b.history(ctx)
	if err != nil {
		return c, limit, err
	}
	if c, err = b.pages(ctx, w, w.ids[0]); err != nil {
		return c, limit, err
	}
	limit, err = b.pages(ctx, w, w.ids[1])
	return c, limit, err
}
