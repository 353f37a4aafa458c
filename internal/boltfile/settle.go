package boltfile

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/capycoin/capycoin/internal/osfile"
	"github.com/capycoin/capycoin/internal/pages"
	"github.com/capycoin/capycoin/store"
)

// settle says what became of a transaction whose Commit returned err.
//
// bbolt lengthens the file and syncs that, writes the pages, syncs them, writes
// the meta page that makes them count, and syncs that; the first step to fail is
// the error. If it was a write or the lengthening, no sync has failed, and if
// neither meta page is of this transaction, then it is not there and never will
// be: what it wrote lies in pages that hold nothing. A failed sync says nothing
// about what is on the disk, so after that, and in any case of doubt, the
// outcome is unknown.
func (s *File) settle(txid uint64, err error) error {
	if !failedWrite(err) || !s.withoutMeta(txid) {
		return fmt.Errorf("committing: %w", err)
	}
	if err = osfile.MarkFull(err); errors.Is(err, store.ErrDiskFull) {
		return err
	}
	return fmt.Errorf("%w: %w", store.ErrNotWritten, err)
}

// failedWrite says whether an error of Commit is of a write or of lengthening
// the file. The latter bbolt gives as text alone.
func failedWrite(err error) bool {
	if path := (*fs.PathError)(nil); errors.As(err, &path) {
		return path.Op == "write" // a sync has another, or is a bare errno
	}
	return strings.HasPrefix(err.Error(), "file resize error: ")
}

// withoutMeta reads both meta pages and says whether they are those that were
// there before a transaction, the one before it and the one before that.
func (s *File) withoutMeta(txid uint64) bool {
	first, err := pages.ReadMeta(s.file, 0, 0, false)
	if err != nil || first.Wrong != "" {
		return false
	}
	second, err := pages.ReadMeta(s.file, 1, int64(first.PageSize), false)
	if err != nil || second.Wrong != "" {
		return false
	}
	return max(first.Txid, second.Txid) == txid-1 && min(first.Txid, second.Txid) == txid-2
}
