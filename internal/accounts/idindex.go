package accounts

import (
	"encoding/binary"
	"math/bits"

	"github.com/google/uuid"
)

// idIndex is a hash table from ids to slots: open addressing with linear
// probing. A cell has the hash in its upper half and the slot, from 1, in its
// lower; 0 is empty. With a million accounts a lookup costs what the memory
// takes to answer, and a cell is a quarter of what a map keeps for an account.
type idIndex struct {
	cells []uint64 // a power of two, at least half of them empty
	shift int      // of a hash, to get its cell
	n     int
}

func hashID(id *uuid.UUID) uint32 {
	const golden = 0x9e3779b97f4a7c15 // 2^64 divided by the golden ratio
	h := binary.LittleEndian.Uint64(id[:]) ^ bits.RotateLeft64(binary.LittleEndian.Uint64(id[8:]), 32)
	return uint32(h * golden >> 32)
}

// find returns the slot of an account; slots tells whose it is.
func (x *idIndex) find(id *uuid.UUID, slots *slotList) (slot uint32, ok bool) {
	if x.n == 0 {
		return 0, false
	}
	h := hashID(id)
	mask := len(x.cells) - 1
	for i := int(h >> x.shift); x.cells[i] != 0; i = (i + 1) & mask {
		if c := x.cells[i]; uint32(c>>32) == h && slots.at(uint32(c)-1).ID == *id {
			return uint32(c) - 1, true
		}
	}
	return 0, false
}

// guess returns the slot that an account most likely has, without a look at it.
func (x *idIndex) guess(id *uuid.UUID) (slot uint32, ok bool) {
	if x.n == 0 {
		return 0, false
	}
	h := hashID(id)
	for i := int(h >> x.shift); x.cells[i] != 0; i = (i + 1) & (len(x.cells) - 1) {
		if c := x.cells[i]; uint32(c>>32) == h {
			return uint32(c) - 1, true
		}
	}
	return 0, false
}

// add takes in an id that is not there.
func (x *idIndex) add(id *uuid.UUID, slot uint32) {
	if 2*(x.n+1) > len(x.cells) {
		old := x.cells
		x.cells = make([]uint64, max(16, 2*len(old)))
		x.shift = 33 - bits.Len(uint(len(x.cells)))
		for _, c := range old {
			if c != 0 {
				x.place(c)
			}
		}
	}
	x.place(uint64(hashID(id))<<32 | uint64(slot+1))
	x.n++
}

func (x *idIndex) place(cell uint64) {
	i := int(uint32(cell>>32) >> x.shift)
	for x.cells[i] != 0 {
		i = (i + 1) & (len(x.cells) - 1)
	}
	x.cells[i] = cell
}

// remove takes out an id that is there, and moves those up that its place kept
// from theirs.
func (x *idIndex) remove(id *uuid.UUID, slot uint32) {
	cell := uint64(hashID(id))<<32 | uint64(slot+1)
	mask := len(x.cells) - 1
	hole := int(uint32(cell>>32) >> x.shift)
	for x.cells[hole] != cell {
		hole = (hole + 1) & mask
	}
	for i := (hole + 1) & mask; x.cells[i] != 0; i = (i + 1) & mask {
		home := int(uint32(x.cells[i]>>32) >> x.shift)
		if (i-home)&mask >= (i-hole)&mask {
			x.cells[hole], hole = x.cells[i], i
		}
	}
	x.cells[hole] = 0
	x.n--
}
