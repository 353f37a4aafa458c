package httpapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/storetest"
)

type stipendJSON struct {
	Day      string
	Window   int
	MinAge   int `json:"min_age"`
	Cap      *int64
	Payees   int64
	Share    int64
	Funds    int64
	Paid     int64
	Position *int64
	Done     bool
}

func (s stipendJSON) String() string {
	limit, begun := "none", "not begun"
	if s.Cap != nil {
		limit = fmt.Sprint(*s.Cap)
	}
	if s.Position != nil {
		begun = "begun"
	}
	return fmt.Sprintf("%s %d/%d cap %s: %d of %d get %d of %d, %s, %t", s.Day, s.Window, s.MinAge, limit, s.Paid, s.Payees, s.Share, s.Funds, begun, s.Done)
}

type lastStipendJSON struct {
	FeeAccountID    string `json:"fee_account_id"`
	FeeAccountFunds int64  `json:"fee_account_funds"`
	Last            *stipendJSON
}

// TestStipend plans and pays stipends over the trusted side.
func TestStipend(t *testing.T) {
	w := newWorld(t, setup{stipend: capycoin.StipendRules{Window: 3, MinAge: 2, Cap: 50}})
	a, b, c := w.open(100), w.open(100), w.open(0)
	ask := func(body string) stipendJSON { return into[stipendJSON](w.tru.post("/stipend", "", body)) }
	is := func(got stipendJSON, want string) {
		t.Helper()
		if got.String() != want {
			t.Errorf("got stipend %v, want %s", got, want)
		}
	}
	last := func(funds int64, want string) {
		t.Helper()
		got := into[lastStipendJSON](w.tru.get("/stipend", ""))
		if got.FeeAccountID != feeAccountID || got.FeeAccountFunds != funds || (got.Last == nil) != (want == "") || got.Last != nil && got.Last.String() != want {
			t.Errorf("got %+v, last %v, want %d and %s", got, got.Last, funds, want)
		}
	}
	last(0, "")
	is(ask(""), "2022-08-15 3/2 cap 50: 0 of 0 get 0 of 0, not begun, false")
	w.setFees(`{"flat":5}`).ok()
	w.pay(a, c, 1).ok()
	w.pay(b, c, 1).ok()
	last(10, "")
	is(ask(`{"cap":null,"window":365,"min_age":1}`), "2022-08-15 365/1 cap none: 0 of 0 get 0 of 10, not begun, false")
	w.clock.Advance(2 * 24 * time.Hour)
	is(ask(`{"dry_run":true}`), "2022-08-17 3/2 cap 50: 0 of 0 get 0 of 10, not begun, false") // they were opened too late that day
	is(ask(`{"dry_run":true,"min_age":1}`), "2022-08-17 3/1 cap 50: 0 of 2 get 5 of 10, not begun, false")
	is(ask(`{"dry_run":true,"min_age":1,"cap":3}`), "2022-08-17 3/1 cap 3: 0 of 2 get 3 of 10, not begun, false")
	is(ask(`{"dry_run":true,"min_age":1,"cap":0}`), "2022-08-17 3/1 cap none: 0 of 2 get 5 of 10, not begun, false")
	is(ask(`{"dry_run":true,"min_age":1,"window":1}`), "2022-08-17 1/1 cap 50: 0 of 0 get 0 of 10, not begun, false")
	last(10, "")
	is(ask(`{"min_age":1,"cap":3,"dry_run":false}`), "2022-08-17 3/1 cap 3: 2 of 2 get 3 of 10, begun, true")
	last(4, "2022-08-17 3/1 cap 3: 2 of 2 get 3 of 10, begun, true")
	if x, y := w.funds(a), w.funds(b); x != 97 || y != 97 {
		t.Errorf("got funds %d and %d, want 97", x, y)
	}
	// Once a day, whatever is asked for.
	is(ask(`{}`), "2022-08-17 3/1 cap 3: 2 of 2 get 3 of 10, begun, true")
	is(ask(`{"dry_run":true,"window":7}`), "2022-08-17 3/1 cap 3: 2 of 2 get 3 of 10, begun, true")
	w.reopen()
	last(4, "2022-08-17 3/1 cap 3: 2 of 2 get 3 of 10, begun, true")
	w.clock.Advance(24 * time.Hour)
	is(ask(""), "2022-08-18 3/2 cap 50: 2 of 2 get 2 of 4, begun, true")
	last(0, "2022-08-18 3/2 cap 50: 2 of 2 get 2 of 4, begun, true")
	got := into[historyJSON](w.pub.get(a.path("/transactions?order=desc&limit=1"), a.token)).Transactions[0]
	if got.SenderAccountID != feeAccountID || got.Amount != 2 || got.Fee != 0 {
		t.Errorf("its history has %+v", got)
	}
	for _, body := range []struct{ body, says string }{
		{`{"window":0}`, "window has to be a whole number of days, 1 to 365"}, {`{"window":366}`, "days, 1 to 365"}, {`{"window":-1}`, "days, 1 to 365"},
		{`{"min_age":0}`, "min_age has to be"}, {`{"min_age":366}`, "days, 1 to 365"}, {`{"min_age":4294967297}`, "days, 1 to 365"},
		{`{"cap":-1}`, "cap is -1, allowed is 1 to the supply of 100000"}, {`{"cap":100001}`, "cap is 100001"}, {`{"cap":"5"}`, "whole number"},
		{`{"window":null}`, "whole number"}, {`{"dry_run":1}`, "true or false"}, {`{"day":"2022-08-18"}`, "there are window, min_age, cap and dry_run"},
	} {
		if p := w.tru.post("/stipend", "", body.body).wants(400, "bad_request"); !strings.Contains(p.Detail, body.says) {
			t.Errorf("%s: got %q, want one that says %q", body.body, p.Detail, body.says)
		}
	}
}

