package engine

import (
	"context"
	"errors"
	"time"

	"github.com/capycoin/capycoin/store"
)

// decline answers the operations of a commit that failed with err. If nothing
// was written, those that change nothing have an outcome of their own, by what
// is committed: on a full disk, too, a used key is answered with its receipt.
func (e *Engine) decline(batch []*ticket, err error) {
	ctx := context.Background()
	own := false
	if errors.Is(err, store.ErrNotWritten) && len(batch) > 1 && e.rechecked {
		tail, lost := e.log.Tail(ctx)
		own = lost == nil && tail == e.books.Position() // or another ledger has written
	}
	for _, t := range batch {
		if own {
			e.books.BeginJudging(e.now(), false)
			if lost := t.op.Judge(ctx, e.books); lost == nil && e.books.Judged() == 0 {
				continue
			}
		}
		t.err = err
	}
	e.judged = 0
	e.books.DropJudged() // accounts were read, and no commit makes room for them
}

// unwritten is what is known of commits that the store did not write.
type unwritten struct {
	cause error // of the last one; nil if there was none of late
	at    time.Time
}

// calm is how long no commit may have been declined for the ledger to say that
// all is well again: while a disk fills up, small commits find room and large
// ones do not.
const calm = time.Second

// noteUnwritten takes down that a commit was declined, and returns what is to be said if
// that is news.
func (e *Engine) noteUnwritten(cause error) (say func()) {
	e.mu.Lock()
	was := e.unwritten.cause
	e.unwritten = unwritten{cause, time.Now()}
	e.mu.Unlock()
	if was != nil && errors.Is(was, store.ErrDiskFull) == errors.Is(cause, store.ErrDiskFull) {
		return nil
	}
	return func() {
		e.logger.Error("changes are declined, as they can't be written", "cause", cause)
	}
}

// noteWritten takes down that a commit of so many records was written, and returns what is
// to be said if others were not before.
func (e *Engine) noteWritten(records int, took time.Duration) (say func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.commits.observe(uint64(records))
	e.commitTime.observe(uint64(took.Microseconds()))
	if e.unwritten.cause == nil || time.Since(e.unwritten.at) < calm {
		return nil
	}
	e.unwritten = unwritten{}
	return func() { e.logger.Info("changes are written again") }
}
