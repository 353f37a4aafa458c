package httpapi_test

import (
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/httpapi"
)

// crossOrigin sends a request as a browser does for a page, and returns the
// status and the headers that a browser goes by.
func crossOrigin(h http.Handler, method, path, token string, header http.Header) (int, http.Header) {
	r := httptest.NewRequest(method, path, nil)
	maps.Copy(r.Header, header)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	got := make(http.Header)
	for name, values := range rec.Header() {
		if name == "Vary" || strings.HasPrefix(name, "Access-Control-") {
			got[name] = values
		}
	}
	return rec.Code, got
}

// preflightOf is what a browser sends before it lets a page do something.
func preflightOf(origin string) http.Header {
	return http.Header{"Origin": {origin}, "Access-Control-Request-Method": {"POST"}, "Access-Control-Request-Headers": {"authorization,content-type"}}
}

func sameHeader(a, b http.Header) bool { return maps.EqualFunc(a, b, slices.Equal) }

// TestNoCORS checks that no page may use a server which named none.
func TestNoCORS(t *testing.T) {
	w := newWorld(t, setup{})
	own := w.open(10)
	for _, h := range []http.Handler{w.api.Public(), w.api.Trusted()} {
		for _, method := range []string{"GET", "OPTIONS"} {
			status, got := crossOrigin(h, method, own.path(""), own.token, preflightOf("https://app.example"))
			if len(got) > 0 || (status == http.StatusOK) != (method == "GET") {
				t.Errorf("%s: got %d %v, want no headers of CORS", method, status, got)
			}
		}
	}
}

// TestCORS asks every public route for named pages and for others.
func TestCORS(t *testing.T) {
	named := []string{"https://app.example", "http://localhost:3000", "capacitor://localhost"}
	w := newWorld(t, setup{origins: named})
	own := w.open(10)
	methods := make(map[string][]string)
	for _, r := range routesOf(t, public) {
		methods[r.path] = append(methods[r.path], r.method)
		if r.method == "GET" {
			methods[r.path] = append(methods[r.path], "HEAD")
		}
	}
	plain := func(origin string) http.Header {
		return http.Header{"Vary": {"Origin"}, "Access-Control-Allow-Origin": {origin},
			"Access-Control-Expose-Headers": {"X-Request-Id, Idempotency-Replayed, Retry-After, Link"}}
	}
	ask := func(method, path, token string, header http.Header, status int, want http.Header) {
		t.Helper()
		gotStatus, got := crossOrigin(w.api.Public(), method, path, token, header)
		if gotStatus != status && status != 0 || !sameHeader(got, want) {
			t.Errorf("%s %s for %v: got %d %v, want %d %v", method, path, header, gotStatus, got, status, want)
		}
	}
	for _, origin := range named {
		for pattern, all := range methods {
			path := fill(pattern, own.id, unknownID(), unknownID())
			want := plain(origin)
			want["Access-Control-Allow-Methods"] = []string{strings.Join(all, ", ")}
			want["Access-Control-Allow-Headers"] = []string{"Authorization, Content-Type, Idempotency-Key"}
			want["Access-Control-Max-Age"] = []string{"7200"}
			ask("OPTIONS", path, "", preflightOf(origin), http.StatusNoContent, want)
			for _, method := range all { // whatever it is answered
				ask(method, path, "", http.Header{"Origin": {origin}}, 0, plain(origin))
			}
		}
		ask("GET", own.path(""), own.token, http.Header{"Origin": {origin}}, http.StatusOK, plain(origin))
		ask("GET", own.path(""), newToken(), http.Header{"Origin": {origin}}, http.StatusUnauthorized, plain(origin))
		ask("GET", "/nope", "", http.Header{"Origin": {origin}}, http.StatusNotFound, plain(origin))
		ask("OPTIONS", "/nope", "", preflightOf(origin), http.StatusNotFound, plain(origin))
		ask("DELETE", "/supply", "", http.Header{"Origin": {origin}}, http.StatusMethodNotAllowed, plain(origin))
		ask("OPTIONS", "/supply", "", http.Header{"Origin": {origin}}, http.StatusMethodNotAllowed, plain(origin)) // no preflight
	}
	others := []http.Header{{}, {"Origin": {"https://app.example", "https://app.example"}}}
	for _, origin := range []string{"null", "*", "", "https://app.example/", "https://APP.example", "https://app.example:443", "http://app.example",
		"https://evil.example", "https://app.example.evil.example", "https://evilapp.example", "https://sub.app.example", "http://localhost", "http://localhost:30000"} {
		others = append(others, http.Header{"Origin": {origin}})
	}
	vary := http.Header{"Vary": {"Origin"}}
	for _, header := range others {
		ask("GET", own.path(""), own.token, header, http.StatusOK, vary)
		ask("GET", "/nope", "", header, http.StatusNotFound, vary)
		preflight := preflightOf("")
		delete(preflight, "Origin")
		maps.Copy(preflight, header)
		ask("OPTIONS", own.path("/transaction"), "", preflight, http.StatusMethodNotAllowed, vary)
	}
	for _, r := range routesOf(t, trusted) {
		for _, method := range []string{r.method, "OPTIONS"} {
			_, got := crossOrigin(w.api.Trusted(), method, fill(r.path, own.id, unknownID(), unknownID()), "", preflightOf(named[0]))
			if !slices.Contains(got["Vary"], "Origin") {
				delete(got, "Vary") // the metrics have other reasons to vary
			}
			if len(got) > 0 {
				t.Errorf("the trusted side, %s %s: got %v, want no headers of CORS", method, r.path, got)
			}
		}
	}
	w.api.Drain()
	ask("GET", "/supply", "", http.Header{"Origin": {named[0]}}, http.StatusServiceUnavailable, plain(named[0]))
}

// TestValidOrigin checks which origins can be named.
func TestValidOrigin(t *testing.T) {
	for s, want := range map[string]bool{
		"https://app.example": true, "http://localhost": true, "http://localhost:3000": true, "https://127.0.0.1:8443": true, "http://[::1]:3000": true,
		"capacitor://localhost": true, "chrome-extension://abcdefghijklmnop": true, "https://xn--bcher-kva.example": true, "http://a:443": true,
		"https://a:65535": true,
		"":                false, "*": false, "null": false, "app.example": false, "//app.example": false, "https://": false, "https://*.example": false,
		"https://app.example/": false, "https://app.example/x": false, "https://app.example?x": false, "https://app.example#x": false,
		"https://user@app.example": false, "HTTPS://app.example": false, "https://App.example": false, "https://bücher.example": false,
		"https://app.example:": false, "https://app.example:0": false, "https://app.example:080": false, "https://app.example:65536": false,
		"https://app.example:443": false, "http://app.example:80": false, "https://app.example ": false, " https://app.example": false,
		"https://a,https://b": false, "https://app.example\n": false, "https:///x": false,
	} {
		if got := httpapi.ValidOrigin(s); got != want {
			t.Errorf("%q: got %t, want %t", s, got, want)
		}
		_, err := httpapi.New(nil, nil, &httpapi.Options{CORSOrigins: []string{s}, Wait: -1})
		if option := (*capycoin.OptionError)(nil); !errors.As(err, &option) || (option.Field == "CORSOrigins") == want {
			t.Errorf("%q: got %v", s, err)
		}
	}
}
