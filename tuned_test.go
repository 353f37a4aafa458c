package capycoin_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/boltfile"
	"github.com/capycoin/capycoin/internal/tune"
	"github.com/capycoin/capycoin/store"
	"github.com/capycoin/capycoin/storetest"
)

// tuned is a ledger in a file that the test has opened by itself: it has settings that
// are no options, and the test has the file at hand.
type tuned struct {
	*capycoin.Ledger
	file *boltfile.File
	once sync.Once
	err  error
}

// Close closes the ledger and its file, as Close does of a ledger that Open has opened.
func (l *tuned) Close() error {
	l.once.Do(func() { l.err = errors.Join(l.Ledger.Close(), l.file.Close()) })
	return l.err
}

// folding makes sweeps begin after lag records and write at least slice rows with each
// commit, and has a goroutine fold whatever the commit.
func folding(lag uint64, slice int) tune.Options {
	return tune.Options{FoldLag: lag, FoldSlice: slice, FoldAhead: 1}
}

// tunedLedger does what [capycoin.Open] does, with settings.
func tunedLedger(path string, opts *capycoin.Options, settings tune.Options) (*tuned, error) {
	var o capycoin.Options
	if opts != nil {
		o = *opts
	}
	if o.Witness == "" && !o.NoWitness {
		o.Witness = path + ".witness"
	}
	file, err := boltfile.Open(path, boltfile.Options{
		LockTimeout: time.Second, Begin: func(log store.Log) error { return onlyGenesis(log, &o) },
	})
	if err != nil {
		return nil, err
	}
	led, err := capycoin.OpenStore(tune.With(context.Background(), settings), file, file, &o)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &tuned{Ledger: led, file: file}, nil
}

// onlyGenesis writes the first record of a ledger, and no rows.
func onlyGenesis(log store.Log, opts *capycoin.Options) error {
	var o capycoin.Options
	if opts != nil {
		o = *opts
	}
	o.Witness, o.NoWitness = "", true
	led, err := capycoin.OpenStore(context.Background(), struct{ store.Log }{log}, storetest.NewFolds(), &o)
	if err != nil {
		return err
	}
	return led.Close()
}

// openTuned is openLedger with settings.
func openTuned(t testing.TB, path string, opts *capycoin.Options, settings tune.Options) *tuned {
	t.Helper()
	led, err := tunedLedger(path, opts, settings)
	if err != nil {
		t.Fatalf("opening %s: %v", path, err)
	}
	t.Cleanup(func() {
		if led.Err() == nil {
			audit(t, led.Ledger)
		}
		if err := led.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return led
}

// checkPages returns what bbolt finds wrong with the pages of a file: those in use and
// those that are free are all there are, each once.
func checkPages(file *boltfile.File) (bad []error) {
	err := file.ViewTx(func(tx *bolt.Tx) error {
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

// growBy makes a file no longer than it has to be, and grow in steps of so many bytes.
// Nothing may be written meanwhile.
func growBy(file *boltfile.File, bytes int) error {
	file.DB.AllocSize = bytes
	return file.ViewTx(func(tx *bolt.Tx) error { return os.Truncate(file.DB.Path(), tx.Size()) })
}

// unpack returns what is in a compressed file.
func unpack(t testing.TB, name string) []byte {
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
