package capycoin

import (
	"encoding/binary"
	"slices"
)

// The roots of a chain (see history.go) are the records that its next record
// may have to name. In memory and in rows they are packed: the position of the
// head as a uvarint, then how much further back each next one is. A new record
// becomes the head, so it is put in front and the rest stays as it is.

// pushRoot adds a record at a position to a chain that has n records before
// it, and returns the record's link and the chain's new roots, oldest first.
// The roots are changed in place.
func pushRoot(roots []uint64, n int64, position uint64) (link, []uint64) {
	l := link{ordinal: n + 1}
	if len(roots) > 0 {
		l.prev = roots[len(roots)-1]
	}
	if treeSize(n+1) > 1 {
		roots = roots[:len(roots)-2] // two trees of one size become this one's
	}
	if len(roots) > 0 {
		l.jump = roots[len(roots)-1]
	}
	return l, append(roots, position)
}

// pushPacked is pushRoot for packed roots. They stay in their room if that is
// large enough.
func pushPacked(b []byte, n int64, position uint64) (link, []byte) {
	l := link{ordinal: n + 1}
	rest := b
	if n > 0 {
		l.prev, rest = takeUvarint(rest)
		l.jump = l.prev
		if treeSize(n+1) > 1 {
			var second, third uint64
			second, rest = takeUvarint(rest)
			if third, rest = takeUvarint(rest); third > 0 {
				l.jump -= second + third
			} else {
				l.jump = 0
			}
		}
	}
	var front [2 * binary.MaxVarintLen64]byte
	f := binary.AppendUvarint(front[:0], position)
	if l.jump > 0 {
		f = binary.AppendUvarint(f, position-l.jump)
	}
	size := len(f) + len(rest)
	packed := b
	if size > cap(b) {
		packed = make([]byte, size, 2*size)
	}
	packed = packed[:size]
	copy(packed[len(f):], rest)
	copy(packed, f)
	return l, packed
}

// takeUvarint takes a uvarint off the front of what was packed; 0 at the end.
func takeUvarint(b []byte) (v uint64, rest []byte) {
	v, n := binary.Uvarint(b)
	return v, b[n:]
}

// headOf returns the head of packed roots, 0 if there is none.
func headOf(b []byte) uint64 {
	head, _ := takeUvarint(b)
	return head
}

// appendRoots packs roots.
func appendRoots(b []byte, roots []uint64) []byte {
	for i := len(roots) - 1; i >= 0; i-- {
		if i == len(roots)-1 {
			b = binary.AppendUvarint(b, roots[i])
		} else {
			b = binary.AppendUvarint(b, roots[i+1]-roots[i])
		}
	}
	return b
}

// unpackRoots undoes appendRoots.
func unpackRoots(b []byte) (roots []uint64) {
	for at := uint64(0); len(b) > 0; {
		var v uint64
		if v, b = takeUvarint(b); len(roots) == 0 {
			at = v
		} else {
			at -= v
		}
		roots = append(roots, at)
	}
	slices.Reverse(roots)
	return roots
}
