package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/capycoin/capycoin"
)

// ErrInjected is in every error that a [Faulty] makes up.
var ErrInjected = errors.New("storetest: injected fault")

// Op is a kind of operation of a store.
type Op int

// The operations of a store. AnyOp is each of the others.
const (
	AnyOp    Op = iota
	OpTail      // Log.Tail
	OpView      // Log.View
	OpRead      // LogReader.Record and LogReader.Scan
	OpAppend    // Log.Append
	OpGet       // Folds.Get
	OpScan      // Folds.Scan
	OpPut       // Folds.Put
	OpFlush     // Folds.Flush
	numOps
)

// String returns the method's name.
func (op Op) String() string {
	names := [numOps]string{"any", "Tail", "View", "Read", "Append", "Get", "Scan", "Put", "Flush"}
	if op < 0 || op >= numOps {
		return fmt.Sprintf("Op(%d)", int(op))
	}
	return names[op]
}

// Fault is a way for an operation to fail.
type Fault int

const (
	// NotDone fails the operation without doing it. Of an Append the ledger
	// knows nothing then: the outcome is unknown.
	NotDone Fault = iota
	// YetDone does the operation, and tells that it failed. What an operation
	// returned beside its error is lost.
	YetDone
	// NotWritten does not do it and says so: the error wraps
	// [capycoin.ErrNotWritten].
	NotWritten
	// DiskFull does not do it, for want of room: the error wraps
	// [capycoin.ErrDiskFull].
	DiskFull
	// Fenced does not do it: the error wraps [capycoin.ErrFenced].
	Fenced
)

// String returns the name of the constant.
func (f Fault) String() string {
	switch f {
	case NotDone:
		return "NotDone"
	case YetDone:
		return "YetDone"
	case NotWritten:
		return "NotWritten"
	case DiskFull:
		return "DiskFull"
	case Fenced:
		return "Fenced"
	}
	return fmt.Sprintf("Fault(%d)", int(f))
}

// err returns the error that the fault makes of an operation.
func (f Fault) err(op Op, n int) error {
	err := fmt.Errorf("%w: %v %d, %v", ErrInjected, op, n, f)
	switch f {
	case NotWritten:
		return fmt.Errorf("%w: %w", capycoin.ErrNotWritten, err)
	case DiskFull:
		return fmt.Errorf("%w: %w", capycoin.ErrDiskFull, err)
	case Fenced:
		return fmt.Errorf("%w: %w", capycoin.ErrFenced, err)
	}
	return err
}

// Faulty passes every operation on to another store, counts them, and fails
// those it was told to. It is safe for concurrent use as far as the other
// store is.
type Faulty struct {
	hook func(Op)

	mu     sync.Mutex
	log    capycoin.Log
	folds  capycoin.Folds
	counts [numOps]int
	plans  []plan
	fired  int
}

// plan is a fault to come: of the operation of kind op that makes its count n.
type plan struct {
	op    Op
	n     int
	fault Fault
}

var (
	_ capycoin.Log   = (*Faulty)(nil)
	_ capycoin.Folds = (*Faulty)(nil)
)

// NewFaulty returns a wrapper of a store that does not fail yet.
func NewFaulty(log capycoin.Log, folds capycoin.Folds) *Faulty {
	return &Faulty{log: log, folds: folds}
}

// Fail makes the n-th operation of a kind from now fail, n from 1. It can be
// called again for further faults.
func (f *Faulty) Fail(op Op, n int, fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.plans = append(f.plans, plan{op, f.counts[op] + n, fault})
}

// Heal forgets the faults that have not happened yet.
func (f *Faulty) Heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.plans = nil
}

// Replace puts another store in the place of the one there was, say the same
// one reopened. The counts and the faults to come stay. No ledger may have the
// store open then.
func (f *Faulty) Replace(log capycoin.Log, folds capycoin.Folds) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.log, f.folds = log, folds
}

// LoseFolds puts empty folds, in memory, in the place of those there were. No
// ledger may have the store open then.
func (f *Faulty) LoseFolds() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.folds = NewFolds()
}

