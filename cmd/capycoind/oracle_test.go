package main

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/harness"
)

// An oracle knows what was asked of a server and what it answered, and judges
// by that what is in the file. Each transfer asks for an amount that no other
// asks for, so that it can be told from all others, with a key or without.
type oracle struct {
	t       *testing.T
	report  func(format string, args ...any) // of what should not be
	p       *process
	holders []holder     // every second one has a key
	ledger  uuid.UUID    // the ledger's id
	turning string       // the account whose key is changed over and over
	amount  atomic.Int64 // the last one asked for
	ending  atomic.Bool  // load is to send nothing more

	mu        sync.Mutex
	transfers map[int64]*transfer // by amount
	batches   [][]*transfer       // atomic ones
	opened    []string            // accounts whose opening was acknowledged
	openings  int                 // those asked for
	version   uint32              // of the turning key: the last one acknowledged
}

// transfer is one that was asked for.
type transfer struct {
	sender, receiver string
	amount           int64
	key              string
	fate             fate
	id               string // of its transaction, if it is made
}

type fate int

const (
	unanswered   fate = iota // asked for, no answer: it may be made or not
	acknowledged             // made, for ever
	lost                     // found not to be made, for ever
)

func newOracle(t *testing.T, p *process, holders int) *oracle {
	o := &oracle{t: t, report: t.Errorf, p: p, transfers: make(map[int64]*transfer), version: 1}
	var supply struct {
		ID uuid.UUID `json:"ledger_id"`
	}
	p.ask("GET", "/supply", "", "", "", &supply)
	o.ledger = supply.ID
	p.ask("PUT", "/fee/policy", "", "", `{"flat":1,"basis_points":10}`, nil)
	for i := range holders {
		var key ed25519.PrivateKey
		if i%2 == 1 {
			key, _ = oracleKey(fmt.Sprint("holder ", i))
		}
		h := p.openKeyed(1_000_000_000_000, key)
		o.holders = append(o.holders, h)
		o.opened = append(o.opened, h.ID)
	}
	key, _ := oracleKey("turn 1")
	o.turning = p.openKeyed(0, key).ID
	o.opened = append(o.opened, o.turning)
	o.openings = holders + 1
	return o
}

