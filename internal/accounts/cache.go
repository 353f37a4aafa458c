// Package accounts has the accounts of a ledger in memory and in rows: a [Cache] that
// holds those whose rows are older than they are, and a bounded number of others, in slots
// without pointers; their rows, those of tokens and of the ledger's [Totals]; and a
// [Folder], which brings accounts into their rows.
//
// It knows nothing of records, nor of a ledger: who changed an account, and when a row
// counts, is for its callers, which are the state of the books, the audit's model of them
// and a repair.
//
// It has no locks of its own. Lookups ([Cache.Find], [Cache.Hint], [Cache.At] and what they
// lead to) may run beside each other; all that changes a Cache is for one goroutine, under
// the lock of whoever owns it.
package accounts

import (
	"cmp"
	"crypto/ed25519"
	"encoding/binary"
	"slices"
	"sync/atomic"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/chain"
	"github.com/capycoin/capycoin/internal/wire"
)

// State is an account after the record at position asOf, but for its tokens and
// a long chain.
type State struct {
	ID      uuid.UUID
	Created int64 // µs since 1970
	AsOf    uint64
	Funds   int64
	Count   int64 // of its transactions
	packed  uint8 // how many bytes of room are in use; longRoots: they are elsewhere
	room    [63]byte
}

// Account is a copy of an account.
type Account struct {
	State
	Long   []byte     // packed roots of its chain that do not fit into room
	Tokens []TokenRef // never changed in place
	Key    *Key       // nil: it has none; never changed in place
}

// Key is an account's public key.
type Key struct {
	Version uint32 // how many it has had, this one included
	Public  [ed25519.PublicKeySize]byte
}

// PackedRoots returns the roots of an account's chain.
func (a *Account) PackedRoots() []byte {
	if a.packed == longRoots {
		return a.Long
	}
	return a.room[:a.packed]
}

// Roots returns the roots of its chain.
func (a *Account) Roots() []uint64 { return chain.UnpackRoots(a.PackedRoots()) }

// SetRoots sets them: it is for tests, which make rows.
func (a *Account) SetRoots(roots []uint64) { a.setPacked(chain.AppendRoots(nil, roots)) }

func (a *Account) setPacked(b []byte) {
	if len(b) <= len(a.room) {
		a.packed = uint8(copy(a.room[:], b))
	} else {
		a.packed, a.Long = longRoots, append(a.Long[:0], b...)
	}
}

// Push makes the record at a position the account's next transaction.
func (a *Account) Push(position uint64) (l chain.Link) {
	l, a.Long = a.State.push(a.Long, position)
	return l
}

// push is that of an account, whose long roots it changes.
func (s *State) push(long []byte, position uint64) (chain.Link, []byte) {
	packed := long
	if s.packed != longRoots {
		packed = s.room[:s.packed]
	}
	l, packed := chain.PushPacked(packed, s.Count, position)
	if len(packed) <= len(s.room) {
		s.packed = uint8(copy(s.room[:], packed))
	} else {
		s.packed, long = longRoots, packed
	}
	s.Count++
	s.AsOf = position
	return l, long
}

// Slot holds an account in the cache. It has no pointer, or the garbage
// collector would look at each of a million of them over and over. Its 128 bytes
// are two lines of the processor's cache, which come together.
type Slot struct {
	State
	Touched uint32      // the writer's alone: its place in the overlay, from 1
	used    atomic.Bool // since the clock's hand last passed
	live    bool        // it holds an account
	dirty   bool        // changed since its row was last handed to Folds
	Folding bool        // its row is on its way to the disk
	owner   bool        // of tokens, which are in cache.tokens
	keyed   bool        // it has a key, which is in cache.keys
}

const longRoots = 255

// partOf is which of the parts of what is folded an account is in.
func partOf(id *uuid.UUID) int { return int(binary.BigEndian.Uint16(id[:]) >> (16 - wire.FoldBits)) }

// slotList is all slots, which never move.
type slotList []*slab

// slab is slots that are allocated at once.
type slab [slabSlots]Slot

const slabSlots = 4096

func (l slotList) at(i uint32) *Slot { return &l[i/slabSlots][i%slabSlots] }

// Cache holds accounts in memory: those whose rows are older than they are,
// and up to a bound of the others, of which the ones not used of late go first
// (the clock algorithm, Corbató 1968). Lookups may run beside each other;
// everything else is for one goroutine, under the lock of whoever owns it.
type Cache struct {
	Limit  int
	index  idIndex
	slots  slotList
	slabs  *mappedSlabs
	top    uint32 // slots from here on were never used
	free   []uint32
	hand   uint32
	long   map[uint32][]byte // packed roots that do not fit into a slot
	tokens map[uint32][]TokenRef
	keys   map[uint32]*Key
	dirty  [wire.FoldParts][]uint64 // see dirtyEntry
	Dirty  int

	sweeping []uint64 // of the part that a sweep goes through, in order,
	swept    int      // and how many of them it has taken
}

// Len returns how many accounts there are.
func (c *Cache) Len() int { return c.index.n }

