//go:build unix && !race

package accounts

import (
	"runtime"
	"syscall"
	"unsafe"
)

// mappedSlabs gives out slabs of memory that is not the garbage collector's. It
// lets the heap grow to twice what is in use, and slots are most of that. The
// race detector does not see such memory, so there slabs are as anywhere else.
type mappedSlabs struct{ maps [][]byte }

// newMappedSlabs returns them for a cache: when that is gone, so are they.
func newMappedSlabs(owner *Cache) *mappedSlabs {
	m := new(mappedSlabs)
	runtime.AddCleanup(owner, func(m *mappedSlabs) {
		for _, b := range m.maps {
			syscall.Munmap(b) // nothing can be done if it fails
		}
	}, m)
	return m
}

// next returns a slab whose slots are zero.
func (m *mappedSlabs) next() *slab {
	b, err := syscall.Mmap(-1, 0, int(unsafe.Sizeof(slab{})), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return new(slab) // the heap may have room
	}
	m.maps = append(m.maps, b)
	return (*slab)(unsafe.Pointer(unsafe.SliceData(b)))
}
