package audit

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/journal"
	"github.com/capycoin/capycoin/internal/keyindex"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/internal/wire"
	"github.com/capycoin/capycoin/store"
)

// keySum is a sum over keys and positions, in any order. Two sets with the same
// sum are the same: it is made with random numbers drawn for each audit, and a
// difference that is no forgery goes unseen once in 2^128.
type keySum struct {
	seed [2]uint64
	sum  [2]uint64
}

func newKeySum() keySum { return keySum{seed: [2]uint64{rand.Uint64(), rand.Uint64()}} }

func (s *keySum) add(e keyindex.Entry) {
	for i, seed := range s.seed {
		// The finalizer of MurmurHash3, twice.
		s.sum[i] += mix64(uint64(e.Hash) ^ mix64(e.Position^seed))
	}
}

// merge adds another sum with the same seed.
func (s *keySum) merge(o keySum) {
	for i := range s.sum {
		s.sum[i] += o.sum[i]
	}
}

func mix64(v uint64) uint64 {
	v = (v ^ v>>33) * 0xff51afd7ed558ccd
	v = (v ^ v>>33) * 0xc4ceb9fe1a85ec53
	return v ^ v>>33
}

// checkKeys compares the index of keys with the journal: as a whole where it
// holds still for long enough, otherwise key by key.
func (a *auditor) checkKeys(ctx context.Context) error {
	if err := a.seekKeys(ctx); err != nil {
		return err
	}
	for range 3 {
		sum, still, err := a.sumIndex(ctx)
		if errors.Is(err, store.ErrCorrupt) {
			break // which of them it is takes a closer look
		}
		if err != nil {
			return err
		}
		if still && sum == a.keySum {
			return a.progress(ctx, "keys", uint64(a.report.Keys), uint64(a.report.Keys))
		}
		if still {
			break
		}
	}
	if err := a.lookUpKeys(ctx); err != nil {
		return err
	}
	return a.checkKeyRows(ctx)
}

// seekKeys makes sure that a search finds each row: a sum does not tell.
func (a *auditor) seekKeys(ctx context.Context) error {
	if a.strict == nil {
		return nil
	}
	err := wire.ScanRows(ctx, a.strict.ScanStrictly, store.TableKeys, func(_, _ []byte) error { return nil })
	if errors.Is(err, store.ErrCorrupt) {
		a.fault(0, uuid.UUID{}, FaultKey, "%v", err)
		return nil
	}
	return err
}

// sumIndex sums the index up to the position where the audit began; still is
// false if rows have been moved meanwhile.
func (a *auditor) sumIndex(ctx context.Context) (sum keySum, still bool, err error) {
	sum.seed = a.keySum.seed
	runs, moves := a.view.KeyRuns()
	// Some thousand keys at once, from all runs, are worth a read each.
	const atOnce = 1 << 16
	parts := int(min(wire.FoldParts, max(1, wire.FoldParts*atOnce/max(1, a.report.Keys))))
	// While some are sorted and summed, the next ones are read.
	var next, summed []keyindex.Entry
	var summing sync.WaitGroup
	defer summing.Wait()
	var alike [][]uint64 // positions of keys with one hash
	for first := 0; first < wire.FoldParts; first += parts {
		entries := next[:0]
		entries = a.view.FreshKeys(first, parts, entries)
		for _, run := range runs {
			if entries, _, err = keyindex.ReadParts(ctx, a.folds, run, first, parts, entries); err != nil {
				return sum, false, err
			}
		}
		summing.Wait()
		next, summed = summed, entries
		summing.Go(func() {
			// What a crash cut short is there again.
			slices.SortFunc(entries, keyindex.Entry.Compare)
			last, one := keyindex.Entry{}, false // whether it has the hash of the one before
			for _, e := range slices.Compact(entries) {
				if e.Position <= a.seen.Position {
					sum.add(e)
				}
				was := one
				if one = e.Hash == last.Hash && last.Position != 0; one && !was {
					alike = append(alike, []uint64{last.Position})
				}
				if one {
					alike[len(alike)-1] = append(alike[len(alike)-1], e.Position)
				}
				last = e
			}
		})
		if err := a.progress(ctx, "keys", uint64(first)*uint64(a.report.Keys)/wire.FoldParts, uint64(a.report.Keys)); err != nil {
			return sum, false, err
		}
	}
	summing.Wait()
	for _, positions := range alike {
		if err := a.checkAlike(ctx, positions); err != nil {
			return sum, false, err
		}
	}
	_, now := a.view.KeyRuns()
	return sum, moves%2 == 0 && now == moves, nil
}

// checkAlike makes sure that no two of the records whose keys have one hash have one
// key: that would have paid twice. All of them: who chooses keys can make two with one
// hash, and put the record of another between those of one.
func (a *auditor) checkAlike(ctx context.Context, positions []uint64) error {
	type senderKey struct {
		sender uuid.UUID
		key    string
	}
	used := make(map[senderKey]uint64, len(positions))
	var r record.Record
	for _, position := range positions {
		err := journal.Read(ctx, a.log, position, &r)
		if errors.Is(err, store.ErrCorrupt) || errors.Is(err, store.ErrNewerFormat) {
			continue // it has been told of
		}
		if err != nil {
			return err
		}
		if _, ok := keyOf(&r); !ok {
			continue
		}
		k := senderKey{r.Transfer.Sender, r.Transfer.Key}
		first, again := used[k]
		if !again {
			used[k] = position
		} else if !a.twice[position] {
			a.twice[position] = true
			a.fault(position, k.sender, FaultKey, "its key %q was that of record %d", k.key, first)
		}
	}
	return nil
}