// IsFar says whether that is more than the processor keeps close.
func (c *Cache) IsFar() bool { return c.index.n >= farAccounts }

// New makes a cache with a bound.
func New(limit int) *Cache {
	c := &Cache{Limit: limit, long: make(map[uint32][]byte), tokens: make(map[uint32][]TokenRef), keys: make(map[uint32]*Key)}
	c.slabs = newMappedSlabs(c)
	return c
}

func (c *Cache) At(i uint32) *Slot { return c.slots.at(i) }

// Find returns the slot of an account.
func (c *Cache) Find(id *uuid.UUID) (i uint32, ok bool) {
	if i, ok = c.index.find(id, &c.slots); ok {
		c.At(i).use()
	}
	return i, ok
}

// Look is find for somebody whose asking does not count as use.
func (c *Cache) Look(id *uuid.UUID) (i uint32, ok bool) { return c.index.find(id, &c.slots) }

// FindAt is find with a hint of where it is.
func (c *Cache) FindAt(hint uint32, id *uuid.UUID) (i uint32, ok bool) {
	if hint != NoSlot {
		if s := c.At(hint); s.live && s.ID == *id {
			s.use()
			return hint, true
		}
	}
	return c.Find(id)
}

// use notes that an account was asked for.
func (s *Slot) use() {
	if !s.used.Load() {
		s.used.Store(true)
	}
}

// Hint returns where an account most likely is.
func (c *Cache) Hint(id *uuid.UUID) uint32 {
	if slot, ok := c.index.guess(id); ok {
		return slot
	}
	return NoSlot
}

// ReadAhead is for how many transfers accounts are read from memory at once. Among
// a million of them, to take one after the other is to wait for the memory each
// time.
const ReadAhead = 32

// Warm reads from a slot what the lock guards; what it returns means nothing.
func (c *Cache) Warm(slot uint32) uint64 {
	if slot == NoSlot {
		return 0
	}
	s := c.At(slot)
	return s.AsOf + uint64(s.room[len(s.room)-1]) // of both lines
}

// WarmAll warms pairs of accounts, if there are more of them than the processor keeps
// close.
func (c *Cache) WarmAll(hints [][2]uint32) (sum uint64) {
	if c.index.n < farAccounts {
		return 0
	}
	for i := range hints {
		sum += c.Warm(hints[i][0]) + c.Warm(hints[i][1])
	}
	return sum
}

// farAccounts is how many accounts are more than the processor keeps close.
const farAccounts = 1 << 14

const NoSlot = ^uint32(0)

func (c *Cache) PackedRoots(i uint32) []byte {
	s := c.At(i)
	if s.packed == longRoots {
		return c.long[i]
	}
	return s.room[:s.packed]
}

// Copy copies what a slot holds; the room of a long chain is used again.
func (c *Cache) Copy(i uint32, a *Account) {
	s := c.At(i)
	a.State, a.Long, a.Tokens, a.Key = s.State, a.Long[:0], c.Tokens(i), c.Key(i)
	if s.packed == longRoots {
		a.Long = append(a.Long, c.long[i]...)
	}
}

// Tokens returns the tokens of an account.
func (c *Cache) Tokens(i uint32) []TokenRef {
	if !c.At(i).owner {
		return nil
	}
	return c.tokens[i]
}

// Key returns the key of an account, nil if it has none.
func (c *Cache) Key(i uint32) *Key {
	if !c.At(i).keyed {
		return nil
	}
	return c.keys[i]
}

// Add takes in an account that is not there yet.
func (c *Cache) Add(a *Account) uint32 {
	i := c.top
	if n := len(c.free); n > 0 {
		i, c.free = c.free[n-1], c.free[:n-1]
	} else {
		if int(i) == len(c.slots)*slabSlots {
			c.slots = append(c.slots, c.slabs.next())
		}
		c.top++
	}
	c.index.add(&a.ID, i)
	s := c.At(i)
	s.live = true
	c.Set(i, a)
	return i
}

// Set changes an account to a newer state.
func (c *Cache) Set(i uint32, a *Account) {
	s := c.At(i)
	if a.packed == longRoots {
		c.long[i] = append(c.long[i][:0], a.Long...)
	} else if s.packed == longRoots {
		delete(c.long, i)
	}
	s.State = a.State
	if len(a.Tokens) > 0 {
		s.owner = true
		c.tokens[i] = a.Tokens
	} else if s.owner {
		s.owner = false
		delete(c.tokens, i)
	}
	if a.Key != nil { // it never goes
		s.keyed = true
		c.keys[i] = a.Key
	}
}

// Push makes the record at a position the next transaction of an account.
func (c *Cache) Push(i uint32, position uint64) chain.Link {
	s := c.At(i)
	var long []byte
	was := s.packed
	if was == longRoots {
		long = c.long[i]
	}
	l, long := s.push(long, position)
	if s.packed == longRoots {
		c.long[i] = long
	} else if was == longRoots {
		delete(c.long, i)
	}
	return l
}

// Changed notes that an account is newer than its row.
func (c *Cache) Changed(i uint32) {
	s := c.At(i)
	if s.dirty {
		return
	}
	s.dirty = true
	part := partOf(&s.ID)
	c.dirty[part] = append(c.dirty[part], dirtyEntry(&s.ID, i))
	c.Dirty++
}

