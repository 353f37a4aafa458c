package httpapi_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/storetest"
)

// onFaulty is a setup whose ledger keeps its records in memory, in a store
// that fails when it is told to.
func onFaulty(mem *storetest.Memory) (*storetest.Faulty, setup) {
	faulty := storetest.NewFaulty(mem, mem)
	return faulty, setup{unaudited: true, open: func(o *capycoin.Options) (*capycoin.Ledger, error) {
		return capycoin.OpenStore(context.Background(), faulty, faulty, o)
	}}
}

// withoutLedger are the routes that answer whether the ledger serves or not.
var withoutLedger = []route{{"GET", "/"}, {"GET", "/healthz"}, {"GET", "/openapi.yaml"}, {"GET", "/metrics"},
	{"GET", "/debug/pprof/"}, {"GET", "/debug/pprof/{profile}"}}

// askAll asks every route of both sides as the owner would, and returns the
// answers of those that need the ledger.
func (w *world) askAll(own owner) []reply {
	w.t.Helper()
	var replies []reply
	for _, c := range []*client{w.pub, w.tru} {
		for _, r := range routesOf(w.t.(*testing.T), c.side) {
			token := ""
			if c.side == public && strings.Contains(r.path, "{account_id}") {
				token = own.token
			}
			got := c.do(call{method: r.method, path: fill(r.path, own.id, unknownID(), unknownID()), token: token, body: bodyFor(r, seedID)})
			if slices.Contains(withoutLedger, r) {
				got.ok()
				continue
			}
			replies = append(replies, got)
		}
	}
	return replies
}

// TestClosed checks that each route says so when the ledger was closed.
func TestClosed(t *testing.T) {
	w := newWorld(t, setup{})
	own := w.open(10)
	if err := w.led.Close(); err != nil {
		t.Fatal(err)
	}
	for _, got := range w.askAll(own) {
		p := got.wants(503, "unavailable")
		if strings.Contains(p.Detail, "capycoin:") || strings.Contains(p.Detail, w.path) {
			t.Errorf("%v: the detail shows internals", got)
		}
	}
}

// changes are the requests that write, one a route.
func changes(own, other owner) []struct {
	side string
	call call
} {
	trustedBody := fmt.Sprintf(`{"sender":%q,"receiver":%q,"amount":1}`, own.id, other.id)
	return []struct {
		side string
		call call
	}{
		{public, call{method: "POST", path: "/account"}},
		{public, call{method: "POST", path: own.path("/transaction"), token: own.token, body: transferBody(other.id, 1)}},
		{public, call{method: "POST", path: own.path("/transactions"), token: own.token, body: batch(false, item(other.id, 1, ""))}},
		{public, call{method: "POST", path: own.path("/transactions"), token: own.token, body: batch(true, item(other.id, 1, ""))}},
		{public, call{method: "POST", path: own.path("/token"), token: own.token}},
		{public, call{method: "DELETE", path: own.path("/token/" + own.tokenID), token: own.token}},
		{trusted, call{method: "POST", path: "/account"}},
		{trusted, call{method: "POST", path: "/account", body: `{"token":true}`}},
		{trusted, call{method: "POST", path: "/transaction", body: trustedBody}},
		{trusted, call{method: "POST", path: "/transactions", body: `{"transactions":[` + trustedBody + `]}`}},
		{trusted, call{method: "PUT", path: "/fee/policy", body: `{}`}},
		{trusted, call{method: "POST", path: own.path("/token")}},
		{trusted, call{method: "DELETE", path: own.path("/token/" + own.tokenID)}},
	}
}

// TestOutcomeUnknown fails the commit of each kind of change in both ways. The
// caller is told that nobody knows; later callers that nothing was applied.
func TestOutcomeUnknown(t *testing.T) {
	for i := range changes(owner{}, owner{}) {
		for _, fault := range []storetest.Fault{storetest.NotDone, storetest.YetDone} {
			faulty, s := onFaulty(storetest.NewMemory())
			w := newWorld(t, s)
			own, other := w.open(10), w.open(0)
			w.pub.get(own.path(""), own.token).ok()
			change := changes(own, other)[i]
			c := w.pub
			if change.side == trusted {
				c = w.tru
			}
			faulty.Fail(storetest.OpAppend, 1, fault)
			got := c.do(change.call)
			p := got.wants(500, "outcome_unknown")
			if strings.Contains(got.String(), "storetest") || strings.Contains(p.Detail, "capycoin:") {
				t.Errorf("%v: the detail shows internals", got)
			}
			for _, got := range w.askAll(own) {
				got.wants(503, "unavailable")
			}
		}
	}
}

