package main

import (
	"context"
	"math/bits"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// benchSlices is how many turns a case and its limit take each.
const benchSlices = 4

// benchCase is a thing to measure.
type benchCase struct {
	name   string
	about  string
	limit  string  // what it is held against; empty: nothing
	target float64 // the ratio to reach; 0: none
	long   bool    // only with --long
	setUp  func(ctx context.Context, b *bench) (c, limit load, err error)
}

// bench is a run of the command.
type bench struct {
	dir      string
	seed     uint64
	slice    time.Duration
	progress func(format string, args ...any)

	worlds map[string]*world // ledgers, by what they are for
	raws   map[int]*rawLog   // by the length of their rows
	served *site
	atEnd  []func() error
}

// rng returns a source of random numbers of its own for each use.
func (b *bench) rng(use uint64) *rand.Rand { return rand.New(rand.NewPCG(b.seed, use)) }

// close gives back what was opened, the last first.
func (b *bench) close() (err error) {
	for _, end := range slices.Backward(b.atEnd) {
		if e := end(); err == nil {
			err = e
		}
	}
	return err
}

// load makes the workers of a case, which take turns or run side by side: each
// does one operation and returns how many it counts for.
type load struct {
	workers []func() (int, error)
	used    func() int64 // bytes of the file in use; nil: nothing is written
	beside  *load        // runs meanwhile, and is not counted
	grouped int          // how many quick calls a worker makes at once; 0: one
}

// run lets a case and its limit take turns.
func (b *bench) run(ctx context.Context, c *benchCase) (r benchResult, err error) {
	b.progress("%s: %s", c.name, c.about)
	measured, limit, err := c.setUp(ctx, b)
	if err != nil {
		return r, err
	}
	var rates, limits []float64
	var times, unused latencies
	var grown int64
	n := 0
	for range benchSlices {
		before := int64(0)
		if measured.used != nil {
			before = measured.used()
		}
		count, rate, err := measured.run(ctx, b.slice, &times)
		if err != nil {
			return r, err
		}
		if measured.used != nil {
			grown += measured.used() - before
		}
		n += count
		rates = append(rates, rate)
		if limit.workers == nil {
			continue
		}
		if _, rate, err = limit.run(ctx, b.slice, &unused); err != nil {
			return r, err
		}
		limits = append(limits, rate)
	}
	b.progress("  the slowest of %d calls took %v", times.n, times.most.Round(time.Microsecond))
	r = benchResult{Name: c.name, PerSecond: median(rates), P50: times.quantile(0.5), P99: times.quantile(0.99)}
	if measured.used != nil {
		each := float64(grown) / float64(n)
		r.BytesEach = &each
	}
	if limits != nil {
		m := median(limits)
		ratio := r.PerSecond / m
		r.Limit, r.LimitPerSecond = &c.limit, &m
		if c.target > 0 {
			r.Ratio = &ratio
		}
	}
	return r, nil
}

// run runs the workers side by side for some time.
func (l *load) run(ctx context.Context, d time.Duration, times *latencies) (n int, perSecond float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	var wg sync.WaitGroup
	var mu sync.Mutex
	start := time.Now()
	for _, worker := range l.workers {
		wg.Go(func() {
			mine, count, bad := latencies{}, 0, error(nil)
			for last := time.Now(); ctx.Err() == nil && bad == nil; {
				var k int
				k, bad = worker()
				now := time.Now()
				mine.add(now.Sub(last) / time.Duration(max(l.grouped, 1)))
				last = now
				count += k
			}
			mu.Lock()
			defer mu.Unlock()
			n += count
			times.merge(&mine)
			if err == nil {
				err = bad
			}
		})
	}
	var besideErr error
	if l.beside != nil {
		_, _, besideErr = l.beside.run(ctx, d, &latencies{})
	}
	wg.Wait()
	perSecond = float64(n) / time.Since(start).Seconds()
	if err == nil {
		err = besideErr
	}
	if err == nil && context.Cause(ctx) == context.Canceled {
		err = context.Canceled // a signal, not the end of the time
	}
	return n, perSecond, err
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// latencies counts times in buckets that are 1/16 of their size wide.
type latencies struct {
	buckets [64 * 16]uint64
	n       uint64
	most    time.Duration
}

func (l *latencies) add(d time.Duration) {
	v := uint64(max(d, 32))
	e := bits.Len64(v) - 5
	l.buckets[e*16+int(v>>e)-16]++
	l.n++
	l.most = max(l.most, d)
}

func (l *latencies) merge(m *latencies) {
	for i, n := range m.buckets {
		l.buckets[i] += n
	}
	l.n += m.n
	l.most = max(l.most, m.most)
}

// quantile returns the time in µs that a part of all took at most.
func (l *latencies) quantile(q float64) float64 {
	left := uint64(q * float64(l.n))
	for i, n := range l.buckets {
		if n > left {
			return float64(uint64(16+i%16+1)<<(i/16)) / 1000
		}
		left -= n
	}
	return 0
}