// OnOp sets a function that is called before every operation, and may block
// it. It is to be set before the store is used.
func (f *Faulty) OnOp(hook func(Op)) { f.hook = hook }

// Count returns how many operations of a kind there were, failed ones too.
func (f *Faulty) Count(op Op) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.counts[op]
}

// Fired returns how many operations were made to fail.
func (f *Faulty) Fired() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fired
}

// begin counts an operation. It returns whether to do it, and the error to
// return instead of its own if that is not nil.
func (f *Faulty) begin(op Op) (do bool, err error) {
	if f.hook != nil {
		f.hook(op)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.counts[op]++
	f.counts[AnyOp]++
	for i, p := range f.plans {
		if p.op != op && p.op != AnyOp || f.counts[p.op] != p.n {
			continue
		}
		f.plans = append(f.plans[:i:i], f.plans[i+1:]...)
		f.fired++
		return p.fault == YetDone, p.fault.err(op, f.counts[op])
	}
	return true, nil
}

// run does an operation, or fails it.
func (f *Faulty) run(op Op, do func() error) error {
	really, fault := f.begin(op)
	if really {
		if err := do(); err != nil {
			return err
		}
	}
	return fault
}

// store returns the store there is now.
func (f *Faulty) store() (capycoin.Log, capycoin.Folds) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.log, f.folds
}

// Tail implements [capycoin.Log].
func (f *Faulty) Tail(ctx context.Context) (tail uint64, err error) {
	log, _ := f.store()
	err = f.run(OpTail, func() (err error) {
		tail, err = log.Tail(ctx)
		return err
	})
	if err != nil {
		return 0, err
	}
	return tail, nil
}

// View implements [capycoin.Log].
func (f *Faulty) View(ctx context.Context, fn func(capycoin.LogReader) error) error {
	log, _ := f.store()
	return f.run(OpView, func() error {
		return log.View(ctx, func(r capycoin.LogReader) error {
			return fn(&faultyReader{f, r})
		})
	})
}

// Append implements [capycoin.Log].
func (f *Faulty) Append(ctx context.Context, after uint64, records [][]byte) error {
	log, _ := f.store()
	return f.run(OpAppend, func() error { return log.Append(ctx, after, records) })
}

// MaxAppend implements [capycoin.Log].
func (f *Faulty) MaxAppend() int {
	log, _ := f.store()
	return log.MaxAppend()
}

// Get implements [capycoin.Folds].
func (f *Faulty) Get(ctx context.Context, table capycoin.Table, key []byte) (value []byte, err error) {
	_, folds := f.store()
	err = f.run(OpGet, func() (err error) {
		value, err = folds.Get(ctx, table, key)
		return err
	})
	if err != nil {
		return nil, err
	}
	return value, nil
}

// Scan implements [capycoin.Folds].
func (f *Faulty) Scan(ctx context.Context, table capycoin.Table, from []byte, fn func(key, value []byte) bool) error {
	_, folds := f.store()
	return f.run(OpScan, func() error { return folds.Scan(ctx, table, from, fn) })
}

// Put implements [capycoin.Folds].
func (f *Faulty) Put(ctx context.Context, rows []capycoin.Row) error {
	_, folds := f.store()
	return f.run(OpPut, func() error { return folds.Put(ctx, rows) })
}

// Flush implements [capycoin.Folds].
func (f *Faulty) Flush(ctx context.Context) error {
	_, folds := f.store()
	return f.run(OpFlush, func() error { return folds.Flush(ctx) })
}

// faultyReader fails reads inside a View.
type faultyReader struct {
	f *Faulty
	r capycoin.LogReader
}

// Record implements [capycoin.LogReader].
func (r *faultyReader) Record(pos uint64) (record []byte, err error) {
	err = r.f.run(OpRead, func() (err error) {
		record, err = r.r.Record(pos)
		return err
	})
	if err != nil {
		return nil, err
	}
	return record, nil
}

// Scan implements [capycoin.LogReader].
func (r *faultyReader) Scan(from uint64, fn func(pos uint64, record []byte) bool) error {
	return r.f.run(OpRead, func() error { return r.r.Scan(from, fn) })
}
