package capycoin

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
	"sync/atomic"

	"github.com/capycoin/capycoin/internal/wire"
	"github.com/capycoin/capycoin/store"
)

// The index of idempotency keys says which record used a key. Keys never
// expire and come in no order, so rows in the order of their hashes would mean
// to write a page of the file for every few of them. It is a log-structured
// merge tree instead (O'Neil et al., Acta Informatica 33, 1996): the fresh keys
// are in memory; a sweep writes them as a run, sorted, which lies together in
// the file; and mergeRuns runs of a level become one of the next, a part at a
// time. So a key is written once for each level, and there are few runs.
//
// Most keys asked for are new. A filter for each part of a run tells nearly
// always that it is not in there, without a look at the file; a part's filter
// is made when it is first asked for.
type keyIndex struct {
	folds store.Folds
	fresh *keySet   // since the last sweep began
	old   *keySet   // those that a sweep writes; nil between sweeps
	runs  []*keyRun // as the rows have them
	tidy  bool      // there is nothing to merge

	// moves counts up before keys go from run to run and when that is durable:
	// while it is odd, a key may be in neither place to somebody who looks. It
	// counts up by two when a new run is complete.
	moves uint64
	// stuckAt is the moves at which an audit waited in vain for keys on their way.
	stuckAt atomic.Uint64

	scratch []keyEntry
}

// mergeRuns is how many runs a level has before they are merged. More make
// merges rarer and lookups slower.
const mergeRuns = 8

// keyRun is a run. Its number is higher than those of all runs before it; a
// merged one has that of the last run in it.
type keyRun struct {
	level   byte
	number  uint64
	filters [wire.FoldParts]keyFilter // nil: not made yet
}

func newKeyIndex(folds store.Folds) keyIndex { return keyIndex{folds: folds, fresh: new(keySet)} }

// unfolded returns how many keys are in memory.
func (k *keyIndex) unfolded() int {
	n := k.fresh.n
	if k.old != nil {
		n += k.old.n
	}
	return n
}

// inMemory appends the positions of fresh keys with a hash to a list.
func (k *keyIndex) inMemory(h keyHash, list []uint64) []uint64 {
	list = k.fresh.parts[h.part()].find(h, list)
	if k.old != nil {
		list = k.old.parts[h.part()].find(h, list)
	}
	return list
}

// find appends the positions of all keys with a hash to a list. It is the
// writer's.
func (k *keyIndex) find(ctx context.Context, h keyHash, list []uint64) ([]uint64, error) {
	list = k.inMemory(h, list)
	for _, run := range k.runs {
		f := run.filters[h.part()]
		if f == nil {
			entries, _, err := k.readParts(ctx, run, h.part(), 1, k.scratch[:0])
			if err != nil {
				return list, err
			}
			k.scratch = entries
			f = newKeyFilter(entries)
			run.filters[h.part()] = f
		}
		if f.mayHave(h) {
			var err error
			if list, err = k.inRun(ctx, run, h, list); err != nil {
				return list, err
			}
		}
	}
	return list, nil
}

// inRun appends the positions that the rows of a run have for a hash.
func (k *keyIndex) inRun(ctx context.Context, run *keyRun, h keyHash, list []uint64) ([]uint64, error) {
	var bad error
	err := k.scanRun(ctx, run, h, func(key []byte, entries []keyEntry) bool {
		for _, e := range entries {
			if e.hash == h {
				list = append(list, e.position)
			}
		}
		return entries[len(entries)-1].hash == h // the next row may go on with it
	}, &bad)
	if bad != nil {
		err = bad
	}
	return list, err
}

// readParts appends the keys of some parts of a run, from the first one on, to a
// list, and returns their rows' keys.
func (k *keyIndex) readParts(ctx context.Context, run *keyRun, first, parts int, list []keyEntry) (_ []keyEntry, rows [][]byte, err error) {
	var bad error
	err = k.scanRun(ctx, run, keyHash(first)<<(64-wire.FoldBits), func(key []byte, entries []keyEntry) bool {
		if entries[0].hash.part() >= first+parts {
			return false
		}
		list = append(list, entries...)
		rows = append(rows, slices.Clone(key))
		return true
	}, &bad)
	if bad != nil {
		err = bad
	}
	return list, rows, err
}

// scanRun calls fn with the rows of a run from a hash on.
func (k *keyIndex) scanRun(ctx context.Context, run *keyRun, from keyHash, fn func(key []byte, entries []keyEntry) bool, bad *error) error {
	start := keyRowKey(run, keyEntry{hash: from})
	var entries []keyEntry
	return k.folds.Scan(ctx, store.TableKeys, start[:], func(key, value []byte) bool {
		if !bytes.HasPrefix(key, start[:keyRunPrefix]) {
			return false
		}
		if entries, *bad = decodeKeys(key, value, entries[:0]); *bad != nil {
			return false
		}
		return fn(key, entries)
	})
}

const (
	keyRunPrefix = 1 + 8
	// keyRowEntries is how many keys a row has at most: it is as long as a row
	// of accounts then.
	keyRowEntries = 84
)

func keyRowKey(run *keyRun, last keyEntry) (key [keyRunPrefix + 16]byte) {
	key[0] = run.level
	binary.BigEndian.PutUint64(key[1:], run.number)
	binary.BigEndian.PutUint64(key[keyRunPrefix:], uint64(last.hash))
	binary.BigEndian.PutUint64(key[keyRunPrefix+8:], last.position)
	return key
}

