// Package engine is the single writer: operations queue, one at a time has the turn to
// write, and commits what has gathered: judges it on the books, appends the records,
// publishes their effects and answers. It opens books over a store, declines what can't be
// written, stops at what can't be known, and closes.
//
// It knows no kinds of records and no kinds of operations: an [Op] judges itself. The
// library has one Engine for each ledger, and so has what makes the file of one.
//
// Locks: whoever commits holds the turn (writing): the writer's goroutine, or a caller that
// is alone; the batch and all that is the writer's belong to it. A mutex guards what is
// told of commits and why the engine stopped; it is held for a few assignments, and under
// it nothing is called. No logger is called with the turn held, either: what the writer has
// to say is said by a caller that it answers. The clock is asked with the turn held, and
// must not come back with an operation.
//
// Goroutines: the writer, and one that keeps the witness, if there is one. [Engine.Close]
// waits for both.
package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/capycoin/capycoin/internal/books"
	"github.com/capycoin/capycoin/internal/wire"
	"github.com/capycoin/capycoin/internal/witness"
	"github.com/capycoin/capycoin/store"
)

// Returned by [Engine.Submit] and [Engine.Err].
var (
	// ErrStopped: an earlier fault stopped the engine, and it wraps the cause. Nothing was
	// applied.
	ErrStopped = errors.New("capycoin: stopped")
	// ErrOutcomeUnknown: the store failed during the commit: the change is either wholly
	// there or not at all.
	ErrOutcomeUnknown = errors.New("capycoin: outcome unknown")
	// ErrTooLarge: the operation does not fit into one commit.
	ErrTooLarge = errors.New("capycoin: the batch does not fit into one commit")
)

// Op is an operation. Judge may be called several times, before and after another ledger
// has written to the log; the last one counts.
type Op interface {
	// Size returns how many records it makes at most, and of how many bytes.
	Size() (records, bytes int)
	// Judge decides it on what the operations before it have left, and notes its answer. An
	// error says that the state could not be read.
	Judge(context.Context, *books.State) error
	// Recheck is called after another ledger has written, before it is judged again: what
	// was verified beforehand may be another now.
	Recheck(context.Context, *books.State) error
}

// Options are the settings of [Open].
type Options struct {
	Books     books.Options // without Now
	Clock     func() time.Time
	Logger    *slog.Logger
	QueueSize int // how many operations may wait for the writer
	// Witness is the path of the ledger's witness, empty for none, and WitnessEvery how
	// often it is brought up to date. Zero: [witness.DefaultInterval].
	Witness      string
	WitnessEvery time.Duration
	// Close is called by Engine.Close when nothing is written any more. May be nil.
	Close func() error
}

// Engine is the single writer of a ledger.
type Engine struct {
	books  *books.State
	log    store.Log
	clock  func() time.Time
	logger *slog.Logger
	owned  func() error // closes the store; may be nil

	queue    chan *ticket
	closing  chan struct{} // closed by Close
	finished chan struct{} // closed when the writer has ended
	stopped  chan struct{} // closed by stop
	once     sync.Once     // for closing
	closeErr error

	witness *witness.Keeper // nil: there is none
	kept    chan struct{}   // closed when its goroutine has ended

	tickets sync.Pool
	alone   atomic.Bool // the last commit was of one operation

	// Whoever commits holds writing: the writer, or a caller that is alone.
	writing sync.Mutex

	// They belong to it.
	batch   []*ticket
	judged  int // of the batch, while it was gathered; -1: it can't be
	linger  linger
	records [][]byte
	// rechecked is false when what another ledger has written was read, and not all that was
	// verified before was verified again.
	rechecked bool
	words     []func() // to be said by a caller

	mu         sync.Mutex // guards:
	commits    Histogram
	commitTime Histogram
	unwritten  unwritten
	cause      error // why it stopped
}

