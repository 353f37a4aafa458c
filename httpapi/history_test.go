package httpapi_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// pages reads a listing to its end, following next_cursor or Link.
func (w *world) pages(o owner, query url.Values, byLink bool) []transactionJSON {
	w.t.Helper()
	var all []transactionJSON
	path := o.path("/transactions?" + query.Encode())
	for range 1000 {
		r := w.pub.get(path, o.token)
		page := into[historyJSON](r)
		all = append(all, page.Transactions...)
		next := nextPath(w.t, r)
		if (page.NextCursor == nil) != (next == "") {
			w.t.Fatalf("%v: next_cursor is %v, Link leads to %q", r, page.NextCursor, next)
		}
		if page.NextCursor == nil {
			return all
		}
		if limit := query.Get("limit"); limit != "" && fmt.Sprint(len(page.Transactions)) != limit {
			w.t.Fatalf("%v: got %d transactions on a page that is not the last", r, len(page.Transactions))
		}
		if byLink {
			path = strings.TrimPrefix(next, w.pub.prefix)
		} else {
			path = o.path("/transactions?" + url.Values{"cursor": {*page.NextCursor}, "limit": query["limit"]}.Encode())
		}
	}
	w.t.Fatal("the listing does not end")
	return nil
}

var linkForm = regexp.MustCompile(`^<([^>]+)>; rel="next"$`)

// nextPath resolves a reply's Link, as a client would, to a path and query.
func nextPath(t testing.TB, r reply) string {
	t.Helper()
	links := r.header.Values("Link")
	if len(links) == 0 {
		return ""
	}
	m := linkForm.FindStringSubmatch(links[0])
	if m == nil || len(links) > 1 {
		t.Fatalf("%v: got Link %q", r, links)
	}
	base, err := url.Parse(r.url)
	if err != nil {
		t.Fatal(err)
	}
	next, err := base.Parse(m[1])
	if err != nil {
		t.Fatalf("%v: Link: %v", r, err)
	}
	if next.Host != base.Host || next.Path != base.Path {
		t.Fatalf("%v: Link leads from %s to %s", r, base, next)
	}
	return next.RequestURI()
}

// TestPaging lists a history of 25 in both orders and pages of every size.
func TestPaging(t *testing.T) {
	w := newWorld(t, setup{})
	own, other := w.open(1000), w.open(0)
	for i := range 24 {
		w.clock.Advance(time.Duration(i%3) * time.Microsecond) // some share a time
		if i%4 == 3 {
			w.pay(other, own, int64(i)).ok()
		} else {
			w.pay(own, other, int64(i+20)).ok()
		}
	}
	whole := w.pages(own, url.Values{}, false)
	if len(whole) != 25 {
		t.Fatalf("got %d transactions, want 25", len(whole))
	}
	var funds int64
	for i, tx := range whole {
		if tx.ReceiverAccountID == own.id {
			funds += tx.Amount
		} else {
			funds -= tx.Amount
		}
		if tx.FundsAfter != funds {
			t.Errorf("transaction %d: got funds_after %d, want %d", i, tx.FundsAfter, funds)
		}
		if i > 0 && (tx.Timestamp < whole[i-1].Timestamp || tx.TransactionID <= whole[i-1].TransactionID) {
			t.Errorf("transaction %d is out of order", i)
		}
	}
	if got := w.funds(own); got != funds {
		t.Errorf("the last funds_after is %d, the account has %d", funds, got)
	}
	newest := slices.Clone(whole)
	slices.Reverse(newest)
	for _, limit := range []string{"", "1", "2", "7", "24", "25", "26", "1000"} {
		for order, want := range map[string][]transactionJSON{"": whole, "asc": whole, "desc": newest} {
			for _, byLink := range []bool{false, true} {
				query := url.Values{}
				if limit != "" {
					query.Set("limit", limit)
				}
				if order != "" {
					query.Set("order", order)
				}
				if got := w.pages(own, query, byLink); !slices.Equal(got, want) {
					t.Errorf("limit %q, order %q, by link %t: got %d transactions, %v, want %v", limit, order, byLink, len(got), got, want)
				}
			}
		}
	}
	first := into[historyJSON](w.pub.get(own.path("/transactions?limit=25"), own.token))
	if first.NextCursor != nil || first.AccountID != own.id {
		t.Errorf("a full last page: got next_cursor %q, account_id %s", *first.NextCursor, first.AccountID)
	}
	empty := w.open(0)
	r := w.pub.get(empty.path("/transactions"), empty.token)
	if got := into[historyJSON](r); got.Transactions == nil || len(got.Transactions) != 0 || !strings.Contains(string(r.body), `"next_cursor":null`) {
		t.Errorf("an empty history: got %s", r.body)
	}
}

