// Package copying makes the file of a ledger of a journal: of a ledger's, a backup's, an
// export's, or of what a damaged file still has. It writes exports, too.
//
// Only the journal counts; rows are folded anew, and a file gets its name when it was
// audited and synced. It knows nothing of the public API, of operations, or of a ledger that
// serves: it opens an engine for as long as it folds and audits. The library calls it.
//
// Locks: none of its own; the files that it makes and mends are locked against other
// processes. All callbacks are called by the goroutine that called.
package copying

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/capycoin/capycoin/internal/audit"
	"github.com/capycoin/capycoin/internal/boltfile"
	"github.com/capycoin/capycoin/internal/books"
	"github.com/capycoin/capycoin/internal/engine"
	"github.com/capycoin/capycoin/store"
)

// openEngine opens a file's ledger, which writes nothing but what it folds.
func openEngine(ctx context.Context, file *boltfile.File, closeFile func() error) (*engine.Engine, error) {
	return engine.Open(ctx, file, file, engine.Options{
		Books: books.Options{AccountCache: 1 << 20, Verifying: 1},
		Clock: time.Now, Logger: slog.New(slog.DiscardHandler), QueueSize: 1, Close: closeFile,
	})
}

// openPath opens the ledger in a file that is there.
func openPath(ctx context.Context, path string) (*engine.Engine, error) {
	file, err := boltfile.Open(path, boltfile.Options{
		LockTimeout: time.Second,
		Begin:       func(store.Log) error { return fs.ErrNotExist }, // it has gone meanwhile
	})
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	e, err := openEngine(ctx, file, file.Close)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, errors.Join(err, file.Close()))
	}
	return e, nil
}

// auditOptions are those of an audit of a ledger that is opened here.
func auditOptions(e *engine.Engine, progress func(audit.Progress)) audit.Options {
	return audit.Options{Now: e.Time, Err: e.Err, Progress: progress, MaxFaults: audit.DefaultMaxFaults}
}
