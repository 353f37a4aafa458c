package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/capycoin/capycoin/internal/harness"
)

const (
	smallHolders = 3
	smallKeys    = 3 // of each of them, in a history
)

// smallState is a ledger of a few accounts, with the keys that were used in one
// history. It is compared by ==.
type smallState struct {
	funds, count [smallHolders]int64
	keys         [smallHolders][smallKeys]smallKey
}

// smallKey is what a key was used for.
type smallKey struct {
	used     bool
	id       string // "" if nobody was told it
	receiver int
	amount   int64
	funds    int64 // the sender's afterwards
}

// key returns what is known of a key, named "….0" to "….2".
func (s *smallState) key(account int, name string) *smallKey {
	return &s.keys[account][name[len(name)-1]-'0']
}

// transfer makes a transfer and returns what is answered, but for the id and
// position of a new one.
func (s *smallState) transfer(account int, a asked) verdict {
	if a.key != "" {
		if k := s.key(account, a.key); k.used {
			if k.receiver != a.receiver || k.amount != a.amount {
				return verdict{code: "idempotency_key_reused"}
			}
			return verdict{id: k.id, funds: k.funds, replayed: true}
		}
	}
	if s.funds[account] < a.amount {
		return verdict{code: "insufficient_funds", funds: s.funds[account]}
	}
	s.funds[account] -= a.amount
	s.funds[a.receiver] += a.amount
	s.count[account]++
	s.count[a.receiver]++
	if a.key != "" {
		*s.key(account, a.key) = smallKey{true, "", a.receiver, a.amount, s.funds[account]}
	}
	return verdict{funds: s.funds[account]}
}

// matches makes a transfer, and tells whether the answer is the one that was
// given.
func (s *smallState) matches(account int, a asked, got verdict) bool {
	want := s.transfer(account, a)
	if want.code == "" && want.id == "" {
		want.id = got.id // a new one, or one whose first request was not answered
		if a.key != "" {
			s.key(account, a.key).id = got.id
		}
	}
	got.position = 0
	return want == got
}

// step returns the states that a request can lead to, none if the answer can't
// be from here.
func (s smallState) step(x *call) []any {
	switch {
	case x.read && x.answered && (s.funds[x.account] != x.funds || s.count[x.account] != x.count):
		return nil
	case x.read:
		return []any{s}
	}
	after := s
	switch {
	case !x.answered: // it may be made or not
		for _, a := range x.transfers {
			if v := after.transfer(x.account, a); v.code != "" && x.atomic {
				return []any{s}
			}
		}
		return []any{s, after}
	case x.index >= 0:
		for i, a := range x.transfers {
			v := after.transfer(x.account, a)
			if i == x.index && v == x.verdicts[0] {
				return []any{s}
			}
			if v.code != "" {
				return nil
			}
		}
		return nil
	}
	for i, a := range x.transfers {
		if !after.matches(x.account, a, x.verdicts[i]) || x.atomic && x.verdicts[i].code != "" {
			return nil
		}
	}
	return []any{after}
}

// linearizable tells whether there is an order of the calls, each at a moment
// between its question and its answer, in which a plain model gives the same
// answers.
func linearizable(first smallState, calls []*call) porcupine.CheckResult {
	nondeterministic := porcupine.NondeterministicModel{
		Init: func() []any { return []any{first} },
		Step: func(state, input, _ any) []any { return state.(smallState).step(input.(*call)) },
	}
	model := nondeterministic.ToModel()
	operations := make([]porcupine.Operation, len(calls))
	for i, x := range calls {
		operations[i] = porcupine.Operation{ClientId: x.client, Input: x, Call: x.from, Return: x.to}
	}
	return porcupine.CheckOperationsTimeout(model, operations, time.Minute)
}

