package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/storetest"
)

// TestSyntaxBeforeToken checks that a query that is not in form is answered so
// whether or not a token comes with it.
func TestSyntaxBeforeToken(t *testing.T) {
	w := newWorld(t, setup{})
	own, other := w.open(10), w.open(0)
	for _, query := range []string{"limit=0", "limit=1001", "order=up", "start=today", "end=2022-02-30", "cursor=%2B",
		"start=2022-08-16&end=2022-08-15", "x=1", "limit=1&limit=2"} {
		for _, token := range []string{"", newToken(), other.token, own.token} {
			w.pub.get(own.path("/transactions?"+query), token).wants(http.StatusBadRequest, "bad_request")
		}
	}
	w.pub.get(own.path("/transactions?limit=1"), "").wants(http.StatusUnauthorized, "token_required")
	w.pub.get(own.path("/transactions?limit=1"), other.token).wants(http.StatusUnauthorized, "invalid_token")
}

// TestEarlyBounds checks bounds at the zero of time.Time, which the library
// takes for none, and before it.
func TestEarlyBounds(t *testing.T) {
	w := newWorld(t, setup{})
	own := w.open(10)
	for query, want := range map[string]int{
		"end=0000-01-01":             0,
		"end=0000-12-31":             0,
		"end=0001-01-01":             0,
		"end=0001-01-01T00:00:00Z":   0,
		"start=0000-01-01":           1,
		"start=0001-01-01T00:00:00Z": 1,
		"start=0001-01-01T00:00:00Z&end=0001-01-01T00:00:00Z": 0,
		"start=9999-12-31": 0,
		"end=9999-12-31":   1,
	} {
		got := into[historyJSON](w.pub.get(own.path("/transactions?"+query), own.token))
		if len(got.Transactions) != want {
			t.Errorf("%s: got %d transactions, want %d", query, len(got.Transactions), want)
		}
	}
	w.pub.get(own.path("/transactions?start=0001-01-01T00:00:00Z&end=0000-12-30"), own.token).wants(http.StatusBadRequest, "bad_request")

	w.grant(own, 1)
	day := into[historyJSON](w.pub.get(own.path("/transactions?limit=1&start=2022-08-15"), own.token))
	w.pub.get(own.path("/transactions?start=0001-01-01T00:00:00Z&cursor="+*day.NextCursor), own.token).wants(http.StatusBadRequest, "bad_request")
}

// TestEmptyChunkedBody checks that a body whose length is not told beforehand
// and turns out to be 0 is none.
func TestEmptyChunkedBody(t *testing.T) {
	w := newWorld(t, setup{})
	own := w.open(0)
	ask := func(h http.Handler, path, token string) int {
		req := httptest.NewRequest("POST", path, io.NopCloser(strings.NewReader("")))
		req.ContentLength = -1
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, req)
		return rec.Code
	}
	for _, tt := range []struct {
		h           http.Handler
		path, token string
		want        int
	}{
		{w.api.Public(), "/account", "", 200},
		{w.api.Public(), own.path("/token"), own.token, 200},
		{w.api.Public(), own.path("/transaction"), own.token, 400},
		{w.api.Trusted(), "/account", "", 200},
	} {
		if got := ask(tt.h, tt.path, tt.token); got != tt.want {
			t.Errorf("POST %s: got %d, want %d", tt.path, got, tt.want)
		}
	}
}

// TestUnfinishedBody checks that a body which stops half-way is the client's
// fault, and moves nothing.
func TestUnfinishedBody(t *testing.T) {
	w := newWorld(t, setup{})
	own, other := w.open(10), w.open(0)
	server := httptest.NewUnstartedServer(w.api.Public())
	server.Config.ReadHeaderTimeout = 30 * time.Second // so that only the body can be late
	server.Config.ReadTimeout = 300 * time.Millisecond
	server.Start()
	defer server.Close()
	body := transferBody(other.id, 1)
	for name, end := range map[string]func(*net.TCPConn) error{
		"cut off": (*net.TCPConn).CloseWrite,
		"stalled": func(*net.TCPConn) error { return nil }, // until the server's ReadTimeout
	} {
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(10 * time.Second))
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s",
			own.path("/transaction"), own.token, len(body)+1, body)
		if err := end(conn.(*net.TCPConn)); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(conn)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !bytes.HasPrefix(got, []byte("HTTP/1.1 400 ")) || !bytes.Contains(got, []byte(`"bad_request"`)) {
			t.Errorf("%s: got %s, want a 400", name, got)
		}
	}
	if got := w.funds(own); got != 10 {
		t.Errorf("funds are %d, want 10", got)
	}
}

// TestNoRedirects checks that no path leads elsewhere: under someone else's
// prefix the mux would send the client out of it.
func TestNoRedirects(t *testing.T) {
	w := newWorld(t, setup{prefix: "/coins"})
	for _, c := range []*client{w.pub, w.tru} {
		for _, r := range routesOf(t, c.side) {
			path := strings.TrimSuffix(fill(r.path, seedID, unknownID(), unknownID()), "/")
			for _, other := range []string{path, path + "/", "/." + path, "/" + path, path + "/x/.."} {
				got := c.do(call{method: "GET", path: other})
				if got.status >= 300 && got.status < 400 {
					t.Errorf("%s: got %d to %s", other, got.status, got.header.Get("Location"))
				}
			}
		}
	}
	w.tru.get("/debug/pprof", "").wants(http.StatusNotFound, "not_found")
	w.tru.get("/debug/pprof/", "").ok()
}

