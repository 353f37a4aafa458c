package httpapi_test

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/capycoin/capycoin"
)

// newToken returns a well-formed token that was never issued.
func newToken() string {
	b := make([]byte, 128)
	rand.Read(b)
	return fmt.Sprintf("%X", b)
}

// flipByte returns a token with another n-th byte.
func flipByte(token string, n int) string {
	b := []byte(token)
	if b[2*n] == '0' {
		b[2*n] = '1'
	} else {
		b[2*n] = '0'
	}
	return string(b)
}

// bodies are bodies in form for the routes that need one.
func bodyFor(r route, receiver string) string {
	switch r.method + " " + r.path {
	case "POST /account/{account_id}/transaction":
		return transferBody(receiver, 1)
	case "POST /account/{account_id}/transactions":
		return `{"transactions":[` + transferBody(receiver, 1) + `]}`
	case "POST /transaction":
		return fmt.Sprintf(`{"sender":%q,"receiver":%q,"amount":1}`, seedID, receiver)
	case "POST /transactions":
		return fmt.Sprintf(`{"transactions":[{"sender":%q,"receiver":%q,"amount":1}]}`, seedID, receiver)
	case "POST /account/{account_id}/key":
		return keyChangeBody(capycoin.KeyChange{Version: 1, NewKey: publicOf(privateKey(2))})
	case "PUT /fee/policy":
		return "{}"
	}
	return ""
}

const seedID = "4e9b616a-f11e-48b6-8c2f-9534d482e48e"

// fill replaces the parameters of a route's path, and adds the query that one needs.
func fill(path, account, transaction, token string) string {
	if path == "/fee" {
		path += "?amount=1"
	}
	return strings.NewReplacer("{account_id}", account, "{transaction_id}", transaction, "{token_id}", token, "{invite_id}", token,
		"{profile}", "goroutine").Replace(path)
}

// TestEveryRouteAndIdentity asks every account route of the public side as
// everybody who is not its owner. Each gets the same 401, to the byte.
func TestEveryRouteAndIdentity(t *testing.T) {
	w := newWorld(t, setup{})
	own, other := w.open(1000), w.open(1000)
	paid := into[receiptJSON](w.pay(other, w.open(0), 1))
	mine := into[receiptJSON](w.pay(own, other, 1))

	expiring := into[tokenJSON](w.pub.post(own.path("/token"), own.token, `{"expires":"2022-08-15T13:25:00Z"}`))
	w.pub.get(own.path(""), expiring.Token).ok() // it is in the cache of verified tokens when it expires
	w.clock.Advance(37 * time.Second)
	revoked := into[tokenJSON](w.pub.post(own.path("/token"), own.token, ""))
	w.pub.get(own.path(""), revoked.Token).ok()
	w.pub.delete(own.path("/token/"+revoked.TokenID), own.token).ok()

	type identity struct {
		name, account, token string
	}
	strangers := []identity{
		{"another account's token", own.id, other.token},
		{"unknown account", unknownID(), own.token},
		{"seed account", seedID, own.token},
		{"unknown token", own.id, newToken()},
		{"empty token", own.id, " "},
		{"one digit short", own.id, own.token[:255]},
		{"one digit long", own.id, own.token + "0"},
		{"half a token", own.id, own.token[:128]},
		{"no hexadecimal", own.id, own.token[:255] + "G"},
		{"not a token at all", own.id, notAToken},
		{"very long", own.id, strings.Repeat("A", 100_000)},
		{"first byte changed", own.id, flipByte(own.token, 0)},
		{"byte 20 changed", own.id, flipByte(own.token, 20)},
		{"byte 100 changed", own.id, flipByte(own.token, 100)},
		{"last byte changed", own.id, flipByte(own.token, 127)},
		{"expired", own.id, expiring.Token},
		{"revoked", own.id, revoked.Token},
		{"token of an unknown account for itself", unknownID(), newToken()},
	}

	var first *reply // the 401 that all others must equal
	routes := accountRoutes(t)
	if len(routes) < 8 {
		t.Fatalf("%d account routes, want more", len(routes))
	}
	for _, r := range routes {
		t.Run(r.method+" "+r.path, func(t *testing.T) {
			w.pub.t = t
			ask := func(account, token string) reply {
				t.Helper()
				return w.pub.do(call{method: r.method, path: fill(r.path, account, mine.TransactionID, own.tokenID),
					token: token, body: bodyFor(r, other.id)})
			}
			before := w.funds(own)
			for _, who := range strangers {
				got := ask(who.account, who.token)
				got.wants(http.StatusUnauthorized, "invalid_token")
				if first == nil {
					first = &got
				}
				if string(got.body) != string(first.body) {
					t.Errorf("%s: got body %q, elsewhere %q", who.name, got.body, first.body)
				}
				if a, b := stableHeader(got.header), stableHeader(first.header); a != b {
					t.Errorf("%s: got header %s, elsewhere %s", who.name, a, b)
				}
			}
			ask(own.id, "").wants(http.StatusUnauthorized, "token_required")
			if after := w.funds(own); after != before {
				t.Errorf("funds were %d and are %d", before, after)
			}
			if r.method == http.MethodDelete {
				spare := into[tokenJSON](w.pub.post(own.path("/token"), own.token, ""))
				w.pub.delete(fill(r.path, own.id, "", spare.TokenID), own.token).ok()
				w.pub.delete(fill(r.path, own.id, "", other.tokenID), own.token).wants(http.StatusNotFound, "token_not_found")
				return
			}
			code := ""
			if strings.HasSuffix(r.path, "/key") {
				code = "account_has_no_key"
			}
			ask(own.id, own.token).taken(code)
			ask(strings.ToUpper(strings.ReplaceAll(own.id, "-", "")), strings.ToLower(own.token)).taken(code)
		})
	}
	w.pub.t = t
	w.pub.get(own.path("/transaction/"+paid.TransactionID), own.token).wants(http.StatusNotFound, "transaction_not_found")
	w.pub.get(other.path(""), other.token).ok()
}