// TestRepeatAfterUnknown repeats a payment with its key once the ledger is
// open again: it is made once, whatever became of the first try.
func TestRepeatAfterUnknown(t *testing.T) {
	for _, fault := range []storetest.Fault{storetest.NotDone, storetest.YetDone} {
		faulty, s := onFaulty(storetest.NewMemory())
		w := newWorld(t, s)
		own, other := w.open(10), w.open(0)
		faulty.Fail(storetest.OpAppend, 1, fault)
		w.payKeyed(own, other, 4, "k").wants(500, "outcome_unknown")
		w.pub.get("/readyz", "").wants(503, "unavailable")
		w.pub.get("/healthz", "").ok()
		w.reopen()
		if got := w.payKeyed(own, other, 4, "k").ok(); got.replayed() != (fault == storetest.YetDone) {
			t.Errorf("%v: replayed is %t", fault, got.replayed())
		}
		if got := w.funds(other); got != 4 {
			t.Errorf("%v: got funds %d, want 4", fault, got)
		}
	}
}

// TestDiskFull checks that a change for which there is no room is answered as
// one that can be tried again, saying why; that everything else goes on, also
// the payment whose key was used; and that the metrics tell.
func TestDiskFull(t *testing.T) {
	faulty, s := onFaulty(storetest.NewMemory())
	w := newWorld(t, s)
	own, other := w.open(10), w.open(0)
	w.payKeyed(own, other, 4, "k").ok()
	for _, change := range changes(own, other) {
		c := w.pub
		if change.side == trusted {
			c = w.tru
		}
		faulty.Fail(storetest.OpAppend, 1, storetest.DiskFull)
		got := c.do(change.call)
		p := got.wants(503, "unavailable")
		if !strings.Contains(p.Detail, "disk is full") || !strings.Contains(p.Detail, "Nothing was applied") || got.header.Get("Retry-After") == "" {
			t.Errorf("%v: it does not say that the disk is full and nothing was applied, or when to try again", got)
		}
		faulty.Heal()
		if got := w.funds(own); got != 6 {
			t.Errorf("%s %s: got funds %d, want 6", change.call.method, change.call.path, got)
		}
	}
	if got := w.payKeyed(own, other, 4, "k").ok(); !got.replayed() {
		t.Error("the payment was made again")
	}
	w.pub.get("/readyz", "").ok()
	if got := w.tru.get("/metrics", "").ok(); !strings.Contains(string(got.body), "\ncapycoin_disk_full 1\n") {
		t.Error("the metrics do not tell of it")
	}
	w.pay(own, other, 1).ok()
}

// TestNotWritten checks that a commit which the store refused is answered as
// one that can be tried again, and that the ledger goes on.
func TestNotWritten(t *testing.T) {
	faulty, s := onFaulty(storetest.NewMemory())
	w := newWorld(t, s)
	own, other := w.open(10), w.open(0)
	for _, change := range changes(own, other) {
		c := w.pub
		if change.side == trusted {
			c = w.tru
		}
		w.pub.get(own.path(""), own.token).ok()
		before := w.funds(own)
		faulty.Fail(storetest.OpAppend, 1, storetest.NotWritten)
		c.do(change.call).wants(503, "unavailable")
		if got := w.funds(own); got != before {
			t.Errorf("%s %s: funds were %d and are %d", change.call.method, change.call.path, before, got)
		}
	}
	w.pay(own, other, 1).ok()
}