// unflushed is a ResponseWriter that can't flush, as some middlewares' are.
type unflushed struct{ rec *httptest.ResponseRecorder }

func (u unflushed) Header() http.Header         { return u.rec.Header() }
func (u unflushed) Write(b []byte) (int, error) { return u.rec.Write(b) }
func (u unflushed) WriteHeader(status int)      { u.rec.WriteHeader(status) }

// TestAuditUnflushed checks that an audit gets to its end though its lines
// can't be flushed one by one.
func TestAuditUnflushed(t *testing.T) {
	w := newWorld(t, setup{})
	w.open(10)
	rec := httptest.NewRecorder()
	w.api.Trusted().ServeHTTP(unflushed{rec}, httptest.NewRequest("POST", "/audit", http.NoBody))
	lines := bytes.Split(bytes.TrimSpace(rec.Body.Bytes()), []byte("\n"))
	var last struct {
		Report *struct{ Supply int64 }
		Error  string
	}
	if err := json.Unmarshal(lines[len(lines)-1], &last); err != nil {
		t.Fatal(err)
	}
	if last.Report == nil || last.Report.Supply != 100_000 {
		t.Errorf("the last line is %s, want a report", lines[len(lines)-1])
	}
}

// TestBatchTooLarge checks that an atomic batch which a store can't commit at
// once is refused for that, and that one with each alone is made in parts.
func TestBatchTooLarge(t *testing.T) {
	mem := storetest.NewMemory()
	mem.SetMaxAppend(65_536)
	w := newWorld(t, setup{open: func(o *capycoin.Options) (*capycoin.Ledger, error) {
		return capycoin.OpenStore(context.Background(), mem, mem, o)
	}})
	own, other := w.open(2000), w.open(0)
	items := slices.Repeat([]string{item(other.id, 1, "")}, 1000)
	w.pub.post(own.path("/transactions"), own.token, batch(true, items...)).wants(http.StatusRequestEntityTooLarge, "too_large")
	if got := w.funds(other); got != 0 {
		t.Errorf("the receiver has %d, want 0", got)
	}
	w.pub.post(own.path("/transactions"), own.token, batch(false, items...)).ok()
	if got := w.funds(other); got != 1000 {
		t.Errorf("the receiver has %d, want 1000", got)
	}
}

// misleading is a store whose Append fails, when told to, with an error of this
// module that says something certain of another call.
type misleading struct {
	*storetest.Memory
	cause atomic.Pointer[error]
}

func (m *misleading) Append(ctx context.Context, after uint64, records [][]byte) error {
	if cause := m.cause.Load(); cause != nil {
		m.Memory.Append(ctx, after, records) // it is there, yet nobody knows
		return fmt.Errorf("the connection is gone: %w", *cause)
	}
	return m.Memory.Append(ctx, after, records)
}

// TestUnknownWhateverTheCause checks that an unknown outcome is told as such
// when its cause alone would be told as something certain.
func TestUnknownWhateverTheCause(t *testing.T) {
	for _, cause := range []error{capycoin.ErrClosed, capycoin.ErrStopped, capycoin.ErrBusy, capycoin.ErrCorrupt, capycoin.ErrInsufficientFunds, capycoin.ErrInvalidToken,
		context.Canceled, context.DeadlineExceeded} {
		store := &misleading{Memory: storetest.NewMemory()}
		w := newWorld(t, setup{unaudited: true, open: func(o *capycoin.Options) (*capycoin.Ledger, error) {
			return capycoin.OpenStore(context.Background(), store, store, o)
		}})
		own, other := w.open(10), w.open(0)
		store.cause.Store(&cause)
		got := w.pay(own, other, 1)
		got.wants(http.StatusInternalServerError, "outcome_unknown")
		if after := got.header.Get("Retry-After"); after != "" {
			t.Errorf("%v: got Retry-After %q, want none", cause, after)
		}
		w.pay(own, other, 1).wants(http.StatusServiceUnavailable, "unavailable")
	}
}

// TestDamageFound checks that whoever comes upon damage in the books is told
// what all later callers are told, not that this is a bug.
func TestDamageFound(t *testing.T) {
	mem := storetest.NewMemory()
	w := newWorld(t, setup{unaudited: true, open: func(o *capycoin.Options) (*capycoin.Ledger, error) {
		return capycoin.OpenStore(context.Background(), mem, mem, o)
	}})
	own, other := w.open(10), w.open(0)
	paid := into[receiptJSON](w.pay(own, other, 1))
	position := w.led.Stats().Position
	if !mem.SetRecord(position, []byte("damaged")) {
		t.Fatal("the store has no such record")
	}
	for range 2 {
		w.pub.get(own.path("/transaction/"+paid.TransactionID), own.token).wants(http.StatusServiceUnavailable, "unavailable")
	}
	w.pub.get("/readyz", "").wants(http.StatusServiceUnavailable, "unavailable")
}
