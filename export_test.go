package capycoin

import "time"

// Linger is how long commits wait for callers.
type Linger struct{ linger }

// Plan is called at the end of a commit: the next one waits for enough operations,
// but no longer than the wait.
func (w *Linger) Plan(operations, queued int, took time.Duration) (enough int, wait time.Duration) {
	wait = w.plan(operations, queued, took)
	return w.enough, wait
}

// Missed says that there were not enough.
func (w *Linger) Missed() { w.missed() }
