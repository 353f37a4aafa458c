package capycoin_test

import (
	"path/filepath"
	"testing"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/storetest"
)

// TestBoltStore runs the conformance suite on the store that Open uses.
func TestBoltStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Store {
		path := filepath.Join(t.TempDir(), "coins.db")
		var closeStore func() error
		open := func() (capycoin.Log, capycoin.Folds, error) {
			log, folds, closer, err := capycoin.OpenBoltForTest(path)
			closeStore = closer
			return log, folds, err
		}
		log, folds, err := open()
		if err != nil {
			t.Fatalf("opening the store: got error %v, want none", err)
		}
		return storetest.Store{
			Log: log, Folds: folds,
			Reopen: func() (capycoin.Log, capycoin.Folds, error) {
				if err := closeStore(); err != nil {
					return nil, nil, err
				}
				return open()
			},
			Close: func() error { return closeStore() },
		}
	})
}
