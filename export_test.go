package capycoin

import (
	"time"

	bolt "go.etcd.io/bbolt"
)

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
	foldTuning = func(f *folder) { f.lag, f.slice = lag, slice }
	return func() { foldTuning = nil }
}

// HighWater returns how many bytes of a ledger's file have ever been in use.
// The file itself grows in steps of 16 MiB.
func HighWater(l *Ledger) (size int64) {
	if err := l.bolt.db.View(func(tx *bolt.Tx) error { size = tx.Size(); return nil }); err != nil {
		panic(err)
	}
	return size
}
