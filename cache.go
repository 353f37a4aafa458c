package capycoin

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

// state is an account after the record at position asOf, but for its tokens and
// a long chain.
type state struct {
	id      uuid.UUID
	created int64 // µs since 1970
	asOf    uint64
	funds   int64
	count   int64 // of its transactions
	packed  uint8 // how many bytes of room are in use; longRoots: they are elsewhere
	room    [63]byte
}

// account is a copy of an account.
type account struct {
	state
	long   []byte      // packed roots of its chain that do not fit into room
	tokens []tokenRef  // never changed in place
	key    *accountKey // nil: it has none; never changed in place
}

// accountKey is an account's public key.
type accountKey struct {
	version uint32 // how many it has had, this one included
	public  [ed25519.PublicKeySize]byte
}

// packedRoots returns the roots of an account's chain.
func (a *account) packedRoots() []byte {
	if a.packed == longRoots {
		return a.long
	}
	return a.room[:a.packed]
}

func (a *account) roots() []uint64 { return chain.UnpackRoots(a.packedRoots()) }

func (a *account) setRoots(roots []uint64) { a.setPacked(chain.AppendRoots(nil, roots)) }

func (a *account) setPacked(b []byte) {
	if len(b) <= len(a.room) {
		a.packed = uint8(copy(a.room[:], b))
	} else {
		a.packed, a.long = longRoots, append(a.long[:0], b...)
	}
}

// push makes the record at a position the account's next transaction.
func (a *account) push(position uint64) (l chain.Link) {
	l, a.long = a.state.push(a.long, position)
	return l
}

// push is that of an account, whose long roots it changes.
func (s *state) push(long []byte, position uint64) (chain.Link, []byte) {
	packed := long
	if s.packed != longRoots {
		packed = s.room[:s.packed]
	}
	l, packed := chain.PushPacked(packed, s.count, position)
	if len(packed) <= len(s.room) {
		s.packed = uint8(copy(s.room[:], packed))
	} else {
		s.packed, long = longRoots, packed
	}
	s.count++
	s.asOf = position
	return l, long
}

// slot holds an account in the cache. It has no pointer, or the garbage
// collector would look at each of a million of them over and over. Its 128 bytes
// are two lines of the processor's cache, which come together.
type slot struct {
	state
	touched uint32      // the writer's alone: its place in the overlay, from 1
	used    atomic.Bool // since the clock's hand last passed
	live    bool        // it holds an account
	dirty   bool        // changed since its row was last handed to Folds
	folding bool        // its row is on its way to the disk
	owner   bool        // of tokens, which are in cache.tokens
	keyed   bool        // it has a key, which is in cache.keys
}

const longRoots = 255

// partOf is which of the parts of what is folded an account is in.
func partOf(id *uuid.UUID) int { return int(binary.BigEndian.Uint16(id[:]) >> (16 - wire.FoldBits)) }

// slotList is all slots, which never move.
type slotList []*slab

// slab is slots that are allocated at once.
type slab [slabSlots]slot

const slabSlots = 4096

func (l slotList) at(i uint32) *slot { return &l[i/slabSlots][i%slabSlots] }

// cache holds accounts in memory: those whose rows are older than they are,
// and up to a bound of the others, of which the ones not used of late go first
// (the clock algorithm, Corbató 1968). Lookups may run beside each other;
// everything else is the writer's, under the ledger's lock.
type cache struct {
	limit  int
	index  idIndex
	slots  slotList
	slabs  *mappedSlabs
	top    uint32 // slots from here on were never used
	free   []uint32
	hand   uint32
	long   map[uint32][]byte // packed roots that do not fit into a slot
	tokens map[uint32][]tokenRef
	keys   map[uint32]*accountKey
	dirty  [wire.FoldParts][]uint64 // see dirtyEntry
	dirtyN int

	sweeping []uint64 // of the part that a sweep goes through, in order,
	swept    int      // and how many of them it has taken
}

// len returns how many accounts there are.
func (c *cache) len() int { return c.index.n }

// isFar says whether that is more than the processor keeps close.
func (c *cache) isFar() bool { return c.index.n >= farAccounts }

// newCache makes a cache with a bound.
func newCache(limit int) *cache {
	c := &cache{limit: limit, long: make(map[uint32][]byte), tokens: make(map[uint32][]tokenRef), keys: make(map[uint32]*accountKey)}
	c.slabs = newMappedSlabs(c)
	return c
}

func (c *cache) at(i uint32) *slot { return c.slots.at(i) }