// lookUpKeys looks up the key of each transfer up to where the audit began.
// Records that can't be read were told of before.
func (a *auditor) lookUpKeys(ctx context.Context) error {
	upTo := a.seen.Position
	page := make([]record.Record, pageLen)
	for from := uint64(1); from <= upTo; {
		n, next := 0, from+1
		err := a.log.View(ctx, func(r store.LogReader) error {
			return r.Scan(from, func(position uint64, b []byte) bool {
				next = position + 1
				if record.Decode(&page[n], position, b) == nil {
					n++
				}
				return n < len(page) && position < upTo
			})
		})
		if err != nil && !errors.Is(err, store.ErrCorrupt) {
			return err
		}
		for i := range page[:n] {
			if err := a.lookUpKey(ctx, &page[i]); err != nil {
				return err
			}
		}
		if err := a.progress(ctx, "keys", from, upTo); err != nil {
			return err
		}
		from = next
	}
	return nil
}

func (a *auditor) lookUpKey(ctx context.Context, r *record.Record) error {
	e, ok := keyOf(r)
	if !ok {
		return nil
	}
	t := &r.Transfer
	positions, err := a.lookUp(ctx, e.Hash, r.Position)
	switch {
	case errors.Is(err, store.ErrCorrupt):
		a.fault(r.Position, t.Sender, FaultKey, "%v", err)
	case err != nil:
		return err
	case !slices.Contains(positions, r.Position):
		a.fault(r.Position, t.Sender, FaultKey, "its key %q leads to records %d", t.Key, positions)
	}
	return nil
}

// checkKeyRows makes sure that each key in a row leads to a transfer with it.
func (a *auditor) checkKeyRows(ctx context.Context) error {
	var r record.Record
	var entries []keyindex.Entry
	return a.scan(ctx, "keys", store.TableKeys, 0, func(key, value []byte) (err error) {
		if entries, err = keyindex.DecodeRow(key, value, entries[:0]); err != nil {
			a.fault(0, uuid.UUID{}, FaultKey, "%v", err)
			return nil
		}
		var wrong []Fault // which are told when the store is let go
		err = a.log.View(ctx, func(lr store.LogReader) error {
			for _, e := range entries {
				err := journal.At(lr, e.Position, &r)
				got, ok := keyOf(&r)
				switch {
				case errors.Is(err, store.ErrCorrupt), errors.Is(err, store.ErrNewerFormat):
					wrong = append(wrong, Fault{Position: e.Position, Detail: fmt.Sprintf("row %x: %v", key, err)})
				case err != nil:
					return err
				case !ok || got.Hash != e.Hash:
					wrong = append(wrong, Fault{Position: e.Position, Detail: fmt.Sprintf("row %x leads to it, which has not that key", key)})
				}
			}
			return nil
		})
		for _, f := range wrong {
			a.fault(f.Position, uuid.UUID{}, FaultKey, "%s", f.Detail)
		}
		return err
	})
}

// keyOf returns the idempotency key of a record; ok is false if it has none.
func keyOf(r *record.Record) (e keyindex.Entry, ok bool) {
	if r.Kind != record.KindTransfer || r.Transfer.Key == "" {
		return keyindex.Entry{}, false
	}
	return keyindex.Entry{Hash: keyindex.HashOf(r.Transfer.Sender, r.Transfer.Key), Position: r.Position}, true
}

// lookFor is how many milliseconds a key is looked for while others are on their
// way and nothing else happens: the commit that moves them may have failed, and
// no other have come.
const lookFor = 1000

// lookUp returns the positions under a hash, and expects a certain one among them.
func (a *auditor) lookUp(ctx context.Context, h keyindex.Hash, want uint64) ([]uint64, error) {
	for stuck := 0; ; stuck++ {
		list, runs, before := a.view.KeysInMemory(h)
		for i := len(runs) - 1; i >= 0 && !slices.Contains(list, want); i-- {
			var err error
			if list, err = keyindex.InRun(ctx, a.folds, runs[i], h, list); err != nil {
				return list, err
			}
		}
		_, now := a.view.KeyRuns()
		still := before%2 == 0 && now == before
		if now != before {
			stuck = 0
		}
		if stuck == lookFor {
			a.stuckAt = before // for the next key that is missing, too
		}
		if still || a.stuckAt == before && before%2 == 1 || slices.Contains(list, want) {
			return list, nil
		}
		// It may have been on its way from one run to another.
		if err := journal.Pause(ctx, time.Millisecond); err != nil {
			return list, err
		}
		if err := a.opts.Err(); err != nil {
			return list, err
		}
	}
}
