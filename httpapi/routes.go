package httpapi

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
)

// route is an operation of the API.
type route struct {
	method string
	path   string   // a pattern of http.ServeMux, without the method
	query  []string // the parameters it takes; anyQuery: it sees to them itself
	auth   auth
	key    keyUse
	quiet  bool // logged at level Debug: asked for all the time by machines
	change bool // what a caller of the trusted side did goes to the log
	serve  func(*exchange) error
}

var anyQuery = []string{"*"}

// auth is who may use a route.
type auth int

const (
	anybody auth = iota
	nobodyWithToken
	owner // of the path's account; on the trusted side anybody
)

// keyUse is what a route does with the header Idempotency-Key.
type keyUse int

const (
	keyIgnored keyUse = iota
	keyTaken
	keyRefused // its transfers have keys of their own
)

// publicRoutes and trustedRoutes are all there is. Paths and methods that are
// not here are answered 404 and 405.
var publicRoutes = []route{
	{method: "GET", path: "/{$}", serve: serveIndex},
	{method: "GET", path: "/healthz", quiet: true, serve: serveHealth},
	{method: "GET", path: "/readyz", quiet: true, serve: serveReady},
	{method: "GET", path: "/openapi.yaml", serve: serveOpenAPI},
	{method: "GET", path: "/supply", serve: serveSupply},
	{method: "GET", path: "/fee", query: []string{"amount"}, serve: serveFee},
	{method: "POST", path: "/account", auth: nobodyWithToken, serve: serveSignUp},
	{method: "GET", path: "/account/{account_id}", auth: owner, serve: serveAccount},
	{method: "POST", path: "/account/{account_id}/transaction", auth: owner, key: keyTaken, serve: serveTransfer},
	{method: "GET", path: "/account/{account_id}/transaction/{transaction_id}", auth: owner, serve: serveTransaction},
	{method: "GET", path: "/account/{account_id}/transactions", auth: owner, query: rangeQuery, serve: serveTransactions},
	{method: "POST", path: "/account/{account_id}/transactions", auth: owner, key: keyRefused, serve: serveBatch},
	{method: "POST", path: "/account/{account_id}/token", auth: owner, serve: serveIssueToken},
	{method: "GET", path: "/account/{account_id}/tokens", auth: owner, serve: serveTokens},
	{method: "POST", path: "/account/{account_id}/key", auth: owner, serve: serveChangeKey},
	{method: "DELETE", path: "/account/{account_id}/token/{token_id}", auth: owner, serve: serveRevokeToken},
}

var trustedRoutes = []route{
	{method: "GET", path: "/supply", serve: serveSupply},
	{method: "GET", path: "/fee", query: []string{"amount"}, serve: serveFee},
	{method: "GET", path: "/fee/policy", serve: serveFeePolicy},
	{method: "PUT", path: "/fee/policy", change: true, serve: serveSetFeePolicy},
	{method: "GET", path: "/stipend", serve: serveLastStipend},
	{method: "POST", path: "/stipend", change: true, serve: servePayStipend},
	{method: "POST", path: "/account", change: true, serve: serveOpenAccount},
	{method: "GET", path: "/account/{account_id}", serve: serveAccount},
	{method: "GET", path: "/accounts", query: []string{"limit", "cursor"}, serve: serveAccounts},
	{method: "GET", path: "/account/{account_id}/transactions", query: rangeQuery, serve: serveTransactions},
	{method: "GET", path: "/transaction/{transaction_id}", serve: serveTransaction},
	{method: "POST", path: "/transaction", key: keyTaken, change: true, serve: serveTransfer},
	{method: "POST", path: "/transactions", key: keyRefused, change: true, serve: serveBatch},
	{method: "POST", path: "/account/{account_id}/token", change: true, serve: serveIssueToken},
	{method: "GET", path: "/account/{account_id}/tokens", serve: serveTokens},
	{method: "POST", path: "/account/{account_id}/key", change: true, serve: serveChangeKey},
	{method: "DELETE", path: "/account/{account_id}/token/{token_id}", change: true, serve: serveRevokeToken},
	{method: "POST", path: "/invite", change: true, serve: serveNewInvite},
	{method: "GET", path: "/invites", query: []string{"limit", "cursor"}, serve: serveInvites},
	{method: "DELETE", path: "/invite/{invite_id}", change: true, serve: serveRevokeInvite},
	{method: "POST", path: "/audit", serve: serveAudit},
	{method: "GET", path: "/journal", quiet: true, query: []string{"after"}, serve: serveJournal},
	{method: "GET", path: "/metrics", quiet: true, serve: serveMetrics},
	{method: "GET", path: "/debug/pprof/{$}", query: anyQuery, serve: serveProfiles},
	{method: "GET", path: "/debug/pprof/{profile}", query: anyQuery, serve: serveProfile},
}

