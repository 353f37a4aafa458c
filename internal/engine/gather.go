package engine

import (
	"context"
	"time"

	"github.com/capycoin/capycoin/internal/record"
)

// gather adds to an operation what else is queued by now, as much as fits into
// one commit, and what is about to come. It returns the first that does not
// fit, too.
func (e *Engine) gather(batch []*ticket, first *ticket) (_ []*ticket, next *ticket) {
	batch = append(batch, first)
	records, bytes := first.records, first.bytes
	var late <-chan time.Time
	for {
		var t *ticket
		select {
		case t = <-e.queue:
		default:
			if len(batch) >= e.linger.enough {
				return batch, nil
			}
			if late == nil {
				late = e.linger.begin()
			}
			select {
			case <-late:
				e.linger.missed()
				return batch, nil
			default:
			}
			if e.judgeEarly(batch) {
				continue
			}
			select {
			case t = <-e.queue:
			case <-late:
				e.linger.missed()
				return batch, nil
			}
		}
		if !t.state.CompareAndSwap(waiting, picked) {
			continue
		}
		records, bytes = records+t.records, bytes+t.bytes
		if records > record.MaxCommit || bytes > e.log.MaxAppend() {
			return batch, t
		}
		batch = append(batch, t)
	}
}

// judgeEarly judges the first operation of a commit that has not been judged
// yet, while others of it are awaited. It returns false if there is none.
func (e *Engine) judgeEarly(batch []*ticket) bool {
	if e.judged < 0 || e.judged == len(batch) {
		return false
	}
	e.books.BeginJudging(e.now(), e.judged > 0)
	if err := batch[e.judged].op.Judge(context.Background(), e.books); err != nil {
		e.judged = -1 // it will be told when all are judged again
		return false
	}
	e.judged++
	return true
}

const (
	// lingerFrom is how many operations a commit has if the next one is to wait
	// for callers. With fewer the processors may have nothing to do meanwhile, and
	// then a timer is up to a millisecond late.
	lingerFrom = 8
	// maxLinger is the longest that it waits, however slow the disk is.
	maxLinger = 5 * time.Millisecond
)

// linger is how long the next commit waits for callers. Most come again once
// they have their answer. Those that do so at once go into one commit: two of
// half as many would take longer. Those that have something else to do first,
// such as to serve a request, do that while others are on the disk, which takes
// about half of them for each commit (decisions 0013 and 0016).
type linger struct {
	timer   *time.Timer
	enough  int       // the wait ends with so many operations,
	until   time.Time // or at this time
	callers float64   // there are so many, or were of late
	apart   int       // the next so many commits don't have all of them
}

// plan says what the next commit waits for, after one of so many operations that
// took so long, with so many others queued by its end. The wait that it returns
// begins with the answers.
func (w *linger) plan(operations, queued int, took time.Duration) time.Duration {
	w.enough = 0
	if operations < lingerFrom {
		return 0
	}
	const (
		fade     = 1.0 / 512 // of a commit: callers that stay away are forgotten
		together = 0.9       // of the callers at the end of a commit, if they come at once
		unlike   = 4         // commits that show that they do
		group    = 0.45      // of the callers; with more than half of them the next commit would wait for this one's
	)
	here := operations + queued
	w.callers = max(float64(here), w.callers*(1-fade))
	if float64(here) < together*w.callers {
		w.apart = unlike
	} else {
		w.apart = max(w.apart-1, 0)
	}
	if w.apart == 0 {
		w.enough = here
		return min(took/2, maxLinger)
	}
	w.enough = int(group * w.callers)
	return min(2*took, maxLinger)
}

// begin returns what tells that the time of the wait is over.
func (w *linger) begin() <-chan time.Time {
	rest := time.Until(w.until)
	if rest <= 0 {
		return over // a timer would be late
	}
	w.timer.Reset(rest)
	return w.timer.C
}

var over = make(chan time.Time)

func init() { close(over) }

// missed says that the wait has ended by its time. A group that does not come
// together is of more callers than there are.
func (w *linger) missed() {
	if w.apart > 0 {
		w.callers = 0
	}
}