// dirtyEntry is a slot in a part's list: what sorts it there, the 32 bits of its
// id that follow those of the part, and the slot itself. So a list is sorted
// without a look at the slots.
func dirtyEntry(id *uuid.UUID, i uint32) uint64 {
	return binary.BigEndian.Uint64(id[:])<<wire.FoldBits&^(1<<32-1) | uint64(i)
}

// Take moves up to n changed accounts of a part to a list, in order of their
// ids, and marks them as folding; more says whether the part has others left.
// What changes after a sweep has come to a part is left to the next sweep: or
// else a part might change as fast as it is swept.
func (c *Cache) Take(part, n int, list []uint32) (_ []uint32, more bool) {
	if c.swept == 0 {
		c.sweeping, c.dirty[part] = c.dirty[part], c.sweeping[:0]
		slices.Sort(c.sweeping)
	}
	n = min(n, len(c.sweeping)-c.swept)
	for _, entry := range c.sweeping[c.swept:][:n] {
		i := uint32(entry)
		s := c.At(i)
		s.dirty, s.Folding = false, true
		list = append(list, i)
		// Ids with the same 32 bits are rare.
		for j := len(list) - 1; j > 0 && wire.CompareIDs(&c.At(list[j-1]).ID, &s.ID) > 0; j-- {
			list[j], list[j-1] = list[j-1], list[j]
		}
	}
	c.Dirty -= n
	if c.swept += n; c.swept < len(c.sweeping) {
		return list, true
	}
	c.sweeping, c.swept = c.sweeping[:0], 0
	return list, false
}

// Left returns how many accounts a sweep has yet to take that has come to a
// part.
func (c *Cache) Left(part int) int {
	n := len(c.sweeping) - c.swept
	if c.swept > 0 {
		part++ // its list is the next sweep's
	}
	for _, list := range c.dirty[part:] {
		n += len(list)
	}
	return n
}

// Evict drops accounts that are as their rows are until the bound holds. A
// call looks at a bounded number of them: the rest is left to the next one.
func (c *Cache) Evict() {
	over := c.index.n - c.Limit
	for looked := 0; over > 0 && looked < 4*over+64; looked++ {
		c.hand = (c.hand + 1) % c.top
		s := c.At(c.hand)
		if !s.live || s.dirty || s.Folding || s.Touched != 0 || s.used.Swap(false) {
			continue
		}
		c.index.remove(&s.ID, c.hand)
		if s.packed == longRoots {
			delete(c.long, c.hand)
		}
		if s.owner {
			delete(c.tokens, c.hand)
		}
		if s.keyed {
			delete(c.keys, c.hand)
		}
		s.live, s.owner, s.keyed, s.packed = false, false, false, 0
		c.free = append(c.free, c.hand)
		over--
	}
}

// Issue puts a token in its account's list; those that have expired by
// then leave it, and are returned.
func (a *Account) Issue(t TokenRef, now int64) (expired []TokenRef) {
	kept := make([]TokenRef, 0, len(a.Tokens)+1)
	for _, ref := range a.Tokens {
		if ref.Expires <= now {
			expired = append(expired, ref)
		} else {
			kept = append(kept, ref)
		}
	}
	a.Tokens = append(kept, t)
	a.AsOf = t.Position
	return expired
}

// Revoke takes a token out of its account's list, false if it is not there.
func (a *Account) Revoke(token, position uint64) (ref TokenRef, ok bool) {
	i := slices.IndexFunc(a.Tokens, func(ref TokenRef) bool { return ref.Position == token })
	if i < 0 {
		return TokenRef{}, false
	}
	ref = a.Tokens[i]
	a.Tokens = slices.Concat(a.Tokens[:i], a.Tokens[i+1:])
	a.AsOf = position
	return ref, true
}

// ChangeKey gives it another key, the one after a version.
func (a *Account) ChangeKey(ends uint32, key [ed25519.PublicKeySize]byte, position uint64) {
	a.Key = &Key{Version: ends + 1, Public: key}
	a.AsOf = position
}

// FirstKey is the key of a new account, nil for the zero one.
func FirstKey(key [ed25519.PublicKeySize]byte) *Key {
	if key == [ed25519.PublicKeySize]byte{} {
		return nil
	}
	return &Key{Version: 1, Public: key}
}

// SortByID sorts slots by the ids in them.
func (c *Cache) SortByID(list []uint32) {
	// By the first half, which nearly always tells, without a look at the slots.
	type item struct {
		half uint64
		slot uint32
	}
	items := make([]item, len(list))
	for n, i := range list {
		items[n] = item{binary.BigEndian.Uint64(c.At(i).ID[:]), i}
	}
	slices.SortFunc(items, func(x, y item) int {
		if c := cmp.Compare(x.half, y.half); c != 0 {
			return c
		}
		return wire.CompareIDs(&c.At(x.slot).ID, &c.At(y.slot).ID)
	})
	for n := range items {
		list[n] = items[n].slot
	}
}
