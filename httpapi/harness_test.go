package httpapi_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/httpapi"
)

// startTime is what the clock of a world shows first.
var startTime = time.Date(2022, 8, 15, 13, 24, 23, 136285000, time.UTC)

// clock is a clock that stands until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Set(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = now
}

func (c *clock) Advance(d time.Duration) { c.Set(c.Now().Add(d)) }

// setup says how a world differs from the usual one.
type setup struct {
	ledger    capycoin.Options
	tokens    capycoin.TokenOptions
	wait      time.Duration
	prefix    string // what the handlers are mounted under
	open      func(*capycoin.Options) (*capycoin.Ledger, error)
	uids      []int    // AllowUIDs; see also world.caller
	origins   []string // CORSOrigins
	signUp    httpapi.SignUp
	address   int // SignUpsPerAddress, but zero is for no limit
	total     int // SignUpsTotal, the same
	further   int // TokensPerAccount, the same
	proxies   []netip.Prefix
	stipend   capycoin.StipendRules
	unaudited bool // the ledger's store is broken on purpose
}

// world is a ledger with both handlers, each behind a server.
type world struct {
	t     testing.TB
	setup setup
	clock *clock
	path  string
	led   *capycoin.Ledger
	iss   *capycoin.TokenIssuer
	api   *httpapi.API
	// caller is who calls the trusted side, as a Unix socket tells. Nil: nobody
	// knows.
	caller atomic.Pointer[httpapi.Peer]
	pub    *client
	tru    *client
}

// newWorld opens a new ledger and serves it. When the test ends the books are
// audited and everything is closed.
func newWorld(t testing.TB, s setup) *world {
	t.Helper()
	w := &world{t: t, setup: s, clock: &clock{now: startTime}, path: filepath.Join(t.TempDir(), "coins.db")}
	w.setup.ledger.Clock = w.clock.Now
	w.setup.ledger.Logger = suiteLogger()
	if w.setup.tokens.BcryptCost == 0 {
		w.setup.tokens.BcryptCost = 4
	}
	if w.setup.open == nil {
		w.setup.open = func(o *capycoin.Options) (*capycoin.Ledger, error) { return capycoin.Open(w.path, o) }
	}
	w.start()
	t.Cleanup(w.stop)
	return w
}

func (w *world) start() {
	w.t.Helper()
	var err error
	if w.led, err = w.setup.open(&w.setup.ledger); err != nil {
		w.t.Fatalf("open: %v", err)
	}
	if w.iss, err = capycoin.NewTokenIssuer(w.led, &w.setup.tokens); err != nil {
		w.t.Fatalf("token issuer: %v", err)
	}
	w.api, err = httpapi.New(w.led, w.iss, &httpapi.Options{Logger: suiteLogger(), Wait: w.setup.wait, AllowUIDs: w.setup.uids, CORSOrigins: w.setup.origins,
		SignUp: w.setup.signUp, SignUpsPerAddress: cmp.Or(w.setup.address, -1), SignUpsTotal: cmp.Or(w.setup.total, -1), TokensPerAccount: cmp.Or(w.setup.further, -1), TrustedProxies: w.setup.proxies, Stipend: w.setup.stipend})
	if err != nil {
		w.t.Fatalf("handlers: %v", err)
	}
	w.api.SetSignUpClock(w.clock.Now)
	w.pub = newClient(w.t, public, w.setup.prefix, w.api.Public())
	w.tru = newClient(w.t, trusted, w.setup.prefix, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if p := w.caller.Load(); p != nil {
			r = r.WithContext(httpapi.WithPeer(r.Context(), *p))
		}
		w.api.Trusted().ServeHTTP(rw, r)
	}))
}

// stop audits the books, unless the ledger no longer serves, and closes all.
func (w *world) stop() {
	w.pub.close()
	w.tru.close()
	if w.led.Err() == nil && !w.setup.unaudited {
		rep, err := w.led.Audit(context.Background(), nil)
		if err == nil {
			err = rep.Err()
		}
		if err != nil {
			w.t.Errorf("audit: %v", err)
		}
	}
	if err := w.led.Close(); err != nil {
		w.t.Errorf("close: %v", err)
	}
}

// reopen closes the ledger and its servers and opens the same file again.
func (w *world) reopen() {
	w.t.Helper()
	w.stop()
	w.start()
}

// client asks one side, and has every exchange checked against openapi.yaml.
type client struct {
	t      testing.TB
	side   string
	prefix string
	server *httptest.Server
	http   *http.Client
}

