package capycoin

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/chain"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/internal/wire"
)

// TestIDIndex does the same to an index and to a map, with few hashes, so that
// most ids are not where they belong.
func TestIDIndex(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var x idIndex
	slots := slotList{new(slab)}
	want := make(map[uuid.UUID]uint32)
	var free []uint32
	for i := range uint32(512) {
		free = append(free, i)
	}
	for range 50_000 {
		var id uuid.UUID
		// Ids that differ in these bytes alone have one hash in 256.
		binary.LittleEndian.PutUint32(id[:], uint32(rng.IntN(700)))
		slot, there := want[id]
		switch got, ok := x.find(&id, &slots); {
		case ok != there || ok && got != slot:
			t.Fatalf("find %s: got %d, %v, want %d, %v", id, got, ok, slot, there)
		case !there && len(free) > 0:
			slot, free = free[len(free)-1], free[:len(free)-1]
			slots.at(slot).id = id
			x.add(&id, slot)
			want[id] = slot
		case there:
			x.remove(&id, slot)
			delete(want, id)
			free = append(free, slot)
		}
		if x.n != len(want) {
			t.Fatalf("it has %d ids, want %d", x.n, len(want))
		}
	}
	for id, slot := range want {
		if got, ok := x.find(&id, &slots); !ok || got != slot {
			t.Errorf("find %s in the end: got %d, %v, want %d", id, got, ok, slot)
		}
	}
}

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

// TestSlots puts accounts with long chains and tokens into a cache, changes
// and evicts them.
func TestSlots(t *testing.T) {
	c := newCache(16)
	rng := rand.New(rand.NewPCG(7, 8))
	make1 := func(id byte) *account {
		a := &account{state: state{id: uuid.UUID{id}, created: rng.Int64N(wire.MaxTime), asOf: rng.Uint64N(1 << 60), funds: rng.Int64N(record.MaxCoins)}}
		at := uint64(0)
		var roots []uint64
		for range rng.IntN(60) {
			at += 1 + rng.Uint64N(1<<rng.IntN(50))
			roots = append(roots, at)
		}
		a.setRoots(roots)
		for range rng.IntN(3) {
			a.tokens = append(a.tokens, tokenRef{position: rng.Uint64N(1000)})
		}
		return a
	}
	want := make(map[uuid.UUID]*account)
	for range 20_000 {
		a := make1(byte(rng.IntN(200)))
		i, ok := c.find(&a.id)
		switch was := want[a.id]; {
		case ok != (was != nil):
			t.Fatalf("find %s: %v", a.id, ok)
		case !ok:
			c.add(a)
		default:
			var got account
			c.account(i, &got)
			if !sameAccount(&got, was) {
				t.Fatalf("account %s: got %+v, want %+v", a.id, got, *was)
			}
			head, roots := chain.Head(c.packedRoots(i)), was.roots()
			if len(roots) > 0 && head != roots[len(roots)-1] || len(roots) == 0 && head != 0 {
				t.Fatalf("account %s: its head is %d, its roots %v", a.id, head, roots)
			}
			a.created = was.created
			c.set(i, a)
		}
		want[a.id] = a
		if rng.IntN(10) == 0 {
			c.evict()
			for id := range want {
				if _, ok := c.index.find(&id, &c.slots); !ok {
					delete(want, id)
				}
			}
			if len(want) != c.index.n || len(c.long) > c.index.n || len(c.tokens) > c.index.n {
				t.Fatalf("after evicting: %d accounts, %d of them known, %d long chains, %d with tokens", c.index.n, len(want), len(c.long), len(c.tokens))
			}
		}
	}
}

// sameAccount compares what accounts hold, not what their room has beside it.
func sameAccount(a, b *account) bool {
	return a.view(nil) == b.view(nil) && a.asOf == b.asOf && slices.Equal(a.roots(), b.roots()) && slices.Equal(a.tokens, b.tokens)
}

// TestChainInRoom makes a chain in an account, whose room is too small now and then.
func TestChainInRoom(t *testing.T) {
	var a account
	var roots []uint64
	long, short := 0, 0
	for n := range int64(100_000) {
		var want chain.Link
		position := uint64(n+1) << 20
		want, roots = chain.Push(roots, n, position)
		was := a.packed
		if got := a.push(position); got != want || a.count != n+1 || a.asOf != position || !slices.Equal(a.roots(), roots) {
			t.Fatalf("record %d of an account: got %+v and %v, want %+v and %v", n+1, got, a.roots(), want, roots)
		}
		if a.packed == longRoots {
			long++
		} else if was == longRoots {
			short++
		}
	}
	if long == 0 || short == 0 {
		t.Errorf("the chain was too long for its room %d times, and back in it %d times", long, short)
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
		if merges := led.folder.merges; len(merges) == 0 || merges[0].part < 100 || merges[0].part > foldParts-100 {
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
