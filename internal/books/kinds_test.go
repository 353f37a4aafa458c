package books

import (
	"testing"
	"unsafe"

	"github.com/capycoin/capycoin/internal/record"
)

// TestKinds: a record of each kind has an effect, so the table of them has no hole.
func TestKinds(t *testing.T) {
	for i, k := range kinds {
		if kind := record.Kind(i); (k.apply == nil && k.count == nil) != (kind == 0) {
			t.Errorf("kind %d: it has an effect on accounts: %t, on the numbers: %t", kind, k.apply != nil, k.count != nil)
		}
	}
}

// TestSizes: a batch has 10,000 orders, which are copied on their way.
func TestSizes(t *testing.T) {
	if size := unsafe.Sizeof(Order{}); size > 96 {
		t.Errorf("an order has %d bytes, want at most 96", size)
	}
}