func newClient(t testing.TB, side, prefix string, h http.Handler) *client {
	t.Helper()
	if prefix != "" {
		h = http.StripPrefix(prefix, h)
	}
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = slog.NewLogLogger(suiteLogger().Handler(), slog.LevelError)
	server.Start()
	transport := &http.Transport{MaxIdleConnsPerHost: 128}
	return &client{t: t, side: side, prefix: prefix, server: server, http: &http.Client{
		Transport:     &checking{t: t, c: contractOf(t, side), prefix: prefix, next: transport},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       time.Minute,
	}}
}

func (c *client) close() {
	c.http.Transport.(*checking).next.(*http.Transport).CloseIdleConnections()
	c.server.Close()
}

// call is a request. A token is sent as the bearer's; a body as JSON unless
// the header says otherwise.
type call struct {
	method, path string
	token        string
	body         string
	header       http.Header
}

// reply is a response, read to its end.
type reply struct {
	t      testing.TB
	call   call
	url    string
	status int
	header http.Header
	body   []byte
}

// do sends a request.
func (c *client) do(r call) reply {
	c.t.Helper()
	got, err := c.try(r)
	if err != nil {
		c.t.Fatalf("%s %s: %v", r.method, shorten(r.path), err)
	}
	return got
}

// try is do for goroutines other than the test's own.
func (c *client) try(r call) (reply, error) {
	var body io.Reader
	if r.body != "" {
		body = strings.NewReader(r.body)
	}
	req, err := http.NewRequest(r.method, c.server.URL+c.prefix+r.path, body)
	if err != nil {
		return reply{}, err
	}
	if r.body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.token != "" {
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
	for name, values := range r.header {
		req.Header[name] = values
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	got := reply{t: c.t, call: r, url: req.URL.String(), status: resp.StatusCode, header: resp.Header}
	got.body, err = io.ReadAll(resp.Body)
	return got, err
}

func (c *client) get(path, token string) reply {
	c.t.Helper()
	return c.do(call{method: "GET", path: path, token: token})
}

func (c *client) post(path, token, body string) reply {
	c.t.Helper()
	return c.do(call{method: "POST", path: path, token: token, body: body})
}

func (c *client) delete(path, token string) reply {
	c.t.Helper()
	return c.do(call{method: "DELETE", path: path, token: token})
}

// String describes an exchange for a failure's message.
func (r reply) String() string {
	return fmt.Sprintf("%s %s %s: %d %s", r.call.method, shorten(r.call.path), shorten(r.call.body), r.status, shorten(string(r.body)))
}

// ok fails the test unless the status is 200 or 204.
func (r reply) ok() reply {
	r.t.Helper()
	if r.status != http.StatusOK && r.status != http.StatusNoContent {
		r.t.Fatalf("%v, want 200 or 204", r)
	}
	return r
}

// wants fails the test unless the reply is a problem with the status and code.
func (r reply) wants(status int, code string) problem {
	r.t.Helper()
	p, err := r.isProblem(status, code)
	if err != nil {
		r.t.Errorf("%v: %v", r, err)
	}
	return p
}

// isProblem returns an error unless the reply is a problem with that status
// and code.
func (r reply) isProblem(status int, code string) (problem, error) {
	var p problem
	if r.status != status {
		return p, fmt.Errorf("got status %d, want %d %s", r.status, status, code)
	}
	if err := json.Unmarshal(r.body, &p); err != nil {
		return p, err
	}
	if p.Code != code {
		return p, fmt.Errorf("got code %q, want %q", p.Code, code)
	}
	return p, nil
}

// into decodes the body of a 200.
func into[T any](r reply) T {
	r.t.Helper()
	var v T
	if r.status != http.StatusOK {
		r.t.Fatalf("%v, want 200", r)
	}
	if err := json.Unmarshal(r.body, &v); err != nil {
		r.t.Fatalf("%v: %v", r, err)
	}
	return v
}

// problem is RFC 9457's, with the members of this API.
type problem struct {
	Type         string
	Title        string
	Status       int
	Detail       string
	Code         string
	ErrorType    string `json:"error_type"`
	ErrorMessage string `json:"error_message"`
	Funds        *int64
	Required     *int64
	Index        *int
}

type accountJSON struct {
	AccountID    string `json:"account_id"`
	Created      string
	Funds        int64
	Transactions int64
	PublicKey    *string `json:"public_key"`
	KeyVersion   *int64  `json:"key_version"`
}

type receiptJSON struct {
	TransactionID      string `json:"transaction_id"`
	Timestamp          string
	SenderAccountID    string `json:"sender_account_id"`
	ReceiverAccountID  string `json:"receiver_account_id"`
	SenderAccountFunds int64  `json:"sender_account_funds"`
	Fee                int64
	Replayed           bool
}

// resultJSON is an item of a batch's answer.
type resultJSON struct {
	receiptJSON
	problem
}

type batchJSON struct {
	Transactions []resultJSON
}

type transactionJSON struct {
	TransactionID     string `json:"transaction_id"`
	Timestamp         string
	SenderAccountID   string `json:"sender_account_id"`
	ReceiverAccountID string `json:"receiver_account_id"`
	Amount            int64
	Fee               int64
	FundsAfter        int64 `json:"funds_after"`
}

type historyJSON struct {
	AccountID    string `json:"account_id"`
	Transactions []transactionJSON
	NextCursor   *string `json:"next_cursor"`
}

type tokenJSON struct {
	TokenID     string `json:"token_id"`
	Token       string
	TokenExpiry string `json:"token_expiry"`
	Created     string
	Label       string
}

type tokensJSON struct {
	AccountID string `json:"account_id"`
	Tokens    []tokenJSON
}

type supplyJSON struct {
	LedgerID         string `json:"ledger_id"`
	Supply           int64
	SeedAccountFunds int64 `json:"seed_account_funds"`
	Circulating      int64
	Accounts         int64
	Transactions     int64
}

// owner is an account and the token it was opened with.
type owner struct {
	id, token, tokenID string
}

func (o owner) path(rest string) string { return "/account/" + o.id + rest }

// uuid returns the account's id as the library has it.
func (o owner) uuid() uuid.UUID { return uuid.MustParse(o.id) }

// open opens an account over the public side and gives it funds.
func (w *world) open(funds int64) owner {
	w.t.Helper()
	got := into[struct {
		AccountID string `json:"account_id"`
		tokenJSON
	}](w.pub.post("/account", "", ""))
	o := owner{got.AccountID, got.Token, got.TokenID}
	if funds > 0 {
		w.grant(o, funds)
	}
	return o
}

// grant moves coins from the seed account.
func (w *world) grant(to owner, amount int64) capycoin.Receipt {
	w.t.Helper()
	receipt, err := w.led.Transfer(context.Background(), capycoin.Transfer{
		Sender: w.seed(), Receiver: to.uuid(), Amount: capycoin.Coins(amount),
	})
	if err != nil {
		w.t.Fatalf("grant: %v", err)
	}
	return receipt
}

func (w *world) seed() uuid.UUID { return capycoin.DefaultSeedAccount() }

// funds returns what an account has.
func (w *world) funds(o owner) int64 {
	w.t.Helper()
	acct, err := w.led.Account(context.Background(), o.uuid())
	if err != nil {
		w.t.Fatalf("account %s: %v", o.id, err)
	}
	return int64(acct.Funds)
}

// pay is a transfer over the public side.
func (w *world) pay(from, to owner, amount int64) reply {
	w.t.Helper()
	return w.pub.post(from.path("/transaction"), from.token, transferBody(to.id, amount))
}

// payKeyed is a transfer with an Idempotency-Key header.
func (w *world) payKeyed(from, to owner, amount int64, key string) reply {
	w.t.Helper()
	return w.pub.do(call{method: "POST", path: from.path("/transaction"), token: from.token,
		body: transferBody(to.id, amount), header: http.Header{"Idempotency-Key": {key}}})
}

func transferBody(receiver string, amount int64) string {
	return fmt.Sprintf(`{"receiver":%q,"amount":%d}`, receiver, amount)
}

// unknownID returns the id of no account.
func unknownID() string { return uuid.NewString() }

// suiteLog is what every ledger and handler of the suite logs. The end of the
// suite looks for tokens in it.
var suiteLog struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

type suiteLogWriter struct{}

func (suiteLogWriter) Write(p []byte) (int, error) {
	suiteLog.mu.Lock()
	defer suiteLog.mu.Unlock()
	return suiteLog.buf.Write(p)
}

var suiteLogger = sync.OnceValue(func() *slog.Logger {
	return slog.New(slog.NewJSONHandler(suiteLogWriter{}, &slog.HandlerOptions{Level: slog.LevelDebug}))
})

// logged returns what the suite logged so far.
func logged() string {
	suiteLog.mu.Lock()
	defer suiteLog.mu.Unlock()
	return suiteLog.buf.String()
}
