package engine

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/capycoin/capycoin/internal/books"
	"github.com/capycoin/capycoin/store"
)

// Whether the writer has picked an operation up, or its caller has withdrawn
// it before that.
const (
	waiting int32 = iota
	picked
	withdrawn
)

// ticket is an operation on its way to the writer and back.
type ticket struct {
	op      Op
	err     error // none of its own outcome: it was declined, or nobody knows
	records int   // at most so many records,
	bytes   int   // of at most so many bytes
	state   atomic.Int32
	done    chan struct{} // has room for one
	words   []func()      // its caller says them
}

// Submit queues an operation and waits for its outcome, which is in the operation if the
// error is nil. It returns false if the operation was withdrawn, because the context ended
// before the writer picked it up: its ticket is still in the queue.
//
// Errors, with which nothing was applied unless it is [ErrOutcomeUnknown]: the context's,
// [store.ErrClosed], [ErrStopped], [ErrTooLarge], [store.ErrNotWritten].
func (e *Engine) Submit(ctx context.Context, op Op) (mine bool, err error) {
	if err := ctx.Err(); err != nil {
		return true, err
	}
	if err := e.Err(); err != nil {
		return true, err
	}
	t := e.tickets.Get().(*ticket)
	t.op, t.err = op, nil
	if t.records, t.bytes = op.Size(); t.bytes > e.log.MaxAppend() {
		e.putBack(t)
		return true, ErrTooLarge
	}
	if e.alone.Load() && len(e.queue) == 0 && e.writing.TryLock() {
		err = e.lead(t)
		e.writing.Unlock()
	} else if mine, err = e.wait(ctx, t); !mine {
		return false, err
	}
	for _, say := range t.words {
		say()
	}
	e.putBack(t)
	return true, err
}

// putBack makes a ticket ready to be used again.
func (e *Engine) putBack(t *ticket) {
	t.op, t.words = nil, nil
	e.tickets.Put(t)
}

// wait queues a ticket and waits for its outcome. It returns false if the queue still has
// the ticket.
func (e *Engine) wait(ctx context.Context, t *ticket) (mine bool, err error) {
	t.state.Store(waiting)
	select {
	case e.queue <- t:
	default:
		select {
		case e.queue <- t:
		case <-ctx.Done():
			return true, ctx.Err()
		case <-e.closing:
			return true, store.ErrClosed
		case <-e.finished:
			return true, e.Err()
		}
	}
	select {
	case <-t.done:
		return true, t.err
	case <-ctx.Done():
		if t.state.CompareAndSwap(waiting, withdrawn) {
			return false, ctx.Err()
		}
	case <-e.finished:
		if t.state.CompareAndSwap(waiting, withdrawn) {
			return false, e.Err()
		}
	}
	<-t.done // the writer has it: what it says is what happened
	return true, t.err
}

// nothing is an operation of nothing.
type nothing struct{}

func (nothing) Size() (records, bytes int)                  { return 0, 0 }
func (nothing) Judge(context.Context, *books.State) error   { return nil }
func (nothing) Recheck(context.Context, *books.State) error { return nil }

// CatchUp has the writer read what another ledger may have written: it does for an
// operation of nothing.
func (e *Engine) CatchUp(ctx context.Context) error {
	_, err := e.Submit(ctx, nothing{})
	return err
}

// lead commits an operation on its caller's goroutine, which spares the two
// handovers to the writer and back. The caller holds the turn.
func (e *Engine) lead(t *ticket) error {
	if err := e.Err(); err != nil {
		return err
	}
	t.state.Store(picked)
	e.batch = append(e.batch[:0], t)
	e.commit(e.batch)
	clear(e.batch)
	<-t.done
	return t.err
}

// run is the writer, but for a caller that leads: it judges, appends and
// publishes. While one commit is on the disk the operations of the next one
// gather.
func (e *Engine) run() {
	defer close(e.finished)
	var next *ticket
	for {
		if next == nil {
			if next = e.pick(); next == nil {
				break
			}
		}
		e.writing.Lock()
		if e.stopCause() != nil { // nothing may be built on what can't be known
			e.writing.Unlock()
			next.err = e.Err()
			next.done <- struct{}{}
			return
		}
		e.batch, next = e.gather(e.batch[:0], next)
		e.commit(e.batch)
		clear(e.batch)
		e.writing.Unlock()
	}
	e.writing.Lock()
	defer e.writing.Unlock()
	if e.stopCause() == nil { // a damaged file is left as it is
		// What is not folded is replayed by the next start. But a disk that fails in
		// another way than by declining a write is to be told of.
		if err := e.books.FoldAll(e.books.Position()); err != nil && !errors.Is(err, store.ErrNotWritten) {
			e.closeErr = fmt.Errorf("folding at the end: %w", err)
		}
	}
}

