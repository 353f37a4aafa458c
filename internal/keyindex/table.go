package keyindex

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/wire"
)

// Hash stands for an idempotency key of a sender. Several keys may share
// one: which it is, the record tells that a position leads to.
type Hash uint64

// maxKeyLen is the longest key, in bytes.
const maxKeyLen = 255

func HashOf(sender uuid.UUID, key string) Hash {
	var buf [16 + maxKeyLen]byte
	n := copy(buf[:], sender[:])
	n += copy(buf[n:], key)
	sum := sha256.Sum256(buf[:n])
	return Hash(binary.BigEndian.Uint64(sum[:]))
}

func (h Hash) Part() int { return int(h >> (64 - wire.FoldBits)) }

// Entry says which record used a key.
type Entry struct {
	Hash     Hash
	Position uint64 // 0: none
}

// Compare orders by hash, then by position.
func (e Entry) Compare(f Entry) int {
	if c := cmp.Compare(e.Hash, f.Hash); c != 0 {
		return c
	}
	return cmp.Compare(e.Position, f.Position)
}

// Table is a hash table of entries, of which several may have one hash:
// open addressing with linear probing. A map would take three times the room.
type Table struct {
	cells []Entry // a power of two, at least a quarter of them empty
	n     int
}

// home is where an entry belongs. The first bits are alike within a part.
func (t *Table) home(h Hash) int { return int(h) & (len(t.cells) - 1) }

func (t *Table) Put(e Entry) {
	if 4*(t.n+1) > 3*len(t.cells) {
		old := t.cells
		t.cells, t.n = make([]Entry, max(8, 2*len(old))), 0
		for _, e := range old {
			if e.Position != 0 {
				t.Put(e)
			}
		}
	}
	i := t.home(e.Hash)
	for t.cells[i].Position != 0 {
		i = (i + 1) & (len(t.cells) - 1)
	}
	t.cells[i] = e
	t.n++
}

// Find appends the positions under a hash to a list.
func (t *Table) Find(h Hash, list []uint64) []uint64 {
	if t.n == 0 {
		return list
	}
	for i := t.home(h); t.cells[i].Position != 0; i = (i + 1) & (len(t.cells) - 1) {
		if t.cells[i].Hash == h {
			list = append(list, t.cells[i].Position)
		}
	}
	return list
}

// Remove takes an entry out that is there, and moves those up that its place
// kept from theirs.
func (t *Table) Remove(e Entry) {
	mask := len(t.cells) - 1
	hole := t.home(e.Hash)
	for t.cells[hole] != e {
		hole = (hole + 1) & mask
	}
	for i := (hole + 1) & mask; t.cells[i].Position != 0; i = (i + 1) & mask {
		if (i-t.home(t.cells[i].Hash))&mask >= (i-hole)&mask {
			t.cells[hole], hole = t.cells[i], i
		}
	}
	t.cells[hole] = Entry{}
	t.n--
}

// Clear empties the table and keeps its room.
func (t *Table) Clear() {
	if t.n > 0 {
		clear(t.cells)
		t.n = 0
	}
}

// entries appends all entries to a list, in no order.
func (t *Table) entries(list []Entry) []Entry {
	for _, e := range t.cells {
		if e.Position != 0 {
			list = append(list, e)
		}
	}
	return list
}

// set are the fresh keys of a time, in parts: see wire.FoldParts.
type set struct {
	parts [wire.FoldParts]Table
	n     int
}

func (s *set) put(e Entry) {
	s.parts[e.Hash.Part()].Put(e)
	s.n++
}
