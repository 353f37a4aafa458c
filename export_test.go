package capycoin

import "time"

// OpenBoltForTest opens the store that [Open] uses, without a ledger: a new
// one has no record.
func OpenBoltForTest(path string) (Log, Folds, func() error, error) {
	s, err := openBolt(path, time.Second, nil)
	if err != nil {
		return nil, nil, nil, err
	}
	return s, s, s.close, nil
}

// TuneFolding makes the sweeps of ledgers opened from now on begin after lag
// records and write at least slice rows with each commit, until the function
// it returns is called.
func TuneFolding(lag uint64, slice int) (restore func()) {
	foldTuning = func(f *folder) { f.lag, f.slice, f.ahead = lag, slice, 1 }
	return func() { foldTuning = nil }
}

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
