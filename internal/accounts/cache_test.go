package accounts

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/chain"
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
			slots.at(slot).ID = id
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

// TestSlots puts accounts with long chains and tokens into a cache, changes
// and evicts them.
func TestSlots(t *testing.T) {
	c := New(16)
	rng := rand.New(rand.NewPCG(7, 8))
	make1 := func(id byte) *Account {
		a := &Account{State: State{ID: uuid.UUID{id}, Created: rng.Int64N(wire.MaxTime), AsOf: rng.Uint64N(1 << 60), Funds: rng.Int64N(wire.MaxCoins)}}
		at := uint64(0)
		var roots []uint64
		for range rng.IntN(60) {
			at += 1 + rng.Uint64N(1<<rng.IntN(50))
			roots = append(roots, at)
		}
		a.SetRoots(roots)
		for range rng.IntN(3) {
			a.Tokens = append(a.Tokens, TokenRef{Position: rng.Uint64N(1000)})
		}
		return a
	}
	want := make(map[uuid.UUID]*Account)
	for range 20_000 {
		a := make1(byte(rng.IntN(200)))
		i, ok := c.Find(&a.ID)
		switch was := want[a.ID]; {
		case ok != (was != nil):
			t.Fatalf("find %s: %v", a.ID, ok)
		case !ok:
			c.Add(a)
		default:
			var got Account
			c.Copy(i, &got)
			if !sameAccount(&got, was) {
				t.Fatalf("account %s: got %+v, want %+v", a.ID, got, *was)
			}
			head, roots := chain.Head(c.PackedRoots(i)), was.Roots()
			if len(roots) > 0 && head != roots[len(roots)-1] || len(roots) == 0 && head != 0 {
				t.Fatalf("account %s: its head is %d, its roots %v", a.ID, head, roots)
			}
			a.Created = was.Created
			c.Set(i, a)
		}
		want[a.ID] = a
		if rng.IntN(10) == 0 {
			c.Evict()
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
func sameAccount(a, b *Account) bool {
	return a.ID == b.ID && a.Created == b.Created && a.Funds == b.Funds && a.Count == b.Count && a.AsOf == b.AsOf && slices.Equal(a.Roots(), b.Roots()) && slices.Equal(a.Tokens, b.Tokens)
}

// TestChainInRoom makes a chain in an account, whose room is too small now and then.
func TestChainInRoom(t *testing.T) {
	var a Account
	var roots []uint64
	long, short := 0, 0
	for n := range int64(100_000) {
		var want chain.Link
		position := uint64(n+1) << 20
		want, roots = chain.Push(roots, n, position)
		was := a.packed
		if got := a.Push(position); got != want || a.Count != n+1 || a.AsOf != position || !slices.Equal(a.Roots(), roots) {
			t.Fatalf("record %d of an account: got %+v and %v, want %+v and %v", n+1, got, a.Roots(), want, roots)
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
