package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"
	"time"
)

// asked is a transfer that a worker asked for.
type asked struct {
	key   string
	body  string
	reply []byte // the receipt; nil if no answer came
	txID  string
}

// worker pays from its account, one request after the other, each with a key.
type worker struct {
	holder
	to      string
	asked   []asked
	granted int // transactions it was party to before
}

func (w *worker) path() string { return "/account/" + w.ID + "/transaction" }

// TestKill kills the server at random moments under load, starts it again, and
// compares what it has with what was acknowledged: nothing of that is lost,
// nothing is there that was not asked for, and each key gives the receipt that
// it gave before.
func TestKill(t *testing.T) {
	rounds := 12
	if testing.Short() {
		rounds = 2
	}
	p := newProcess(t, "--supply", "1000000000")
	workers := make([]*worker, 8)
	for i := range workers {
		workers[i] = &worker{holder: p.open(1_000_000), granted: 1}
	}
	receivers := make([]holder, len(workers))
	for i, w := range workers {
		receivers[i] = p.open(0)
		w.to = receivers[i].ID
	}
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	total := 0
	for round := range rounds {
		var wg sync.WaitGroup
		for _, w := range workers {
			wg.Go(func() { w.pay(p, round) })
		}
		time.Sleep(time.Duration(1+rng.IntN(250)) * time.Millisecond)
		if err := p.cmd.Process.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		p.end()
		wg.Wait()
		p.start()
		for _, w := range workers {
			total += w.check(t, p)
		}
	}
	p.auditClean()
	if total < 20*rounds {
		t.Errorf("only %d transfers were acknowledged in %d rounds", total, rounds)
	}
	t.Logf("%d transfers acknowledged, %d kills", total, rounds)
}

// pay asks for transfers until the server is gone.
func (w *worker) pay(p *process, round int) {
	for n := 0; ; n++ {
		a := asked{key: fmt.Sprintf("r%d-%d", round, n), body: fmt.Sprintf(`{"receiver":%q,"amount":%d}`, w.to, 1+n%5)}
		got, err := p.request("POST", w.path(), w.Token, a.key, a.body)
		if err == nil && got.status == 200 {
			a.reply = got.body
		}
		w.asked = append(w.asked, a)
		if err != nil {
			return
		}
		if got.status != 200 {
			p.t.Errorf("%s: %d %s", a.key, got.status, got.body)
			return
		}
	}
}

// check compares a worker's history with what it asked for, and returns how
// many acknowledged transfers are new since it was last checked.
func (w *worker) check(t *testing.T, p *process) (acknowledged int) {
	t.Helper()
	for i := range w.asked {
		a := &w.asked[i]
		if a.txID != "" {
			continue // checked in an earlier round, and in the history below
		}
		// Repeating it is what a client does that got no answer.
		got, err := p.request("POST", w.path(), w.Token, a.key, a.body)
		if err != nil || got.status != 200 {
			t.Fatalf("repeating %s: %d %s %v", a.key, got.status, got.body, err)
		}
		if a.reply != nil {
			acknowledged++
			if !got.replayed || !bytes.Equal(got.body, a.reply) {
				t.Errorf("%s was acknowledged with %s; repeated, it is answered %s, replayed %t", a.key, a.reply, got.body, got.replayed)
			}
		}
		var receipt struct {
			TransactionID string `json:"transaction_id"`
		}
		if err := json.Unmarshal(got.body, &receipt); err != nil {
			t.Fatal(err)
		}
		a.txID = receipt.TransactionID
	}
	// Now each was made once: the history has them all, and nothing else.
	var ids []string
	for cursor := ""; ; {
		var page struct {
			Transactions []struct {
				ID string `json:"transaction_id"`
			}
			Next string `json:"next_cursor"`
		}
		p.ask("GET", "/account/"+w.ID+"/transactions?limit=1000"+cursor, w.Token, "", "", &page)
		for _, tx := range page.Transactions {
			ids = append(ids, tx.ID)
		}
		if page.Next == "" {
			break
		}
		cursor = "&cursor=" + page.Next
	}
	if len(ids) != w.granted+len(w.asked) {
		t.Errorf("the history has %d transactions, asked for were %d", len(ids)-w.granted, len(w.asked))
	}
	made := make(map[string]bool)
	for _, id := range ids {
		made[id] = true
	}
	for _, a := range w.asked {
		if !made[a.txID] {
			t.Errorf("%s, transaction %s, is not in the history", a.key, a.txID)
		}
	}
	return acknowledged
}
