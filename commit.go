package capycoin

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/capycoin/capycoin/internal/accounts"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/store"
)

type opKind uint8

const (
	opTransfers opKind = iota
	opAccount
	opToken
	opRevoke
	opInvite
	opRevokeInvite
	opKey
	opFeePolicy
	opStipend
	opPayees
)

// Whether the writer has picked an operation up, or its caller has withdrawn
// it before that.
const (
	opWaiting int32 = iota
	opPicked
	opWithdrawn
)

// op is an operation on its way to the writer and back.
type op struct {
	kind      opKind
	mode      BatchMode
	transfers []Transfer
	hints     [][2]uint32 // where the accounts of the transfers most likely are; or empty
	verified  []verdict   // on the signatures of the transfers; or empty
	results   []Result
	account   accountState // opAccount
	withToken bool
	token     record.Token      // opAccount withToken, opToken
	revoke    revocation        // opRevoke
	invite    *record.Invite    // to be made, used (opAccount, or nil) or revoked
	change    *KeyChange        // opKey
	policy    *record.FeePolicy // opFeePolicy
	stipend   *stipendOp        // opStipend, opPayees
	err       error
	records   int // at most so many records,
	bytes     int // of at most so many bytes
	state     atomic.Int32
	done      chan struct{} // has room for one

	// The room of a single transfer, so that it costs no further allocation.
	one     [1]Transfer
	verdict [1]verdict
	result  [1]Result
}

var opPool = sync.Pool{New: func() any { return &op{done: make(chan struct{}, 1)} }}

// submit queues o and waits for its outcome. It returns true when o is the
// caller's again: an operation that was withdrawn stays with the queue.
func (l *Ledger) submit(ctx context.Context, o *op) (mine bool, err error) {
	if err := ctx.Err(); err != nil {
		return true, err
	}
	if err := l.Err(); err != nil {
		return true, err
	}
	if o.bytes > l.log.MaxAppend() {
		return true, ErrBatchTooLarge
	}
	o.err = nil
	if l.alone.Load() && len(l.queue) == 0 && l.writing.TryLock() {
		defer l.writing.Unlock()
		return true, l.lead(o)
	}
	o.state.Store(opWaiting)
	select {
	case l.queue <- o:
	default:
		select {
		case l.queue <- o:
		case <-ctx.Done():
			return true, ctx.Err()
		case <-l.closing:
			return true, ErrClosed
		case <-l.finished:
			return true, l.Err()
		}
	}
	select {
	case <-o.done:
		return true, o.err
	case <-ctx.Done():
		if o.state.CompareAndSwap(opWaiting, opWithdrawn) {
			return false, ctx.Err()
		}
	case <-l.finished:
		if o.state.CompareAndSwap(opWaiting, opWithdrawn) {
			return false, l.Err()
		}
	}
	<-o.done // the writer has it: what it says is what happened
	return true, o.err
}

// catchUpNow has the writer read what another ledger may have written: it does for an
// operation of nothing.
func (l *Ledger) catchUpNow(ctx context.Context) error {
	_, err := l.submit(ctx, &op{kind: opTransfers, done: make(chan struct{}, 1)})
	return err
}

// hint looks for the accounts of a batch on its caller's goroutine. Among a
// million accounts that is to wait for the memory most of the time; the writer
// finds them close by then.
func (l *Ledger) hint(o *op) {
	const atOnce = 256 // the writer may wait for the lock
	o.hints = o.hints[:0]
	for first := 0; first < len(o.transfers); first += atOnce {
		l.mu.RLock()
		if !l.cache.IsFar() {
			l.mu.RUnlock()
			return
		}
		for i := first; i < min(first+atOnce, len(o.transfers)); i++ {
			t := &o.transfers[i]
			o.hints = append(o.hints, [2]uint32{l.cache.Hint(&t.Sender), l.cache.Hint(&t.Receiver)})
		}
		l.mu.RUnlock()
	}
}

// lead commits an operation on its caller's goroutine, which spares the two
// handovers to the writer and back. The caller holds the lock of writing.
func (l *Ledger) lead(o *op) error {
	if err := l.Err(); err != nil {
		return err
	}
	o.state.Store(opPicked)
	l.batch = append(l.batch[:0], o)
	l.commit(l.batch)
	clear(l.batch)
	<-o.done
	return o.err
}

