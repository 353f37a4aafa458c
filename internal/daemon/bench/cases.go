package bench

import (
	"context"

	"github.com/capycoin/capycoin"
)

const (
	fewAccounts = 1000 // of most ledgers
	batchSize   = 8192 // transfers
)

// benchCases are all cases, in the order they run, and what each has to reach.
// docs/performance.md says more about each.
var benchCases = []benchCase{
	{name: "callers-1", about: "one caller, one transfer after the other", limit: "bbolt, commits of 1", target: 0.9,
		setUp: againstBolt(1, callersOf(1))},
	{name: "callers-64", about: "64 callers", limit: "bbolt, commits of 32", target: 0.75,
		setUp: againstBolt(32, callersOf(64))},
	{name: "callers-1024", about: "1,024 callers", limit: "bbolt, commits of 512", target: 0.6,
		setUp: againstBolt(512, callersOf(1024))},
	{name: "batch-8192", about: "two callers, batches of 8,192 transfers", limit: "bbolt, commits of 8192", target: 0.9,
		setUp: againstBolt(batchSize, batchersOf)},
	{name: "hot-1024", about: "callers-1024, all paying from one account", limit: "callers-1024", target: 0.9,
		setUp: hotCase},
	{name: "keys-1024", about: "callers-1024, a fresh key each, 5,000,000 keys there already", limit: "callers-1024", target: 0.5,
		setUp: keysCase},
	{name: "signed-64", about: "callers-64, each transfer signed by its sender", limit: "ed25519.Verify alone", target: 0.35,
		setUp: againstVerify(signedCallers)},
	{name: "signed-batch-8192", about: "batch-8192, each transfer signed by its sender", limit: "ed25519.Verify alone", target: 0.75,
		setUp: againstVerify(signedBatchers)},
	{name: "million-batch-8192", about: "batch-8192 among 1,000,000 accounts at random", limit: "batch-8192", target: 0.45,
		setUp: amongMillion(batchersOf)},
	{name: "grown", about: "batch-8192 after 10,000,000 transfers", limit: "bbolt, after as many rows", target: 0.85, long: true,
		setUp: grownCase},
	{name: "million-callers-64", about: "callers-64 among 1,000,000 accounts at random", limit: "callers-64", long: true,
		setUp: amongMillion(callersOf(64))},
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
	return b.world(ctx, "plain", fewAccounts)
}

// loadOf makes a load of plain transfers on a ledger.
type loadOf func(ctx context.Context, b *bench, w *world) load

func callersOf(n int) loadOf {
	return func(ctx context.Context, b *bench, w *world) load { return b.callers(ctx, w, n, plainPayment) }
}

func batchersOf(ctx context.Context, b *bench, w *world) load {
	return b.batchers(ctx, w, batchSize, plainPayment)
}

// againstBolt is a load against raw bbolt in commits of so many rows.
func againstBolt(rows int, of loadOf) func(context.Context, *bench) (load, load, error) {
	return func(ctx context.Context, b *bench) (c, limit load, err error) {
		w, err := b.plainWorld(ctx)
		if err != nil {
			return c, limit, err
		}
		r, err := b.raw("raw")
		if err != nil {
			return c, limit, err
		}
		return of(ctx, b, w), r.load(rows), nil
	}
}

// amongMillion is a load among a million accounts against the same among few.
func amongMillion(of loadOf) func(context.Context, *bench) (load, load, error) {
	return func(ctx context.Context, b *bench) (c, limit load, err error) {
		plain, err := b.plainWorld(ctx)
		if err != nil {
			return c, limit, err
		}
		w, err := b.world(ctx, "million", 1_000_000)
		if err != nil {
			return c, limit, err
		}
		return of(ctx, b, w), of(ctx, b, plain), nil
	}
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
	w, err := b.world(ctx, "keys", fewAccounts)
	if err == nil {
		err = b.fill(ctx, w, 5_000_000, capycoin.MaxBatch, keyedPayment)
	}
	if err != nil {
		return c, limit, err
	}
	return b.callers(ctx, w, 1024, keyedPayment), b.callers(ctx, plain, 1024, plainPayment), nil
}

func grownCase(ctx context.Context, b *bench) (c, limit load, err error) {
	const size = 10_000_000
	w, err := b.world(ctx, "grown", fewAccounts)
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
	return b.batchers(ctx, w, batchSize, plainPayment), r.load(batchSize), nil
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