// putKeys adds the rows of a part of a run, whose keys are in order.
func (f *folder) putKeys(run *keyRun, entries []keyEntry) {
	for len(entries) > 0 {
		row := entries[:min(len(entries), keyRowEntries)]
		entries = entries[len(row):]
		f.entries = appendKeys(f.entries[:0], row)
		key := keyRowKey(run, row[len(row)-1])
		f.batch.Put(store.TableKeys, key[:], f.entries)
	}
}

// appendKeys encodes the keys of a row, without its checksum.
func appendKeys(b []byte, row []keyEntry) []byte {
	least, width := keyPositions(row)
	b = binary.AppendUvarint(b, least)
	b = append(b, byte(width))
	for _, e := range row {
		b = binary.BigEndian.AppendUint64(b, uint64(e.hash))
		for i := width - 1; i >= 0; i-- {
			b = append(b, byte((e.position-least)>>(8*i)))
		}
	}
	return b
}

// keyPositions returns the least position of a row, and how many bytes it
// takes to say how much more the others are.
func keyPositions(row []keyEntry) (least uint64, width int) {
	least, most := row[0].position, row[0].position
	for _, e := range row {
		least, most = min(least, e.position), max(most, e.position)
	}
	return least, (bits.Len64(most-least) + 7) / 8
}

// decodeKeys appends the keys of a row to a list.
func decodeKeys(key, value []byte, list []keyEntry) ([]keyEntry, error) {
	d, err := wire.OpenRow(store.TableKeys, key, value)
	if err != nil {
		return list, err
	}
	least, width := d.Uvarint(wire.MaxPosition), int(d.Byte())
	d.Check(len(key) == keyRunPrefix+16 && width <= 8 && len(d.B) > 0 && len(d.B)%(8+width) == 0)
	first, last := len(list), keyEntry{}
	for len(d.B) > 0 {
		e := keyEntry{hash: keyHash(binary.BigEndian.Uint64(d.B))}
		for _, c := range d.B[8 : 8+width] {
			e.position = e.position<<8 | uint64(c)
		}
		e.position += least
		d.B = d.B[8+width:]
		d.Check(e.position > 0 && last.compare(e) < 0)
		list, last = append(list, e), e
	}
	if d.Bad || binary.BigEndian.Uint64(key[keyRunPrefix:]) != uint64(last.hash) ||
		binary.BigEndian.Uint64(key[keyRunPrefix+8:]) != last.position {
		return list, wire.BadRow(store.TableKeys, key)
	}
	if l, w := keyPositions(list[first:]); l != least || w != width {
		return list, wire.BadRow(store.TableKeys, key)
	}
	return list, nil
}

// loadRuns finds out what runs there are.
func (k *keyIndex) loadRuns(ctx context.Context) error {
	var from [keyRunPrefix]byte
	for {
		var found []byte
		err := k.folds.Scan(ctx, store.TableKeys, from[:], func(key, _ []byte) bool {
			found = slices.Clone(key)
			return false
		})
		if err != nil || found == nil {
			return err
		}
		if len(found) != keyRunPrefix+16 {
			return fmt.Errorf("%w: the index of keys has a row %x", store.ErrCorrupt, found)
		}
		run := &keyRun{level: found[0], number: binary.BigEndian.Uint64(found[1:])}
		k.add(run)
		copy(from[:], found)
		binary.BigEndian.PutUint64(from[1:], run.number+1)
	}
}

// add puts a run into the list, of which readers may have a copy.
func (k *keyIndex) add(run *keyRun) {
	k.runs = append(k.runs[:len(k.runs):len(k.runs)], run)
	k.tidy = false
}

// nextNumber is the number of the next run.
func (k *keyIndex) nextNumber() (n uint64) {
	for _, run := range k.runs {
		n = max(n, run.number)
	}
	return n + 1
}

// keyFilter is a blocked Bloom filter (Putze, Sanders and Singler, JEA 14,
// 2009): a key's bits are all in one block of 64 bytes, a line of the
// processor's cache. With 16 bits a key it is wrong about 1 new key in 700.
type keyFilter [][8]uint64

const (
	filterBits   = 16 // of the filter, for each key
	filterProbes = 6  // bits that a key sets, by 9 of its hash each: the rest is its part
)

// newKeyFilter makes a filter, which is not nil.
func newKeyFilter(entries []keyEntry) keyFilter {
	f := make(keyFilter, (len(entries)*filterBits+511)/512)
	for _, e := range entries {
		block := f.block(e.hash)
		for i, h := 0, uint64(e.hash); i < filterProbes; i, h = i+1, h>>9 {
			block[h>>6&7] |= 1 << (h & 63)
		}
	}
	return f
}

// block returns the block of a hash. Its bits are the last ones of the hash,
// so the block goes by other ones: those of a product with an odd number.
func (f keyFilter) block(h keyHash) *[8]uint64 {
	const golden = 0x9e3779b97f4a7c15 // 2^64 divided by the golden ratio
	n, _ := bits.Mul64(uint64(h)*golden, uint64(len(f)))
	return &f[n]
}

func (f keyFilter) mayHave(h keyHash) bool {
	if len(f) == 0 {
		return false
	}
	block := f.block(h)
	for i, h := 0, uint64(h); i < filterProbes; i, h = i+1, h>>9 {
		if block[h>>6&7]&(1<<(h&63)) == 0 {
			return false
		}
	}
	return true
}