// TestHarnessLinearizable lets a few clients share a few accounts, so that they
// meet, and kills the server once or twice meanwhile. Every history has to be
// one that a ledger could have that does one thing after the other: what has no
// answer was done once before the kill, or never.
func TestHarnessLinearizable(t *testing.T) {
	p := newProcess(t)
	c := newCrowd(t, p, smallHolders, 60)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	histories, operations, unanswered, longest := 0, 0, 0, time.Duration(0)
	for end := time.Now().Add(harness.Budget(t, 2*time.Second)); histories == 0 || time.Now().Before(end); histories++ {
		c.calls = nil
		first := c.state()
		left := make([]int, 6)
		for i := range left {
			left[i] = 15
		}
		c.run(rng, len(left), 1+rng.IntN(2), func() time.Duration { return time.Duration(rng.IntN(6_000)) * time.Microsecond },
			func(rng *rand.Rand, client int) *call {
				if left[client]--; left[client] < 0 {
					return nil
				}
				return c.randomCall(rng, client%smallHolders, func(receiver int) asked {
					a := asked{receiver: receiver, amount: 1 + rng.Int64N(30)}
					if rng.IntN(2) == 0 {
						key := rng.IntN(smallKeys)
						a.key = fmt.Sprintf("h%d.%d", histories, key)
						if rng.IntN(5) > 0 { // mostly the same transfer again
							a.receiver, a.amount = (client+1)%smallHolders, int64(5+key)
						}
					}
					return a
				})
			}, c.look)
		c.look()
		began := time.Now()
		if got := linearizable(first, c.calls); got != porcupine.Ok {
			t.Fatalf("history %d is not linearizable (%s), from %+v:\n%s", histories, got, first, printed(c.calls))
		}
		longest = max(longest, time.Since(began))
		operations += len(c.calls)
		for _, x := range c.calls {
			if !x.answered {
				unanswered++
			}
		}
	}
	p.auditClean()
	harness.Count(t, "histories linearizable", histories)
	harness.Count(t, "operations in them", operations)
	t.Logf("%d of the operations had no answer; the longest search took %v", unanswered, longest)
}

// look reads all accounts while nobody else asks anything, as a part of the
// history. That tells early what became of what has no answer, or the search for
// an order would try far too many.
func (c *crowd) look() {
	for i := range c.holders {
		c.send(&call{account: i, read: true})
	}
}

// state reads all accounts.
func (c *crowd) state() (s smallState) {
	for i, h := range c.holders {
		var r reply
		c.p.ask("GET", "/account/"+h.ID, h.Token, "", "", &r)
		s.funds[i], s.count[i] = r.Funds, r.Count
	}
	return s
}