// ask notes a new transfer, before it is sent.
func (o *oracle) ask(rng *rand.Rand, sender int, keyed bool) *transfer {
	receiver := (sender + 1 + rng.IntN(len(o.holders)-1)) % len(o.holders)
	x := &transfer{sender: o.holders[sender].ID, receiver: o.holders[receiver].ID, amount: o.amount.Add(1)}
	if keyed || o.holders[sender].key != nil {
		x.key = fmt.Sprintf("k%d", x.amount)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.transfers[x.amount] = x
	return x
}

// acknowledge notes that a transfer was answered with a receipt.
func (o *oracle) acknowledge(x *transfer, id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if x.fate == acknowledged && x.id != id {
		o.report("transfer %d was transaction %s and now is %s", x.amount, x.id, id)
	}
	x.fate, x.id = acknowledged, id
}

// loads begins load from all accounts, and of changes of a key.
func (o *oracle) loads(rng *rand.Rand, running *sync.WaitGroup) {
	for i := range 2 * len(o.holders) {
		worker := rand.New(rand.NewPCG(rng.Uint64(), 0))
		running.Go(func() { o.load(worker, i%len(o.holders)) })
	}
	running.Go(o.turn)
}

// load sends requests from one account, one after the other, until the server
// is gone or the load is to end.
func (o *oracle) load(rng *rand.Rand, sender int) {
	h := o.holders[sender]
	var keyed []*transfer // those that were acknowledged
	for !o.ending.Load() {
		var err error
		switch n := rng.IntN(100); {
		case n < 10:
			err = o.batch(rng, sender)
		case n < 13:
			err = o.open()
		case n < 25 && len(keyed) > 0:
			err = o.pay(h, keyed[rng.IntN(len(keyed))], true)
		default:
			x := o.ask(rng, sender, n < 70)
			if err = o.pay(h, x, false); err == nil && x.key != "" {
				keyed = append(keyed, x)
			}
		}
		if err != nil {
			return
		}
	}
}

// pay sends a transfer. The error is that of the connection.
func (o *oracle) pay(h holder, x *transfer, again bool) error {
	a, err := o.p.request("POST", "/account/"+h.ID+"/transaction", h.Token, x.key, o.body(h, x))
	if err != nil {
		return err
	}
	var r struct {
		ID  string `json:"transaction_id"`
		Fee int64
	}
	if err := json.Unmarshal(a.body, &r); err != nil || a.status != http.StatusOK || a.replayed != again || r.Fee != x.fee() {
		o.report("transfer %d, repeated %t: %d, replayed %t, %s", x.amount, again, a.status, a.replayed, a.body)
		return errors.New("not as it should be")
	}
	o.acknowledge(x, r.ID)
	return nil
}

// batch sends an atomic batch.
func (o *oracle) batch(rng *rand.Rand, sender int) error {
	h := o.holders[sender]
	var asked []*transfer
	var items []map[string]any
	for range 2 + rng.IntN(30) {
		x := o.ask(rng, sender, rng.IntN(2) == 0)
		asked = append(asked, x)
		m := o.members(h, x)
		if x.key != "" {
			m["key"] = x.key
		}
		items = append(items, m)
	}
	o.mu.Lock()
	o.batches = append(o.batches, asked)
	o.mu.Unlock()
	body, err := json.Marshal(map[string]any{"transactions": items, "atomic": true})
	if err != nil {
		return err
	}
	a, err := o.p.request("POST", "/account/"+h.ID+"/transactions", h.Token, "", string(body))
	if err != nil {
		return err
	}
	var r struct {
		Transactions []struct {
			ID string `json:"transaction_id"`
		}
	}
	if err := json.Unmarshal(a.body, &r); err != nil || a.status != http.StatusOK || len(r.Transactions) != len(asked) {
		o.report("a batch of %d: %d %s", len(asked), a.status, a.body)
		return errors.New("not as it should be")
	}
	for i, x := range asked {
		o.acknowledge(x, r.Transactions[i].ID)
	}
	return nil
}

// open opens an account with a token.
func (o *oracle) open() error {
	o.mu.Lock()
	o.openings++
	o.mu.Unlock()
	a, err := o.p.request("POST", "/account", "none", "", "")
	if err != nil {
		return err
	}
	var h holder
	switch err := json.Unmarshal(a.body, &h); {
	case a.status == http.StatusServiceUnavailable || a.status == http.StatusTooManyRequests:
		return nil // too many at once, or in a minute where the machine is fast
	case err != nil || a.status != http.StatusOK:
		o.report("opening an account: %d %s", a.status, a.body)
		return errors.New("not as it should be")
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.opened = append(o.opened, h.ID)
	return nil
}

// judge opens the file, with no server running, and compares it with all that
// was ever asked and answered. What was not answered it settles: from then on
// it is made or not. It returns how many of these were made, and how many not.
func (o *oracle) judge() (made, not int) {
	led, err := capycoin.Open(filepath.Join(o.p.dir, "capycoin.db"), nil)
	if err != nil {
		o.t.Fatal(err)
	}
	defer led.Close()
	ctx := o.t.Context()
	if report, err := led.Audit(ctx, nil); err != nil || report.Err() != nil {
		o.report("the audit: %v %v", err, report.Err())
	}
	found := make(map[int64]string)
	for _, h := range o.holders {
		id := uuid.MustParse(h.ID)
		for tx, err := range led.Transactions(ctx, id, capycoin.Range{Limit: 1000}) {
			if err != nil {
				o.t.Fatal(err)
			}
			if tx.Sender != id {
				continue // the sender's history has it, too
			}
			amount := int64(tx.Amount)
			x := o.transfers[amount]
			switch {
			case x == nil:
				o.report("nobody asked for %+v", tx)
			case found[amount] != "":
				o.report("transfer %d was made twice: %s and %s", amount, found[amount], tx.ID)
			case x.sender != tx.Sender.String() || x.receiver != tx.Receiver.String() || x.key != tx.Key || x.fee() != int64(tx.Fee):
				o.report("transfer %+v was made as %+v", x, tx)
			}
			found[amount] = tx.ID.String()
		}
	}
	for _, b := range o.batches {
		first := found[b[0].amount] != ""
		for _, x := range b {
			if (found[x.amount] != "") != first {
				o.report("an atomic batch was made in part: %d is there: %t, %d: %t", b[0].amount, first, x.amount, !first)
			}
		}
	}
	for amount, x := range o.transfers {
		id := found[amount]
		switch {
		case x.fate == acknowledged && id != x.id:
			o.report("transfer %d was acknowledged as %s; there is %q", amount, x.id, id)
		case x.fate == lost && id != "":
			o.report("transfer %d was not there after a kill and is now: %s", amount, id)
		case x.fate == unanswered && id != "":
			x.fate, x.id = acknowledged, id
			made++
		case x.fate == unanswered:
			x.fate = lost
			not++
		}
	}
	o.judgeAccounts(led)
	return made, not
}

// judgeAccounts compares the accounts: those acknowledged are there, no more
// than were asked for, and each with the token it was opened with.
func (o *oracle) judgeAccounts(led *capycoin.Ledger) {
	iss, err := capycoin.NewTokenIssuer(led, nil)
	if err != nil {
		o.t.Fatal(err)
	}
	there := make(map[string]bool)
	for a, err := range led.Accounts(o.t.Context()) {
		if err != nil {
			o.t.Fatal(err)
		}
		if a.ID == capycoin.DefaultSeedAccount() || a.ID == capycoin.FeeAccount() {
			continue
		}
		if a.ID.String() == o.turning {
			o.judgeKey(a)
		}
		there[a.ID.String()] = true
		if tokens, err := iss.List(o.t.Context(), a.ID); err != nil || len(tokens) != 1 {
			o.report("account %s has %d tokens, want 1: %v", a.ID, len(tokens), err)
		}
	}
	for _, id := range o.opened {
		if !there[id] {
			o.report("account %s was acknowledged and is gone", id)
		}
	}
	if len(there) > o.openings {
		o.report("there are %d accounts, asked for were %d", len(there), o.openings)
	}
}

// TestHarnessKill kills the server under a load of all sorts: transfers with
// keys and without, repeated ones, atomic batches, new accounts. After each
// kill the file is judged as it is, before a server sees it again.
func TestHarnessKill(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	kills, transfers, made, not := 0, 0, 0, 0
	for end := time.Now().Add(harness.Budget(t, 2*time.Second)); kills == 0 || time.Now().Before(end) && !t.Failed(); {
		// A new file from time to time: after each kill all of it is read.
		t.Run(fmt.Sprintf("after %d kills", kills), func(t *testing.T) {
			p := newProcess(t, "--supply", "9007199254740991")
			o := newOracle(t, p, 6)
			for round := 0; round < 20 && (round < 2 || time.Now().Before(end)); round++ {
				if round > 0 {
					p.start()
				}
				o.kill(rng, round == 0)
				kills++
				m, n := o.judge()
				made, not = made+m, not+n
				if t.Failed() {
					t.Fatalf("in round %d", round)
				}
			}
			p.start()
			transfers += o.repeat(rng)
		})
	}
	t.Logf("of the transfers without an answer %d were made, %d not", made, not)
	harness.Count(t, "kills survived", kills)
	harness.Count(t, "transfers acknowledged before kills, and there", transfers)
	if transfers < 100 {
		t.Errorf("only %d transfers were made", transfers)
	}
}

// kill kills the server under load; at first not before there is something to
// lose, however slow the machine is.
func (o *oracle) kill(rng *rand.Rand, first bool) {
	var load sync.WaitGroup
	o.loads(rng, &load)
	for deadline := time.Now().Add(20 * time.Second); first && o.amount.Load() < 200 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(time.Duration(1+rng.IntN(300)) * time.Millisecond)
	if err := o.p.cmd.Process.Kill(); err != nil {
		o.t.Fatal(err)
	}
	o.p.end()
	load.Wait()
}

// repeat asks again for some of the transfers that have a key and were made, and
// returns how many were made at all.
func (o *oracle) repeat(rng *rand.Rand) (made int) {
	for _, x := range o.transfers {
		if x.fate == acknowledged {
			made++
		}
	}
	for _, x := range o.transfers {
		if x.key == "" || x.fate != acknowledged || rng.IntN(1+made/500) > 0 {
			continue
		}
		for _, h := range o.holders {
			if h.ID == x.sender {
				o.pay(h, x, true)
			}
		}
	}
	return made
}

// TestHarnessKillAtCreation kills servers while they make their file: it is
// there whole or not at all, and the next one goes on from that.
func TestHarnessKillAtCreation(t *testing.T) {
	p := newProcess(t)
	p.cmd.Process.Kill()
	p.end()
	path := filepath.Join(p.dir, "capycoin.db")
	kills, there := 0, 0
	for end := time.Now().Add(harness.Budget(t, time.Second)); kills < 24 || time.Now().Before(end); kills++ {
		for _, name := range []string{path, path + ".witness"} {
			if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
		}
		cmd := exec.Command("capycoind", "--listen", p.addr, "--supply", "12345")
		cmd.Dir = p.dir
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		after := time.Duration(kills*7_919%24_000) * 2 * time.Microsecond
		time.Sleep(after)
		cmd.Process.Kill()
		cmd.Wait()
		if _, err := os.Stat(path); err == nil {
			there++
		}
		led, err := capycoin.Open(path, &capycoin.Options{Supply: 12345})
		if err != nil {
			t.Fatalf("killed after %v: %v", after, err)
		}
		led.Close()
	}
	t.Logf("the file was there %d times", there)
	harness.Count(t, "kills while the file was made", kills)
	p.start("--supply", "12345")
	var s struct{ Supply, Transactions int64 }
	p.ask("GET", "/supply", "", "", "", &s)
	if s.Supply != 12345 || s.Transactions != 0 {
		t.Errorf("got %+v, want a supply of 12345 and no transactions", s)
	}
}

// TestOracle: the oracle does see what is lost, made twice, made up, or made
// in part.
func TestOracle(t *testing.T) {
	p := newProcess(t)
	p.ask("PUT", "/fee/policy", "", "", `{"flat":1,"basis_points":10}`, nil)
	key, _ := oracleKey("turn 1")
	a, b, c := p.open(1000), p.open(1000), p.openKeyed(0, key)
	pay := func(amount int, key string) string {
		var r struct {
			ID string `json:"transaction_id"`
		}
		p.ask("POST", "/account/"+a.ID+"/transaction", a.Token, key, fmt.Sprintf(`{"receiver":%q,"amount":%d}`, b.ID, amount), &r)
		return r.ID
	}
	first, second := pay(1, "one"), pay(2, "")
	p.cmd.Process.Kill()
	p.end()
	for _, tt := range []struct {
		change func(o *oracle)
		want   string // "" for nothing
	}{
		{func(*oracle) {}, ""},
		{func(o *oracle) { o.transfers[2].fate, o.transfers[2].id = unanswered, "" }, ""},
		{func(o *oracle) { o.transfers[9] = &transfer{amount: 9} }, ""},
		{func(o *oracle) { o.transfers[9] = &transfer{amount: 9, fate: lost} }, ""},
		{func(o *oracle) { o.transfers[9] = &transfer{amount: 9, fate: acknowledged, id: first} }, "was acknowledged"},
		{func(o *oracle) { o.transfers[2].id = first }, "was acknowledged"},
		{func(o *oracle) { o.transfers[2].fate = lost }, "is now"},
		{func(o *oracle) { delete(o.transfers, 2) }, "nobody asked"},
		{func(o *oracle) { o.transfers[1].key = "" }, "was made as"},
		{func(o *oracle) { o.transfers[2].receiver = a.ID }, "was made as"},
		{func(o *oracle) { o.holders = append(o.holders, a) }, "made twice"},
		{func(o *oracle) {
			o.transfers[9] = &transfer{amount: 9}
			o.batches = [][]*transfer{{o.transfers[1], o.transfers[9]}}
		}, "in part"},
		{func(o *oracle) { o.opened = append(o.opened, uuid.NewString()) }, "is gone"},
		{func(o *oracle) { o.openings = 2 }, "there are 3 accounts"},
		{func(o *oracle) { o.version = 2 }, "version 2 of the key was acknowledged"},
		{func(o *oracle) { o.version = 0 }, ""},
		{func(o *oracle) { o.turning = b.ID }, "version 1 of the key was acknowledged"},
	} {
		var complaints []string
		o := &oracle{t: t, p: p, holders: []holder{a, b}, opened: []string{a.ID, b.ID}, openings: 3, turning: c.ID, version: 1}
		o.report = func(format string, args ...any) { complaints = append(complaints, fmt.Sprintf(format, args...)) }
		o.transfers = map[int64]*transfer{
			1: {sender: a.ID, receiver: b.ID, amount: 1, key: "one", fate: acknowledged, id: first},
			2: {sender: a.ID, receiver: b.ID, amount: 2, fate: acknowledged, id: second},
		}
		tt.change(o)
		o.judge()
		got := strings.Join(complaints, "\n")
		if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("the oracle said %q, want %q", got, tt.want)
		}
	}
}
