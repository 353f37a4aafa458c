package httpapi_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

// identity is who asks, by the headers of the request.
type identity struct {
	name   string
	header http.Header
	want   int // the status of a route of an account, 0: that it has for its owner
	opens  int // the status of opening an account
}

// identities are all that may be presented for an account.
func (w *world) identities(own, other owner) []identity {
	w.t.Helper()
	bearer := func(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }
	expiring := into[tokenJSON](w.pub.post(own.path("/token"), own.token, fmt.Sprintf(`{"expires":%q}`, w.clock.Now().Add(10*time.Second).Format(time.RFC3339))))
	revoked := into[tokenJSON](w.pub.post(own.path("/token"), own.token, ""))
	for _, token := range []string{expiring.Token, revoked.Token} {
		w.pub.get(own.path(""), token).ok() // it is remembered
	}
	w.pub.delete(own.path("/token/"+revoked.TokenID), own.token).ok()
	w.clock.Advance(10 * time.Second)
	return []identity{
		{"the owner", bearer(own.token), 0, 400},
		{"the owner, as the original's README has it", http.Header{"Authentication": {"Bearer " + own.token}}, 0, 400},
		{"nobody", nil, 401, 200},
		{"nobody, with another scheme", http.Header{"Authorization": {"Basic " + own.token}}, 401, 200},
		{"nobody, with an empty header", http.Header{"Authorization": {""}}, 401, 200},
		{"another", bearer(other.token), 401, 400},
		{"another, by the other header", http.Header{"Authentication": {"Bearer " + other.token}}, 401, 400},
		{"somebody unknown", bearer(newToken()), 401, 400},
		{"somebody who nearly has it", bearer(flipByte(own.token, 127)), 401, 400},
		{"one whose token has expired", bearer(expiring.Token), 401, 400},
		{"one whose token was revoked", bearer(revoked.Token), 401, 400},
		{"one with half of it", bearer(own.token[:128]), 401, 400},
		{"one with no token at all", bearer(notAToken), 401, 400},
		{"the owner and another", http.Header{"Authorization": {"Bearer " + own.token}, "Authentication": {"Bearer " + other.token}}, 400, 400},
		{"the owner, by both headers", http.Header{"Authorization": {"Bearer " + own.token}, "Authentication": {"Bearer " + own.token}}, 400, 400},
		{"the owner, twice", http.Header{"Authorization": {"Bearer " + own.token, "Bearer " + own.token}}, 400, 400},
		{"the owner, then another", http.Header{"Authorization": {"Bearer " + own.token, "Bearer " + other.token}}, 400, 400},
	}
}

// raw sends a request past the check against openapi.yaml, which knows neither
// of HEAD nor of headers twice.
func (c *client) raw(method, path, body string, header http.Header) (status int, head string, answer []byte) {
	c.t.Helper()
	req, err := http.NewRequest(method, c.server.URL+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	for name, values := range header {
		req.Header[name] = values
	}
	resp, err := c.http.Transport.(*checking).next.RoundTrip(req)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	if answer, err = io.ReadAll(resp.Body); err != nil {
		c.t.Fatal(err)
	}
	return resp.StatusCode, stableHeader(resp.Header), answer
}

// TestEverybodyEverywhere asks each route of both sides with each method as
// everybody: the routes of an account serve its owner alone, opening one takes
// nobody with a token, the others do not care, nor does the trusted side, and a
// method that a path does not have is told to all alike. Nobody but the owner
// moves a coin of the account.
func TestEverybodyEverywhere(t *testing.T) {
	w := newWorld(t, setup{})
	own, other := w.open(100_000/2), w.open(10)
	paid := into[receiptJSON](w.pay(own, other, 1))
	identities := w.identities(own, other)
	asked := 0
	for _, c := range []*client{w.pub, w.tru} {
		has := make(map[string][]string)
		for _, r := range routesOf(t, c.side) {
			has[r.path] = append(has[r.path], r.method)
		}
		for path, methods := range has {
			if slices.Contains(methods, "GET") {
				methods = append(methods, "HEAD")
			}
			for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"} {
				for _, who := range identities {
					r := route{method, path}
					before, records := w.funds(own), w.led.Stats().Position
					status, _, _ := c.raw(method, fill(path, own.id, paid.TransactionID, unknownID()), bodyFor(r, other.id), who.header)
					asked++
					// What the route answers somebody who may use it.
					mine := []int{200}
					if method == "DELETE" {
						mine = []int{404} // there is no such token
					} else if path == "/account/{account_id}/token" {
						mine = []int{200, 422} // too many in the end
					} else if path == "/account/{account_id}/key" {
						mine = []int{422} // it has none
					}
					want := mine
					switch {
					case !slices.Contains(methods, method):
						want = []int{405}
					case c.side == public && path == "/account":
						want = []int{who.opens}
					case c.side == public && strings.Contains(path, "{account_id}") && who.want != 0:
						want = []int{who.want}
					}
					if !slices.Contains(want, status) {
						t.Errorf("%s %s %s, asked by %s: got %d, want %v", c.side, method, path, who.name, status, want)
					}
					served := slices.Equal(want, mine) && method != "HEAD"
					if !served && (w.funds(own) != before || w.led.Stats().Position != records) {
						t.Errorf("%s %s %s, asked by %s: something was written", c.side, method, path, who.name)
					}
				}
			}
		}
	}
	if asked < 2000 {
		t.Errorf("%d requests were made, want more", asked)
	}
}

