package capycoin

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/capycoin/capycoin/internal/osfile"
	"github.com/capycoin/capycoin/store"
)

// DefaultInterval is how often a witness is brought up to date while something is
// committed.
const DefaultInterval = 10 * time.Second

// keeper brings a witness up to date. It belongs to the goroutine that runs it, but for
// [Keeper.Written].
type keeper struct {
	path    string
	log     store.Log
	logger  *slog.Logger
	every   time.Duration
	written atomic.Uint64 // the position that the file has
	failed  bool          // the last time; it has been logged
}

// newKeeper is for the witness of a log in a file, which it brings up to date so often.
func newKeeper(path string, log store.Log, logger *slog.Logger, every time.Duration) *keeper {
	if every == 0 {
		every = DefaultInterval
	}
	return &keeper{path: path, log: log, logger: logger, every: every}
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
	return &behindError{Path: witnessPath, Saw: w}
}

// open compares the log, which ends at tail, with the witness, and makes
// one where there is none.
func (k *keeper) open(ctx context.Context, tail uint64) error {
	w, err := readWitness(k.path, os.O_RDWR)
	switch {
	case err == nil:
		k.written.Store(w.position)
		return w.compare(ctx, k.log, tail, k.path)
	case errors.Is(err, fs.ErrNotExist):
		if tail > 1 { // a new ledger has none, of course
			k.logger.Info("there is no witness, it is made anew", "witness", k.path)
		}
	case errors.Is(err, errWitnessDamaged):
		k.logger.Warn("the witness is damaged, it is made anew: nothing tells whether the ledger is an old copy", "witness", k.path)
	default:
		return err
	}
	if w, err = witnessAt(ctx, k.log, tail); err != nil {
		return err
	}
	k.written.Store(w.position)
	if err = osfile.MarkFull(replaceWitness(k.path, w)); errors.Is(err, store.ErrDiskFull) {
		// What can be read is served on a full disk; it is tried again later.
		k.logger.Warn("there is no room for the witness; the ledger goes on without", "err", err)
		k.failed = true
		return nil
	}
	return err
}

// run writes the witness from time to time, and once more when finished is closed.
// Commits do not wait for it. Position is that of the last record that is published: it
// is durable, also after a fault has stopped the ledger, as what failed then is not
// published. Unreadable is told when that record can't be read.
func (k *keeper) run(finished <-chan struct{}, position func() uint64, unreadable func(error)) {
	ticker := time.NewTicker(k.every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			k.update(position(), unreadable)
		case <-finished:
			k.update(position(), unreadable)
			return
		}
	}
}

// update writes the witness if something was committed.
func (k *keeper) update(position uint64, unreadable func(error)) {
	if position == k.written.Load() && !k.failed {
		return
	}
	w, err := witnessAt(context.Background(), k.log, position)
	if err != nil {
		unreadable(err)
	}
	made := false
	if err == nil {
		made, err = writeWitness(k.path, w)
	}
	switch {
	case err != nil && !k.failed:
		k.logger.Warn("the witness can't be written; the ledger goes on without", "err", err)
	case err == nil && k.failed:
		k.logger.Info("the witness is written again", "witness", k.path)
	case made:
		k.logger.Warn("the witness was gone or damaged, it is made anew", "witness", k.path)
	}
	if k.failed = err != nil; !k.failed {
		k.written.Store(position)
	}
}

// position is up to where the witness has seen the log.
func (k *keeper) position() uint64 { return k.written.Load() }