// run is the writer, but for a caller that leads: it judges, appends and
// publishes. While one commit is on the disk the operations of the next one
// gather.
func (l *Ledger) run() {
	defer close(l.finished)
	var next *op
	for {
		if next == nil {
			if next = l.wait(); next == nil {
				break
			}
		}
		l.writing.Lock()
		if l.stopCause() != nil { // nothing may be built on what can't be known
			l.writing.Unlock()
			next.err = l.Err()
			next.done <- struct{}{}
			return
		}
		l.batch, next = l.gather(l.batch[:0], next)
		l.commit(l.batch)
		clear(l.batch)
		l.writing.Unlock()
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	if l.stopCause() == nil { // a damaged file is left as it is
		// What is not folded is replayed by the next start. But a disk that fails in
		// another way than by declining a write is to be told of.
		if err := l.foldAll(l.books.Position); err != nil && !errors.Is(err, store.ErrNotWritten) {
			l.closeErr = fmt.Errorf("folding at the end: %w", err)
		}
	}
}

// wait returns the next operation of the queue; nil when the ledger has stopped,
// or is closing and nothing is left.
func (l *Ledger) wait() *op {
	for {
		var o *op
		select {
		case o = <-l.queue:
		case <-l.stopped:
			return nil
		case <-l.closing:
			select {
			case o = <-l.queue:
			default:
				return nil
			}
		}
		if o.state.CompareAndSwap(opWaiting, opPicked) {
			return o
		}
	}
}

// commit judges operations, appends their records, publishes their effects and
// answers, in this order.
func (l *Ledger) commit(batch []*op) {
	l.alone.Store(len(batch) == 1)
	start := time.Now()
	err := l.tryCommit(batch)
	wait := l.linger.plan(len(batch), len(l.queue), time.Since(start))
	if err != nil {
		l.decline(batch, err)
	}
	for _, o := range batch {
		o.done <- struct{}{}
	}
	l.linger.until = time.Now().Add(wait)
}

// maxStale bounds how often a commit is judged again although nothing new was
// in the log: a store that says so for ever must not hang its callers.
const maxStale = 8

// tryCommit returns an error if none of the operations has an outcome of its
// own.
func (l *Ledger) tryCommit(batch []*op) error {
	ctx := context.Background()
	for stale := 0; stale < maxStale; {
		at := l.books.Position
		done, err := l.tryOnce(ctx, batch)
		if done || err != nil {
			return err
		}
		if err := l.catchUp(ctx); err != nil {
			return l.refused(err)
		}
		if l.books.Position == at {
			stale++
		} else if err := l.verifyAgain(ctx, batch); err != nil {
			return l.refused(err)
		}
	}
	return fmt.Errorf("%w: the store says that another ledger wrote, but shows nothing new", store.ErrNotWritten)
}

// tryOnce judges operations and commits them; done is false if another ledger
// has written to the log since.
func (l *Ledger) tryOnce(ctx context.Context, batch []*op) (done bool, err error) {
	l.beginJudging()
	rest := batch[max(l.judged, 0):]
	l.judged = 0
	folded := l.foldAhead(ctx, batch)
	err = l.judgeAll(ctx, rest)
	if folded != nil {
		err = errors.Join(err, <-folded)
	}
	if err != nil {
		return false, l.refused(err)
	}
	if len(l.overlay.ends) == 0 {
		// All refused or replayed: no append tells whether the log has gone on.
		tail, err := l.log.Tail(ctx)
		if err != nil {
			return false, l.refused(err)
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.cache.Evict() // accounts may have been read
		return tail == l.books.Position, nil
	}
	if folded == nil {
		if err := l.stageFolds(ctx, len(l.overlay.ends)); err != nil {
			return false, l.refused(err)
		}
	}
	l.recordList = l.overlay.records(l.recordList)
	start := time.Now()
	err = l.log.Append(ctx, l.books.Position, l.recordList)
	switch {
	case err == nil:
		l.publish(time.Since(start))
		return true, nil
	case errors.Is(err, store.ErrFenced):
		return false, nil
	case errors.Is(err, store.ErrNotWritten):
		l.noteUnwritten(err)
		return false, err
	default:
		l.stop(err)
		return false, fmt.Errorf("%w: %w", ErrOutcomeUnknown, err)
	}
}

// beginJudging prepares the overlay for operations of now, on top of those of the
// commit that were judged early.
func (l *Ledger) beginJudging() {
	if l.judged > 0 {
		l.overlay.goOn(l.now())
	} else {
		l.overlay.reset(&l.books, l.now())
	}
}

func (l *Ledger) judgeAll(ctx context.Context, batch []*op) error {
	for _, o := range batch {
		if err := l.judge(ctx, o); err != nil {
			return err
		}
	}
	return nil
}

// foldAhead makes the rows of a sweep that go with a large commit while that is
// judged: both work on the committed state. The channel gives the error; nil if
// they are to be made afterwards.
func (l *Ledger) foldAhead(ctx context.Context, batch []*op) chan error {
	f := &l.folder
	if f.stage != foldAccounts && f.stage != foldKeys || f.handed || len(f.batch.Rows) > 0 {
		return nil
	}
	records := 0
	for _, o := range batch {
		records += o.records
	}
	if records < f.ahead {
		return nil
	}
	done := make(chan error, 1)
	go func() { done <- l.stageFolds(ctx, records) }()
	return done
}

// refused says that nothing was written because of err. Damage stops the
// ledger: it would be judged on.
func (l *Ledger) refused(err error) error {
	if errors.Is(err, store.ErrCorrupt) || errors.Is(err, store.ErrNewerFormat) {
		l.stop(err)
		return l.Err()
	}
	return fmt.Errorf("%w: %w", store.ErrNotWritten, err)
}

// publish makes the overlay the committed state, as one step for readers.
func (l *Ledger) publish(took time.Duration) {
	o := l.overlay
	l.mu.Lock()
	defer l.mu.Unlock()
	l.settleFolds()
	if l.unwritten.cause != nil {
		l.noteWritten()
	}
	l.commits.observe(uint64(len(o.ends)))
	l.commitTime.observe(uint64(took.Microseconds()))
	opened := l.books.Opened
	l.books = o.books
	o.books.Opened = opened
	for n, t := range o.touched {
		if n%(2*accounts.ReadAhead) == 0 {
			for _, t := range o.touched[n:min(n+2*accounts.ReadAhead, len(o.touched))] {
				l.warmth += l.cache.Warm(t.slot)
			}
		}
		i := t.slot
		if t.slot == accounts.NoSlot {
			i = l.cache.Add(&t.Account)
		} else {
			l.cache.Set(i, &t.Account)
		}
		l.cache.Changed(i)
	}
	o.drop()
	for _, e := range o.keyLog {
		l.keys.Put(e)
	}
	for selector, row := range o.tokens {
		l.freshTokens.cur[selector] = row
	}
	l.cache.Evict()
}
