// Package keyindex says which record used an idempotency key: an [Index] over a store's
// Folds, by the hash of a sender and a key.
//
// Keys never expire and come in no order, so rows in the order of their hashes would mean
// to write a page of the file for every few of them. It is a log-structured merge tree
// instead (O'Neil et al., Acta Informatica 33, 1996): the fresh keys are in memory; a
// sweep writes them as a run, sorted, which lies together in the file; and mergeRuns runs
// of a level become one of the next, a part at a time. So a key is written once for each
// level, and there are few runs.
//
// Most keys asked for are new. A filter for each part of a run tells nearly always that it
// is not in there, without a look at the file; a part's filter is made when it is first
// asked for.
//
// A row of Folds, in table keys:
//
//	key    level 1 · run 8 · hash 8 · position 8 of the last key in it
//	value  least position uvarint · width 1 · each key: hash 8 · how much more its
//	       position is, as many bytes as width says
//
// The hash of a key is the first 8 bytes of SHA-256(sender ‖ key).
//
// It knows nothing of transfers, nor of a ledger: several keys may have one hash, and
// which it is, the record tells that a position leads to. The state of the books owns an
// Index, an audit reads beside it.
//
// It has no locks of its own. All methods are for one goroutine, but for those that say
// that their caller keeps readers out: while these are not called, others may call
// [Index.InMemory], [Index.Fresh] and [Index.Runs]; runs that these return may be read by
// anybody.
package keyindex

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"

	"github.com/capycoin/capycoin/internal/wire"
	"github.com/capycoin/capycoin/store"
)

// Index says which record used a key.
type Index struct {
	folds store.Folds
	fresh *set   // since the last sweep began
	old   *set   // those that a sweep writes; nil between sweeps
	runs  []*Run // as the rows have them
	tidy  bool   // there is nothing to merge

	// moves counts up before keys go from run to run and when that is durable:
	// while it is odd, a key may be in neither place to somebody who looks. It
	// counts up by two when a new run is complete.
	moves   uint64
	sweep   *Run       // of the keys in old
	merges  []*merging // of runs, between sweeps
	scratch []Entry    // of a search,
	entries []Entry    // and of the parts in the making
	row     []byte     // in the making
}

// mergeRuns is how many runs a level has before they are merged. More make
// merges rarer and lookups slower.
const mergeRuns = 8

// Run is a run. Its number is higher than those of all runs before it; a
// merged one has that of the last run in it.
type Run struct {
	level   byte
	Number  uint64
	filters [wire.FoldParts]filter // nil: not made yet
}

// New makes an index of what Folds has; loadRuns reads that.
func New(folds store.Folds) Index { return Index{folds: folds, fresh: new(set)} }

// Fresh appends the fresh keys of some parts, from the first one on, to a list.
func (k *Index) Fresh(first, parts int, list []Entry) []Entry {
	for part := first; part < min(first+parts, wire.FoldParts); part++ {
		list = k.fresh.parts[part].entries(list)
		if k.old != nil {
			list = k.old.parts[part].entries(list)
		}
	}
	return list
}

// Runs returns the runs, and a number that changes when keys go elsewhere: while it is
// odd, a key may be in neither place to somebody who looks.
func (k *Index) Runs() (runs []*Run, moves uint64) { return k.runs, k.moves }

// Unfolded returns how many keys are in memory.
func (k *Index) Unfolded() int {
	n := k.fresh.n
	if k.old != nil {
		n += k.old.n
	}
	return n
}

// InMemory appends the positions of fresh keys with a hash to a list.
func (k *Index) InMemory(h Hash, list []uint64) []uint64 {
	list = k.fresh.parts[h.Part()].Find(h, list)
	if k.old != nil {
		list = k.old.parts[h.Part()].Find(h, list)
	}
	return list
}

// Find appends the positions of all keys with a hash to a list. It is the
// writer's.
func (k *Index) Find(ctx context.Context, h Hash, list []uint64) ([]uint64, error) {
	list = k.InMemory(h, list)
	for _, run := range k.runs {
		f := run.filters[h.Part()]
		if f == nil {
			entries, _, err := ReadParts(ctx, k.folds, run, h.Part(), 1, k.scratch[:0])
			if err != nil {
				return list, err
			}
			k.scratch = entries
			f = newFilter(entries)
			run.filters[h.Part()] = f
		}
		if f.mayHave(h) {
			var err error
			if list, err = InRun(ctx, k.folds, run, h, list); err != nil {
				return list, err
			}
		}
	}
	return list, nil
}

// InRun appends the positions that the rows of a run have for a hash.
func InRun(ctx context.Context, folds store.Folds, run *Run, h Hash, list []uint64) ([]uint64, error) {
	err := scanRun(ctx, folds, run, h, func(key []byte, entries []Entry) bool {
		for _, e := range entries {
			if e.Hash == h {
				list = append(list, e.Position)
			}
		}
		return entries[len(entries)-1].Hash == h // the next row may go on with it
	})
	return list, err
}

// ReadParts appends the keys of some parts of a run, from the first one on, to a
// list, and returns their rows' keys.
func ReadParts(ctx context.Context, folds store.Folds, run *Run, first, parts int, list []Entry) (_ []Entry, rows [][]byte, err error) {
	err = scanRun(ctx, folds, run, Hash(first)<<(64-wire.FoldBits), func(key []byte, entries []Entry) bool {
		if entries[0].Hash.Part() >= first+parts {
			return false
		}
		list = append(list, entries...)
		rows = append(rows, slices.Clone(key))
		return true
	})
	return list, rows, err
}