// stableHeader returns the headers of a response that do not differ between
// any two.
func stableHeader(h http.Header) string {
	h = h.Clone()
	h.Del("Date")
	h.Del("X-Request-Id")
	var b strings.Builder
	h.Write(&b)
	return b.String()
}

// accountRoutes returns the public routes of an account.
func accountRoutes(t *testing.T) []route {
	t.Helper()
	var rs []route
	for _, r := range routesOf(t, public) {
		if strings.Contains(r.path, "{account_id}") {
			rs = append(rs, r)
		}
	}
	return rs
}

// TestNothingTrustedIsPublic asks the public handler for every route of the
// trusted one.
func TestNothingTrustedIsPublic(t *testing.T) {
	w := newWorld(t, setup{})
	own := w.open(10)
	paid := into[receiptJSON](w.pay(own, w.open(0), 1))
	publicRoutes := routesOf(t, public)
	seen := 0
	for _, r := range routesOf(t, trusted) {
		path := fill(r.path, own.id, paid.TransactionID, own.tokenID)
		got := w.pub.do(call{method: r.method, path: path, body: bodyFor(r, own.id)})
		if !slices.Contains(publicRoutes, r) {
			seen++
			if got.status != http.StatusNotFound && got.status != http.StatusMethodNotAllowed {
				t.Errorf("%v: want 404 or 405", got)
			}
			continue
		}
		if strings.Contains(r.path, "{account_id}") {
			got.wants(http.StatusUnauthorized, "token_required")
		}
	}
	if seen < 7 {
		t.Errorf("%d routes are on the trusted side only, want more", seen)
	}
	w.pub.post("/account", "", `{"token":true}`).wants(http.StatusBadRequest, "bad_request")
	if got, want := w.funds(own), int64(9); got != want {
		t.Errorf("got funds %d, want %d", got, want)
	}
}

// TestSeedAccountHasNoToken checks that nobody gets a token of the seed
// account, on neither side.
func TestSeedAccountHasNoToken(t *testing.T) {
	w := newWorld(t, setup{})
	own := w.open(0)
	w.pub.post("/account/"+seedID+"/token", own.token, "").wants(http.StatusUnauthorized, "invalid_token")
	if got := w.tru.post("/account/"+seedID+"/token", "", ""); got.status < 400 || got.status >= 500 {
		t.Errorf("%v: want a refusal", got)
	}
	got := into[tokensJSON](w.tru.get("/account/"+seedID+"/tokens", ""))
	if len(got.Tokens) != 0 {
		t.Errorf("the seed account has tokens: %v", got.Tokens)
	}
}

// TestRoutesAreDocumented checks that the handlers have the routes of
// openapi.yaml and no others.
func TestRoutesAreDocumented(t *testing.T) {
	for _, side := range []string{public, trusted} {
		var documented []string
		for _, e := range contractOf(t, side).documented() {
			documented = append(documented, e.method+" "+e.path)
		}
		slices.Sort(documented)
		documented = slices.Compact(documented)
		var have []string
		for _, r := range routesOf(t, side) {
			have = append(have, r.method+" "+r.path)
		}
		slices.Sort(have)
		if got, want := strings.Join(have, "\n"), strings.Join(documented, "\n"); got != want {
			t.Errorf("%s: the handler has\n%s\nopenapi.yaml has\n%s", side, got, want)
		}
	}
}
