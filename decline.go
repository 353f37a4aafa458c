package capycoin

import (
	"context"
	"errors"
	"time"

	"github.com/capycoin/capycoin/store"
)

// decline answers the operations of a commit that failed with err. If nothing
// was written, those that change nothing have an outcome of their own, by what
// is committed: on a full disk, too, a used key is answered with its receipt.
func (l *Ledger) decline(batch []*op, err error) {
	ctx := context.Background()
	own := false
	if errors.Is(err, store.ErrNotWritten) && len(batch) > 1 {
		tail, lost := l.log.Tail(ctx)
		own = lost == nil && tail == l.books.Position // or another ledger has written
	}
	for _, o := range batch {
		if own {
			l.beginJudging()
			if lost := l.judge(ctx, o); lost == nil && len(l.overlay.ends) == 0 {
				continue
			}
		}
		o.err = err
	}
	l.overlay.drop()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cache.Evict() // accounts were read, and no commit makes room for them
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

// noteUnwritten takes down that a commit was declined, and says so if that is
// news.
func (l *Ledger) noteUnwritten(cause error) {
	l.mu.Lock()
	was := l.unwritten.cause
	l.unwritten = unwritten{cause, time.Now()}
	l.mu.Unlock()
	if was == nil || errors.Is(was, store.ErrDiskFull) != errors.Is(cause, store.ErrDiskFull) {
		l.logger.Error("changes are declined, as they can't be written", "cause", cause)
	}
}

// noteWritten takes down that a commit was written after others were not. The
// caller holds the lock.
func (l *Ledger) noteWritten() {
	if time.Since(l.unwritten.at) >= calm {
		l.unwritten = unwritten{}
		l.logger.Info("changes are written again")
	}
}
