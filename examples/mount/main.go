// Command mount is a web site of somebody's own that has the currency's HTTP
// API under /coins/, behind a middleware of its own, beside the site's pages,
// which use the same ledger directly.
//
//	go run ./examples/mount
//	curl -X POST localhost:8080/coins/account
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"time"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/httpapi"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, "coins.db", "localhost:8080"); err != nil {
		log.Fatal(err)
	}
}

// run serves the site until ctx ends.
func run(ctx context.Context, path, addr string) (err error) {
	led, err := capycoin.Open(path, &capycoin.Options{Logger: slog.Default()})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, led.Close()) }()
	site, err := newSite(led)
	if err != nil {
		return err
	}
	srv := &http.Server{
		Addr:              addr,
		Handler:           site,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
	}
	// The ledger is closed last, when nothing is being answered any more.
	ended := make(chan error, 1)
	go func() { ended <- srv.ListenAndServe() }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return srv.Shutdown(grace)
}

// newSite returns the site's mux: its own pages and, under /coins/, the API.
func newSite(led *capycoin.Ledger) (http.Handler, error) {
	issuer, err := capycoin.NewTokenIssuer(led, nil)
	if err != nil {
		return nil, err
	}
	api, err := httpapi.New(led, issuer, &httpapi.Options{Logger: slog.Default()})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		supply, err := led.Supply(r.Context())
		if err != nil {
			http.Error(w, "the coins can't be counted at the moment", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintf(w, "Welcome! %d of %d coins are in circulation.\n", supply.Circulating, supply.Supply)
	})
	limit := &signUpLimit{most: 5, window: time.Hour, clock: time.Now}
	mux.Handle("/coins/", limit.middleware(http.StripPrefix("/coins", api.Public())))
	return mux, nil
}

// signUpLimit is the site's own middleware: it lets an address open a few
// accounts in each window of time, and everything else pass. (Behind a proxy
// the address would have to come from the header that the proxy sets.)
type signUpLimit struct {
	most   int
	window time.Duration
	clock  func() time.Time

	mu    sync.Mutex
	began time.Time      // of the present window
	count map[string]int // by address, in the present window
}

func (l *signUpLimit) middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && r.URL.Path == "/coins/account" && !l.allow(r.RemoteAddr) {
			w.Header().Set("Retry-After", fmt.Sprint(int(l.window.Seconds())))
			http.Error(w, "too many new accounts from this address", http.StatusTooManyRequests)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// allow counts a sign-up and tells whether it is one too many.
func (l *signUpLimit) allow(remote string) bool {
	addr, _, err := net.SplitHostPort(remote)
	if err != nil {
		addr = remote
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := l.clock(); l.count == nil || now.Sub(l.began) >= l.window {
		l.began, l.count = now, make(map[string]int)
	}
	l.count[addr]++
	return l.count[addr] <= l.most
}