// TestDefaultPage checks that a page without a limit has 100.
func TestDefaultPage(t *testing.T) {
	w := newWorld(t, setup{})
	own, other := w.open(1000), w.open(0)
	w.pub.post(own.path("/transactions"), own.token, batch(false, many(item(other.id, 1, ""), 101)...)).ok()
	got := into[historyJSON](w.pub.get(other.path("/transactions"), other.token))
	if len(got.Transactions) != 100 || got.NextCursor == nil {
		t.Errorf("got %d transactions, next_cursor %v, want 100 and one", len(got.Transactions), got.NextCursor)
	}
	if got := w.pages(other, url.Values{}, true); len(got) != 101 {
		t.Errorf("got %d transactions, want 101", len(got))
	}
}

// TestRanges lists days and instants against a naive scan.
func TestRanges(t *testing.T) {
	w := newWorld(t, setup{})
	own := w.open(0)
	var times []time.Time
	for _, s := range []string{"2022-08-15T23:59:59.999999Z", "2022-08-16T00:00:00Z", "2022-08-16T00:00:00Z", "2022-08-16T00:00:00.000001Z",
		"2022-08-16T12:00:00Z", "2022-08-16T23:59:59.999999Z", "2022-08-17T00:00:00Z", "2022-08-19T10:00:00.5Z"} {
		at, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		w.clock.Set(at)
		w.grant(own, 1)
		times = append(times, at)
	}
	for _, tt := range []struct {
		start, end string
		from, to   int // which of times
	}{
		{"", "", 0, 8},
		{"2022-08-15", "2022-08-15", 0, 1},
		{"2022-08-16", "2022-08-16", 1, 6},
		{"2022-08-17", "2022-08-17", 6, 7},
		{"2022-08-18", "2022-08-18", 7, 7},
		{"2022-08-15", "2022-08-17", 0, 7},
		{"2022-08-16", "", 1, 8},
		{"", "2022-08-16", 0, 6},
		{"", "2022-08-14", 0, 0},
		{"2022-08-20", "", 8, 8},
		{"2022-08-16T00:00:00Z", "2022-08-16T00:00:00.000001Z", 1, 3},
		{"2022-08-16T00:00:00Z", "2022-08-16T00:00:00Z", 1, 1},
		{"2022-08-16T00:00:00.000001Z", "2022-08-16T00:00:00.000002Z", 3, 4},
		{"2022-08-16T00:00:00Z", "2022-08-17T00:00:00Z", 1, 6},
		{"2022-08-16T00:00:00Z", "2022-08-17T00:00:00.000001Z", 1, 7},
		{"2022-08-16", "2022-08-16T12:00:00Z", 1, 4},
		{"2022-08-16T12:00:00Z", "2022-08-16", 4, 6},
		{"2022-08-16T14:00:00+02:00", "2022-08-16T14:00:01+02:00", 4, 5},
		{"2022-08-15T22:00:00-02:00", "2022-08-15T22:00:00.000001-02:00", 1, 3},
		{"2022-08-16", "2022-08-16T00:00:00Z", 1, 1},
		{"2022-08-19T10:00:00.5Z", "", 7, 8},
		{"1970-01-01", "9999-12-31", 0, 8},
		{"0001-01-01", "9999-12-31T23:59:59.999999Z", 0, 8},
	} {
		for _, order := range []string{"asc", "desc"} {
			for _, limit := range []string{"1", "3", "100"} {
				query := url.Values{"order": {order}, "limit": {limit}}
				if tt.start != "" {
					query.Set("start", tt.start)
				}
				if tt.end != "" {
					query.Set("end", tt.end)
				}
				var got, want []string
				for _, tx := range w.pages(own, query, true) {
					got = append(got, fmt.Sprintf("%s %d", tx.Timestamp, tx.FundsAfter))
				}
				for i := tt.from; i < tt.to; i++ {
					want = append(want, fmt.Sprintf("%s %d", times[i].Format("2006-01-02T15:04:05.000000Z"), i+1))
				}
				if order == "desc" {
					slices.Reverse(want)
				}
				if !slices.Equal(got, want) {
					t.Errorf("%q to %q %s by %s: got %v, want %v", tt.start, tt.end, order, limit, got, want)
				}
			}
		}
	}
}

