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