// side is one of the two handlers.
type side struct {
	api    *API
	name   string
	mux    *http.ServeMux
	prefix string // of its request ids
	count  atomic.Uint64
}

// endpoint is what the mux leads to: a route, or the routes of a path for
// which the method is none of theirs, or nothing.
type endpoint struct {
	route  *route
	routes []*route
	usual  tally
}

// ServeHTTP implements [http.Handler], for requests that come by a side.
func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := w.(*recorder).exchange
	x.r, x.route, x.usual = r, e.route, &e.usual
	if err := x.serve(e.routes); err != nil {
		x.fail(err)
	}
}

func newSide(a *API, name string, routes []route) *side {
	var random [6]byte
	rand.Read(random[:])
	s := &side{api: a, name: name, mux: http.NewServeMux(), prefix: hex.EncodeToString(random[:])}
	paths := make(map[string][]*route)
	for i := range routes {
		r := &routes[i]
		s.mux.Handle(r.method+" "+r.path, &endpoint{route: r})
		paths[r.path] = append(paths[r.path], r)
	}
	for p, rs := range paths {
		s.mux.Handle(p, &endpoint{routes: rs}) // for the other methods
		if bare, ok := strings.CutSuffix(p, "/{$}"); ok && bare != "" {
			s.mux.Handle(bare, &endpoint{}) // the mux would redirect, and not know where it is mounted
		}
	}
	s.mux.Handle("/", &endpoint{})
	return s
}

// exchange is a request on its way to its reply.
type exchange struct {
	*API
	side  *side
	route *route // nil: there is none
	usual *tally // of the route
	id    string
	ids   [1]string // the same, as a header's values
	w     *recorder // the one below
	r     *http.Request

	account uuid.UUID // of the path
	object  uuid.UUID // the transaction, token or invite of the path
	query   map[string]string
	listing capycoin.Range // what the query asks for
	key     string         // the Idempotency-Key
	origin  []string       // of the page that asks, if it was named
	code    string         // of the problem that was answered
	did     []slog.Attr    // what a change was, for the log

	recorder recorder
}

func (x *exchange) trusted() bool { return x.side == x.API.trusted }

// recorder notes what is replied.
type recorder struct {
	http.ResponseWriter
	exchange *exchange
	status   int
	bytes    int64
}

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	return n, err
}

