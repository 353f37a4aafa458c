package keyindex

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestKeyTable does the same to a table and to a list.
func TestKeyTable(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var table Table
	var want []Entry
	for n := range 50_000 {
		h := Hash(rng.IntN(40)) << rng.IntN(3)
		got := table.Find(h, nil)
		var positions []uint64
		for _, e := range want {
			if e.Hash == h {
				positions = append(positions, e.Position)
			}
		}
		slices.Sort(got)
		slices.Sort(positions)
		if !slices.Equal(got, positions) {
			t.Fatalf("find %d: got %v, want %v", h, got, positions)
		}
		if len(want) > 0 && rng.IntN(100) < len(want) {
			i := rng.IntN(len(want))
			table.Remove(want[i])
			want = slices.Delete(want, i, i+1)
		} else {
			e := Entry{h, uint64(n + 1)}
			table.Put(e)
			want = append(want, e)
		}
	}
	got := table.entries(nil)
	slices.SortFunc(got, Entry.Compare)
	slices.SortFunc(want, Entry.Compare)
	if !slices.Equal(got, want) {
		t.Errorf("entries: got %v, want %v", got, want)
	}
}

// TestKeyFilter makes sure that a filter has what was put in, and little else.
func TestKeyFilter(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for _, n := range []int{0, 1, 40, 10_000} {
		var entries []Entry
		for range n {
			entries = append(entries, Entry{Hash: Hash(rng.Uint64())})
		}
		f := newFilter(entries)
		for _, e := range entries {
			if !f.mayHave(e.Hash) {
				t.Fatalf("of %d keys %x is missing", n, e.Hash)
			}
		}
		wrong := 0
		for range 100_000 {
			if f.mayHave(Hash(rng.Uint64())) {
				wrong++
			}
		}
		if wrong > 1000 {
			t.Errorf("a filter of %d keys takes %d of 100,000 others for its own, want at most 1,000", n, wrong)
		}
	}
}
