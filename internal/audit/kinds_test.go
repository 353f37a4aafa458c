package audit

import (
	"testing"

	"github.com/capycoin/capycoin/internal/record"
)

// TestKinds: a record of each kind is checked, so the table of them has no hole.
func TestKinds(t *testing.T) {
	for i, check := range kinds {
		kind := record.Kind(i)
		if has := kind != 0 && kind != record.KindTransfer; has != (check != nil) {
			t.Errorf("kind %d: it is checked by the table: %t, want %t", kind, check != nil, has)
		}
	}
}
