package capycoin

import (
	"context"
	"os"

	"github.com/capycoin/capycoin/internal/witness"
)

// CheckWitness compares the ledger with the witness in a file, which stays as it
// is. It returns nil if the ledger has all that the witness saw,
// [ErrRolledBack] if not, and [ErrWitness] if the file can't be read or is no
// witness; [fs.ErrNotExist] is in that if there is none.
func (l *Ledger) CheckWitness(ctx context.Context, path string) error {
	w, err := witness.Read(path, os.O_RDONLY)
	if err != nil {
		return err
	}
	if err := l.Err(); err != nil {
		return err
	}
	return outward(l.failed(w.Compare(ctx, l.log, l.position(), path)))
}
