package witness_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/witness"
)

// TestWitnessTorn cuts the power at every sector of every write of a slot: what
// is left is the witness of before, or the new one.
func TestWitnessTorn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "witness")
	w := witness.Witness{Ledger: uuid.MustParse("7c9e6679-7425-40de-944b-e07fc1f90ae7"), Position: 1, Time: 5, Sum: [32]byte{7}}
	if err := witness.Replace(path, w); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		before := readFile(t, path)
		was := w
		w.Position += 3
		w.Sum[9]++
		if _, err := witness.Write(path, w); err != nil {
			t.Fatal(err)
		}
		after := readFile(t, path)
		if len(after) != len(before) {
			t.Fatalf("it had %d bytes, and has %d", len(before), len(after))
		}
		// It is one slot that was written, and any part of it may be on the disk.
		slot := 0
		if bytes.Equal(before[:witness.SlotSize], after[:witness.SlotSize]) {
			slot = witness.SlotSize
		}
		for cut := 0; cut <= witness.SlotSize; cut += 512 {
			for _, rest := range [][]byte{before[slot+cut : slot+witness.SlotSize], make([]byte, witness.SlotSize-cut)} {
				torn := bytes.Clone(after)
				copy(torn[slot+cut:], rest)
				writeFile(t, path+".torn", torn)
				if got, err := witness.Read(path+".torn", os.O_RDONLY); err != nil || got != was && got != w {
					t.Fatalf("the write of slot %d was torn: got %+v, %v, want %+v or %+v", slot/witness.SlotSize, got, err, was, w)
				}
			}
		}
		if got, err := witness.Read(path, os.O_RDONLY); err != nil || got != w {
			t.Fatalf("got %+v, %v, want %+v", got, err, w)
		}
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func writeFile(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
