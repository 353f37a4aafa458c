package httpapi_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/httpapi"
	"github.com/capycoin/capycoin/storetest"
)

// The benchmarks send authenticated requests to the public side. BenchmarkServe
// does so over loopback TCP with keep-alive, from a lean client in the same
// process, and reports requests/s; "bare" beside each "capycoin" is a handler
// that only decodes the same body with encoding/json and writes a reply of the
// same size. BenchmarkHandler calls the handler without a network, to count
// allocations. Run them with
//
//	go test -run '^$' -bench Serve -benchtime 2s -count 6 ./httpapi
//	go test -run '^$' -bench Handler -benchmem ./httpapi
//
// Machines differ and are noisy: compare figures of one run.

// benchAccounts is how many accounts a benchmark has, each with its token.
const benchAccounts = 64

// benchWorld is a ledger and its public side, with the accounts of a benchmark.
type benchWorld struct {
	led    *capycoin.Ledger
	api    *httpapi.API
	owners []owner
}

// newBenchWorld makes accounts with funds that outlast a benchmark and some
// transactions each.
func newBenchWorld(b *testing.B, open func(*capycoin.Options) (*capycoin.Ledger, error)) *benchWorld {
	b.Helper()
	ctx := context.Background()
	led, err := open(&capycoin.Options{Supply: capycoin.MaxSupply})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := led.Close(); err != nil {
			b.Error(err)
		}
	})
	iss, err := capycoin.NewTokenIssuer(led, &capycoin.TokenOptions{BcryptCost: 4})
	if err != nil {
		b.Fatal(err)
	}
	w := &benchWorld{led: led}
	if w.api, err = httpapi.New(led, iss, nil); err != nil {
		b.Fatal(err)
	}
	var grants []capycoin.Transfer
	for range benchAccounts {
		acct, tok, err := iss.OpenAccount(ctx)
		if err != nil {
			b.Fatal(err)
		}
		w.owners = append(w.owners, owner{acct.ID.String(), tok.Secret, tok.ID.String()})
		for range 150 {
			grants = append(grants, capycoin.Transfer{Sender: capycoin.DefaultSeedAccount(), Receiver: acct.ID, Amount: 1 << 38})
		}
	}
	if _, err := led.TransferBatch(ctx, grants, capycoin.Atomic); err != nil {
		b.Fatal(err)
	}
	return w
}

// benchCase is what a benchmark asks for, over and over.
type benchCase struct {
	name        string
	connections int
	request     func(w *benchWorld, n int) (method, path, body string) // of the n-th account
	body        func() any                                             // what the bare handler decodes
}

type transferBody1 struct {
	Receiver string
	Amount   int64
	Key      string
}

var benchCases = []benchCase{
	{"Account", 64,
		func(w *benchWorld, n int) (method, path, body string) { return "GET", w.owners[n].path(""), "" }, nil},
	{"Transfer", 64,
		func(w *benchWorld, n int) (method, path, body string) {
			return "POST", w.owners[n].path("/transaction"), transferBody(w.owners[(n+1)%benchAccounts].id, 1)
		},
		func() any { return new(transferBody1) }},
	{"Batch", 4,
		func(w *benchWorld, n int) (method, path, body string) {
			items := make([]string, 1000)
			for i := range items {
				items[i] = transferBody(w.owners[(n+1+i%(benchAccounts-1))%benchAccounts].id, 1)
			}
			return "POST", w.owners[n].path("/transactions"), `{"transactions":[` + strings.Join(items, ",") + `]}`
		},
		func() any { return new(struct{ Transactions []transferBody1 }) }},
	{"Page", 64,
		func(w *benchWorld, n int) (method, path, body string) {
			return "GET", w.owners[n].path("/transactions?limit=100"), ""
		}, nil},
}

func BenchmarkServe(b *testing.B) {
	for _, bc := range benchCases {
		b.Run(bc.name, func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "coins.db")
			w := newBenchWorld(b, func(o *capycoin.Options) (*capycoin.Ledger, error) { return capycoin.Open(path, o) })
			requests := make([][]byte, benchAccounts)
			for n := range requests {
				requests[n] = rawRequest(bc.request(w, n))
				requests[n] = bytes.Replace(requests[n], []byte("TOKEN"), []byte(w.owners[n].token), 1)
			}
			addr := listenBench(b, w.api.Public())
			clients := dialBench(b, addr, requests[:bc.connections])
			size := 0
			for _, c := range clients { // each token is hashed once
				if size = c.do(); c.err != nil {
					b.Fatal(c.err)
				}
			}
			bare := dialBench(b, listenBench(b, bareHandler(bc.body, size)), requests[:bc.connections])
			b.Run("capycoin", func(b *testing.B) { shareRequests(b, clients) })
			b.Run("bare", func(b *testing.B) { shareRequests(b, bare) })
		})
	}
}

