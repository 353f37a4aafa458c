package books

import (
	"context"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/accounts"
	"github.com/capycoin/capycoin/internal/journal"
	"github.com/capycoin/capycoin/internal/record"
)

// An operation is a type with its request, its answer and these methods, in the file of
// its kind. The engine has an interface of them:
//
//	Size() (records, bytes int)               // at most so many records, of so many bytes
//	Judge(ctx, *State) error                  // decides it on the overlay, and answers it
//	Recheck(ctx, *State) error                // after another ledger has written
//
// An error of Judge says that the state could not be read; a refusal is an answer. What is
// asked for is not changed by judging: it may be judged again.

// unverified is for an operation of which nothing was verified, so that there is nothing to
// check again.
type unverified struct{}

// Recheck implements the engine's operation.
func (unverified) Recheck(context.Context, *State) error { return nil }

// refusable is the answer of an operation that is done or refused.
type refusable struct {
	unverified
	Refusal error // why it was refused; nil: it is done
}

// Refused returns why it was refused, nil if it is done.
func (r *refusable) Refused() error { return r.Refusal }

// BeginJudging prepares the overlay for operations of a time, on top of those of the same
// commit that were judged before, if goOn is true.
func (s *State) BeginJudging(now int64, goOn bool) {
	if goOn {
		s.overlay.goOn(now)
	} else {
		s.overlay.reset(&s.numbers, now)
	}
}

// Judged returns how many records the operations that were judged have made.
func (s *State) Judged() int { return len(s.overlay.ends) }

// Records lists the encodings of these records; into is used again.
func (s *State) Records(into [][]byte) [][]byte { return s.overlay.records(into) }

// DropJudged lets go of what was judged. Accounts that were read make room for others.
func (s *State) DropJudged() {
	s.overlay.drop()
	s.Evict()
}

// Evict lets accounts go that were read, and that no commit makes room for.
func (s *State) Evict() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cache.Evict()
}

// Publish makes the overlay the committed state, as one step for readers: its records are
// durable, and so are the rows that were handed over with them.
func (s *State) Publish() {
	o := s.overlay
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settleFolds()
	opened := s.numbers.Opened
	s.numbers = o.numbers
	o.numbers.Opened = opened
	const atOnce = 2 * accounts.ReadAhead
	for n, t := range o.touched {
		if n%atOnce == 0 {
			for _, t := range o.touched[n:min(n+atOnce, len(o.touched))] {
				s.warmth += s.cache.Warm(t.slot)
			}
		}
		i := t.slot
		if t.slot == accounts.NoSlot {
			i = s.cache.Add(&t.Account)
		} else {
			s.cache.Set(i, &t.Account)
		}
		s.cache.Changed(i)
	}
	o.drop()
	for _, e := range o.keyLog {
		s.keys.Put(e)
	}
	for selector, row := range o.tokens {
		s.fresh.cur[selector] = row
	}
	s.cache.Evict()
}

// find returns an account as the overlay has it, or else where the committed
// one is; ok is false if there is none.
func (s *State) find(ctx context.Context, id uuid.UUID, hint uint32) (t *touched, slot uint32, ok bool, err error) {
	if len(s.overlay.opened) > 0 {
		if t := s.overlay.opened[id]; t != nil {
			return t, 0, true, nil
		}
	}
	slot, ok, err = s.load(ctx, id, hint)
	if !ok || err != nil {
		return nil, 0, false, err
	}
	return s.overlay.copied(slot), slot, true, nil
}

// findToChange is find for an account that is to be changed; nil if there is none.
func (s *State) findToChange(ctx context.Context, id uuid.UUID) (*touched, error) {
	t, slot, ok, err := s.find(ctx, id, accounts.NoSlot)
	if err != nil || !ok {
		return nil, err
	}
	if t == nil {
		t = s.overlay.touch(slot)
	}
	return t, nil
}

// recordAt reads a record that is committed or of this commit.
func (s *State) recordAt(ctx context.Context, position uint64, r *record.Record) error {
	if position >= s.overlay.first {
		return record.Decode(r, position, s.overlay.record(position))
	}
	return journal.Read(ctx, s.log, position, r)
}

// write appends the record of a body.
func (s *State) write(b record.Body) *record.Record {
	r := &s.scratch
	s.overlay.next(r, b.Kind())
	r.Body = b
	s.overlay.append(r)
	return r
}
