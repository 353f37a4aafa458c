package boltfile_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/capycoin/capycoin/internal/boltfile"
	"github.com/capycoin/capycoin/store"
	"github.com/capycoin/capycoin/storetest"
)

// TestBoltStore runs the conformance suite on the store that the library opens.
func TestBoltStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Store {
		path := filepath.Join(t.TempDir(), "coins.db")
		var file *boltfile.File
		open := func() (store.Log, store.Folds, error) {
			var err error
			if file, err = boltfile.Open(path, boltfile.Options{LockTimeout: time.Second, AnyRows: true}); err != nil {
				return nil, nil, err
			}
			return file, file, nil
		}
		log, folds, err := open()
		if err != nil {
			t.Fatalf("opening the store: got error %v, want none", err)
		}
		return storetest.Store{
			Log: log, Folds: folds,
			Reopen: func() (store.Log, store.Folds, error) {
				if err := file.Close(); err != nil {
					return nil, nil, err
				}
				return open()
			},
			Close: func() error { return file.Close() },
		}
	})
}
