package capycoin

import (
	"context"

	"github.com/capycoin/capycoin/internal/wire"
)

// stageAccounts takes up to about n changed accounts of the sweep and makes
// the rows that hold them anew.
func (l *Ledger) stageAccounts(ctx context.Context, n int) error {
	f := &l.folder
	if len(f.staged) == 0 { // or else their rows could not be read the last time
		l.mu.Lock()
		for len(f.staged) < n && f.part < wire.FoldParts {
			var more bool
			if f.staged, more = l.cache.Take(f.part, n-len(f.staged), f.staged); !more {
				f.part++
			}
		}
		l.mu.Unlock()
	}
	// The writer may be bringing accounts into the cache.
	l.mu.RLock()
	defer l.mu.RUnlock()
	if err := f.accounts.Fold(ctx, l.cache, l.folds, f.staged, &f.batch); err != nil {
		f.batch.Reset()
		return err
	}
	return nil
}
