// Package plants shows that the tests which look for faults find them. Each
// plant is a fault that a ledger could have, and the test that has to fail when
// it is put in. The program is compiled with the changed file in the place of
// the real one (go build -overlay), so that its code has no switches for this.
//
// It knows the text of what it changes, and does not know what that means: it imports
// nothing of the library. It has no locks.
package plants