// TestQueueFull blocks the store: callers without room are told after Wait
// that nothing was applied, the others what became of them.
func TestQueueFull(t *testing.T) {
	release := make(chan struct{})
	blocked := make(chan struct{}, 1)
	var block sync.Mutex
	blocking := false
	faulty, s := onFaulty(storetest.NewMemory())
	faulty.OnOp(func(op storetest.Op) {
		if op != storetest.OpAppend {
			return
		}
		block.Lock()
		wait := blocking
		block.Unlock()
		if wait {
			select {
			case blocked <- struct{}{}:
			default:
			}
			<-release
		}
	})
	s.ledger.QueueSize = 1
	s.wait = 500 * time.Millisecond
	s.unaudited = false
	w := newWorld(t, s)
	own, other := w.open(100), w.open(0)
	w.pub.get(own.path(""), own.token).ok() // the token is remembered now
	block.Lock()
	blocking = true
	block.Unlock()
	const n = 20
	replies := make([]reply, n)
	errs := make([]error, n)
	answered := make(chan int, n)
	for i := range n {
		go func() {
			replies[i], errs[i] = w.pub.try(call{method: "POST", path: own.path("/transaction"), token: own.token, body: transferBody(other.id, 1)})
			answered <- replies[i].status
		}()
		if i == 0 {
			<-blocked // the writer has the first one, and takes no other
		}
	}
	refused := 0
	for range n {
		select {
		case status := <-answered:
			if status != 503 {
				t.Errorf("got %d while no commit can end", status)
			}
			refused++
			continue
		case <-time.After(3 * time.Second):
		}
		break
	}
	w.pub.get(own.path(""), own.token).ok() // readers are not held up
	close(release)
	for range n - refused {
		<-answered
	}
	made := int64(0)
	for i, got := range replies {
		if errs[i] != nil {
			t.Fatal(errs[i])
		}
		switch got.status {
		case 200:
			made++
		default:
			got.wants(503, "unavailable")
		}
	}
	if refused == 0 || made == 0 {
		t.Errorf("%d refused, %d made, want some of both", refused, made)
	}
	if got := w.funds(other); got != made {
		t.Errorf("%d were answered 200, the receiver has %d", made, got)
	}
}

// TestHashingFull floods the server with sign-ups: those for which there is no
// room are told so, and readers are not held up.
func TestHashingFull(t *testing.T) {
	w := newWorld(t, setup{tokens: capycoin.TokenOptions{BcryptCost: 10, MaxHashing: 1}, wait: 30 * time.Second})
	own := w.open(10)
	w.pub.get(own.path(""), own.token).ok() // its token is remembered
	before := into[supplyJSON](w.pub.get("/supply", ""))
	// All come again until they are refused, so that there is no room for as long as the
	// readers need it. What each may wait is over when the test says so.
	over, end := context.WithCancel(context.Background())
	defer end()
	restore := w.api.WaitWith(over)
	const n = 60
	var wg sync.WaitGroup
	var opened atomic.Int64
	replies := make([]reply, n)
	errs := make([]error, n)
	for i := range n {
		wg.Go(func() {
			if i == n-1 {
				replies[i], errs[i] = w.pub.try(call{method: "POST", path: own.path("/token"), token: own.token})
				return
			}
			for replies[i].status = 200; errs[i] == nil && replies[i].status == 200; {
				late := over.Err() != nil
				replies[i], errs[i] = w.pub.try(call{method: "POST", path: "/account"})
				if replies[i].status == 200 {
					opened.Add(1)
				}
				if late {
					return
				}
			}
		})
	}
	for range 20 {
		began := time.Now()
		w.pub.get(own.path(""), own.token).ok()
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("a reader waited %v", took)
		}
	}
	for deadline := time.Now().Add(time.Minute); opened.Load() == 0 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	end()
	wg.Wait()
	restore()
	made, refused := opened.Load(), 0
	for i, got := range replies {
		if errs[i] != nil {
			t.Fatal(errs[i])
		}
		if got.status != 200 {
			got.wants(503, "unavailable")
			refused++
		}
	}
	if refused == 0 || made == 0 {
		t.Errorf("%d made, %d refused, want some of both", made, refused)
	}
	after := into[supplyJSON](w.pub.get("/supply", ""))
	if got := after.Accounts - before.Accounts; got != made {
		t.Errorf("%d accounts were opened, %d were answered 200", got, made)
	}
}

