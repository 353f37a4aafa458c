// Package store is the seam between a ledger and where it keeps its journal: [Log]
// and [Folds], and the errors that they return.
//
// It knows nothing of what is stored: a record is bytes under a position, a row is
// bytes in a table. It has no state and no locks. Whoever makes a store implements its
// interfaces and has them checked by package storetest; package capycoin has the same
// types and errors under its own name, and a program that only opens ledgers needs no
// other.
package store

import "context"

// Log is where the journal is kept: records under consecutive positions from
// 1. A Ledger needs nothing else; everything it knows follows from its Log.
//
// There is one Append at a time; View and Tail are called whenever, also during
// it. Package storetest checks an implementation.
type Log interface {
	// Tail returns the position of the last record, 0 when there is none.
	Tail(ctx context.Context) (uint64, error)

	// View calls fn with a reader of the records durable by now. The reader
	// and the bytes it returns die when fn returns. A Ledger keeps fn short,
	// under 50 ms, so that a store may hold a read transaction for it.
	View(ctx context.Context, fn func(LogReader) error) error

	// Append makes records durable as positions after+1, after+2, …, all of
	// them or none, before it returns nil. It may keep no part of records.
	// The errors say what is known:
	//
	//   - [ErrFenced]: the last record is not at after, so someone else wrote;
	//     nothing was written. The Ledger reads what is new and tries again.
	//   - [ErrNotWritten]: nothing was written, nor will be. The Ledger
	//     declines the operations and goes on. A store that has no room says
	//     so with [ErrDiskFull], which is one of these.
	//   - any other: the outcome is unknown. The Ledger stops. A store that
	//     can read back what became of the append (the same bytes by the same
	//     writer) may settle it itself instead.
	//
	// The context is never cancelled while a Ledger is open.
	Append(ctx context.Context, after uint64, records [][]byte) error

	// MaxAppend is the largest sum of the lengths of the records of one
	// Append, in bytes; at least 65,536.
	MaxAppend() int
}

// LogReader reads records in [Log.View].
type LogReader interface {
	// Record returns the record at pos, nil if there is none.
	Record(pos uint64) ([]byte, error)
	// Scan calls fn with the records from position from on, in order, until
	// it returns false or there are no more.
	Scan(from uint64, fn func(pos uint64, record []byte) bool) error
}

// Table names a kind of folded rows.
type Table string

// The tables of [Folds]; docs/format.md says what their rows hold.
const (
	TableAccounts Table = "accounts"
	TableKeys     Table = "keys"
	TableTokens   Table = "tokens"
	TableState    Table = "state"
)

// Row is a row of [Folds]. A nil Value deletes it.
type Row struct {
	Table Table
	Key   []byte
	Value []byte
}

// Folds keeps rows folded from the journal. They may lag behind it and may be
// lost altogether: the Ledger makes them again. What they may not do is mix:
// the rows of one Put come to the disk together or not at all, and puts in
// order. Each Ledger has Folds of its own, also where several share one Log.
//
// Put, Flush and Append are called one at a time; Get and Scan whenever.
type Folds interface {
	// Get returns a copy of a row's value, nil if there is none.
	Get(ctx context.Context, table Table, key []byte) ([]byte, error)

	// Scan calls fn with the rows of a table from the key from on, in key
	// order, until it returns false. The bytes die when fn returns. It must not ask the
	// ledger anything: that may be waiting for it.
	Scan(ctx context.Context, table Table, from []byte, fn func(key, value []byte) bool) error

	// Put writes rows, now or together with the next Append or Flush; Get and
	// Scan see them at the latest when that has returned nil. The rows may be
	// reused then, not before.
	Put(ctx context.Context, rows []Row) error

	// Flush makes durable what Put was given.
	Flush(ctx context.Context) error
}
