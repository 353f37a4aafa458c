package bench

import (
	"context"
	"errors"
	"math"
	"math/bits"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/capycoin/capycoin/internal/cli"
)

// turns is how many turns a case and its limit take each. What else the
// machine does in the meantime then falls on both.
const turns = 4

// benchCase is a thing to measure.
type benchCase struct {
	name      string
	about     string
	limit     string  // what it is held against; empty: nothing
	target    float64 // the ratio to reach; 0: none
	perSecond float64 // what to reach where there is no ratio; 0: nothing
	long      bool    // only with --long, or by its name
	setUp     func(ctx context.Context, b *bench) (c, limit load, err error)
}

// bench is a run of the command.
type bench struct {
	dir   string
	seed  uint64
	time  time.Duration // of each case, and as much of its limit
	step  func(format string, args ...any)
	watch *cli.Progress // of what takes long within a step

	streams uint64   // of random numbers that were taken
	worlds  []*world // ledgers, in the order they were made
	raws    map[string]*rawLog
	signing *signedWorld // nil: no case has needed it yet
	served  *site
	atEnd   []func() error
}

// rng returns a source of random numbers that nothing else has: transfers that
// came again would have keys that came again.
func (b *bench) rng() *rand.Rand {
	b.streams++
	return rand.New(rand.NewPCG(b.seed, b.streams))
}

// close gives back what was opened, the last first.
func (b *bench) close() error {
	var errs []error
	for _, end := range slices.Backward(b.atEnd) {
		errs = append(errs, end())
	}
	return errors.Join(errs...)
}

// operation does something once. It returns for how many it counts and how
// long the call took that is measured, without what it took to make it up.
type operation func() (n int, took time.Duration, err error)

// load is what a case or its limit does: its workers run side by side, each
// one operation after the other.
type load struct {
	workers []operation
	used    func() int64 // bytes of the file in use; nil: nothing is written
	beside  *load        // runs meanwhile, and is not counted
	// prepare makes ready what the workers take, before the clock starts; nil:
	// nothing is to be made ready. When they find none left they return
	// errNoneLeft, the clock stops, and it is called again.
	prepare func(context.Context) error
}

// run measures a case and its limit in turns.
func (b *bench) run(ctx context.Context, c *benchCase) (r Result, err error) {
	b.step("%s: %s", c.name, c.about)
	measured, limit, err := c.setUp(ctx, b)
	if err != nil {
		return r, err
	}
	runtime.GC() // what the preparation left is none of the case's
	var rates, limits []float64
	var times, unused latencies
	var count, grown int64
	for range turns {
		before := measured.fileUsed()
		n, rate, err := measured.run(ctx, b.time/turns, &times)
		if err != nil {
			return r, err
		}
		grown += measured.fileUsed() - before
		count += n
		rates = append(rates, rate)
		if limit.workers == nil {
			continue
		}
		if _, rate, err = limit.run(ctx, b.time/turns, &unused); err != nil {
			return r, err
		}
		limits = append(limits, rate)
	}
	if count == 0 || limits != nil && median(limits) == 0 {
		return r, cli.Hint(errors.New("nothing came to an end in its time"), "give it more with --seconds")
	}
	b.step("  the slowest of %d measured calls took %s µs", times.n, figure(rounded(float64(times.most.Nanoseconds())/1000, 3)))
	r = Result{Name: c.name, PerSecond: rounded(median(rates), 1), P50: times.quantile(0.5), P99: times.quantile(0.99)}
	if measured.used != nil {
		r.BytesEach = new(rounded(float64(grown)/float64(count), 1))
	}
	if limits != nil {
		r.Limit, r.LimitPerSecond = &c.limit, new(rounded(median(limits), 1))
		r.Ratio = new(rounded(median(rates)/median(limits), 4))
	}
	return r, nil
}

func (l *load) fileUsed() int64 {
	if l.used == nil {
		return 0
	}
	return l.used()
}

// run runs the workers for some time: in several turns if they need something made
// ready for each, which does not count as time.
func (l *load) run(ctx context.Context, d time.Duration, times *latencies) (n int64, perSecond float64, err error) {
	var took time.Duration
	for {
		if l.prepare != nil {
			if err := l.prepare(ctx); err != nil {
				return n, 0, err
			}
		}
		count, took1, err := l.turn(ctx, d-took, times)
		n, took = n+count, took+took1
		if err != nil || took >= d {
			return n, float64(n) / took.Seconds(), err
		}
	}
}

// turn runs the workers side by side for some time, or until they find nothing to do.
// What was begun then is waited for, and counts.
func (l *load) turn(ctx context.Context, d time.Duration, times *latencies) (n int64, took time.Duration, err error) {
	timed, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	var wg sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	start := time.Now()
	for _, do := range l.workers {
		wg.Go(func() {
			mine, count, err := latencies{}, 0, error(nil)
			for timed.Err() == nil && err == nil {
				var k int
				var took time.Duration
				if k, took, err = do(); err == nil {
					mine.add(took)
					count += k
				}
			}
			mu.Lock()
			defer mu.Unlock()
			n += int64(count)
			times.merge(&mine)
			if err != nil {
				cancel()
			}
			if err != nil && !errors.Is(err, errNoneLeft) {
				errs = append(errs, err)
			}
		})
	}
	var besideErr error
	if l.beside != nil {
		_, _, besideErr = l.beside.run(ctx, d, &latencies{})
	}
	wg.Wait()
	took = time.Since(start)
	if ctx.Err() != nil {
		return n, took, ctx.Err() // whatever else went wrong came of it
	}
	if len(errs) > 0 {
		return n, took, errs[0] // the others are mostly the same
	}
	return n, took, besideErr
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// rounded cuts decimals that say nothing.
func rounded(v float64, decimals int) float64 {
	unit := math.Pow10(decimals)
	return math.Round(v*unit) / unit
}

// latencies counts times, in buckets of 1 ns up to 32 and of 1/32 of their
// size beyond: what it takes to note one does not show beside a call.
type latencies struct {
	buckets [60 * 32]uint64
	n       uint64
	most    time.Duration
}

func (l *latencies) add(d time.Duration) {
	l.buckets[bucketOf(uint64(max(d, 0)))]++
	l.n++
	l.most = max(l.most, d)
}

func bucketOf(v uint64) int {
	if v < 32 {
		return int(v)
	}
	e := bits.Len64(v) - 6
	return e*32 + int(v>>e) // v>>e is 32 to 63
}

// middleOf returns the middle of a bucket, in ns.
func middleOf(bucket int) float64 {
	if bucket < 64 {
		return float64(bucket)
	}
	e := bucket/32 - 1
	return (float64(32+bucket%32) + 0.5) * float64(uint64(1)<<e)
}

func (l *latencies) merge(m *latencies) {
	for i, n := range m.buckets {
		l.buckets[i] += n
	}
	l.n += m.n
	l.most = max(l.most, m.most)
}

// quantile returns the time in µs that a part of all took at most, to within
// the width of a bucket; 0 if there are none.
func (l *latencies) quantile(q float64) float64 {
	rank := max(uint64(math.Ceil(q*float64(l.n))), 1)
	for i, n := range l.buckets {
		if n >= rank {
			return rounded(middleOf(i)/1000, 3)
		}
		rank -= n
	}
	return 0
}