// Unwrap is for http.ResponseController.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// ServeHTTP implements [http.Handler].
func (s *side) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	x := &exchange{API: s.api, side: s, r: r, id: s.prefix + "-" + strconv.FormatUint(s.count.Add(1), 16)}
	x.recorder = recorder{ResponseWriter: w, exchange: x}
	x.w = &x.recorder
	x.secure()
	x.allowOrigin()
	if len(r.TransferEncoding) > 0 || !r.ProtoAtLeast(1, 1) {
		// net/http does not tell whether a chunked body had a length, too, and one
		// of HTTP/1.0 chunks: a proxy may have read the request to another end than
		// net/http has. What follows is nobody's request, then (RFC 9112, 6.1).
		w.Header().Set("Connection", "close")
	}
	defer x.done(start)
	defer x.recovered()
	p := r.URL.Path
	clean := path.Clean(p)
	if clean != "/" && strings.HasSuffix(p, "/") {
		clean += "/"
	}
	switch {
	case s == s.api.trusted && !s.api.admits(r.Context()):
		x.w.Header().Set("Connection", "close") // it has nothing to wait for
		x.fail(errNotYou)
	case s.api.drained.Load() && p != "/healthz":
		x.fail(capycoin.ErrClosed)
	case p == "" || p[0] != '/' || p != clean:
		// The mux would redirect from //a and /b/../a, but nobody asks for that.
		x.fail(errNoRoute)
	default:
		s.mux.ServeHTTP(x.w, r)
	}
}

// recovered answers for a panic. net/http's own way to end a connection is
// left alone.
func (x *exchange) recovered() {
	p := recover()
	if p == nil {
		return
	}
	if p == http.ErrAbortHandler {
		panic(p)
	}
	x.logger.Error("panic", "request", x.id, "cause", fmt.Sprint(p), "stack", string(debug.Stack()))
	if x.w.status != 0 {
		panic(http.ErrAbortHandler) // too late for another answer
	}
	x.fail(errPanic)
}

// serve checks what is common to all routes, in the order of the contract, and
// serves the one that was asked for, or says which methods the path has.
func (x *exchange) serve(others []*route) error {
	if x.route == nil {
		if len(others) == 0 {
			return errNoRoute
		}
		if x.preflight() {
			return x.answerPreflight(others)
		}
		x.w.Header().Set("Allow", allowed(others))
		return errNoMethod
	}
	if err := x.parseIDs(); err != nil {
		return err
	}
	if err := x.parseQuery(); err != nil {
		return err
	}
	if err := x.parseKey(); err != nil {
		return err
	}
	if x.route.auth != anybody {
		if err := x.authorize(); err != nil {
			return err
		}
	}
	return x.route.serve(x)
}

func allowed(routes []*route) string {
	var names []string
	for _, r := range routes {
		names = append(names, r.method)
		if r.method == http.MethodGet {
			names = append(names, http.MethodHead)
		}
	}
	return strings.Join(names, ", ")
}

// done logs and counts a request.
func (x *exchange) done(start time.Time) {
	took := time.Since(start)
	method, pattern, level, message := x.r.Method, "", slog.LevelInfo, "request"
	if x.route != nil {
		pattern = x.route.name()
		if x.route.quiet {
			level = slog.LevelDebug
		}
	}
	if x.code == "forbidden" {
		level, message = slog.LevelWarn, "caller refused"
	}
	if !slices.Contains(methods, method) {
		method = "OTHER" // it could be anything, a token too
	}
	if x.route != nil && method == x.route.method && x.w.status == http.StatusOK {
		x.usual.request(x.metrics, x.side.name, method, pattern, took)
	} else {
		x.metrics.request(x.side.name, method, pattern, x.w.status, took)
	}
	if !x.logger.Enabled(x.r.Context(), level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("request", x.id), slog.String("side", x.side.name), slog.String("method", method), slog.String("route", pattern),
		slog.Int("status", x.w.status), slog.Int64("bytes", x.w.bytes), slog.Duration("took", took),
	}
	if x.trusted() {
		if peer, ok := peerOf(x.r.Context()); ok {
			attrs = append(attrs, peer)
		}
	} else {
		attrs = append(attrs, slog.String("remote", x.r.RemoteAddr))
	}
	if x.changes() {
		message, attrs = "change", append(attrs, x.did...)
		if x.code != "" {
			attrs = append(attrs, slog.String("code", x.code))
		}
	}
	x.logger.LogAttrs(x.r.Context(), level, message, attrs...)
}

var methods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"}

// name is the route's path as openapi.yaml has it.
func (r *route) name() string { return strings.TrimSuffix(r.path, "{$}") }
