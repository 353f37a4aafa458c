package capycoin

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/capycoin/capycoin/internal/boltfile"
	"github.com/capycoin/capycoin/store"
)

// OpenBoltForTest opens the store that [Open] uses, without a ledger: a new
// one has no record.
func OpenBoltForTest(path string) (store.Log, store.Folds, func() error, error) {
	s, err := boltfile.Open(path, boltfile.Options{LockTimeout: time.Second, AnyRows: true})
	if err != nil {
		return nil, nil, nil, err
	}
	return s, s, s.Close, nil
}

// TuneFolding makes the sweeps of ledgers opened from now on begin after lag
// records and write at least slice rows with each commit, until the function
// it returns is called.
func TuneFolding(lag uint64, slice int) (restore func()) {
	foldTuning = func(f *folder) { f.lag, f.slice, f.ahead = lag, slice, 1 }
	return func() { foldTuning = nil }
}

// KeepWitness makes the ledgers opened from now on write their witness so often,
// until the function it returns is called.
func KeepWitness(every time.Duration) (restore func()) {
	before := witnessInterval
	witnessInterval = every
	return func() { witnessInterval = before }
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

// CheckPages returns what bbolt finds wrong with the pages of a ledger's file:
// those in use and those that are free are all there are, each once.
func CheckPages(led *Ledger) (bad []error) {
	err := led.bolt.ViewTx(func(tx *bolt.Tx) error {
		for err := range tx.Check() {
			bad = append(bad, err)
		}
		return nil
	})
	if err != nil {
		bad = append(bad, err)
	}
	return bad
}

// GrowBy makes a ledger's file no longer than it has to be, and grow in steps of
// so many bytes. Nothing may be written meanwhile.
func GrowBy(led *Ledger, bytes int) error {
	led.bolt.DB.AllocSize = bytes
	return led.bolt.ViewTx(func(tx *bolt.Tx) error { return os.Truncate(led.bolt.DB.Path(), tx.Size()) })
}

// Unpack returns what is in a compressed file.
func Unpack(t testing.TB, name string) []byte {
	t.Helper()
	packed, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