// TestStipendMetrics looks at what the metrics tell of signatures, fees and stipends.
func TestStipendMetrics(t *testing.T) {
	w := newWorld(t, setup{})
	own, other := w.openKeyed(1000, 1), w.open(0)
	lines := func(want ...string) {
		t.Helper()
		got := "\n" + string(w.tru.get("/metrics", "").ok().body)
		for _, line := range want {
			if !strings.Contains(got, "\ncapycoin_"+line+"\n") {
				t.Errorf("the metrics do not have %s", line)
			}
		}
	}
	lines(`signatures_total{outcome="valid"} 0`, "fee_flat 0", "fee_account_funds 0", "stipend_day_seconds 0", "stipend_payees 0")
	w.setFees(`{"flat":7,"basis_points":100,"min":8,"max":9}`).ok()
	s := w.signed(own, other.id, 200, "a")
	s.maxFee = 9
	s.pay(w).ok()
	s.pay(w).ok() // again, which makes none
	lines("transfers_total 1")
	s.key = "b"
	s.changedSignature = true
	s.pay(w).wants(403, "invalid_signature")
	s.payTrusted(w).wants(403, "invalid_signature")
	lines(`signatures_total{outcome="valid"} 2`, `signatures_total{outcome="invalid"} 2`, "fee_flat 7", "fee_basis_points 100", "fee_min 8", "fee_max 9",
		"fee_account_funds 9", `declines_total{code="invalid_signature"} 2`)
	w.clock.Advance(48 * time.Hour)
	w.tru.post("/stipend", "", `{"cap":4}`).ok()
	lines("stipend_day_seconds 1.6606944e+09", "stipend_payees 1", "stipend_paid 1", "stipend_share 4", "fee_account_funds 5")
	if err := w.led.Close(); err != nil {
		t.Fatal(err)
	}
	w.tru.get("/metrics", "").ok() // of a ledger that does not serve, too
}

// payees are more than a stipend pays in one commit.
const payees = 600

// manyPayees opens the accounts of a stipend of 2 coins each.
func (w *world) manyPayees() {
	w.t.Helper()
	ctx := context.Background()
	for range payees {
		acct, err := w.led.OpenAccount(ctx)
		if err == nil {
			_, err = w.led.TransferBatch(ctx, []capycoin.Transfer{
				{Sender: w.seed(), Receiver: acct.ID, Amount: 10}, {Sender: acct.ID, Receiver: w.seed(), Amount: 1}}, capycoin.Atomic)
		}
		if err != nil {
			w.t.Fatal(err)
		}
	}
	w.setFees(`{}`).ok()
	w.tru.post("/transaction", "", fmt.Sprintf(`{"sender":%q,"receiver":%q,"amount":%d}`, seedID, feeAccountID, 2*payees)).ok()
	w.clock.Advance(48 * time.Hour)
}