// find returns the slot of an account.
func (c *cache) find(id *uuid.UUID) (i uint32, ok bool) {
	if i, ok = c.index.find(id, &c.slots); ok {
		c.at(i).use()
	}
	return i, ok
}

// look is find for somebody whose asking does not count as use.
func (c *cache) look(id *uuid.UUID) (i uint32, ok bool) { return c.index.find(id, &c.slots) }

// findAt is find with a hint of where it is.
func (c *cache) findAt(hint uint32, id *uuid.UUID) (i uint32, ok bool) {
	if hint != noSlot {
		if s := c.at(hint); s.live && s.id == *id {
			s.use()
			return hint, true
		}
	}
	return c.find(id)
}

// use notes that an account was asked for.
func (s *slot) use() {
	if !s.used.Load() {
		s.used.Store(true)
	}
}

// hint returns where an account most likely is.
func (c *cache) hint(id *uuid.UUID) uint32 {
	if slot, ok := c.index.guess(id); ok {
		return slot
	}
	return noSlot
}

// readAhead is for how many transfers accounts are read from memory at once. Among
// a million of them, to take one after the other is to wait for the memory each
// time.
const readAhead = 32

// warm reads from a slot what the lock guards; what it returns means nothing.
func (c *cache) warm(slot uint32) uint64 {
	if slot == noSlot {
		return 0
	}
	s := c.at(slot)
	return s.asOf + uint64(s.room[len(s.room)-1]) // of both lines
}

// warmAll warms pairs of accounts, if there are more of them than the processor keeps
// close.
func (c *cache) warmAll(hints [][2]uint32) (sum uint64) {
	if c.index.n < farAccounts {
		return 0
	}
	for i := range hints {
		sum += c.warm(hints[i][0]) + c.warm(hints[i][1])
	}
	return sum
}

// farAccounts is how many accounts are more than the processor keeps close.
const farAccounts = 1 << 14

const noSlot = ^uint32(0)

func (c *cache) packedRoots(i uint32) []byte {
	s := c.at(i)
	if s.packed == longRoots {
		return c.long[i]
	}
	return s.room[:s.packed]
}

// account copies what a slot holds; the room of a long chain is used again.
func (c *cache) account(i uint32, a *account) {
	s := c.at(i)
	a.state, a.long, a.tokens, a.key = s.state, a.long[:0], c.tokensOf(i), c.key(i)
	if s.packed == longRoots {
		a.long = append(a.long, c.long[i]...)
	}
}

// tokensOf returns the tokens of an account.
func (c *cache) tokensOf(i uint32) []tokenRef {
	if !c.at(i).owner {
		return nil
	}
	return c.tokens[i]
}

// key returns the key of an account, nil if it has none.
func (c *cache) key(i uint32) *accountKey {
	if !c.at(i).keyed {
		return nil
	}
	return c.keys[i]
}

// add takes in an account that is not there yet.
func (c *cache) add(a *account) uint32 {
	i := c.top
	if n := len(c.free); n > 0 {
		i, c.free = c.free[n-1], c.free[:n-1]
	} else {
		if int(i) == len(c.slots)*slabSlots {
			c.slots = append(c.slots, c.slabs.next())
		}
		c.top++
	}
	c.index.add(&a.id, i)
	s := c.at(i)
	s.live = true
	c.set(i, a)
	return i
}

// set changes an account to a newer state.
func (c *cache) set(i uint32, a *account) {
	s := c.at(i)
	if a.packed == longRoots {
		c.long[i] = append(c.long[i][:0], a.long...)
	} else if s.packed == longRoots {
		delete(c.long, i)
	}
	s.state = a.state
	if len(a.tokens) > 0 {
		s.owner = true
		c.tokens[i] = a.tokens
	} else if s.owner {
		s.owner = false
		delete(c.tokens, i)
	}
	if a.key != nil { // it never goes
		s.keyed = true
		c.keys[i] = a.key
	}
}

