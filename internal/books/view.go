package books

import (
	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/accounts"
	"github.com/capycoin/capycoin/internal/keyindex"
)

// What an audit asks for beside what others do: it compares what is in memory.

// CopyCached copies the committed states of accounts that are in memory, and
// says of which.
func (s *State) CopyCached(ids []uuid.UUID, states *[accounts.ReadAhead]accounts.Account, found *[accounts.ReadAhead]bool) (warmth uint64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var hints [accounts.ReadAhead]uint32
	for i := range ids {
		hints[i] = s.cache.Hint(&ids[i])
	}
	for _, hint := range hints[:len(ids)] {
		warmth += s.cache.Warm(hint)
	}
	for i := range ids {
		slot, ok := s.cache.Look(&ids[i])
		if found[i] = ok; ok {
			s.cache.Copy(slot, &states[i])
		}
	}
	return warmth
}

// KeyRuns returns the runs of keys as the rows have them, and how often keys have moved:
// an odd number while they do.
func (s *State) KeyRuns() (runs []*keyindex.Run, moves uint64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.keys.Runs()
}

// KeysInMemory returns the positions under a hash that are in no run yet, and at the same
// moment what KeyRuns does.
func (s *State) KeysInMemory(h keyindex.Hash) (positions []uint64, runs []*keyindex.Run, moves uint64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	runs, moves = s.keys.Runs()
	return s.keys.InMemory(h, nil), runs, moves
}

// FreshKeys appends the keys of some parts that are in no run yet.
func (s *State) FreshKeys(first, parts int, list []keyindex.Entry) []keyindex.Entry {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.keys.Fresh(first, parts, list)
}