// TestRangesInForm checks the parameters that are answered 400.
func TestRangesInForm(t *testing.T) {
	w := newWorld(t, setup{})
	own := w.open(10)
	for _, tt := range []struct{ query, message string }{
		{"start=2022-08-16&end=2022-08-15", ""},
		{"start=2022-08-16T00:00:00.000001Z&end=2022-08-16T00:00:00Z", ""},
		{"start=2022-08-17&end=2022-08-16T23:00:00Z", ""},
		{"start=", "start"},
		{"end=", "end"},
		{"start=today", "start"},
		{"start=2022-02-30", "start"},
		{"end=2022-13-01", "end"},
		{"end=2022-8-1", "end"},
		{"start=20220815", "start"},
		{"start=15-08-2022", "start"},
		{"start=2022-08-15T13:24:23", "start"},
		{"start=2022-08-15T13:24Z", "start"},
		{"start=2022-08-15%2013:24:23Z", "start"},
		{"start=2022-08-15T25:00:00Z", "start"},
		{"start=2022-08-15T13:24:23,5Z", "start"},
		{"start=2022-08-15T13:24:23%2B25:00", "start"},
		{"start=1660569863", "start"},
		{"start=+2022-08-15", "start"},
		{"limit=0", "limit"},
		{"limit=-1", "limit"},
		{"limit=1001", "limit"},
		{"limit=1.0", "limit"},
		{"limit=1e2", "limit"},
		{"limit=%2B5", "limit"},
		{"limit=0x10", "limit"},
		{"limit=", "limit"},
		{"limit=ten", "limit"},
		{"limit=99999999999999999999", "limit"},
		{"order=", "order"},
		{"order=ASC", "order"},
		{"order=newest", "order"},
		{"cursor=", "cursor"},
		{"cursor=x", "cursor"},
		{"cursor=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "cursor"},
		{"cursor=" + strings.Repeat("A", 4000), "cursor"},
		{"cursor=%00", "cursor"},
	} {
		p := w.pub.get(own.path("/transactions?"+tt.query), own.token).wants(400, "bad_request")
		if want := "Invalid format for `" + tt.message + "`"; tt.message != "" && p.ErrorMessage != want {
			t.Errorf("%s: got error_message %q, want %q", shorten(tt.query), p.ErrorMessage, want)
		}
		w.tru.get(own.path("/transactions?"+tt.query), "").wants(400, "bad_request")
	}
	for _, query := range []string{"limit=0", "limit=1001", "limit=x", "cursor=x", "order=asc", "start=2022-08-15"} {
		w.tru.get("/accounts?"+query, "").wants(400, "bad_request")
	}
}

// TestCursorsBind checks that a cursor is of one account, order and range.
func TestCursorsBind(t *testing.T) {
	w := newWorld(t, setup{})
	own, other := w.open(1000), w.open(1000)
	for range 5 {
		w.clock.Advance(time.Hour)
		w.pay(own, other, 1).ok()
	}
	cursorOf := func(query string) string {
		t.Helper()
		got := into[historyJSON](w.pub.get(own.path("/transactions?limit=2&"+query), own.token))
		if got.NextCursor == nil {
			t.Fatalf("%s: no next_cursor", query)
		}
		return url.QueryEscape(*got.NextCursor)
	}
	asc, desc := cursorOf("order=asc"), cursorOf("order=desc")
	day := cursorOf("start=2022-08-15&end=2022-08-15")
	instant := cursorOf("start=2022-08-15T00:00:00Z&end=2022-08-16T00:00:00Z")
	for _, query := range []string{"cursor=" + asc, "cursor=" + asc + "&order=asc", "cursor=" + desc + "&order=desc", "cursor=" + desc,
		"cursor=" + day, "cursor=" + day + "&start=2022-08-15", "cursor=" + day + "&end=2022-08-15&start=2022-08-15&order=asc",
		"cursor=" + day + "&limit=1", "cursor=" + asc + "&limit=1000", "cursor=" + instant + "&end=2022-08-16T00:00:00Z"} {
		w.pub.get(own.path("/transactions?"+query), own.token).ok()
	}
	for _, query := range []string{"cursor=" + asc + "&order=desc", "cursor=" + desc + "&order=asc", "cursor=" + asc + "&start=2022-08-15",
		"cursor=" + asc + "&end=2022-08-15", "cursor=" + day + "&start=2022-08-14", "cursor=" + day + "&end=2022-08-16",
		"cursor=" + asc + "0", "cursor=" + asc[:len(asc)-1], "cursor=" + strings.ToLower(asc) + "x"} {
		w.pub.get(own.path("/transactions?"+query), own.token).wants(400, "bad_request")
	}
	w.pub.get(other.path("/transactions?cursor="+asc), other.token).wants(400, "bad_request")
	w.tru.get("/accounts?cursor="+asc, "").wants(400, "bad_request")
	w.reopen() // a cursor outlives the server
	w.pub.get(own.path("/transactions?cursor="+day), own.token).ok()
}

// TestCursorsAreExact pages through a history while it grows: none is left
// out, none comes twice.
func TestCursorsAreExact(t *testing.T) {
	w := newWorld(t, setup{})
	own, other := w.open(10_000), w.open(0)
	const before = 60
	w.pub.post(own.path("/transactions"), own.token, batch(false, many(item(other.id, 1, ""), before)...)).ok()
	var wg sync.WaitGroup
	done := make(chan struct{})
	wg.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			if _, err := w.pub.try(call{method: "POST", path: own.path("/transaction"), token: own.token, body: transferBody(other.id, 1)}); err != nil {
				t.Error(err)
				return
			}
		}
	})
	newest := w.pages(other, url.Values{"order": {"desc"}, "limit": {"3"}}, true)
	var oldest []transactionJSON
	path := other.path("/transactions?limit=3")
	for len(oldest) < before+30 { // the writer may outrun a reader that goes to the end
		page := into[historyJSON](w.pub.get(path, other.token))
		oldest = append(oldest, page.Transactions...)
		if page.NextCursor == nil {
			break
		}
		path = other.path("/transactions?limit=3&cursor=" + url.QueryEscape(*page.NextCursor))
	}
	close(done)
	wg.Wait()
	for i, tx := range oldest {
		if tx.FundsAfter != int64(i+1) {
			t.Fatalf("oldest first: entry %d has funds_after %d, want %d", i, tx.FundsAfter, i+1)
		}
	}
	if len(oldest) < before || len(newest) < before {
		t.Errorf("got %d and %d transactions, want %d or more", len(oldest), len(newest), before)
	}
	for i, tx := range newest {
		if want := int64(len(newest) - i); tx.FundsAfter != want {
			t.Fatalf("newest first: entry %d has funds_after %d, want %d", i, tx.FundsAfter, want)
		}
	}
}

