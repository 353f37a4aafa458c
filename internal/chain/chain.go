// Package chain has skew-binary lists through a journal: each record names the position
// of the record before it in its chain, and of one further back, the jump pointer. They
// make a random-access list (Eugene W. Myers, "An applicative random-access stack",
// Information Processing Letters 17, 1983): any of n records is O(log n) reads away from
// the last one, and adding one takes no read at all. The transactions of an account are
// such a chain, and so are the records that open accounts.
//
// A [Link] is a record's place in a chain, [Push] and [PushPacked] add one, [Seek] and
// [First] go back along it, over any way to read a link.
//
// It knows nothing of records or stores: who reads a link, and where, is the caller's.
// It has no state and no locks.
package chain

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"

	"github.com/capycoin/capycoin/internal/wire"
)

// The roots of a chain are the records that its next record
// may have to name. In memory and in rows they are packed: the position of the
// head as a uvarint, then how much further back each next one is. A new record
// becomes the head, so it is put in front and the rest stays as it is.

// Push adds a record at a position to a chain that has n records before
// it, and returns the record's link and the chain's new roots, oldest first.
// The roots are changed in place.
func Push(roots []uint64, n int64, position uint64) (Link, []uint64) {
	l := Link{Ordinal: n + 1}
	if len(roots) > 0 {
		l.Prev = roots[len(roots)-1]
	}
	if TreeSize(n+1) > 1 {
		roots = roots[:len(roots)-2] // two trees of one size become this one's
	}
	if len(roots) > 0 {
		l.Jump = roots[len(roots)-1]
	}
	return l, append(roots, position)
}

// PushPacked is Push for packed roots. They stay in their room if that is
// large enough.
func PushPacked(b []byte, n int64, position uint64) (Link, []byte) {
	l := Link{Ordinal: n + 1}
	rest := b
	if n > 0 {
		l.Prev, rest = takeUvarint(rest)
		l.Jump = l.Prev
		if TreeSize(n+1) > 1 {
			var second, third uint64
			second, rest = takeUvarint(rest)
			if third, rest = takeUvarint(rest); third > 0 {
				l.Jump -= second + third
			} else {
				l.Jump = 0
			}
		}
	}
	var front [2 * binary.MaxVarintLen64]byte
	f := binary.AppendUvarint(front[:0], position)
	if l.Jump > 0 {
		f = binary.AppendUvarint(f, position-l.Jump)
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

// Head returns the head of packed roots, 0 if there is none.
func Head(b []byte) uint64 {
	head, _ := takeUvarint(b)
	return head
}

// AppendRoots packs roots.
func AppendRoots(b []byte, roots []uint64) []byte {
	for i := len(roots) - 1; i >= 0; i-- {
		if i == len(roots)-1 {
			b = binary.AppendUvarint(b, roots[i])
		} else {
			b = binary.AppendUvarint(b, roots[i+1]-roots[i])
		}
	}
	return b
}

// UnpackRoots undoes AppendRoots.
func UnpackRoots(b []byte) (roots []uint64) {
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

// Link is a record's place in a chain : the positions of the
// record before it and of its jump pointer, 0 for none, and its ordinal from 1.
type Link struct {
	Prev, Jump uint64
	Ordinal    int64
}

// AppendLink appends the link of the record at a position; DecodeLink takes it.
func AppendLink(b []byte, position uint64, l Link) []byte {
	b = wire.AppendBack(b, position, l.Prev)
	b = wire.AppendBack(b, position, l.Jump)
	return binary.AppendUvarint(b, uint64(l.Ordinal))
}

// TreeSize returns how many records the jump pointer of the n-th record of a
// chain skips, itself included: the smallest term of n written in skew binary,
// as a sum of numbers 2^k-1 with the largest ones taken first.
func TreeSize(n int64) int64 {
	for {
		t := int64(1)<<(bits.Len64(uint64(n)+1)-1) - 1
		if t == n {
			return t
		}
		n -= t
	}
}

// DecodeLink takes the link of the record at a position.
func DecodeLink(d *wire.Decoder, position uint64) Link {
	l := Link{Prev: d.Back(position), Jump: d.Back(position), Ordinal: int64(d.Uvarint(wire.MaxPosition))}
	d.Check(l.Ordinal > 0 && (l.Prev == 0) == (l.Ordinal == 1) &&
		(l.Jump == 0) == (TreeSize(l.Ordinal) == l.Ordinal) && l.Jump <= l.Prev)
	return l
}

// DecodeRoots takes the packed roots of a chain of n records; n tells how many there
// are.
func DecodeRoots(d *wire.Decoder, n int64) []uint64 {
	var sizes int
	for m := n; m > 0; m -= TreeSize(m) {
		sizes++
	}
	if sizes == 0 {
		return nil
	}
	roots := make([]uint64, sizes)
	var last uint64
	for i := sizes - 1; i >= 0; i-- {
		v := d.Uvarint(wire.MaxPosition)
		if i < sizes-1 {
			d.Check(v > 0 && v < last)
			v = last - v
		}
		d.Check(v > 0)
		roots[i], last = v, v
	}
	return roots
}

// Seek goes from the last record of a chain, at head, to the one with an ordinal,
// by what step reads: the link of the record at a position, whose ordinal is known.
func Seek(head uint64, count, ordinal int64, step func(position uint64, ordinal int64) (Link, error)) (Link, error) {
	l, err := step(head, count)
	for err == nil && l.Ordinal > ordinal {
		if jump := l.Ordinal - TreeSize(l.Ordinal); jump >= ordinal {
			l, err = step(l.Jump, jump)
		} else {
			l, err = step(l.Prev, l.Ordinal-1)
		}
	}
	return l, err
}

// First returns the ordinal of the first record of a chain of which something
// holds that holds of all after it, too, and count+1 if there is none. It asks about
// the record that step has just read.
func First(head uint64, count int64, step func(position uint64, ordinal int64) (Link, error), holds func() bool) (int64, error) {
	if count == 0 {
		return 1, nil
	}
	l, err := step(head, count)
	if err != nil {
		return 0, err
	}
	if !holds() {
		return count + 1, nil
	}
	for l.Prev != 0 {
		if l.Jump != 0 {
			further, err := step(l.Jump, l.Ordinal-TreeSize(l.Ordinal))
			if err != nil {
				return 0, err
			}
			if holds() {
				l = further
				continue
			}
		}
		before, err := step(l.Prev, l.Ordinal-1)
		if err != nil {
			return 0, err
		}
		if !holds() {
			break
		}
		l = before
	}
	return l.Ordinal, nil
}

// String says where a record is linked to.
func (l Link) String() string {
	return fmt.Sprintf("record %d and %d as its %d-th", l.Prev, l.Jump, l.Ordinal)
}
