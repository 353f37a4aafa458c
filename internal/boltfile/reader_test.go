package boltfile

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/capycoin/capycoin/store"
)

// TestReader reads records by position, near the last one and anywhere, from
// rows of any number of records, and what is not there.
func TestReader(t *testing.T) {
	ctx := context.Background()
	s, err := Open(filepath.Join(t.TempDir(), "coins.db"), Options{LockTimeout: time.Second, AnyRows: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	rng := rand.New(rand.NewPCG(1, 2))
	tail := uint64(0)
	for range 300 {
		var records [][]byte
		for range 1 + rng.IntN(20) {
			position := tail + uint64(len(records)) + 1
			records = append(records, []byte{byte(position), byte(position >> 8), 7})
		}
		if err := s.Append(ctx, tail, records); err != nil {
			t.Fatal(err)
		}
		tail += uint64(len(records))
	}
	err = s.View(ctx, func(r store.LogReader) error {
		at := tail
		for range 100_000 {
			switch rng.IntN(4) {
			case 0:
				at = uint64(rng.IntN(int(tail) + 5))
			case 1:
				at -= min(at, uint64(rng.IntN(stepBack+8)))
			case 2:
				at += uint64(rng.IntN(10))
			case 3:
				from := uint64(rng.IntN(int(tail)))
				if err := r.Scan(from, func(uint64, []byte) bool { return rng.IntN(5) > 0 }); err != nil {
					return err
				}
			}
			b, err := r.Record(at)
			if err != nil {
				return err
			}
			if there := at > 0 && at <= tail; there != (b != nil) || there && (b[0] != byte(at) || b[1] != byte(at>>8)) {
				t.Fatalf("record %d of %d: got %x", at, tail, b)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
