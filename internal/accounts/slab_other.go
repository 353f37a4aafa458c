//go:build !unix || race

package accounts

// mappedSlabs gives out slabs of the heap.
type mappedSlabs struct{}

func newMappedSlabs(*Cache) *mappedSlabs { return nil }

func (*mappedSlabs) next() *slab { return new(slab) }