// TestHistoriesDiffer checks that both parties see a transaction from their
// own end, and others do not.
func TestHistoriesDiffer(t *testing.T) {
	w := newWorld(t, setup{})
	own, other, third := w.open(100), w.open(50), w.open(0)
	paid := into[receiptJSON](w.pay(own, other, 30))
	for _, tt := range []struct {
		o     owner
		n     int
		funds int64
	}{{own, 2, 70}, {other, 2, 80}, {third, 0, 0}} {
		got := into[historyJSON](w.pub.get(tt.o.path("/transactions"), tt.o.token))
		if len(got.Transactions) != tt.n {
			t.Errorf("got %d transactions, want %d", len(got.Transactions), tt.n)
		} else if tt.n > 0 {
			if last := got.Transactions[tt.n-1]; last.TransactionID != paid.TransactionID || last.FundsAfter != tt.funds {
				t.Errorf("got %+v, want id %s and funds_after %d", last, paid.TransactionID, tt.funds)
			}
		}
		same := into[historyJSON](w.tru.get(tt.o.path("/transactions"), ""))
		if !slices.Equal(same.Transactions, got.Transactions) {
			t.Errorf("the trusted side sees %+v, the public one %+v", same.Transactions, got.Transactions)
		}
	}
	w.pub.get(third.path("/transaction/"+paid.TransactionID), third.token).wants(http.StatusNotFound, "transaction_not_found")
	seen := into[transactionJSON](w.tru.get("/transaction/"+paid.TransactionID, ""))
	if seen.FundsAfter != 70 {
		t.Errorf("got funds_after %d on the trusted side, want the sender's 70", seen.FundsAfter)
	}
}
