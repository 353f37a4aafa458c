package capycoin

import (
	"slices"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/record"
)

// touched is an account in the overlay: its state after the operations judged
// so far.
type touched struct {
	account
	slot  uint32 // where the cache has the committed one; noSlot: it is opened in this commit
	saved uint64 // the savepoint that has a copy of it
}

// overlay is the state that the operations of one commit are judged on: what
// is committed, with their own effects over it. Publishing it is one step;
// dropping it leaves no trace. It belongs to the writer.
type overlay struct {
	cache   *cache
	books   books
	now     int64      // the time of the next record
	room    []*touched // to be used again by each commit
	touched []*touched // the first ones of room
	opened  map[uuid.UUID]*touched
	keys    keyTable
	keyLog  []keyEntry
	tokens  map[[16]byte]tokenRow
	arena   []byte
	ends    []int // of the records in the arena
	first   uint64

	save   savepoint
	saving bool
	saves  uint64
}

// savepoint is what an overlay was before an atomic batch.
type savepoint struct {
	books   books
	keys    int
	records int
	copies  []savedAccount
}

type savedAccount struct {
	t *touched
	state
	long []byte
}

func newOverlay(c *cache) *overlay {
	return &overlay{
		cache:  c,
		opened: make(map[uuid.UUID]*touched),
		tokens: make(map[[16]byte]tokenRow),
	}
}

// reset makes an overlay stand on b, at a time not before b's.
func (o *overlay) reset(b *books, now int64) {
	o.drop()
	opened := append(o.books.opened[:0], b.opened...)
	o.books = *b
	o.books.opened = opened
	o.now = max(b.time, now)
	clear(o.opened)
	o.keys.clear()
	clear(o.tokens)
	o.keyLog, o.ends, o.arena = o.keyLog[:0], o.ends[:0], o.arena[:0]
	o.first = b.position + 1
}

// goOn makes what follows be of a time that is not before now. The books are of
// the time of their last record, which is never after it.
func (o *overlay) goOn(now int64) { o.now = max(o.now, now) }

// drop lets go of the accounts.
func (o *overlay) drop() {
	for _, t := range o.touched {
		if t.slot != noSlot {
			o.cache.at(t.slot).touched = 0
		}
	}
	o.touched = o.touched[:0]
}

// copied returns the overlay's copy of a committed account, nil if there is
// none yet.
func (o *overlay) copied(slot uint32) *touched {
	if n := o.cache.at(slot).touched; n != 0 {
		return o.touched[n-1]
	}
	return nil
}

// touch makes a copy of a committed account that has none.
func (o *overlay) touch(slot uint32) *touched {
	t := o.newTouched()
	t.slot = slot
	o.cache.account(slot, &t.account)
	o.cache.at(slot).touched = uint32(len(o.touched))
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
	o.save.copies = append(o.save.copies, savedAccount{t, t.state, slices.Clone(t.long)})
}

func (o *overlay) savepoint() {
	o.saving = true
	o.saves++
	o.save.books = o.books
	o.save.books.opened = nil // a batch of transfers opens no account
	o.save.keys, o.save.records = len(o.keyLog), len(o.ends)
	o.save.copies = o.save.copies[:0]
}

func (o *overlay) release() { o.saving = false }

func (o *overlay) rollback() {
	o.saving = false
	opened := o.books.opened
	o.books = o.save.books
	o.books.opened = opened
	for _, e := range o.keyLog[o.save.keys:] {
		o.keys.remove(e)
	}
	o.keyLog = o.keyLog[:o.save.keys]
	o.ends = o.ends[:o.save.records]
	o.arena = o.arena[:o.end(len(o.ends))]
	for i := range o.save.copies {
		c := &o.save.copies[i]
		c.t.state, c.t.long = c.state, c.long
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
	r.Kind, r.Position, r.Time = kind, o.books.position+1, o.now
}

// append encodes a record that next began.
func (o *overlay) append(r *record.Record) {
	o.arena = record.Append(o.arena, r)
	o.ends = append(o.ends, len(o.arena))
	o.books.position, o.books.time = r.Position, r.Time
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
	p.Link = t.push(position)
	p.Funds = t.funds
	return p
}