// Open opens the books over a log and folds, and begins to write. Errors are those of
// [books.Open], of the witness and of the store.
func Open(ctx context.Context, log store.Log, folds store.Folds, o Options) (*Engine, error) {
	e := &Engine{
		log: log, clock: o.Clock, logger: o.Logger, owned: o.Close,
		queue:    make(chan *ticket, o.QueueSize),
		closing:  make(chan struct{}),
		finished: make(chan struct{}),
		stopped:  make(chan struct{}),
		tickets:  sync.Pool{New: func() any { return &ticket{done: make(chan struct{}, 1)} }},
	}
	e.linger.timer = time.NewTimer(maxLinger)
	o.Books.Now = e.now()
	var err error
	if e.books, err = books.Open(ctx, log, folds, o.Books); err != nil {
		return nil, err
	}
	if o.Witness != "" {
		e.witness = witness.NewKeeper(o.Witness, log, o.Logger, o.WitnessEvery)
		if err := e.witness.Open(ctx, e.books.Tail()); err != nil {
			return nil, err
		}
	}
	unwritten, err := e.books.Recover(ctx)
	if err != nil {
		return nil, err
	}
	if unwritten != nil {
		if say := e.noteUnwritten(unwritten); say != nil {
			say()
		}
	}
	last := wire.TimeOf(e.books.LastTime())
	if behind := last.Sub(e.clock()); behind > time.Hour {
		e.logger.Warn("the clock is behind the ledger", "by", behind, "ledger_time", last)
	}
	go e.run()
	if e.witness != nil {
		e.kept = make(chan struct{})
		go func() {
			defer close(e.kept)
			e.witness.Run(e.finished, e.books.Position, func(err error) { e.Failed(err) })
		}()
	}
	return e, nil
}

// Close commits what is queued, folds, and closes the store if it is the engine's. Calls
// that come later return [store.ErrClosed]. It may be called more than once.
func (e *Engine) Close() error {
	e.once.Do(func() {
		close(e.closing)
		<-e.finished
		if e.kept != nil {
			<-e.kept
		}
		if e.owned != nil {
			e.closeErr = errors.Join(e.closeErr, e.owned())
		}
	})
	return e.closeErr
}

// Books returns the state that it writes.
func (e *Engine) Books() *books.State { return e.books }

// Logger returns where it says what an operator should know.
func (e *Engine) Logger() *slog.Logger { return e.logger }

// Err returns nil while the engine serves, an error that wraps [ErrStopped]
// and the cause after a fault stopped it, [store.ErrClosed] after Close.
func (e *Engine) Err() error {
	if cause := e.stopCause(); cause != nil {
		return fmt.Errorf("%w: %w", ErrStopped, cause)
	}
	select {
	case <-e.closing:
		return store.ErrClosed
	default:
		return nil
	}
}

// Stopped returns a channel that is closed when a fault stops the engine.
func (e *Engine) Stopped() <-chan struct{} { return e.stopped }

func (e *Engine) stopCause() error {
	select {
	case <-e.stopped:
		e.mu.Lock()
		defer e.mu.Unlock()
		return e.cause
	default:
		return nil
	}
}

// Stop ends the service because of a fault; the first one counts.
func (e *Engine) Stop(cause error) {
	if say := e.stop(cause); say != nil {
		say()
	}
}

// stop is Stop, which leaves to its caller what is to be said.
func (e *Engine) stop(cause error) (say func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.cause != nil {
		return nil
	}
	e.cause = cause
	close(e.stopped)
	return func() { e.logger.Error("the ledger stopped", "cause", cause) }
}

// Failed passes on an error of reading; damage stops the engine.
func (e *Engine) Failed(err error) error {
	if isDamage(err) {
		e.Stop(err)
	}
	return err
}

func isDamage(err error) bool {
	return errors.Is(err, store.ErrCorrupt) || errors.Is(err, store.ErrNewerFormat)
}

// now is the clock's time as ledger time.
func (e *Engine) now() int64 { return Micros(e.clock) }

// Micros is a clock's time, kept in the range of ledger time.
func Micros(clock func() time.Time) int64 {
	return min(max(clock().UnixMicro(), 0), wire.MaxTime)
}

// Time returns the time of the ledger, in microseconds since 1970: the clock's, but never
// before the last record's.
func (e *Engine) Time() int64 {
	now := e.now()
	return max(now, e.books.LastTime())
}

// Stats are numbers about an Engine for whoever watches it.
type Stats struct {
	Commits    Histogram // records of each commit
	CommitTime Histogram // microseconds each commit took
	DiskFull   bool      // the store had no room for a commit of late

	QueueLength, QueueSize int
	WitnessPosition        uint64 // up to where the witness has seen the ledger
}

// Stats returns what is known now.
func (e *Engine) Stats() Stats {
	s := Stats{QueueLength: len(e.queue), QueueSize: cap(e.queue)}
	if e.witness != nil {
		s.WitnessPosition = e.witness.Position()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	s.Commits, s.CommitTime = e.commits, e.commitTime
	s.DiskFull = errors.Is(e.unwritten.cause, store.ErrDiskFull)
	return s
}