// scanRun calls fn with the rows of a run from a hash on.
func scanRun(ctx context.Context, folds store.Folds, run *Run, from Hash, fn func(key []byte, entries []Entry) bool) error {
	start := RowKey(run, Entry{Hash: from})
	var entries []Entry
	var bad error
	err := folds.Scan(ctx, store.TableKeys, start[:], func(key, value []byte) bool {
		if !bytes.HasPrefix(key, start[:keyRunPrefix]) {
			return false
		}
		if entries, bad = DecodeRow(key, value, entries[:0]); bad != nil {
			return false
		}
		return fn(key, entries)
	})
	return cmp.Or(bad, err)
}

const (
	keyRunPrefix = 1 + 8
	// keyRowEntries is how many keys a row has at most: it is as long as a row
	// of accounts then.
	keyRowEntries = 84
)

func RowKey(run *Run, last Entry) (key [keyRunPrefix + 16]byte) {
	key[0] = run.level
	binary.BigEndian.PutUint64(key[1:], run.Number)
	binary.BigEndian.PutUint64(key[keyRunPrefix:], uint64(last.Hash))
	binary.BigEndian.PutUint64(key[keyRunPrefix+8:], last.Position)
	return key
}

// putRows adds the rows of a part of a run, whose keys are in order.
func (k *Index) putRows(b *wire.Batch, run *Run, entries []Entry) {
	for len(entries) > 0 {
		row := entries[:min(len(entries), keyRowEntries)]
		entries = entries[len(row):]
		k.row = AppendRow(k.row[:0], row)
		key := RowKey(run, row[len(row)-1])
		b.Put(store.TableKeys, key[:], k.row)
	}
}

// AppendRow encodes the keys of a row, without its checksum.
func AppendRow(b []byte, row []Entry) []byte {
	least, width := keyPositions(row)
	b = binary.AppendUvarint(b, least)
	b = append(b, byte(width))
	for _, e := range row {
		b = binary.BigEndian.AppendUint64(b, uint64(e.Hash))
		for i := width - 1; i >= 0; i-- {
			b = append(b, byte((e.Position-least)>>(8*i)))
		}
	}
	return b
}

// keyPositions returns the least position of a row, and how many bytes it
// takes to say how much more the others are.
func keyPositions(row []Entry) (least uint64, width int) {
	least, most := row[0].Position, row[0].Position
	for _, e := range row {
		least, most = min(least, e.Position), max(most, e.Position)
	}
	return least, (bits.Len64(most-least) + 7) / 8
}

// DecodeRow appends the keys of a row to a list.
func DecodeRow(key, value []byte, list []Entry) ([]Entry, error) {
	d, err := wire.OpenRow(store.TableKeys, key, value)
	if err != nil {
		return list, err
	}
	least, width := d.Uvarint(wire.MaxPosition), int(d.Byte())
	d.Check(len(key) == keyRunPrefix+16 && width <= 8 && len(d.B) > 0 && len(d.B)%(8+width) == 0)
	first, last := len(list), Entry{}
	for len(d.B) > 0 {
		e := Entry{Hash: Hash(binary.BigEndian.Uint64(d.B))}
		for _, c := range d.B[8 : 8+width] {
			e.Position = e.Position<<8 | uint64(c)
		}
		e.Position += least
		d.B = d.B[8+width:]
		d.Check(e.Position > 0 && last.Compare(e) < 0)
		list, last = append(list, e), e
	}
	if d.Bad || binary.BigEndian.Uint64(key[keyRunPrefix:]) != uint64(last.Hash) ||
		binary.BigEndian.Uint64(key[keyRunPrefix+8:]) != last.Position {
		return list, wire.BadRow(store.TableKeys, key)
	}
	if l, w := keyPositions(list[first:]); l != least || w != width {
		return list, wire.BadRow(store.TableKeys, key)
	}
	return list, nil
}

// LoadRuns finds out what runs there are.
func (k *Index) LoadRuns(ctx context.Context) error {
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
		run := &Run{level: found[0], Number: binary.BigEndian.Uint64(found[1:])}
		k.add(run)
		copy(from[:], found)
		binary.BigEndian.PutUint64(from[1:], run.Number+1)
	}
}

// add puts a run into the list, of which readers may have a copy.
func (k *Index) add(run *Run) {
	k.runs = append(k.runs[:len(k.runs):len(k.runs)], run)
	k.tidy = false
}

// nextNumber is the number of the next run.
func (k *Index) nextNumber() (n uint64) {
	for _, run := range k.runs {
		n = max(n, run.Number)
	}
	return n + 1
}

// filter is a blocked Bloom filter (Putze, Sanders and Singler, JEA 14,
// 2009): a key's bits are all in one block of 64 bytes, a line of the
// processor's cache. With 16 bits a key it is wrong about 1 new key in 700.
type filter [][8]uint64

const (
	filterBits   = 16 // of the filter, for each key
	filterProbes = 6  // bits that a key sets, by 9 of its hash each: the rest is its part
)

// newFilter makes a filter, which is not nil.
func newFilter(entries []Entry) filter {
	f := make(filter, (len(entries)*filterBits+511)/512)
	for _, e := range entries {
		block := f.block(e.Hash)
		for i, h := 0, uint64(e.Hash); i < filterProbes; i, h = i+1, h>>9 {
			block[h>>6&7] |= 1 << (h & 63)
		}
	}
	return f
}

// block returns the block of a hash. Its bits are the last ones of the hash,
// so the block goes by other ones: those of a product with an odd number.
func (f filter) block(h Hash) *[8]uint64 {
	const golden = 0x9e3779b97f4a7c15 // 2^64 divided by the golden ratio
	n, _ := bits.Mul64(uint64(h)*golden, uint64(len(f)))
	return &f[n]
}

func (f filter) mayHave(h Hash) bool {
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
