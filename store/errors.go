package store

import (
	"errors"
	"fmt"
)

// Returned by a [Log], about the journal as a whole.
var (
	// ErrCorrupt: what was read is not what was written.
	ErrCorrupt = errors.New("capycoin: damaged")
	// ErrNewerFormat: it was written by a later version.
	ErrNewerFormat = errors.New("capycoin: the ledger has a newer format")
	// ErrClosed: the store was closed. Nothing was written.
	ErrClosed = errors.New("capycoin: closed")
)

// Returned by [Log.Append], where nothing was written.
var (
	// ErrNotWritten: the store refused the append.
	ErrNotWritten = errors.New("capycoin: not written")
	// ErrDiskFull: there is no room. It is an [ErrNotWritten].
	ErrDiskFull = fmt.Errorf("%w: the disk is full", ErrNotWritten)
	// ErrFenced: someone else appended first.
	ErrFenced = errors.New("capycoin: fenced")
)

// Returned by what opens a store that is a file.
var (
	// ErrNotLedger: the file is something else.
	ErrNotLedger = errors.New("capycoin: not a ledger")
	// ErrEmptyFile: the file has no bytes at all.
	ErrEmptyFile = errors.New("capycoin: the file is empty")
	// ErrIsDirectory: the path is a directory.
	ErrIsDirectory = errors.New("capycoin: the path is a directory")
	// ErrNotWritable: the file, or for a new one its folder, can't be written.
	ErrNotWritable = errors.New("capycoin: not writable")
	// ErrLocked: another process has the file open.
	ErrLocked = errors.New("capycoin: the file is in use by another process")
	// ErrRolledBack: it is not all that it was, or may not be.
	ErrRolledBack = errors.New("capycoin: rolled back")
)
