package capycoin

import (
	"context"
	"errors"
	"fmt"

	"github.com/capycoin/capycoin/internal/boltfile"
	"github.com/capycoin/capycoin/internal/books"
	"github.com/capycoin/capycoin/internal/engine"
	"github.com/capycoin/capycoin/internal/journal"
	"github.com/capycoin/capycoin/internal/witness"
)

// Open opens the ledger in a file, and makes it if the path names nothing.
// The file is locked: a second Open, from here or from another process, waits
// for Options.LockTimeout and returns [ErrLocked].
//
// Checks, in this order, each with an error of its own and the file untouched:
// [ErrBadOption], [ErrIsDirectory], [ErrEmptyFile], [ErrNotWritable],
// [ErrLocked], [ErrNotLedger], [ErrCorrupt], [ErrNewerFormat],
// [ErrSupplyMismatch], [ErrSeedMismatch], [ErrSeedKeyMismatch], [ErrWitness], [ErrRolledBack]. Where
// the file has to be made, or converted from an older format, and there is no
// room for that: [ErrDiskFull], with no file there, or the ledger as it was.
func Open(path string, opts *Options) (*Ledger, error) {
	o, err := checkOptions(opts)
	if err != nil {
		return nil, err
	}
	if o.Witness == "" && !o.NoWitness {
		o.Witness = path + ".witness"
	}
	led, err := openFile(path, o)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, outward(err))
	}
	return led, nil
}

// openFile opens the ledger in a file.
func openFile(path string, o Options) (*Ledger, error) {
	if o.Witness != "" {
		if err := witness.CheckMissing(path, o.Witness); err != nil {
			return nil, err
		}
	}
	begin := func(log Log) error {
		return books.WriteGenesis(context.Background(), log, o.genesis(), engine.Micros(o.Clock))
	}
	file, err := boltfile.Open(path, boltfile.Options{LockTimeout: o.LockTimeout, Begin: begin})
	if err != nil {
		return nil, err
	}
	led, err := openStore(context.Background(), file, file, o, file.Close)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return led, nil
}

// JournalFile is the journal of a ledger's file, which is read and not changed.
type JournalFile struct{ file *boltfile.File }

// OpenJournal opens the journal of a file that nobody has open. Nothing is
// written to it, so it may lie on a medium that can only be read. Its errors
// are those of [Open].
func OpenJournal(path string) (*JournalFile, error) {
	file, err := boltfile.OpenReadOnly(path)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	return &JournalFile{file}, nil
}

// Page returns the records after a position, as [Ledger.JournalPage] does.
func (f *JournalFile) Page(ctx context.Context, after uint64) (JournalPage, error) {
	page, err := journal.OfLog(f.file)(ctx, after)
	return publicPage(page), err
}

// Close closes the file.
func (f *JournalFile) Close() error { return f.file.Close() }
