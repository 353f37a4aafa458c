package chain

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestChain makes a chain of records packed and not, in rooms of all sizes.
func TestChain(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	for room := range 80 {
		var roots []uint64
		packed := make([]byte, 0, room)
		position := uint64(0)
		for n := range int64(3000) {
			position += 1 + rng.Uint64N(1<<rng.IntN(40))
			var want, got Link
			want, roots = Push(roots, n, position)
			got, packed = PushPacked(packed, n, position)
			if got != want || !slices.Equal(UnpackRoots(packed), roots) {
				t.Fatalf("record %d at %d: got %+v and %v, want %+v and %v", n+1, position, got, UnpackRoots(packed), want, roots)
			}
			if !slices.Equal(packed, AppendRoots(nil, roots)) {
				t.Fatalf("record %d: roots %v are packed as %x", n+1, roots, packed)
			}
		}
	}
}

// TestTreeSize compares with the sizes of the trees in a list that is built
// one by one.
func TestTreeSize(t *testing.T) {
	var sizes []int64 // of the trees, the newest last
	for n := int64(1); n < 5000; n++ {
		if k := len(sizes); k >= 2 && sizes[k-1] == sizes[k-2] {
			sizes = append(sizes[:k-2], 2*sizes[k-1]+1)
		} else {
			sizes = append(sizes, 1)
		}
		if got, want := TreeSize(n), sizes[len(sizes)-1]; got != want {
			t.Fatalf("TreeSize(%d): got %d, want %d", n, got, want)
		}
	}
}
