package capycoin

import (
	"slices"
	"sync/atomic"

	"github.com/google/uuid"
)

// account is the state of an account after the record at position asOf.
type account struct {
	id      uuid.UUID
	created int64 // µs since 1970
	asOf    uint64
	funds   Coins
	count   int64    // of its transactions
	roots   []uint64 // of its chain, head last (see history.go)
	tokens  []tokenRef

	// The rest belongs to the cache it is in.
	dirty   bool        // changed since its row was last handed to Folds
	folding bool        // its row is on its way to the disk
	used    atomic.Bool // since the clock's hand last passed
	// touched is the writer's alone: its copy in the overlay numbered epoch.
	touched *touched
	epoch   uint64
}

// head returns the position of the account's last transaction, 0 for none.
func (a *account) head() uint64 {
	if len(a.roots) == 0 {
		return 0
	}
	return a.roots[len(a.roots)-1]
}

// foldParts is how many parts the accounts and the fresh keys are kept in, by
// the first bits of their name, so that a sweep can go through them in key
// order and never has to sort more than one part at once.
const foldParts = 1024

func foldPart(b0, b1 byte) int { return int(b0)<<2 | int(b1)>>6 }

// cache holds accounts in memory: those whose rows are older than they are,
// and up to a bound of the others, of which the ones not used of late go first
// (the clock algorithm, Corbató 1968). Lookups may run beside each other;
// everything else is the writer's, under the ledger's lock.
type cache struct {
	limit    int
	accounts map[uuid.UUID]*account
	ring     []*account
	hand     int
	dirty    [foldParts][]*account
	dirtyN   int
}

func newCache(limit int) *cache {
	return &cache{limit: limit, accounts: make(map[uuid.UUID]*account)}
}

func (c *cache) get(id uuid.UUID) *account {
	a := c.accounts[id]
	if a != nil && !a.used.Load() {
		a.used.Store(true)
	}
	return a
}

// add takes in an account that is not there yet.
func (c *cache) add(a *account) {
	c.accounts[a.id] = a
	c.ring = append(c.ring, a)
}

// changed notes that an account is newer than its row.
func (c *cache) changed(a *account) {
	if a.dirty {
		return
	}
	a.dirty = true
	part := foldPart(a.id[0], a.id[1])
	c.dirty[part] = append(c.dirty[part], a)
	c.dirtyN++
}

// take removes up to n changed accounts of a part, in order of their ids, and
// marks them as folding; more says whether the part has others left.
func (c *cache) take(part, n int) (taken []*account, more bool) {
	all := c.dirty[part]
	slices.SortFunc(all, func(a, b *account) int { return slices.Compare(a.id[:], b.id[:]) })
	if n >= len(all) {
		taken, c.dirty[part] = all, nil
	} else {
		// The rest is copied, so that appending to it leaves taken alone.
		taken, c.dirty[part] = all[:n], slices.Clone(all[n:])
	}
	for _, a := range taken {
		a.dirty, a.folding = false, true
	}
	c.dirtyN -= len(taken)
	return taken, len(c.dirty[part]) > 0
}

// evict drops accounts that are as their rows are until the bound holds. A
// call looks at a bounded number of them: the rest is left to the next one.
func (c *cache) evict() {
	over := len(c.ring) - c.limit
	for looked := 0; over > 0 && looked < 4*over+64 && len(c.ring) > 0; looked++ {
		if c.hand >= len(c.ring) {
			c.hand = 0
		}
		a := c.ring[c.hand]
		if a.dirty || a.folding || a.used.Swap(false) {
			c.hand++
			continue
		}
		delete(c.accounts, a.id)
		last := len(c.ring) - 1
		c.ring[c.hand] = c.ring[last]
		c.ring[last] = nil
		c.ring = c.ring[:last]
		over--
	}
}
