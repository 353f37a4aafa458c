package capycoin

import "github.com/capycoin/capycoin/store"

// Storage is behind two small interfaces. Their contract, which whoever implements them has
// to keep, is in package store; their names here are the same types.
type (
	// Log is where the journal is kept; see [store.Log].
	Log = store.Log
	// LogReader reads records in [store.Log.View].
	LogReader = store.LogReader
	// Folds keeps rows folded from the journal; see [store.Folds].
	Folds = store.Folds
	// Table names a kind of folded rows.
	Table = store.Table
	// Row is a row of [store.Folds].
	Row = store.Row
)

// The tables of [Folds]; docs/format.md says what their rows hold.
const (
	TableAccounts = store.TableAccounts
	TableKeys     = store.TableKeys
	TableTokens   = store.TableTokens
	TableState    = store.TableState
)