// TestLinearizableFinds: histories that no ledger could have are seen.
func TestLinearizableFinds(t *testing.T) {
	pay := func(from, to int64, account, receiver int, amount int64, key string, v verdict) *call {
		return &call{from: from, to: to, account: account, index: -1, answered: true,
			transfers: []asked{{receiver, amount, key}}, verdicts: []verdict{v}}
	}
	read := func(from, to int64, account int, funds, count int64) *call {
		return &call{from: from, to: to, account: account, read: true, answered: true, funds: funds, count: count}
	}
	silent := func(x *call) *call { x.answered, x.verdicts = false, nil; return x }
	batch := func(x *call, index int, others ...asked) *call {
		x.batch, x.atomic, x.index = true, true, index
		x.transfers = append(x.transfers, others...)
		return x
	}
	made := func(id string, funds int64) verdict { return verdict{id: id, funds: funds} }
	again := func(id string, funds int64) verdict { return verdict{id: id, funds: funds, replayed: true} }
	short := func(funds int64) verdict { return verdict{code: "insufficient_funds", funds: funds} }
	for name, tt := range map[string]struct {
		calls []*call
		want  porcupine.CheckResult
	}{
		"one after the other":           {[]*call{pay(1, 2, 0, 1, 4, "", made("a", 6)), read(3, 4, 1, 14, 1)}, porcupine.Ok},
		"read too late":                 {[]*call{pay(1, 2, 0, 1, 4, "", made("a", 6)), read(3, 4, 1, 10, 0)}, porcupine.Illegal},
		"read at the same time":         {[]*call{pay(1, 3, 0, 1, 4, "", made("a", 6)), read(2, 4, 1, 10, 0)}, porcupine.Ok},
		"two of the same funds":         {[]*call{pay(1, 9, 0, 1, 7, "", made("a", 3)), pay(1, 9, 0, 2, 7, "", made("b", 3))}, porcupine.Illegal},
		"one of them refused":           {[]*call{pay(1, 9, 0, 1, 7, "", made("a", 3)), pay(1, 9, 0, 2, 7, "", short(3))}, porcupine.Ok},
		"refused with other funds":      {[]*call{pay(1, 9, 0, 1, 7, "", made("a", 3)), pay(1, 9, 0, 2, 7, "", short(4))}, porcupine.Illegal},
		"refused for no reason":         {[]*call{pay(1, 2, 0, 1, 7, "", short(10))}, porcupine.Illegal},
		"no answer, made":               {[]*call{silent(pay(1, 5, 0, 1, 4, "", verdict{})), read(6, 7, 0, 6, 1)}, porcupine.Ok},
		"no answer, not made":           {[]*call{silent(pay(1, 5, 0, 1, 4, "", verdict{})), read(6, 7, 0, 10, 0)}, porcupine.Ok},
		"no answer, made twice":         {[]*call{silent(pay(1, 5, 0, 1, 4, "", verdict{})), read(6, 7, 0, 2, 2)}, porcupine.Illegal},
		"no answer, made after that":    {[]*call{silent(pay(1, 5, 0, 1, 4, "", verdict{})), read(6, 7, 0, 10, 0), read(8, 9, 0, 6, 1)}, porcupine.Illegal},
		"seen, then gone":               {[]*call{silent(pay(1, 5, 0, 1, 4, "", verdict{})), read(2, 3, 0, 6, 1), read(6, 7, 0, 10, 0)}, porcupine.Illegal},
		"keyed, repeated":               {[]*call{pay(1, 2, 0, 1, 4, "k.0", made("a", 6)), pay(3, 4, 0, 1, 4, "k.0", again("a", 6))}, porcupine.Ok},
		"keyed, repeated, another id":   {[]*call{pay(1, 2, 0, 1, 4, "k.0", made("a", 6)), pay(3, 4, 0, 1, 4, "k.0", again("b", 6))}, porcupine.Illegal},
		"keyed, made twice":             {[]*call{pay(1, 2, 0, 1, 4, "k.0", made("a", 6)), pay(3, 4, 0, 1, 4, "k.0", made("b", 2))}, porcupine.Illegal},
		"keyed, repeated after silence": {[]*call{silent(pay(1, 2, 0, 1, 4, "k.0", verdict{})), pay(3, 4, 0, 1, 4, "k.0", again("a", 6)), pay(5, 6, 0, 1, 4, "k.0", again("a", 6))}, porcupine.Ok},
		"repeated, never made":          {[]*call{pay(3, 4, 0, 1, 4, "k.0", again("a", 6))}, porcupine.Illegal},
		"key of another transfer":       {[]*call{pay(1, 2, 0, 1, 4, "k.0", made("a", 6)), pay(3, 4, 0, 1, 5, "k.0", verdict{code: "idempotency_key_reused"})}, porcupine.Ok},
		"batch, made in part":           {[]*call{silent(batch(pay(1, 2, 0, 1, 4, "", verdict{}), -1, asked{2, 3, ""})), read(3, 4, 1, 14, 1), read(5, 6, 2, 10, 0)}, porcupine.Illegal},
		"batch, refused":                {[]*call{batch(pay(1, 2, 0, 1, 4, "", short(6)), 1, asked{2, 7, ""}), read(3, 4, 0, 10, 0)}, porcupine.Ok},
		"batch, refused and made":       {[]*call{batch(pay(1, 2, 0, 1, 4, "", short(6)), 1, asked{2, 7, ""}), read(3, 4, 0, 6, 1)}, porcupine.Illegal},
	} {
		first := smallState{funds: [smallHolders]int64{10, 10, 10}}
		if got := linearizable(first, tt.calls); got != tt.want {
			t.Errorf("%s: got %s, want %s:\n%s", name, got, tt.want, strings.TrimSpace(printed(tt.calls)))
		}
	}
}
