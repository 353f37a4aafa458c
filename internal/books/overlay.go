package books

import (
	"slices"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/accounts"
	"github.com/capycoin/capycoin/internal/keyindex"
	"github.com/capycoin/capycoin/internal/record"
)

// touched is an account in the overlay: its state after the operations judged
// so far.
type touched struct {
	accounts.Account
	slot  uint32 // where the cache has the committed one; accounts.NoSlot: it is opened in this commit
	saved uint64 // the savepoint that has a copy of it
}

// overlay is the state that the operations of one commit are judged on: what
// is committed, with their own effects over it. Publishing it is one step;
// dropping it leaves no trace. It belongs to the writer.
type overlay struct {
	cache   *accounts.Cache
	numbers numbers
	now     int64      // the time of the next record
	room    []*touched // to be used again by each commit
	touched []*touched // the first ones of room
	opened  map[uuid.UUID]*touched
	keys    keyindex.Table
	keyLog  []keyindex.Entry
	tokens  map[[16]byte]accounts.TokenRow
	arena   []byte
	ends    []int // of the records in the arena
	first   uint64

	save   savepoint
	saving bool
	saves  uint64
}

// savepoint is what an overlay was before an atomic batch.
type savepoint struct {
	numbers numbers
	keys    int
	records int
	copies  []savedAccount
}

type savedAccount struct {
	t *touched
	accounts.State
	long []byte
}

func newOverlay(c *accounts.Cache) *overlay {
	return &overlay{
		cache:  c,
		opened: make(map[uuid.UUID]*touched),
		tokens: make(map[[16]byte]accounts.TokenRow),
	}
}

// reset makes an overlay stand on numbers, at a time not before theirs.
func (o *overlay) reset(n *numbers, now int64) {
	o.drop()
	opened := append(o.numbers.Opened[:0], n.Opened...)
	o.numbers = *n
	o.numbers.Opened = opened
	o.now = max(n.Time, now)
	clear(o.opened)
	o.keys.Clear()
	clear(o.tokens)
	o.keyLog, o.ends, o.arena = o.keyLog[:0], o.ends[:0], o.arena[:0]
	o.first = n.Position + 1
}

// goOn makes what follows be of a time that is not before now. The numbers are of
// the time of their last record, which is never after it.
func (o *overlay) goOn(now int64) { o.now = max(o.now, now) }

// drop lets go of the accounts.
func (o *overlay) drop() {
	for _, t := range o.touched {
		if t.slot != accounts.NoSlot {
			o.cache.At(t.slot).Touched = 0
		}
	}
	o.touched = o.touched[:0]
}

// copied returns the overlay's copy of a committed account, nil if there is
// none yet.
func (o *overlay) copied(slot uint32) *touched {
	if n := o.cache.At(slot).Touched; n != 0 {
		return o.touched[n-1]
	}
	return nil
}

// touch makes a copy of a committed account that has none.
func (o *overlay) touch(slot uint32) *touched {
	t := o.newTouched()
	t.slot = slot
	o.cache.Copy(slot, &t.Account)
	o.cache.At(slot).Touched = uint32(len(o.touched))
	return t
}

func (o *overlay) newTouched() *touched {
	n := len(o.touched)
	if n == len(o.room) {
		slab := new([256]touched)
		for i := range slab {
			o.room = append(o.room, &slab[i])
		}
	}
	o.touched = o.room[:n+1]
	t := o.room[n]
	t.saved = 0
	return t
}

// keep copies an account before its first change since the savepoint.
func (o *overlay) keep(t *touched) {
	if !o.saving || t.saved == o.saves {
		return
	}
	t.saved = o.saves
	o.save.copies = append(o.save.copies, savedAccount{t, t.State, slices.Clone(t.Long)})
}

func (o *overlay) savepoint() {
	o.saving = true
	o.saves++
	o.save.numbers = o.numbers
	o.save.numbers.Opened = nil // a batch of transfers opens no account
	o.save.keys, o.save.records = len(o.keyLog), len(o.ends)
	o.save.copies = o.save.copies[:0]
}

func (o *overlay) release() { o.saving = false }

func (o *overlay) rollback() {
	o.saving = false
	opened := o.numbers.Opened
	o.numbers = o.save.numbers
	o.numbers.Opened = opened
	for _, e := range o.keyLog[o.save.keys:] {
		o.keys.Remove(e)
	}
	o.keyLog = o.keyLog[:o.save.keys]
	o.ends = o.ends[:o.save.records]
	o.arena = o.arena[:o.end(len(o.ends))]
	for i := range o.save.copies {
		c := &o.save.copies[i]
		c.t.State, c.t.Long = c.State, c.long
	}
}

func (o *overlay) end(n int) int {
	if n == 0 {
		return 0
	}
	return o.ends[n-1]
}

// next begins a record: its position and time.
func (o *overlay) next(r *record.Record, kind record.Kind) {
	r.Kind, r.Position, r.Time = kind, o.numbers.Position+1, o.now
}

// append encodes a record that next began.
func (o *overlay) append(r *record.Record) {
	o.arena = record.Append(o.arena, r)
	o.ends = append(o.ends, len(o.arena))
	o.numbers.Position, o.numbers.Time = r.Position, r.Time
}

// record returns the encoding of a record of this commit.
func (o *overlay) record(position uint64) []byte {
	i := int(position - o.first)
	return o.arena[o.end(i):o.ends[i]]
}

// records lists the encodings of all of them; into is used again.
func (o *overlay) records(into [][]byte) [][]byte {
	into = into[:0]
	for i := range o.ends {
		into = append(into, o.arena[o.end(i):o.ends[i]])
	}
	return into
}

// moved is the effect of a transfer's record on one of its accounts. The rest
// of the record's effect is in the funds that the caller has set.
func (t *touched) moved(position uint64) (p record.Party) {
	p.Link = t.Push(position)
	p.Funds = t.Funds
	return p
}
