package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
)

// call is a request of a client: to make transfers, or to read an account.
type call struct {
	client    int
	from, to  int64 // nanoseconds: when it was sent, and answered or known not to be
	account   int   // who asks
	read      bool
	batch     bool
	atomic    bool
	transfers []asked

	answered bool
	verdicts []verdict // of the transfers; of a refused atomic batch that of one of them
	index    int       // which, of a refused atomic batch; else -1
	funds    int64     // what was read
	count    int64
}

// asked is a transfer by the one who asks.
type asked struct {
	receiver int
	amount   int64
	key      string // "": none
}

// verdict is what a transfer was answered.
type verdict struct {
	code     string // "": it was made, now or before
	id       string // of its transaction
	position uint64
	funds    int64 // the sender's: after it, or those that are not enough
	replayed bool
}

func (c *call) String() string {
	at := fmt.Sprintf("%.3f-%.3f ms, account %d", float64(c.from)/1e6, float64(c.to)/1e6, c.account)
	switch {
	case c.read:
		return fmt.Sprintf("%s: reads: answered %t, funds %d, %d transactions", at, c.answered, c.funds, c.count)
	case c.batch:
		return fmt.Sprintf("%s: batch, atomic %t, of %+v: answered %t, refused at %d, %+v", at, c.atomic, c.transfers, c.answered, c.index, c.verdicts)
	}
	return fmt.Sprintf("%s: %+v: answered %t, %+v", at, c.transfers, c.answered, c.verdicts)
}

// crowd are clients of a server that is killed again and again.
type crowd struct {
	t       *testing.T
	p       *process
	holders []holder
	index   map[string]int // of the holders' ids
	start   time.Time
	lives   atomic.Int64 // of the server, so far

	mu    sync.Mutex
	calls []*call
}

func newCrowd(t *testing.T, p *process, holders int, funds int64) *crowd {
	c := &crowd{t: t, p: p, index: make(map[string]int), start: time.Now()}
	for i := range holders {
		h := p.open(funds)
		c.holders = append(c.holders, h)
		c.index[h.ID] = i
	}
	return c
}

func (c *crowd) now() int64 { return time.Since(c.start).Nanoseconds() }

// send sends a request and notes the answer. It returns false if the server is
// gone.
func (c *crowd) send(x *call) bool {
	h := c.holders[x.account]
	method, path, key, body := "GET", "/account/"+h.ID, "", ""
	type item struct {
		Receiver string `json:"receiver"`
		Amount   int64  `json:"amount"`
		Key      string `json:"key,omitempty"`
	}
	switch {
	case x.batch:
		var items []item
		for _, a := range x.transfers {
			items = append(items, item{c.holders[a.receiver].ID, a.amount, a.key})
		}
		b, _ := json.Marshal(map[string]any{"transactions": items, "atomic": x.atomic})
		method, path, body = "POST", path+"/transactions", string(b)
	case !x.read:
		a := x.transfers[0]
		b, _ := json.Marshal(item{c.holders[a.receiver].ID, a.amount, ""})
		method, path, key, body = "POST", path+"/transaction", a.key, string(b)
	}
	x.index = -1
	c.mu.Lock()
	c.calls = append(c.calls, x)
	c.mu.Unlock()
	x.from = c.now()
	a, err := c.p.request(method, path, h.Token, key, body)
	if err != nil {
		return false
	}
	x.to = c.now()
	if err := c.note(x, a); err != nil {
		c.t.Errorf("%v: got %d %s: %v", x, a.status, a.body, err)
		return false
	}
	x.answered = true
	return true
}

// reply is a receipt or a problem.
type reply struct {
	ID          string `json:"transaction_id"`
	SenderFunds int64  `json:"sender_account_funds"`
	Replayed    bool   `json:"replayed"`
	Code        string `json:"code"`
	Index       int    `json:"index"`
	Funds       int64  `json:"funds"`
	Count       int64  `json:"transactions"`
}

func (c *crowd) note(x *call, a answer) error {
	var r reply
	var list struct{ Transactions []reply }
	var err error
	if x.batch && a.status == http.StatusOK {
		err = json.Unmarshal(a.body, &list)
	} else {
		err = json.Unmarshal(a.body, &r)
	}
	switch {
	case err != nil:
		return err
	case a.status != http.StatusOK && a.status != http.StatusUnprocessableEntity:
		return fmt.Errorf("want status 200 or 422")
	case x.read:
		x.funds, x.count = r.Funds, r.Count
		return nil
	case a.status != http.StatusOK && x.atomic:
		x.index = r.Index
	case !x.batch:
		r.Replayed = a.replayed
	}
	if !x.batch || x.index >= 0 {
		list.Transactions = []reply{r}
	} else if len(list.Transactions) != len(x.transfers) {
		return fmt.Errorf("want %d answers", len(x.transfers))
	}
	for _, r := range list.Transactions {
		v := verdict{code: r.Code, id: r.ID, funds: r.SenderFunds, replayed: r.Replayed}
		if r.Code == "" {
			id, err := uuid.Parse(r.ID)
			if err != nil {
				return err
			}
			v.position = binary.BigEndian.Uint64(id[8:]) & (1<<62 - 1)
		} else {
			v.funds = r.Funds
		}
		x.verdicts = append(x.verdicts, v)
	}
	return nil
}

// run lets clients send what next gives them, until it gives no more. Meanwhile
// the server is killed, so many times, and started on the file as it is; before
// the clients go on, risen is called.
func (c *crowd) run(rng *rand.Rand, clients, kills int, wait func() time.Duration, next func(rng *rand.Rand, client int) *call, risen func()) {
	rngs := make([]*rand.Rand, clients)
	for i := range rngs {
		rngs[i] = rand.New(rand.NewPCG(rng.Uint64(), 0))
	}
	done := make([]bool, clients)
	for life := 0; ; life++ {
		var working sync.WaitGroup
		for i := range clients {
			if done[i] {
				continue
			}
			working.Go(func() {
				for {
					x := next(rngs[i], i)
					if x == nil {
						done[i] = true
						return
					}
					if x.client = i; !c.send(x) {
						return
					}
				}
			})
		}
		if life == kills {
			working.Wait()
			return
		}
		time.Sleep(wait())
		if err := c.p.cmd.Process.Kill(); err != nil {
			c.t.Fatal(err)
		}
		c.p.end()
		working.Wait()
		// From now on what has no answer is made or not.
		at := c.now()
		for _, x := range c.calls {
			if x.to == 0 {
				x.to = at
			}
		}
		if c.t.Failed() {
			c.t.FailNow()
		}
		c.p.start()
		c.lives.Add(1)
		risen()
	}
}

// randomCall makes up a request of an account.
func (c *crowd) randomCall(rng *rand.Rand, account int, transfer func(receiver int) asked) *call {
	x := &call{account: account}
	n := 1
	switch r := rng.IntN(10); {
	case r < 2:
		x.read = true
		return x
	case r < 4:
		x.batch, x.atomic = true, rng.IntN(2) == 0
		n = 2 + rng.IntN(3)
	}
	for range n {
		receiver := (account + 1 + rng.IntN(len(c.holders)-1)) % len(c.holders)
		x.transfers = append(x.transfers, transfer(receiver))
	}
	return x
}

// printed lists calls, for a failure.
func printed(calls []*call) string {
	sorted := slices.SortedFunc(slices.Values(calls), func(a, b *call) int { return int(a.from - b.from) })
	s := ""
	for _, x := range sorted {
		s += x.String() + "\n"
	}
	return s
}