// panicking is a context that panics as soon as it is asked anything.
type panicking struct{ context.Context }

func (panicking) Done() <-chan struct{}       { panic("the context is asked") }
func (panicking) Err() error                  { panic("the context is asked") }
func (panicking) Deadline() (time.Time, bool) { panic("the context is asked") }

// panics asks a route with a context that panics, past the network, and
// checks the answer against openapi.yaml.
func panics(t *testing.T, c *client, r route, own owner) reply {
	t.Helper()
	path, body := fill(r.path, own.id, unknownID(), unknownID()), bodyFor(r, seedID)
	req := httptest.NewRequest(r.method, path, http.NoBody)
	if body != "" {
		req = httptest.NewRequest(r.method, path, strings.NewReader(body))
		req.Header.Set("Content-Type", "application/json")
	}
	if c.side == public && strings.Contains(r.path, "{account_id}") {
		req.Header.Set("Authorization", "Bearer "+own.token)
	}
	rec := httptest.NewRecorder()
	c.server.Config.Handler.ServeHTTP(rec, req.WithContext(panicking{context.Background()}))
	resp := rec.Result()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range contractOf(t, c.side).check(req, []byte(body), resp, answer) {
		t.Errorf("%s %s: %v", r.method, path, err)
	}
	return reply{t: t, call: call{method: r.method, path: path}, status: resp.StatusCode, header: resp.Header, body: answer}
}

// TestPanic has every route that uses the ledger panic: it is answered 500,
// logged, and the server goes on.
func TestPanic(t *testing.T) {
	w := newWorld(t, setup{})
	own := w.open(10)
	restore := w.api.WaitWith(panicking{context.Background()})
	for _, c := range []*client{w.pub, w.tru} {
		for _, r := range routesOf(t, c.side) {
			if slices.Contains(withoutLedger, r) {
				continue
			}
			got := panics(t, c, r, own)
			got.wants(500, "internal")
			if bytes.Contains(got.body, []byte("asked")) {
				t.Errorf("%v: the detail shows internals", got)
			}
			if log := logged(); !strings.Contains(log, got.header.Get("X-Request-Id")) || !strings.Contains(log, "the context is asked") {
				t.Errorf("%v: not logged", got)
			}
		}
	}
	restore()
	w.pub.get(own.path(""), own.token).ok()
}

// TestHangUpWhileHashed has a client leave while its token is hashed: nothing is
// recorded for it.
func TestHangUpWhileHashed(t *testing.T) {
	// The clock is asked when a token has been hashed, and holds it up there.
	var hashed atomic.Pointer[func()]
	w := newWorld(t, setup{wait: 30 * time.Second, open: func(o *capycoin.Options) (*capycoin.Ledger, error) {
		now := o.Clock
		o.Clock = func() time.Time {
			if what := hashed.Load(); what != nil {
				(*what)()
			}
			return now()
		}
		return capycoin.Open(filepath.Join(t.TempDir(), "coins.db"), o)
	}})
	own := w.open(10)
	w.pub.get(own.path(""), own.token).ok() // its token is remembered
	for _, path := range []string{"/account", own.path("/token")} {
		before := w.led.Stats().Position
		ctx, hangUp := context.WithCancel(t.Context())
		req := httptest.NewRequestWithContext(ctx, "POST", path, http.NoBody)
		if path != "/account" {
			req.Header.Set("Authorization", "Bearer "+own.token)
		}
		runs := w.iss.Stats().HashRuns
		leave := func() {
			if w.iss.Stats().HashRuns > runs && ctx.Err() == nil {
				hangUp()
				time.Sleep(50 * time.Millisecond) // a goroutine that waits for that ends the wait of the request
			}
		}
		hashed.Store(&leave)
		w.api.Public().ServeHTTP(httptest.NewRecorder(), req)
		hashed.Store(nil)
		if got := w.led.Stats().Position; got != before || ctx.Err() == nil {
			t.Errorf("POST %s: %d records were written for a client that had left: %v", path, got-before, ctx.Err())
		}
	}
}
