package main

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/harness"
)

// entry is a transfer of the journal.
type entry struct {
	position         uint64
	id               string
	sender, receiver int // holders
	amount           int64
	key              string
	funds            int64 // the sender's afterwards
	call             *call // that made it
}

// standing is what an account had from a position on.
type standing struct {
	position     uint64
	funds, count int64
}

// replay is what the journal has, in its order, to be compared with what was
// asked and answered. That needs no search, so it works for any number of calls.
type replay struct {
	entries  []*entry // by position
	standing [][]standing
	byID     map[string]*entry
	faults   []string
}

func (r *replay) fault(format string, args ...any) {
	r.faults = append(r.faults, fmt.Sprintf(format, args...))
}

// newReplay makes the transfers in order of position, from what each account
// had before.
func newReplay(first []standing, entries []*entry) *replay {
	r := &replay{entries: entries, byID: make(map[string]*entry)}
	for _, s := range first {
		r.standing = append(r.standing, []standing{s})
	}
	add := func(account int, position uint64, amount int64) int64 {
		s := r.standing[account][len(r.standing[account])-1]
		s = standing{position, s.funds + amount, s.count + 1}
		r.standing[account] = append(r.standing[account], s)
		return s.funds
	}
	for _, e := range entries {
		if funds := add(e.sender, e.position, -e.amount); funds != e.funds || funds < 0 {
			r.fault("record %d leaves the sender %d coins, by those before it it leaves %d", e.position, e.funds, funds)
		}
		add(e.receiver, e.position, e.amount)
		r.byID[e.id] = e
	}
	return r
}

// during says whether an account was for a moment as ok wants it, as of a
// position from low to high.
func (r *replay) during(account int, low, high uint64, ok func(standing) bool) bool {
	all := r.standing[account]
	at, found := slices.BinarySearchFunc(all, low, func(s standing, low uint64) int { return cmp.Compare(s.position, low) })
	if !found && at > 0 {
		at-- // the one that held at low
	}
	for ; at < len(all) && all[at].position <= high; at++ {
		if ok(all[at]) {
			return true
		}
	}
	return false
}

// bounds tells between which positions calls must have been judged: not before
// what was answered before they were sent, and not after what was sent after
// they were answered.
type bounds struct {
	ends   []bound // of calls that were answered: the highest position up to it
	begins []bound // of calls that made something: the lowest position from it on
}

type bound struct {
	at       int64
	position uint64
}

func newBounds(calls []*call, entries []*entry) *bounds {
	b := new(bounds)
	for _, x := range calls {
		seen := uint64(0)
		for _, v := range x.verdicts {
			seen = max(seen, v.position)
		}
		if x.answered && seen > 0 {
			b.ends = append(b.ends, bound{x.to, seen})
		}
	}
	for _, e := range entries {
		if e.call != nil {
			b.begins = append(b.begins, bound{e.call.from, e.position})
		}
	}
	order := func(a, b bound) int { return cmp.Compare(a.at, b.at) }
	slices.SortFunc(b.ends, order)
	slices.SortFunc(b.begins, order)
	for i := 1; i < len(b.ends); i++ {
		b.ends[i].position = max(b.ends[i].position, b.ends[i-1].position)
	}
	for i := len(b.begins) - 2; i >= 0; i-- {
		b.begins[i].position = min(b.begins[i].position, b.begins[i+1].position)
	}
	return b
}

// of returns the lowest and the highest position whose state a call can have
// been judged on.
func (b *bounds) of(x *call) (low, high uint64) {
	high = math.MaxUint64
	if i, _ := slices.BinarySearchFunc(b.ends, x.from, func(e bound, at int64) int { return cmp.Compare(e.at, at) }); i > 0 {
		low = b.ends[i-1].position
	}
	i, _ := slices.BinarySearchFunc(b.begins, x.to+1, func(e bound, at int64) int { return cmp.Compare(e.at, at) })
	if i < len(b.begins) {
		high = b.begins[i].position - 1
	}
	return low, high
}