// rawRequest returns a request as it is sent, with TOKEN for the token.
func rawRequest(method, path, body string) []byte {
	var r bytes.Buffer
	fmt.Fprintf(&r, "%s %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer TOKEN\r\n", method, path)
	if body != "" {
		fmt.Fprintf(&r, "Content-Type: application/json\r\nContent-Length: %d\r\n", len(body))
	}
	fmt.Fprintf(&r, "\r\n%s", body)
	return r.Bytes()
}

// bareHandler decodes a body, if there is to be one, and writes a reply of a
// size.
func bareHandler(body func() any, size int) http.Handler {
	reply := bytes.Repeat([]byte("x"), size)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if body != nil {
			if err := json.NewDecoder(r.Body).Decode(body()); err != nil {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(size))
		w.Write(reply)
	})
}

// listenBench serves a handler with the deadlines a server should have.
func listenBench(b *testing.B, h http.Handler) (addr string) {
	b.Helper()
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		b.Fatal(err)
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute, ReadTimeout: time.Minute, WriteTimeout: time.Minute, IdleTimeout: time.Minute}
	done := make(chan error)
	go func() { done <- server.Serve(l) }()
	b.Cleanup(func() {
		server.Close()
		if err := <-done; err != http.ErrServerClosed {
			b.Error(err)
		}
	})
	return l.Addr().String()
}

// benchClient is a connection that sends one request over and over. It reads
// no more of a reply than it needs, to leave the processors to the server.
type benchClient struct {
	conn    net.Conn
	in      *bufio.Reader
	request []byte
	err     error
}

func dialBench(b *testing.B, addr string, requests [][]byte) (clients []*benchClient) {
	b.Helper()
	for _, r := range requests {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { conn.Close() })
		clients = append(clients, &benchClient{conn: conn, in: bufio.NewReaderSize(conn, 64<<10), request: r})
	}
	return clients
}

// do sends the request and reads the reply, of which it returns the size.
func (c *benchClient) do() (size int) {
	if _, c.err = c.conn.Write(c.request); c.err != nil {
		return 0
	}
	var line []byte
	for n := 0; c.err == nil; n++ {
		if line, c.err = c.in.ReadSlice('\n'); c.err != nil {
			return 0
		}
		if n == 0 && !bytes.HasPrefix(line, []byte("HTTP/1.1 200 ")) {
			c.err = fmt.Errorf("got %q, want status 200", line)
		}
		if length, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			size, c.err = strconv.Atoi(string(bytes.TrimSpace(length)))
		}
		if len(line) == len("\r\n") {
			break
		}
	}
	if c.err == nil {
		_, c.err = c.in.Discard(size)
	}
	return size
}

// shareRequests has clients make b.N requests together.
func shareRequests(b *testing.B, clients []*benchClient) {
	var left atomic.Int64
	left.Store(int64(b.N))
	b.ResetTimer()
	var wg sync.WaitGroup
	for _, c := range clients {
		wg.Go(func() {
			for left.Add(-1) >= 0 && c.err == nil {
				c.do()
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	for _, c := range clients {
		if c.err != nil {
			b.Fatal(c.err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
	b.ReportMetric(0, "ns/op")
}

func BenchmarkHandler(b *testing.B) {
	for _, bc := range benchCases {
		b.Run(bc.name, func(b *testing.B) {
			store := storetest.NewMemory()
			w := newBenchWorld(b, func(o *capycoin.Options) (*capycoin.Ledger, error) {
				return capycoin.OpenStore(context.Background(), store, storetest.NewFolds(), o)
			})
			method, path, body := bc.request(w, 0)
			content := strings.NewReader(body)
			ctx, cancel := context.WithCancel(context.Background()) // as a server's requests have it
			defer cancel()
			r, err := http.NewRequestWithContext(ctx, method, path, io.NopCloser(content))
			if err != nil {
				b.Fatal(err)
			}
			r.ContentLength = int64(len(body))
			r.Header.Set("Authorization", "Bearer "+w.owners[0].token)
			if body != "" {
				r.Header.Set("Content-Type", "application/json")
			}
			reply := &benchReply{header: make(http.Header)}
			h := w.api.Public()
			b.ReportAllocs()
			for b.Loop() {
				clear(reply.header)
				content.Reset(body)
				h.ServeHTTP(reply, r)
				if reply.status != http.StatusOK {
					b.Fatalf("got status %d, want 200", reply.status)
				}
			}
		})
	}
}

// benchReply is an [http.ResponseWriter] that keeps the status only.
type benchReply struct {
	header http.Header
	status int
}

func (w *benchReply) Header() http.Header         { return w.header }
func (w *benchReply) WriteHeader(status int)      { w.status = status }
func (w *benchReply) Write(b []byte) (int, error) { return len(b), nil }
