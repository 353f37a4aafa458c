package capycoin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync/atomic"
	"time"

	"github.com/capycoin/capycoin/internal/osfile"
	"github.com/capycoin/capycoin/internal/wire"
	"github.com/capycoin/capycoin/store"
)

// witnessInterval is how often the witness is brought up to date while
// something is committed. Tests have less patience.
var witnessInterval = 10 * time.Second

// witnessKeeper is the state of who does that.
type witnessKeeper struct {
	path    string        // empty: there is no witness
	ended   chan struct{} // closed when its goroutine has ended
	written atomic.Uint64 // the position that the file has
	failed  bool          // the last time; it has been logged
	every   time.Duration
}

// noFile refuses a path that names nothing although its witness has seen a
// ledger there: an empty ledger in its place would take payments. It is the
// witness that is read first, as a ledger makes that after its file.
func noFile(path, witnessPath string) error {
	w, err := readWitness(witnessPath, os.O_RDONLY)
	if err != nil {
		return nil // whoever opens the ledger looks at it again
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return &RolledBackError{Witness: witnessPath, WitnessLedger: w.ledger, WitnessPosition: w.position, WitnessTime: wire.TimeOf(w.time)}
}

// openWitness compares the log, which ends at tail, with the witness, and makes
// one where there is none.
func (l *Ledger) openWitness(ctx context.Context, tail uint64) error {
	k := &l.witness
	if k.path == "" {
		return nil
	}
	w, err := readWitness(k.path, os.O_RDWR)
	switch {
	case err == nil:
		k.written.Store(w.position)
		return w.compare(ctx, l.log, tail, k.path)
	case errors.Is(err, fs.ErrNotExist):
		if tail > 1 { // a new ledger has none, of course
			l.logger.Info("there is no witness, it is made anew", "witness", k.path)
		}
	case errors.Is(err, errWitnessDamaged):
		l.logger.Warn("the witness is damaged, it is made anew: nothing tells whether the ledger is an old copy", "witness", k.path)
	default:
		return err
	}
	if w, err = witnessAt(ctx, l.log, tail); err != nil {
		return err
	}
	k.written.Store(w.position)
	if err = osfile.MarkFull(replaceWitness(k.path, w)); errors.Is(err, store.ErrDiskFull) {
		// What can be read is served on a full disk; it is tried again later.
		l.logger.Warn("there is no room for the witness; the ledger goes on without", "err", err)
		k.failed = true
		return nil
	}
	return err
}

// keepWitness writes the witness from time to time, and once more when the
// writer has ended. Commits do not wait for it.
func (l *Ledger) keepWitness() {
	defer close(l.witness.ended)
	ticker := time.NewTicker(l.witness.every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			l.updateWitness()
		case <-l.finished:
			l.updateWitness()
			return
		}
	}
}

// updateWitness writes the witness if something was committed. What is published
// is durable, also after a fault has stopped the ledger: what failed then is
// not published.
func (l *Ledger) updateWitness() {
	k := &l.witness
	position := l.position()
	if position == k.written.Load() && !k.failed {
		return
	}
	w, err := witnessAt(context.Background(), l.log, position)
	if err != nil {
		l.failed(err)
	}
	made := false
	if err == nil {
		made, err = writeWitness(k.path, w)
	}
	switch {
	case err != nil && !k.failed:
		l.logger.Warn("the witness can't be written; the ledger goes on without", "err", err)
	case err == nil && k.failed:
		l.logger.Info("the witness is written again", "witness", k.path)
	case made:
		l.logger.Warn("the witness was gone or damaged, it is made anew", "witness", k.path)
	}
	if k.failed = err != nil; !k.failed {
		k.written.Store(position)
	}
}

// CheckWitness compares the ledger with the witness in a file, which stays as it
// is. It returns nil if the ledger has all that the witness saw,
// [ErrRolledBack] if not, and [ErrWitness] if the file can't be read or is no
// witness; [fs.ErrNotExist] is in that if there is none.
func (l *Ledger) CheckWitness(ctx context.Context, path string) error {
	w, err := readWitness(path, os.O_RDONLY)
	if err != nil {
		return err
	}
	if err := l.Err(); err != nil {
		return err
	}
	if err := w.compare(ctx, l.log, l.position(), path); err != nil {
		return l.failed(err)
	}
	return nil
}

// witnessError says which witness can't be used, and why.
type witnessError struct {
	path string
	err  error
}

func (e *witnessError) Error() string { return fmt.Sprintf("%v: %s: %v", ErrWitness, e.path, e.err) }

func (e *witnessError) Unwrap() []error { return []error{ErrWitness, e.err} }