// TestNothingToEnumerate asks for accounts that are there and that are not, with
// every token that is not theirs: all get one answer, to the byte, and what is
// looked up and hashed for it does not depend on whether the account is there.
func TestNothingToEnumerate(t *testing.T) {
	w := newWorld(t, setup{})
	own, other, third := w.open(1000), w.open(1000), w.open(0)
	paid := into[receiptJSON](w.pay(own, third, 1))
	w.pub.get(other.path(""), other.token).ok() // it is hashed once
	accounts := []string{own.id, third.id, unknownID(), seedID, uuid.Nil.String()}
	objects := []string{paid.TransactionID, unknownID(), own.tokenID, third.tokenID}
	for _, who := range w.identities(own, other) {
		if who.want != 401 || strings.HasPrefix(who.name, "nobody") {
			continue
		}
		var looked uint64 // how often a token is looked up for an answer
		for _, r := range accountRoutes(t) {
			methods := []string{r.method}
			if r.method == "GET" {
				methods = append(methods, "HEAD")
			}
			for _, method := range methods {
				first := ""
				for n := range len(accounts) * len(objects) {
					before := w.iss.Stats()
					object := objects[n/len(accounts)]
					status, head, body := w.pub.raw(method, fill(r.path, accounts[n%len(accounts)], object, object), bodyFor(r, other.id), who.header)
					after := w.iss.Stats()
					got := fmt.Sprintf("%d %s %s", status, head, body)
					if first == "" {
						first, looked = got, after.CacheHits+after.CacheMisses-before.CacheHits-before.CacheMisses
					}
					if got != first || status != 401 {
						t.Errorf("%s %s, asked by %s: got %s, for another account %s", method, r.path, who.name, got, first)
					}
					if n := after.CacheHits + after.CacheMisses - before.CacheHits - before.CacheMisses; n != looked || after.HashRuns != before.HashRuns {
						t.Errorf("%s %s, asked by %s: a token was looked up %d times, for another account %d times; bcrypt ran %d times",
							method, r.path, who.name, n, looked, after.HashRuns-before.HashRuns)
					}
				}
			}
		}
	}
}

// TestNoTimeToEnumerate measures how long it takes to be refused, for accounts
// that are there and that are not, with tokens of all sorts in turn: the medians
// are alike.
func TestNoTimeToEnumerate(t *testing.T) {
	if testing.Short() {
		t.Skip("measures times")
	}
	w := newWorld(t, setup{})
	own, other := w.open(1000), w.open(1000)
	w.pub.get(other.path(""), other.token).ok()
	cases := []struct {
		name, account string
		token         func() string
	}{
		{"an account that is there, an unknown token", own.id, newToken},
		{"none, an unknown token", unknownID(), newToken},
		{"an account that is there, another's token", own.id, func() string { return other.token }},
		{"none, another's token", unknownID(), func() string { return other.token }},
		{"an account that is there, a wrong token", own.id, func() string { return flipByte(own.token, 100) }},
		{"an account that is there, a malformed token", own.id, func() string { return own.token[:200] }},
		{"none, a malformed token", unknownID(), func() string { return own.token[:200] }},
	}
	medians := make([]time.Duration, len(cases))
	for range 3 { // tries: the machine may be busy with something else
		took := make([][]time.Duration, len(cases))
		for range 400 {
			for i, c := range cases {
				req := httptest.NewRequest("GET", "/account/"+c.account, http.NoBody)
				req.Header.Set("Authorization", "Bearer "+c.token())
				rec := httptest.NewRecorder()
				start := time.Now()
				w.api.Public().ServeHTTP(rec, req)
				took[i] = append(took[i], time.Since(start))
				if rec.Code != http.StatusUnauthorized {
					t.Fatalf("%s: got %d", c.name, rec.Code)
				}
			}
		}
		for i := range took {
			slices.Sort(took[i])
			medians[i] = took[i][len(took[i])/2]
		}
		if low, high := slices.Min(medians), slices.Max(medians); high <= low*3/2+20*time.Microsecond {
			t.Logf("medians: %v", medians)
			return
		}
	}
	for i, c := range cases {
		t.Errorf("%s: it takes %v to be refused", c.name, medians[i])
	}
}
