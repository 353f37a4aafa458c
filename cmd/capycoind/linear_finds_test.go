package main

import (
	"strings"
	"testing"
)

// TestReplayFinds: answers that the journal does not explain are seen.
func TestReplayFinds(t *testing.T) {
	// Two accounts with 100 coins each. Record 11 is paid with a key, and asked for
	// again; 12 and 13 are a batch; 14 has no answer.
	type world struct {
		entries []*entry
		calls   []*call
	}
	paid := func(from, to int64, account int, transfers []asked, verdicts ...verdict) *call {
		return &call{from: from, to: to, account: account, batch: len(transfers) > 1, index: -1, answered: len(verdicts) > 0, transfers: transfers, verdicts: verdicts}
	}
	made := func() *world {
		first, again := asked{1, 10, "k"}, asked{1, 10, "k"}
		silent := paid(70, 80, 1, []asked{{0, 5, ""}})
		return &world{
			entries: []*entry{
				{position: 11, id: "a", sender: 0, receiver: 1, amount: 10, key: "k", funds: 90},
				{position: 12, id: "b", sender: 1, receiver: 0, amount: 1, funds: 109},
				{position: 13, id: "c", sender: 1, receiver: 0, amount: 2, funds: 107},
				{position: 14, id: "d", sender: 1, receiver: 0, amount: 5, funds: 102},
			},
			calls: []*call{
				paid(10, 20, 0, []asked{first}, verdict{id: "a", position: 11, funds: 90}),
				paid(30, 40, 1, []asked{{0, 1, ""}, {0, 2, ""}, {0, tooMuch, ""}},
					verdict{id: "b", position: 12, funds: 109}, verdict{id: "c", position: 13, funds: 107}, verdict{code: "insufficient_funds", funds: 107}),
				paid(50, 60, 0, []asked{again}, verdict{id: "a", position: 11, funds: 90, replayed: true}),
				silent,
				{from: 90, to: 100, account: 0, index: -1, read: true, answered: true, funds: 98, count: 4},
			},
		}
	}
	for name, tt := range map[string]struct {
		change func(w *world)
		want   string // "" for nothing
	}{
		"as it is":                 {func(*world) {}, ""},
		"silent and not made":      {func(w *world) { w.entries = w.entries[:3]; w.calls = w.calls[:4] }, ""},
		"read before the last one": {func(w *world) { w.calls[4].from, w.calls[4].to, w.calls[4].funds, w.calls[4].count = 75, 79, 93, 3 }, ""},
		"lost":                     {func(w *world) { w.calls[0].verdicts[0].id = "x" }, "is not in the journal"},
		"of other funds":           {func(w *world) { w.calls[0].verdicts[0].funds++ }, "acknowledged was"},
		"journal does not add up":  {func(w *world) { w.entries[2].funds++; w.calls[1].verdicts[1].funds++ }, "by those before it it leaves"},
		"to somebody else":         {func(w *world) { w.calls[0].transfers[0].receiver = 0 }, "acknowledged was"},
		"new twice":                {func(w *world) { w.calls[2].verdicts[0].replayed = false }, "acknowledged as new twice"},
		"not asked for":            {func(w *world) { w.calls[3].transfers[0].amount = 6 }, "nobody asked"},
		"by another one":           {func(w *world) { w.calls[3].account = 0 }, "nobody asked"},
		"judged too early":         {func(w *world) { w.calls[0].from, w.calls[0].to = 62, 65 }, "too early or too late"},
		"repeated before made":     {func(w *world) { w.calls[2].from, w.calls[2].to = 1, 2 }, "a later one than can be"},
		"read too late":            {func(w *world) { w.calls[4].funds, w.calls[4].count = 90, 1 }, "as it was read"},
		"read what never was":      {func(w *world) { w.calls[4].funds = 99 }, "as it was read"},
		"refused with other funds": {func(w *world) { w.calls[1].verdicts[2].funds = 109 }, "what the refusal says"},
		"refused for no reason":    {func(w *world) { w.calls[1].verdicts[2].code = "same_account" }, "for no reason"},
		"batch in part": {func(w *world) {
			w.calls[1].answered, w.calls[1].verdicts = false, nil
			w.entries = w.entries[:2]
			w.calls = w.calls[:3]
		}, "1 of 3 transfers of a batch"},
		"batch torn apart": {func(w *world) {
			w.entries[2].position, w.entries[3].position = 14, 13
			w.entries[2], w.entries[3] = w.entries[3], w.entries[2]
			w.entries[2].funds, w.entries[3].funds = 104, 102
			w.calls[1].verdicts = []verdict{{id: "b", position: 12, funds: 109}, {id: "c", position: 14, funds: 102}, {code: "insufficient_funds", funds: 102}}
			w.calls[3].from = 35
		}, "among those of a batch"},
	} {
		w := made()
		tt.change(w)
		got := strings.Join(newReplay([]standing{{10, 100, 0}, {10, 100, 0}}, w.entries).compare(w.calls), "\n")
		if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
}