// compare finds what of the calls the journal does not explain. Every amount
// was asked for by one call only, but for those that repeat one with its key.
func (r *replay) compare(calls []*call) []string {
	silent := make(map[int64]*call)
	for _, x := range calls {
		for _, a := range x.transfers {
			if !x.answered {
				silent[a.amount] = x
			}
		}
		for i, v := range x.verdicts {
			if v.code != "" {
				continue
			}
			a, e := x.transfers[i], r.byID[v.id]
			switch {
			case e == nil:
				r.fault("what was acknowledged is not in the journal: %v", x)
			case e.position != v.position || e.sender != x.account || e.receiver != a.receiver || e.amount != a.amount || e.key != a.key || e.funds != v.funds:
				r.fault("the journal has %+v, acknowledged was %v", *e, x)
			case !v.replayed && e.call != nil:
				r.fault("record %d is acknowledged as new twice: %v and %v", e.position, e.call, x)
			case !v.replayed:
				e.call = x
			}
		}
	}
	for _, e := range r.entries {
		if e.call != nil {
			continue
		}
		if e.call = silent[e.amount]; e.call == nil || e.call.account != e.sender {
			r.fault("nobody asked for %+v, or it was answered otherwise", *e)
		}
	}
	b := newBounds(calls, r.entries)
	own := make(map[*call][]uint64)
	for _, e := range r.entries {
		own[e.call] = append(own[e.call], e.position)
	}
	for _, x := range calls {
		low, high := b.of(x)
		r.explain(x, own[x], low, high)
	}
	return r.faults
}

// explain finds a state for the answers of a call, which made the records at
// some positions.
func (r *replay) explain(x *call, own []uint64, low, high uint64) {
	if n := len(own); n > 0 {
		if own[0] <= low || own[n-1] > high {
			r.fault("records %d to %d were made too early or too late, can be %d to %d: %v", own[0], own[n-1], low+1, high, x)
		}
		if own[n-1]-own[0] != uint64(n-1) {
			r.fault("others' records are among those of a batch at %v: %v", own, x)
		}
		affordable := 0
		for _, a := range x.transfers {
			if a.amount < tooMuch {
				affordable++
			}
		}
		if n != affordable && !x.answered || n != len(x.transfers) && x.atomic {
			r.fault("%d of %d transfers of a batch are made, %d can be: %v", n, len(x.transfers), affordable, x)
		}
	}
	spent := int64(0) // by the items before, in an atomic batch that is refused
	if x.index >= 0 {
		for _, a := range x.transfers[:x.index] {
			spent += a.amount
		}
	}
	for i, v := range x.verdicts {
		// What was made of the same batch before, and after.
		from, to := low, high
		for j, sibling := range x.verdicts {
			switch made := sibling.code == "" && !sibling.replayed; {
			case made && j < i:
				from = max(from, sibling.position)
			case made && j > i:
				to = min(to, sibling.position-1)
			}
		}
		switch {
		case v.replayed && v.position > to:
			r.fault("the repeated record is a later one than can be, %d: %v", to, x)
		case v.code == "insufficient_funds":
			if !r.during(x.account, from, to, func(s standing) bool { return s.funds-spent == v.funds }) {
				r.fault("at no position from %d to %d had the account what the refusal says: %v", from, to, x)
			}
		case v.code != "":
			r.fault("refused for no reason: %v", x)
		}
	}
	if x.read && x.answered && !r.during(x.account, low, high, func(s standing) bool { return s.funds == x.funds && s.count == x.count }) {
		r.fault("at no position from %d to %d was the account as it was read: %v", low, high, x)
	}
}

// tooMuch is more than there is.
const tooMuch = 1 << 50

