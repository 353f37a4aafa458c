// Package storetest checks implementations of [capycoin.Log] and
// [capycoin.Folds], and has stores for tests: [Memory], which keeps a ledger
// in memory, and [Faulty], which fails operations of another store on cue.
//
// The author of a store calls [Run] from a test and hands it a function that
// makes an empty store:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) storetest.Store {
//			s := mystore.New(t.TempDir())
//			return storetest.Store{Log: s, Folds: s, Close: s.Close}
//		})
//	}
//
// Run first checks the two interfaces by themselves, then opens ledgers on the
// store and compares what they say: after reopening, with folds lost or out of
// date, with two ledgers on one log, and with a fault at every step. Run it
// with the race detector too: a part of the contract is what may be called at
// the same time.
//
// It knows no store but by the two interfaces, and nothing of how ledgers are made of them.
// No function of a caller's is called under the locks of its stores.
package storetest

import (
	"testing"

	"github.com/capycoin/capycoin"
)

// Store is a store to check, as [Run] gets it from its author.
type Store struct {
	// Log is an empty log.
	Log capycoin.Log
	// Folds are empty folds. They may be the same value as Log, which is how
	// a store joins the two in one transaction.
	Folds capycoin.Folds
	// Reopen gives up the handles that were had so far without flushing them,
	// as the end of the process would, and opens the same store again. Nil: a
	// store that can't be reopened; the checks that need it are skipped.
	Reopen func() (capycoin.Log, capycoin.Folds, error)
	// Second opens one more handle on the same log, used beside Log, with
	// empty folds of its own. Nil: a store that one ledger at a time can use;
	// the checks that need it are skipped.
	Second func() (capycoin.Log, capycoin.Folds, error)
	// Close closes every handle that is open. Nil: nothing to close.
	Close func() error
}

// Run checks a store, each check in a subtest of its own. It calls open for
// every empty store that it needs, some hundreds of times, and closes each
// before the subtest ends. With -short it skips most of the faults.
func Run(t *testing.T, open func(t *testing.T) Store) {
	t.Helper()
	for _, c := range checks() {
		t.Run(c.name, func(t *testing.T) {
			e := &env{tb: t, short: testing.Short(), open: func() Store { return open(t) }}
			t.Cleanup(e.closeAll)
			if reason := c.needs.missing(e); reason != "" {
				t.Skip(reason)
			}
			c.run(e)
		})
	}
}

// tb is what a check needs of a *testing.T. The suite's own tests put a
// recorder in its place, to see that a broken store is found out.
type tb interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Logf(format string, args ...any)
}

// check is one check of the suite.
type check struct {
	name  string
	needs need
	run   func(e *env)
}

// need is what a store must be able to do for a check to make sense.
type need int

const (
	needNothing need = iota
	needReopen
	needSecond
)

// missing opens a store to see whether it can do what is needed. It returns
// why not, or the empty string.
func (n need) missing(e *env) string {
	switch {
	case n == needReopen && e.store().Reopen == nil:
		return "the store can't be reopened"
	case n == needSecond && e.store().Second == nil:
		return "the store has one handle only"
	}
	return ""
}

// checks are all checks, the simple ones first: a store that fails these
// fails the later ones for reasons that are harder to see.
func checks() []check {
	var all []check
	all = append(all, logChecks()...)
	all = append(all, logConcurrentChecks()...)
	all = append(all, foldsChecks()...)
	all = append(all, foldsDurableChecks()...)
	all = append(all, ledgerChecks()...)
	all = append(all, twoLedgerChecks()...)
	all = append(all, faultChecks()...)
	return all
}

// env is what a check runs in: a test and a source of stores.
type env struct {
	tb
	short  bool
	open   func() Store
	opened []*openStore
}

// openStore is a store that a check has open.
type openStore struct {
	Store
	e      *env
	closed bool
}

// store opens an empty store. It is closed at the end of the check.
func (e *env) store() *openStore {
	e.Helper()
	s := &openStore{Store: e.open(), e: e}
	e.opened = append(e.opened, s)
	if s.Log == nil || s.Folds == nil {
		e.Fatalf("the Store has no Log or no Folds")
	}
	return s
}

// closeAll closes what is still open.
func (e *env) closeAll() {
	for _, s := range e.opened {
		s.close()
	}
	e.opened = nil
}

// close closes the store once.
func (s *openStore) close() {
	s.e.Helper()
	if s.closed {
		return
	}
	s.closed = true
	if s.Close == nil {
		return
	}
	if err := s.Close(); err != nil {
		s.e.Errorf("Close: got error %v, want none", err)
	}
}

// reopen replaces the handles by those of the reopened store.
func (s *openStore) reopen() {
	s.e.Helper()
	log, folds, err := s.Reopen()
	if err != nil {
		s.e.Fatalf("Reopen: got error %v, want none", err)
	}
	s.Log, s.Folds = log, folds
}

// second opens the second handle.
func (s *openStore) second() (capycoin.Log, capycoin.Folds) {
	s.e.Helper()
	log, folds, err := s.Second()
	if err != nil {
		s.e.Fatalf("Second: got error %v, want none", err)
	}
	return log, folds
}