// TestStipendFaults has the disk decline a part of the payments, and fail: what is
// answered does not say that nothing was paid, and the rest is paid later.
func TestStipendFaults(t *testing.T) {
	faulty, s := onFaulty(storetest.NewMemory())
	w := newWorld(t, s)
	w.manyPayees()
	faulty.Fail(storetest.OpAppend, 3, storetest.DiskFull) // after the stipend's record and the first payments
	got := w.tru.post("/stipend", "", "")
	p := got.wants(503, "unavailable")
	if strings.Contains(p.Detail, "Nothing was applied") || !strings.Contains(p.Detail, "disk is full") || !strings.Contains(p.Detail, "What was paid stays so") {
		t.Errorf("got %q", p.Detail)
	}
	if line := lineOf(t, got); line["code"] != "unavailable" || line["day"] != "2022-08-17" || line["payees"] != float64(payees) {
		t.Errorf("the log has %v", line)
	}
	half := into[lastStipendJSON](w.tru.get("/stipend", ""))
	if half.Last == nil || half.Last.Paid == 0 || half.Last.Paid == payees || half.Last.Done {
		t.Errorf("got %v, want one that is paid in part", half.Last)
	}
	faulty.Heal()
	faulty.Fail(storetest.OpAppend, 1, storetest.YetDone)
	w.tru.post("/stipend", "", "").wants(500, "outcome_unknown")
	p = w.tru.post("/stipend", "", `{"dry_run":true}`).wants(503, "unavailable")
	if !strings.HasSuffix(p.Detail, "Nothing was applied.") {
		t.Errorf("a plan of a stopped ledger: got %q", p.Detail)
	}
	w.reopen()
	if got := into[stipendJSON](w.tru.post("/stipend", "", "")); got.Paid != payees || !got.Done {
		t.Errorf("got stipend %v, want all paid", got)
	}
	if s := into[lastStipendJSON](w.tru.get("/stipend", "")); s.FeeAccountFunds != 0 {
		t.Errorf("the account of the fees has %d, want 0", s.FeeAccountFunds)
	}
}

// TestStipendTakesTime pays one for longer than the server gives an answer.
func TestStipendTakesTime(t *testing.T) {
	faulty, s := onFaulty(storetest.NewMemory())
	var slow atomic.Bool
	faulty.OnOp(func(op storetest.Op) {
		if op == storetest.OpAppend && slow.Load() {
			time.Sleep(200 * time.Millisecond)
		}
	})
	w := newWorld(t, s)
	w.manyPayees()
	server := httptest.NewUnstartedServer(w.api.Trusted())
	server.Config.ReadTimeout, server.Config.WriteTimeout = 500*time.Millisecond, 500*time.Millisecond
	server.Start()
	defer server.Close()
	slow.Store(true)
	resp, err := server.Client().Post(server.URL+"/stipend", "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var got stipendJSON
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil || got.Paid != payees {
		t.Errorf("got %d, stipend %v, %v", resp.StatusCode, got, err)
	}
}

// TestStipendLeft has a client leave while a stipend is paid: the rest is paid by
// the next call.
func TestStipendLeft(t *testing.T) {
	faulty, s := onFaulty(storetest.NewMemory())
	paying, release := make(chan struct{}), make(chan struct{})
	var armed atomic.Bool
	var appends atomic.Int32
	faulty.OnOp(func(op storetest.Op) {
		// The stipend's record, the first payments, the second ones.
		if op == storetest.OpAppend && armed.Load() && appends.Add(1) == 3 {
			close(paying)
			<-release
		}
	})
	w := newWorld(t, s)
	w.manyPayees()
	served, ended := make(chan context.Context, 1), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		defer close(ended)
		served <- r.Context()
		w.api.Trusted().ServeHTTP(rw, r)
	}))
	defer server.Close()
	leaving, leave := context.WithCancel(context.Background())
	defer leave()
	req, err := http.NewRequestWithContext(leaving, "POST", server.URL+"/stipend", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	armed.Store(true)
	go func() {
		if resp, err := server.Client().Do(req); err == nil {
			resp.Body.Close()
		}
	}()
	<-paying
	leave()
	<-(<-served).Done()
	close(release)
	<-ended
	if paid := w.led.Stats().Stipend.Paid; paid == 0 || paid == payees {
		t.Errorf("%d of %d were paid for a client that had left, want a part", paid, payees)
	}
	got := into[stipendJSON](w.tru.post("/stipend", "", ""))
	if got.Paid != payees || got.Share != 2 || !got.Done {
		t.Errorf("got stipend %v, want %d of %[2]d paid 2", got, payees)
	}
	if s := into[lastStipendJSON](w.tru.get("/stipend", "")); s.FeeAccountFunds != 0 {
		t.Errorf("the account of the fees has %d, want 0", s.FeeAccountFunds)
	}
}
