package capycoin

import (
	"time"

	"github.com/capycoin/capycoin/internal/boltfile"
)

// Histogram counts observations by size. Buckets[i] counts those that are at
// most 2^i and more than 2^(i-1); larger ones than 2^23 are only in Count.
type Histogram struct {
	Count   uint64
	Sum     uint64
	Buckets [24]uint64
}

// Stats are numbers about a ledger for whoever watches it. Counts are since it
// was opened, where they are not of the ledger itself.
type Stats struct {
	Position     uint64 // of the last record committed
	FoldPosition uint64 // what a restart need not replay; the fold lag is the difference
	Accounts     int64
	Transactions int64
	// WitnessPosition is up to where the ledger's witness has seen it; 0: there
	// is none. It lags by ten seconds at most, unless it can't be written.
	WitnessPosition uint64

	Commits    Histogram     // records of each commit
	CommitTime Histogram     // microseconds each commit took
	SpillTime  time.Duration // of CommitTime, that bbolt took to lay out pages
	WriteTime  time.Duration // of CommitTime, that bbolt took to write and sync

	ValidSignatures   uint64  // signatures of transfers that were verified, good ones
	InvalidSignatures uint64  // and bad ones
	Stipend           Stipend // the last one that was begun

	// DiskFull says that the store had no room for a commit of late. It is false
	// again once commits have been written for a second and none was declined.
	DiskFull bool

	QueueLength int // calls that wait for the writer
	QueueSize   int

	CachedAccounts int // accounts in memory
	DirtyAccounts  int // of them, those newer than their rows
	FreshKeys      int // idempotency keys in memory

	FileSize  int64 // bytes; 0 where the store is no file
	FileUsed  int64 // bytes of it that have ever been used: it grows in large steps
	FreePages int   // pages of it that hold nothing
}

// Stats returns what is known now. It reads no records.
func (l *Ledger) Stats() Stats {
	totals, folded := l.books.Totals()
	b, e := l.books.Stats(), l.eng.Stats()
	s := Stats{
		Position: totals.Position, FoldPosition: folded,
		Accounts: totals.Accounts, Transactions: totals.Transactions,
		WitnessPosition: e.WitnessPosition,
		Commits:         Histogram(e.Commits), CommitTime: Histogram(e.CommitTime),
		QueueLength: e.QueueLength, QueueSize: e.QueueSize,
		CachedAccounts: b.CachedAccounts, DirtyAccounts: b.DirtyAccounts, FreshKeys: b.FreshKeys,
		DiskFull: e.DiskFull,

		ValidSignatures: b.ValidSignatures, InvalidSignatures: b.InvalidSignatures,
		Stipend: publicStipend(l.books.LastStipend()),
	}
	if f, ok := l.books.Log().(interface{ Stats() boltfile.Stats }); ok {
		st := f.Stats()
		s.SpillTime, s.WriteTime = st.SpillTime, st.WriteTime
		s.FileSize, s.FileUsed, s.FreePages = st.FileSize, st.FileUsed, st.FreePages
	}
	return s
}
