package httpapi_test

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// security is what every response has, on both sides. The check of exchanges
// looks for it in each one of the suite.
var security = map[string]string{
	"X-Content-Type-Options":       "nosniff",
	"Cache-Control":                "no-store",
	"Content-Security-Policy":      "default-src 'none'; frame-ancestors 'none'",
	"Referrer-Policy":              "no-referrer",
	"X-Frame-Options":              "DENY",
	"Cross-Origin-Resource-Policy": "same-origin",
}

// checkSecurity returns what is wrong with the headers that a browser goes by.
func checkSecurity(resp *http.Response) []error {
	var errs []error
	for name, want := range security {
		got := slices.Clone(resp.Header.Values(name))
		if name == "Content-Security-Policy" && resp.Header.Get("Content-Type") == "text/html; charset=utf-8" && len(got) == 1 {
			got[0], _, _ = strings.Cut(got[0], "; style-src 'sha256-")
		}
		if len(got) != 1 || got[0] != want {
			errs = append(errs, fmt.Errorf("response: %s is %q, want %q", name, got, want))
		}
	}
	if _, promised := resp.Header["Strict-Transport-Security"]; promised != (resp.TLS != nil) {
		errs = append(errs, fmt.Errorf("response: with TLS %t, Strict-Transport-Security is %q", resp.TLS != nil, resp.Header.Get("Strict-Transport-Security")))
	}
	return errs
}

// TestSecurityHeaders checks the check: every header that is missing, wrong or
// there twice is found.
func TestSecurityHeaders(t *testing.T) {
	good := make(http.Header)
	for name, value := range security {
		good.Set(name, value)
	}
	if errs := checkSecurity(&http.Response{Header: good}); len(errs) > 0 {
		t.Errorf("good headers: %v", errs)
	}
	for name := range security {
		for what, change := range map[string]func(http.Header){
			"missing": func(h http.Header) { h.Del(name) },
			"wrong":   func(h http.Header) { h.Set(name, "x") },
			"twice":   func(h http.Header) { h.Add(name, h.Get(name)) },
		} {
			h := good.Clone()
			change(h)
			if errs := checkSecurity(&http.Response{Header: h}); len(errs) != 1 {
				t.Errorf("%s %s: got %v, want one error", name, what, errs)
			}
		}
	}
}

// TestOverTLS asks both sides over TLS: only there a response promises that
// there will be TLS.
func TestOverTLS(t *testing.T) {
	w := newWorld(t, setup{})
	for _, h := range []http.Handler{w.api.Public(), w.api.Trusted()} {
		server := httptest.NewTLSServer(h)
		resp, err := server.Client().Get(server.URL + "/supply")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		for _, err := range checkSecurity(resp) {
			t.Error(err)
		}
		server.Client().CloseIdleConnections()
		server.Close()
	}
}

// TestPagePolicy checks that the page for people shows as it is meant to under
// its policy: the one style sheet is allowed by its hash, and it needs no more.
func TestPagePolicy(t *testing.T) {
	w := newWorld(t, setup{})
	got := w.pub.get("/", "").ok()
	page := string(got.body)
	_, rest, _ := strings.Cut(page, "<style>")
	style, _, found := strings.Cut(rest, "</style>")
	if !found || strings.Count(page, "<style") != 1 {
		t.Fatalf("got %s, want a page with one style sheet", page)
	}
	sum := sha256.Sum256([]byte(style))
	want := security["Content-Security-Policy"] + "; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	if policy := got.header.Get("Content-Security-Policy"); policy != want {
		t.Errorf("got %q, want %q", policy, want)
	}
	for _, never := range []string{"<script", " style=", "<img", "<link", "<form", " onclick"} {
		if strings.Contains(page, never) {
			t.Errorf("the page has %q, which its policy does not allow", never)
		}
	}
}

// TestLength checks that the length of every body is told, whether it is short
// or long, and for HEAD too.
func TestLength(t *testing.T) {
	w := newWorld(t, setup{})
	own, other := w.open(1000), w.open(0)
	for range 100 {
		w.pay(own, other, 1).ok()
	}
	for _, path := range []string{own.path(""), own.path("/transactions?limit=5"), own.path("/transactions?limit=6"),
		own.path("/transactions?limit=7"), own.path("/transactions?limit=8"), own.path("/transactions"), "/nope", "/openapi.yaml"} {
		got := w.pub.get(path, own.token)
		if length := got.header.Get("Content-Length"); length != fmt.Sprint(len(got.body)) {
			t.Errorf("%s: got Content-Length %q of %d bytes", path, length, len(got.body))
		}
		head := w.pub.do(call{method: "HEAD", path: path, token: own.token})
		if a, b := head.header.Get("Content-Length"), got.header.Get("Content-Length"); a != b {
			t.Errorf("%s: got Content-Length %q for HEAD, %q for GET", path, a, b)
		}
	}
}
