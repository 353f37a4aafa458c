package capycoin

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/capycoin/capycoin/internal/wire"
)

// TestKeyTable does the same to a table and to a list.
func TestKeyTable(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var table keyTable
	var want []keyEntry
	for n := range 50_000 {
		h := keyHash(rng.IntN(40)) << rng.IntN(3)
		got := table.find(h, nil)
		var positions []uint64
		for _, e := range want {
			if e.hash == h {
				positions = append(positions, e.position)
			}
		}
		slices.Sort(got)
		slices.Sort(positions)
		if !slices.Equal(got, positions) {
			t.Fatalf("find %d: got %v, want %v", h, got, positions)
		}
		if len(want) > 0 && rng.IntN(100) < len(want) {
			i := rng.IntN(len(want))
			table.remove(want[i])
			want = slices.Delete(want, i, i+1)
		} else {
			e := keyEntry{h, uint64(n + 1)}
			table.put(e)
			want = append(want, e)
		}
	}
	got := table.entries(nil)
	slices.SortFunc(got, keyEntry.compare)
	slices.SortFunc(want, keyEntry.compare)
	if !slices.Equal(got, want) {
		t.Errorf("entries: got %v, want %v", got, want)
	}
}

// TestKeyFilter makes sure that a filter has what was put in, and little else.
func TestKeyFilter(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for _, n := range []int{0, 1, 40, 10_000} {
		var entries []keyEntry
		for range n {
			entries = append(entries, keyEntry{hash: keyHash(rng.Uint64())})
		}
		f := newKeyFilter(entries)
		for _, e := range entries {
			if !f.mayHave(e.hash) {
				t.Fatalf("of %d keys %x is missing", n, e.hash)
			}
		}
		wrong := 0
		for range 100_000 {
			if f.mayHave(keyHash(rng.Uint64())) {
				wrong++
			}
		}
		if wrong > 1000 {
			t.Errorf("a filter of %d keys takes %d of 100,000 others for its own, want at most 1,000", n, wrong)
		}
	}
}

// TestMergesKeepUp: however many keys come, no level gathers more runs than make
// the next merge while one goes on.
func TestMergesKeepUp(t *testing.T) {
	if testing.Short() {
		t.Skip("a million transfers")
	}
	defer TuneFolding(20_000, 64)()
	led, err := Open(filepath.Join(t.TempDir(), "coins.db"), &Options{Supply: MaxSupply})
	if err != nil {
		t.Fatal(err)
	}
	defer led.Close()
	a, err := led.OpenAccount(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var most [3]int
	batch := make([]Transfer, 200)
	for n := range 6000 {
		for i := range batch {
			batch[i] = Transfer{Sender: DefaultSeedAccount(), Receiver: a.ID, Amount: 1, Key: fmt.Sprint(n*len(batch) + i)}
		}
		if _, err := led.TransferBatch(t.Context(), batch, EachAlone); err != nil {
			t.Fatal(err)
		}
		var runs [3]int
		for _, run := range led.keys.runs {
			runs[run.level]++
		}
		for level := range runs {
			most[level] = max(most[level], runs[level])
		}
	}
	if most[0] >= 2*mergeRuns || most[1] >= 2*mergeRuns || most[2] == 0 {
		t.Errorf("the levels have had %d runs, want fewer than %d, and one of the last level", most, 2*mergeRuns)
	}
}

// TestInterruptedMerge opens a ledger whose runs were being merged when the
// process ended, and finds each key once, whatever part of it was done.
func TestInterruptedMerge(t *testing.T) {
	ctx := context.Background()
	defer TuneFolding(40, 8)()
	path := filepath.Join(t.TempDir(), "coins.db")
	clock := func() time.Time { return time.UnixMicro(1_700_000_000_000_000) }
	led, err := Open(path, &Options{Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	a, err := led.OpenAccount(ctx)
	if err != nil {
		t.Fatal(err)
	}
	merging, n := 0, 0
	for ; n < 4000; n++ {
		tr := Transfer{Sender: DefaultSeedAccount(), Receiver: a.ID, Amount: 1, Key: fmt.Sprint(n)}
		if _, err := led.Transfer(ctx, tr); err != nil {
			t.Fatal(err)
		}
		if merges := led.folder.merges; len(merges) == 0 || merges[0].part < 100 || merges[0].part > wire.FoldParts-100 {
			continue
		}
		if merging++; merging > 5 {
			break
		}
	}
	if merging == 0 {
		t.Fatal("no merge was going on")
	}
	if err := led.Close(); err != nil {
		t.Fatal(err)
	}
	if led, err = Open(path, &Options{Clock: clock}); err != nil {
		t.Fatal(err)
	}
	defer led.Close()
	if merges := led.keys.findMerges(nil); len(merges) == 0 || !slices.Contains(led.keys.runs, merges[0].into) {
		t.Fatalf("the merge is not gone on with: %+v", merges)
	}
	for i := range 2 * n {
		tr := Transfer{Sender: DefaultSeedAccount(), Receiver: a.ID, Amount: 1, Key: fmt.Sprint(i)}
		rcpt, err := led.Transfer(ctx, tr)
		if err != nil || rcpt.Replayed != (i <= n) {
			t.Fatalf("key %d of %d: %+v, %v", i, n, rcpt, err)
		}
	}
	rep, err := led.Audit(ctx, nil)
	if err != nil || rep.Err() != nil || rep.Keys != int64(2*n) {
		t.Errorf("audit: %v, %v, %d keys, want %d", err, rep.Err(), rep.Keys, 2*n)
	}
}