// TestHarnessReplay kills the server under the load of a dozen clients. Then
// the journal, replayed in its order, has to give every answer: what was paid
// leaves the funds that the receipt says, and what was refused or read was so at
// a position between those answered before and those asked for after.
func TestHarnessReplay(t *testing.T) {
	p := newProcess(t, "--supply", "9007199254740991")
	c := newCrowd(t, p, 5, 1_000_000_000_000)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	var amount atomic.Int64
	var mu sync.Mutex
	repeatable := make(map[int][]asked) // by sender
	answers, kills := 0, 0
	next := func(rng *rand.Rand, client int) *call {
		if c.lives.Load() > int64(kills) {
			return nil
		}
		account := client % len(c.holders)
		mu.Lock()
		defer mu.Unlock()
		if again := repeatable[account]; len(again) > 0 && rng.IntN(8) == 0 {
			return &call{account: account, transfers: []asked{again[rng.IntN(len(again))]}}
		}
		return c.randomCall(rng, account, func(receiver int) asked {
			a := asked{receiver: receiver, amount: amount.Add(1)}
			switch rng.IntN(8) {
			case 0:
				a.amount += tooMuch
			case 1, 2, 3:
				a.key = fmt.Sprint("k", a.amount)
			}
			return a
		})
	}
	_, first := c.journal(0)
	for end := time.Now().Add(harness.Budget(t, 2*time.Second)); kills == 0 || time.Now().Before(end); {
		c.calls = nil
		clear(repeatable)
		for range 3 {
			c.run(rng, 12, 1, func() time.Duration { return time.Duration(1+rng.IntN(150)) * time.Millisecond }, next, func() {})
			kills++
			for _, x := range c.calls {
				for i, v := range x.verdicts {
					if a := x.transfers[i]; v.code == "" && a.key != "" && !v.replayed {
						repeatable[x.account] = append(repeatable[x.account], a)
					}
				}
			}
		}
		entries, last := c.journal(first[0].position)
		if faults := newReplay(first, entries).compare(c.calls); len(faults) > 0 {
			t.Fatalf("after %d kills: %s", kills, strings.Join(faults[:min(len(faults), 10)], "\n"))
		}
		first = last
		answers += len(c.calls)
	}
	p.auditClean()
	harness.Count(t, "kills under a replayed load", kills)
	harness.Count(t, "answers replayed", answers)
}

// journal ends the server, reads the transfers after a position from its file,
// and what the accounts have at its end, and starts it again.
func (c *crowd) journal(after uint64) (entries []*entry, last []standing) {
	c.t.Helper()
	if err := c.p.cmd.Process.Kill(); err != nil {
		c.t.Fatal(err)
	}
	c.p.end()
	led, err := capycoin.Open(filepath.Join(c.p.dir, "capycoin.db"), nil)
	if err != nil {
		c.t.Fatal(err)
	}
	ctx := c.t.Context()
	supply, err := led.Supply(ctx)
	if err != nil {
		c.t.Fatal(err)
	}
	for i, h := range c.holders {
		id := uuid.MustParse(h.ID)
		for tx, err := range led.Transactions(ctx, id, capycoin.Range{Order: capycoin.NewestFirst, Limit: capycoin.MaxPage}) {
			if err != nil {
				c.t.Fatal(err)
			}
			if tx.Position <= after {
				break
			}
			if tx.Sender == id {
				entries = append(entries, &entry{
					position: tx.Position, id: tx.ID.String(), sender: i, receiver: c.index[tx.Receiver.String()],
					amount: int64(tx.Amount), key: tx.Key, funds: int64(tx.FundsAfter),
				})
			}
		}
		a, err := led.Account(ctx, id)
		if err != nil {
			c.t.Fatal(err)
		}
		last = append(last, standing{supply.Position, int64(a.Funds), a.Transactions})
	}
	if err := led.Close(); err != nil {
		c.t.Fatal(err)
	}
	slices.SortFunc(entries, func(a, b *entry) int { return cmp.Compare(a.position, b.position) })
	c.p.start()
	return entries, last
}