// pick returns the next operation of the queue; nil when the engine has stopped,
// or is closing and nothing is left.
func (e *Engine) pick() *ticket {
	for {
		var t *ticket
		select {
		case t = <-e.queue:
		case <-e.stopped:
			return nil
		case <-e.closing:
			select {
			case t = <-e.queue:
			default:
				return nil
			}
		}
		if t.state.CompareAndSwap(waiting, picked) {
			return t
		}
	}
}

// commit judges operations, appends their records, publishes their effects and
// answers, in this order.
func (e *Engine) commit(batch []*ticket) {
	e.alone.Store(len(batch) == 1)
	start := time.Now()
	err := e.tryCommit(batch)
	wait := e.linger.plan(len(batch), len(e.queue), time.Since(start))
	if err != nil {
		e.decline(batch, err)
	}
	batch[0].words, e.words = e.words, nil
	for _, t := range batch {
		t.done <- struct{}{}
	}
	e.linger.until = time.Now().Add(wait)
}

// say has a caller say something, if it is anything.
func (e *Engine) say(words func()) {
	if words != nil {
		e.words = append(e.words, words)
	}
}

// maxStale bounds how often a commit is judged again although nothing new was
// in the log: a store that says so for ever must not hang its callers.
const maxStale = 8

// tryCommit returns an error if none of the operations has an outcome of its
// own.
func (e *Engine) tryCommit(batch []*ticket) error {
	ctx := context.Background()
	e.rechecked = true
	for stale := 0; stale < maxStale; {
		at := e.books.Position()
		done, err := e.tryOnce(ctx, batch)
		if done || err != nil {
			return err
		}
		if err := e.books.CatchUp(ctx); err != nil {
			return e.refused(err)
		}
		e.rechecked = false
		if e.books.Position() == at {
			stale++
			continue
		}
		for _, t := range batch {
			if err := t.op.Recheck(ctx, e.books); err != nil {
				return e.refused(err)
			}
		}
		e.rechecked = true
	}
	return fmt.Errorf("%w: the store says that another ledger wrote, but shows nothing new", store.ErrNotWritten)
}

// tryOnce judges operations and commits them; done is false if another ledger
// has written to the log since.
func (e *Engine) tryOnce(ctx context.Context, batch []*ticket) (done bool, err error) {
	e.books.BeginJudging(e.now(), e.judged > 0)
	rest := batch[max(e.judged, 0):]
	e.judged = 0
	records := 0
	for _, t := range batch {
		records += t.records
	}
	folded := e.books.FoldAhead(ctx, records)
	for _, t := range rest {
		if err = t.op.Judge(ctx, e.books); err != nil {
			break
		}
	}
	if folded != nil {
		err = errors.Join(err, <-folded)
	}
	if err != nil {
		return false, e.refused(err)
	}
	at, judged := e.books.Position(), e.books.Judged()
	if judged == 0 {
		// All refused or replayed: no append tells whether the log has gone on.
		tail, err := e.log.Tail(ctx)
		if err != nil {
			return false, e.refused(err)
		}
		e.books.Evict() // accounts may have been read
		return tail == at, nil
	}
	if folded == nil {
		if err := e.books.StageFolds(ctx, judged); err != nil {
			return false, e.refused(err)
		}
	}
	e.records = e.books.Records(e.records)
	start := time.Now()
	err = e.log.Append(ctx, at, e.records)
	switch {
	case err == nil:
		took := time.Since(start)
		e.books.Publish()
		e.say(e.noteWritten(judged, took))
		return true, nil
	case errors.Is(err, store.ErrFenced):
		return false, nil
	case errors.Is(err, store.ErrNotWritten):
		e.say(e.noteUnwritten(err))
		return false, err
	default:
		e.say(e.stop(err))
		return false, fmt.Errorf("%w: %w", ErrOutcomeUnknown, err)
	}
}

// refused says that nothing was written because of err. Damage stops the
// engine: it would be judged on.
func (e *Engine) refused(err error) error {
	if isDamage(err) {
		e.say(e.stop(err))
		return e.Err()
	}
	return fmt.Errorf("%w: %w", store.ErrNotWritten, err)
}
