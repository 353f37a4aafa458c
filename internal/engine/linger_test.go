package engine

import (
	"sort"
	"testing"
	"time"
)

// TestLingerPlan: a commit waits for all callers when they were there at the end of
// the one before, and for less than half of them when they were not.
func TestLingerPlan(t *testing.T) {
	const took = time.Millisecond
	var w linger
	check := func(operations, queued int, took time.Duration, enough int, wait time.Duration) {
		t.Helper()
		d := w.plan(operations, queued, took)
		if e := w.enough; e != enough || d != wait {
			t.Errorf("after %d, with %d queued, a commit waits for %d, %s, want %d, %s", operations, queued, e, d, enough, wait)
		}
	}
	check(40, 24, took, 64, took/2)
	w.missed() // some came late, but there are as many
	check(20, 19, took, 28, 2*took)
	check(28, 19, took, 28, 2*took)
	check(64, 0, took, 28, 2*took) // once may be chance
	check(64, 0, took, 28, 2*took)
	check(64, 0, took, 28, 2*took)
	check(64, 0, took, 64, took/2)
	check(64, 0, time.Second, 64, 5*time.Millisecond)
	check(7, 57, took, 0, 0)
	check(16, 0, time.Second, 28, 5*time.Millisecond)
	w.missed()
	for range 3 {
		check(16, 0, took, 7, 2*took)
	}
	check(16, 0, took, 16, took/2)
	check(8, 8, took, 16, took/2)
	for range 1000 { // half of them have left for good
		w.plan(8, 0, took)
	}
	check(8, 0, took, 8, took/2)
}

// closedLoop is a ledger with callers that come again after their answers, in
// simulated time: one processor serves them one after the other, and the disk
// takes a time for each commit.
type closedLoop struct {
	linger  linger
	callers int
	serve   time.Duration // what a caller has to do before it comes again
	takes   time.Duration // a commit

	now    time.Duration
	free   time.Duration   // when the processor is
	coming []time.Duration // when those that are served come
	sizes  []int
}

// run makes so many commits.
func (c *closedLoop) run(commits int) {
	for len(c.coming) < c.callers {
		c.answered(1)
	}
	c.coming = c.coming[:c.callers] // some may have left
	enough, until := 0, c.now
	for range commits {
		c.now = max(c.now, c.coming[0])
		if enough > 0 {
			if last := c.coming[min(enough, c.callers)-1]; enough <= c.callers && last <= until {
				c.now = max(c.now, last)
			} else {
				c.now = max(c.now, until)
				c.linger.missed()
			}
		}
		n := c.here()
		c.coming = c.coming[n:]
		c.now += c.takes
		wait := c.linger.plan(n, c.here(), c.takes)
		enough = c.linger.enough
		until = c.now + wait
		c.sizes = append(c.sizes, n)
		c.answered(n)
	}
}

// here returns how many have come.
func (c *closedLoop) here() int {
	return sort.Search(len(c.coming), func(i int) bool { return c.coming[i] > c.now })
}

func (c *closedLoop) answered(n int) {
	for range n {
		c.free = max(c.free, c.now) + c.serve
		c.coming = append(c.coming, c.free)
	}
}

// mean returns the size of a commit, of the last ones.
func (c *closedLoop) mean(commits int) float64 {
	sum := 0
	for _, n := range c.sizes[len(c.sizes)-commits:] {
		sum += n
	}
	return float64(sum) / float64(commits)
}

// TestLingerGroups: callers that come again at once are in one commit, those that
// take longer than the disk in two in turns, so that they are served meanwhile.
func TestLingerGroups(t *testing.T) {
	for _, c := range []struct {
		callers      int
		serve, takes time.Duration
		least, most  float64 // of the callers, in a commit
	}{
		{64, time.Microsecond, 400 * time.Microsecond, 0.99, 1},
		{1024, 300 * time.Nanosecond, 700 * time.Microsecond, 0.99, 1},
		{64, 23 * time.Microsecond, 400 * time.Microsecond, 0.35, 0.5},
		{64, 20 * time.Microsecond, 10 * time.Millisecond, 0.99, 1}, // the disk is what takes time
	} {
		loop := closedLoop{callers: c.callers, serve: c.serve, takes: c.takes}
		loop.run(100)
		loop.takes *= 5 // as disks do now and then
		loop.run(1)
		loop.takes = c.takes
		loop.run(400)
		if got := loop.mean(200) / float64(c.callers); got < c.least || got > c.most {
			t.Errorf("%d callers served in %s, a disk of %s: %.2f of them are a commit, want %.2f to %.2f: %v",
				c.callers, c.serve, c.takes, got, c.least, c.most, loop.sizes[len(loop.sizes)-20:])
		}
	}
}

// TestLingerForgets: callers that have left are waited for once.
func TestLingerForgets(t *testing.T) {
	loop := closedLoop{callers: 64, serve: 23 * time.Microsecond, takes: 400 * time.Microsecond}
	loop.run(100)
	loop.callers = 16
	loop.run(20)
	start := loop.now
	loop.run(100)
	if took := loop.now - start; took > 100*(loop.takes+16*loop.serve) {
		t.Errorf("100 commits of 16 callers took %s", took)
	}
}
