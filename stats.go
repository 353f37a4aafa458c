package capycoin

import (
	"errors"
	"time"

	"github.com/capycoin/capycoin/store"
)

// Histogram counts observations by size. Buckets[i] counts those that are at
// most 2^i and more than 2^(i-1); larger ones than 2^23 are only in Count.
type Histogram struct {
	Count   uint64
	Sum     uint64
	Buckets [24]uint64
}

// observe adds a value.
func (h *Histogram) observe(v uint64) {
	h.Count++
	h.Sum += v
	for i := range h.Buckets {
		if v <= 1<<i {
			h.Buckets[i]++
			return
		}
	}
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
	l.mu.RLock()
	s := Stats{
		Position: l.books.Position, FoldPosition: l.folder.folded,
		Accounts: l.books.Accounts, Transactions: l.books.Transactions,
		Commits: l.commits, CommitTime: l.commitTime,
		QueueLength: len(l.queue), QueueSize: cap(l.queue),
		CachedAccounts: l.cache.Len(), DirtyAccounts: l.cache.Dirty,
		FreshKeys: l.keys.Unfolded(),
		DiskFull:  errors.Is(l.unwritten.cause, store.ErrDiskFull),

		ValidSignatures: l.signatures[1].Load(), InvalidSignatures: l.signatures[0].Load(),
		Stipend: l.books.lastStipend(),
	}
	l.mu.RUnlock()
	if l.witness != nil {
		s.WitnessPosition = l.witness.Position()
	}
	if l.bolt != nil {
		st := l.bolt.Stats()
		s.SpillTime, s.WriteTime = st.SpillTime, st.WriteTime
		s.FileSize, s.FileUsed, s.FreePages = st.FileSize, st.FileUsed, st.FreePages
	}
	return s
}