// push makes the record at a position the next transaction of an account.
func (c *cache) push(i uint32, position uint64) chain.Link {
	s := c.at(i)
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

// changed notes that an account is newer than its row.
func (c *cache) changed(i uint32) {
	s := c.at(i)
	if s.dirty {
		return
	}
	s.dirty = true
	part := partOf(&s.id)
	c.dirty[part] = append(c.dirty[part], dirtyEntry(&s.id, i))
	c.dirtyN++
}

// dirtyEntry is a slot in a part's list: what sorts it there, the 32 bits of its
// id that follow those of the part, and the slot itself. So a list is sorted
// without a look at the slots.
func dirtyEntry(id *uuid.UUID, i uint32) uint64 {
	return binary.BigEndian.Uint64(id[:])<<wire.FoldBits&^(1<<32-1) | uint64(i)
}

// take moves up to n changed accounts of a part to a list, in order of their
// ids, and marks them as folding; more says whether the part has others left.
// What changes after a sweep has come to a part is left to the next sweep: or
// else a part might change as fast as it is swept.
func (c *cache) take(part, n int, list []uint32) (_ []uint32, more bool) {
	if c.swept == 0 {
		c.sweeping, c.dirty[part] = c.dirty[part], c.sweeping[:0]
		slices.Sort(c.sweeping)
	}
	n = min(n, len(c.sweeping)-c.swept)
	for _, entry := range c.sweeping[c.swept:][:n] {
		i := uint32(entry)
		s := c.at(i)
		s.dirty, s.folding = false, true
		list = append(list, i)
		// Ids with the same 32 bits are rare.
		for j := len(list) - 1; j > 0 && wire.CompareIDs(&c.at(list[j-1]).id, &s.id) > 0; j-- {
			list[j], list[j-1] = list[j-1], list[j]
		}
	}
	c.dirtyN -= n
	if c.swept += n; c.swept < len(c.sweeping) {
		return list, true
	}
	c.sweeping, c.swept = c.sweeping[:0], 0
	return list, false
}

// left returns how many accounts a sweep has yet to take that has come to a
// part.
func (c *cache) left(part int) int {
	n := len(c.sweeping) - c.swept
	if c.swept > 0 {
		part++ // its list is the next sweep's
	}
	for _, list := range c.dirty[part:] {
		n += len(list)
	}
	return n
}

// evict drops accounts that are as their rows are until the bound holds. A
// call looks at a bounded number of them: the rest is left to the next one.
func (c *cache) evict() {
	over := c.index.n - c.limit
	for looked := 0; over > 0 && looked < 4*over+64; looked++ {
		c.hand = (c.hand + 1) % c.top
		s := c.at(c.hand)
		if !s.live || s.dirty || s.folding || s.touched != 0 || s.used.Swap(false) {
			continue
		}
		c.index.remove(&s.id, c.hand)
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

// issued puts a token in its account's list; those that have expired by
// then leave it, and are returned.
func (a *account) issued(t tokenRef, now int64) (expired []tokenRef) {
	kept := make([]tokenRef, 0, len(a.tokens)+1)
	for _, ref := range a.tokens {
		if ref.expires <= now {
			expired = append(expired, ref)
		} else {
			kept = append(kept, ref)
		}
	}
	a.tokens = append(kept, t)
	a.asOf = t.position
	return expired
}

// revoked takes a token out of its account's list, false if it is not there.
func (a *account) revoked(token, position uint64) (ref tokenRef, ok bool) {
	i := slices.IndexFunc(a.tokens, func(ref tokenRef) bool { return ref.position == token })
	if i < 0 {
		return tokenRef{}, false
	}
	ref = a.tokens[i]
	a.tokens = slices.Concat(a.tokens[:i], a.tokens[i+1:])
	a.asOf = position
	return ref, true
}

// changeKey gives it another key, the one after a version.
func (a *account) changeKey(ends uint32, key [ed25519.PublicKeySize]byte, position uint64) {
	a.key = &accountKey{version: ends + 1, public: key}
	a.asOf = position
}

// firstKey is the key of a new account, nil for the zero one.
func firstKey(key [ed25519.PublicKeySize]byte) *accountKey {
	if key == [ed25519.PublicKeySize]byte{} {
		return nil
	}
	return &accountKey{version: 1, public: key}
}

// sortByID sorts slots by the ids in them.
func (c *cache) sortByID(list []uint32) {
	// By the first half, which nearly always tells, without a look at the slots.
	type item struct {
		half uint64
		slot uint32
	}
	items := make([]item, len(list))
	for n, i := range list {
		items[n] = item{binary.BigEndian.Uint64(c.at(i).id[:]), i}
	}
	slices.SortFunc(items, func(x, y item) int {
		if c := cmp.Compare(x.half, y.half); c != 0 {
			return c
		}
		return wire.CompareIDs(&c.at(x.slot).id, &c.at(y.slot).id)
	})
	for n := range items {
		list[n] = items[n].slot
	}
}
