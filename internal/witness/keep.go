package witness

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

// Keeper brings a witness up to date. It belongs to the goroutine that runs it, but for
// [Keeper.Position].
type Keeper struct {
	Path   string
	log    store.Log
	logger *slog.Logger
	every  time.Duration
	seen   atomic.Uint64 // the position that the file has
	failed bool          // the last time; it has been logged
}

// NewKeeper is for the witness of a log in a file, which it brings up to date so often.
func NewKeeper(path string, log store.Log, logger *slog.Logger, every time.Duration) *Keeper {
	if every == 0 {
		every = DefaultInterval
	}
	return &Keeper{Path: path, log: log, logger: logger, every: every}
}

// CheckMissing refuses a path that names nothing although its witness has seen a
// ledger there: an empty ledger in its place would take payments. It is the
// witness that is read first, as a ledger makes that after its file.
func CheckMissing(path, witnessPath string) error {
	w, err := Read(witnessPath, os.O_RDONLY)
	if err != nil {
		return nil // whoever opens the ledger looks at it again
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return &BehindError{Path: witnessPath, Saw: w}
}

// Open compares the log, which ends at tail, with the witness, and makes
// one where there is none.
func (k *Keeper) Open(ctx context.Context, tail uint64) error {
	w, err := Read(k.Path, os.O_RDWR)
	switch {
	case err == nil:
		k.seen.Store(w.Position)
		return w.Compare(ctx, k.log, tail, k.Path)
	case errors.Is(err, fs.ErrNotExist):
		if tail > 1 { // a new ledger has none, of course
			k.logger.Info("there is no witness, it is made anew", "witness", k.Path)
		}
	case errors.Is(err, ErrDamaged):
		k.logger.Warn("the witness is damaged, it is made anew: nothing tells whether the ledger is an old copy", "witness", k.Path)
	default:
		return err
	}
	if w, err = At(ctx, k.log, tail); err != nil {
		return err
	}
	k.seen.Store(w.Position)
	if err = osfile.MarkFull(Replace(k.Path, w)); errors.Is(err, store.ErrDiskFull) {
		// What can be read is served on a full disk; it is tried again later.
		k.logger.Warn("there is no room for the witness; the ledger goes on without", "err", err)
		k.failed = true
		return nil
	}
	return err
}

// Run writes the witness from time to time, and once more when finished is closed.
// Commits do not wait for it. Position is that of the last record that is published: it
// is durable, also after a fault has stopped the ledger, as what failed then is not
// published. Unreadable is told when that record can't be read.
func (k *Keeper) Run(finished <-chan struct{}, position func() uint64, unreadable func(error)) {
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
func (k *Keeper) update(position uint64, unreadable func(error)) {
	if position == k.seen.Load() && !k.failed {
		return
	}
	w, err := At(context.Background(), k.log, position)
	if err != nil {
		unreadable(err)
	}
	made := false
	if err == nil {
		made, err = Write(k.Path, w)
	}
	switch {
	case err != nil && !k.failed:
		k.logger.Warn("the witness can't be written; the ledger goes on without", "err", err)
	case err == nil && k.failed:
		k.logger.Info("the witness is written again", "witness", k.Path)
	case made:
		k.logger.Warn("the witness was gone or damaged, it is made anew", "witness", k.Path)
	}
	if k.failed = err != nil; !k.failed {
		k.seen.Store(position)
	}
}

// Position is up to where the witness has seen the log.
func (k *Keeper) Position() uint64 { return k.seen.Load() }
