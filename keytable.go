package capycoin

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/internal/wire"
)

// keyHash stands for an idempotency key of a sender. Several keys may share
// one: which it is, the record tells that a position leads to.
type keyHash uint64

func hashKey(sender uuid.UUID, key string) keyHash {
	var buf [16 + MaxKeyLen]byte
	n := copy(buf[:], sender[:])
	n += copy(buf[n:], key)
	sum := sha256.Sum256(buf[:n])
	return keyHash(binary.BigEndian.Uint64(sum[:]))
}

// keyEntryOf returns that of a transfer with a key; ok is false of any other record.
func keyEntryOf(r *record.Record) (e keyEntry, ok bool) {
	if r.Kind != record.KindTransfer || r.Transfer.Key == "" {
		return keyEntry{}, false
	}
	return keyEntry{hashKey(r.Transfer.Sender, r.Transfer.Key), r.Position}, true
}

func (h keyHash) part() int { return int(h >> (64 - wire.FoldBits)) }

// keyEntry says which record used a key.
type keyEntry struct {
	hash     keyHash
	position uint64 // 0: none
}

// compare orders by hash, then by position.
func (e keyEntry) compare(f keyEntry) int {
	if c := cmp.Compare(e.hash, f.hash); c != 0 {
		return c
	}
	return cmp.Compare(e.position, f.position)
}

// keyTable is a hash table of entries, of which several may have one hash:
// open addressing with linear probing. A map would take three times the room.
type keyTable struct {
	cells []keyEntry // a power of two, at least a quarter of them empty
	n     int
}

// home is where an entry belongs. The first bits are alike within a part.
func (t *keyTable) home(h keyHash) int { return int(h) & (len(t.cells) - 1) }

func (t *keyTable) put(e keyEntry) {
	if 4*(t.n+1) > 3*len(t.cells) {
		old := t.cells
		t.cells, t.n = make([]keyEntry, max(8, 2*len(old))), 0
		for _, e := range old {
			if e.position != 0 {
				t.put(e)
			}
		}
	}
	i := t.home(e.hash)
	for t.cells[i].position != 0 {
		i = (i + 1) & (len(t.cells) - 1)
	}
	t.cells[i] = e
	t.n++
}

// find appends the positions under a hash to a list.
func (t *keyTable) find(h keyHash, list []uint64) []uint64 {
	if t.n == 0 {
		return list
	}
	for i := t.home(h); t.cells[i].position != 0; i = (i + 1) & (len(t.cells) - 1) {
		if t.cells[i].hash == h {
			list = append(list, t.cells[i].position)
		}
	}
	return list
}

// remove takes an entry out that is there, and moves those up that its place
// kept from theirs.
func (t *keyTable) remove(e keyEntry) {
	mask := len(t.cells) - 1
	hole := t.home(e.hash)
	for t.cells[hole] != e {
		hole = (hole + 1) & mask
	}
	for i := (hole + 1) & mask; t.cells[i].position != 0; i = (i + 1) & mask {
		if (i-t.home(t.cells[i].hash))&mask >= (i-hole)&mask {
			t.cells[hole], hole = t.cells[i], i
		}
	}
	t.cells[hole] = keyEntry{}
	t.n--
}

// clear empties the table and keeps its room.
func (t *keyTable) clear() {
	if t.n > 0 {
		clear(t.cells)
		t.n = 0
	}
}

// entries appends all entries to a list, in no order.
func (t *keyTable) entries(list []keyEntry) []keyEntry {
	for _, e := range t.cells {
		if e.position != 0 {
			list = append(list, e)
		}
	}
	return list
}

// keySet are the fresh keys of a time, in parts: see wire.FoldParts.
type keySet struct {
	parts [wire.FoldParts]keyTable
	n     int
}

func (s *keySet) put(e keyEntry) {
	s.parts[e.hash.part()].put(e)
	s.n++
}
