package books

import (
	"context"

	"github.com/capycoin/capycoin/internal/wire"
)

// stageAccounts takes up to about n changed accounts of the sweep and makes
// the rows that hold them anew.
func (s *State) stageAccounts(ctx context.Context, n int) error {
	f := &s.folder
	if len(f.staged) == 0 { // or else their rows could not be read the last time
		s.mu.Lock()
		for len(f.staged) < n && f.part < wire.FoldParts {
			var more bool
			if f.staged, more = s.cache.Take(f.part, n-len(f.staged), f.staged); !more {
				f.part++
			}
		}
		s.mu.Unlock()
	}
	// The writer may be bringing accounts into the cache.
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := f.accounts.Fold(ctx, s.cache, s.folds, f.staged, &f.batch); err != nil {
		f.batch.Reset()
		return err
	}
	return nil
}
