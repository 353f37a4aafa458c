package httpapi_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

// wireTime writes a time as the API does.
func wireTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }

// TestTokens issues, lists, uses and revokes.
func TestTokens(t *testing.T) {
	w := newWorld(t, setup{})
	own, other := w.open(10), w.open(0)
	w.clock.Advance(time.Hour)
	phone := into[tokenJSON](w.pub.post(own.path("/token"), own.token, `{"label":"phone"}`))
	if phone.Label != "phone" || phone.TokenExpiry != wireTime(w.clock.Now().Add(30*24*time.Hour)) {
		t.Errorf("got %+v", phone)
	}
	w.clock.Advance(time.Hour)
	soon := wireTime(w.clock.Now().Add(time.Hour))
	guest := into[tokenJSON](w.pub.post(own.path("/token"), phone.Token, `{"expires":"`+soon+`"}`))
	if guest.Label != "" || guest.TokenExpiry != soon {
		t.Errorf("got %+v, want expiry %s", guest, soon)
	}
	list := into[tokensJSON](w.pub.get(own.path("/tokens"), guest.Token))
	want := []tokenJSON{
		{TokenID: own.tokenID, TokenExpiry: wireTime(startTime.Add(30 * 24 * time.Hour)), Created: wireTime(startTime)},
		{TokenID: phone.TokenID, TokenExpiry: phone.TokenExpiry, Created: wireTime(startTime.Add(time.Hour)), Label: "phone"},
		{TokenID: guest.TokenID, TokenExpiry: soon, Created: wireTime(startTime.Add(2 * time.Hour))},
	}
	if list.AccountID != own.id || fmt.Sprint(list.Tokens) != fmt.Sprint(want) {
		t.Errorf("got %+v, want %+v", list, want)
	}
	// Another's token is not there to be revoked; nor is one twice.
	w.pub.delete(own.path("/token/"+other.tokenID), own.token).wants(404, "token_not_found")
	w.pub.delete(own.path("/token/"+unknownID()), own.token).wants(404, "token_not_found")
	w.pub.delete(own.path("/token/"+phone.TokenID), own.token).ok()
	w.pub.delete(own.path("/token/"+phone.TokenID), own.token).wants(404, "token_not_found")
	w.pub.get(own.path(""), phone.Token).wants(401, "invalid_token")
	w.pub.get(other.path(""), other.token).ok()
	// An expired one is gone to the moment, from the cache too.
	w.clock.Advance(time.Hour - time.Microsecond)
	w.pub.get(own.path(""), guest.Token).ok()
	w.clock.Advance(time.Microsecond)
	w.pub.get(own.path(""), guest.Token).wants(401, "invalid_token")
	w.pub.delete(own.path("/token/"+guest.TokenID), own.token).wants(404, "token_not_found")
	if list := into[tokensJSON](w.pub.get(own.path("/tokens"), own.token)); len(list.Tokens) != 1 {
		t.Errorf("got tokens %v, want the first", list.Tokens)
	}
	// The token in use.
	got := w.pub.delete(own.path("/token/"+own.tokenID), own.token).ok()
	if got.status != 204 || len(got.body) != 0 {
		t.Errorf("%v: want 204 and nothing", got)
	}
	w.pub.get(own.path(""), own.token).wants(401, "invalid_token")
	w.reopen()
	w.pub.get(own.path(""), own.token).wants(401, "invalid_token")
	w.pub.get(other.path(""), other.token).ok()
}

// TestTokenLife checks that a token lives 30 days, cached or not, and across a
// restart.
func TestTokenLife(t *testing.T) {
	w := newWorld(t, setup{})
	used, unused := w.open(0), w.open(0)
	w.pub.get(used.path(""), used.token).ok()
	w.clock.Advance(30*24*time.Hour - time.Microsecond)
	w.reopen()
	w.pub.get(used.path(""), used.token).ok()
	w.clock.Advance(time.Microsecond)
	w.pub.get(used.path(""), used.token).wants(401, "invalid_token")
	w.pub.get(unused.path(""), unused.token).wants(401, "invalid_token")
	// The trusted side lets an owner in again.
	again := into[tokenJSON](w.tru.post(used.path("/token"), "", ""))
	w.pub.get(used.path(""), again.Token).ok()
}

// TestTenTokens checks the limit and what makes room again.
func TestTenTokens(t *testing.T) {
	w := newWorld(t, setup{})
	own := w.open(0)
	var last tokenJSON
	for i := range 9 {
		last = into[tokenJSON](w.pub.post(own.path("/token"), own.token, `{"expires":"`+wireTime(w.clock.Now().Add(time.Duration(i+1)*time.Hour))+`"}`))
	}
	w.pub.post(own.path("/token"), own.token, "").wants(422, "too_many_tokens")
	w.tru.post(own.path("/token"), "", "").wants(422, "too_many_tokens")
	w.pub.delete(own.path("/token/"+last.TokenID), own.token).ok()
	w.pub.post(own.path("/token"), own.token, "").ok()
	w.pub.post(own.path("/token"), own.token, "").wants(422, "too_many_tokens")
	w.clock.Advance(time.Hour) // one of them expires
	w.pub.post(own.path("/token"), own.token, "").ok()
	w.pub.post(own.path("/token"), own.token, "").wants(422, "too_many_tokens")
	if got := into[tokensJSON](w.pub.get(own.path("/tokens"), own.token)); len(got.Tokens) != 10 {
		t.Errorf("got %d tokens, want 10", len(got.Tokens))
	}
	w.open(0) // another account has its own ten
}

// TestTokenRequests checks labels and expiries.
func TestTokenRequests(t *testing.T) {
	w := newWorld(t, setup{})
	in := func(d time.Duration) string { return wireTime(w.clock.Now().Add(d)) }
	longest := strings.Repeat("é", 64)
	for _, tt := range []struct{ name, body, label string }{
		{"empty label", `{"label":""}`, ""},
		{"64 characters", `{"label":"` + longest + `"}`, longest},
		{"64 beyond the basic plane", `{"label":"` + strings.Repeat("\U0001F9AB", 64) + `"}`, strings.Repeat("\U0001F9AB", 64)},
		{"escaped pair", `{"label":"\ud83e\uddab"}`, "\U0001F9AB"},
		{"quotes", `{"label":"\"\\<b>&"}`, `"\<b>&`},
		{"30 days", `{"expires":"` + in(30*24*time.Hour) + `"}`, ""},
		{"a microsecond", `{"expires":"` + in(time.Microsecond) + `"}`, ""},
		{"zone", `{"expires":"2022-08-16T00:00:00+02:00","label":"x"}`, "x"},
		{"whole second", `{"expires":"2022-08-16T00:00:00Z"}`, ""},
	} {
		own := w.open(0)
		got := into[tokenJSON](w.pub.post(own.path("/token"), own.token, tt.body))
		list := into[tokensJSON](w.pub.get(own.path("/tokens"), own.token))
		if got.Label != tt.label || len(list.Tokens) != 2 || list.Tokens[1].Label != tt.label {
			t.Errorf("%s: got label %q, listed as %+v, want %q", tt.name, got.Label, list.Tokens, tt.label)
		}
	}
	own := w.open(0)
	for _, body := range []string{
		`{"label":"` + longest + `x"}`, `{"label":null}`, `{"label":1}`, `{"label":"a\u0000"}`, `{"label":"a\n"}`, `{"label":"\u0085"}`,
		`{"label":"\ud83e"}`, `{"label":"` + "\xff" + `"}`, `{"Label":"a"}`, `{"label":"a","label":"a"}`,
		`{"expires":null}`, `{"expires":""}`, `{"expires":"tomorrow"}`, `{"expires":"2022-08-16"}`, `{"expires":1660569863}`,
		`{"expires":"2022-08-16T00:00:00"}`, `{"expires":"2022-08-16T00:00:00,5Z"}`,
		`{"expires":"` + in(0) + `"}`, `{"expires":"` + in(-time.Hour) + `"}`, `{"expires":"` + in(30*24*time.Hour+time.Microsecond) + `"}`,
		`{"expires":"9999-12-31T00:00:00Z"}`, `{"expires":"0001-01-01T00:00:00Z"}`, `{"ttl":5}`, `{"token":true}`,
	} {
		w.pub.post(own.path("/token"), own.token, body).wants(400, "bad_request")
		w.tru.post(own.path("/token"), "", body).wants(400, "bad_request")
	}
	if got := into[tokensJSON](w.pub.get(own.path("/tokens"), own.token)); len(got.Tokens) != 1 {
		t.Errorf("got tokens %+v, want the first alone", got.Tokens)
	}
}

// TestTokensAreCheap sends many wrong tokens and one good one often: the good
// one is hashed once, the wrong ones never.
func TestTokensAreCheap(t *testing.T) {
	w := newWorld(t, setup{})
	own := w.open(0)
	w.pub.get(own.path(""), own.token).ok()
	before := w.iss.Stats().HashRuns
	for i := range 200 {
		w.pub.get(own.path(""), newToken()).wants(401, "invalid_token")
		w.pub.get(own.path(""), flipByte(own.token, 16+i%112)).wants(401, "invalid_token")
		w.pub.get(own.path(""), own.token).ok()
	}
	if after := w.iss.Stats().HashRuns; after != before {
		t.Errorf("bcrypt ran %d times", after-before)
	}
}

// TestTrustedAccounts opens accounts on the trusted side, with and without a
// token, and lists all of them.
func TestTrustedAccounts(t *testing.T) {
	w := newWorld(t, setup{})
	var want []string
	for i, body := range []string{"", "{}", `{"token":false}`, `{"token":true}`, ""} {
		r := w.tru.post("/account", "", body).ok()
		got := into[struct {
			AccountID string `json:"account_id"`
			Token     string
			TokenID   string `json:"token_id"`
		}](r)
		if has := got.Token != ""; has != (i == 3) || (got.TokenID != "") != has {
			t.Errorf("%v: has token %t, want %t", r, has, i == 3)
		}
		if i == 3 {
			w.pub.get("/account/"+got.AccountID, got.Token).ok()
		}
		want = append(want, got.AccountID)
	}
	want = append([]string{seedID}, want...)
	for _, limit := range []string{"1", "2", "6", "7", "1000"} {
		var got []string
		path := "/accounts?limit=" + limit
		for path != "" {
			r := w.tru.get(path, "")
			page := into[struct {
				Accounts   []accountJSON
				NextCursor *string `json:"next_cursor"`
			}](r)
			for _, a := range page.Accounts {
				got = append(got, a.AccountID)
			}
			next := nextPath(t, r)
			path = ""
			if page.NextCursor != nil {
				path = "/accounts?limit=" + limit + "&cursor=" + url.QueryEscape(*page.NextCursor)
			}
			if (next == "") != (path == "") {
				t.Errorf("%v: Link leads to %q, next_cursor to %q", r, next, path)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("limit %s: got accounts %v, want %v", limit, got, want)
		}
	}
	seed := into[accountJSON](w.tru.get("/account/"+seedID, ""))
	if want := (accountJSON{seedID, "2000-01-01T00:00:00.000000Z", 100_000, 0, nil, nil}); seed != want {
		t.Errorf("got seed account %+v, want %+v", seed, want)
	}
	for _, path := range []string{"", "/transactions", "/tokens"} {
		p := w.tru.get("/account/"+unknownID()+path, "").wants(404, "account_not_found")
		if p.ErrorType != "AccountError" || p.ErrorMessage != "AccountDoesNotExist" {
			t.Errorf("got %s / %s", p.ErrorType, p.ErrorMessage)
		}
	}
	w.tru.post("/account/"+unknownID()+"/token", "", "").wants(404, "account_not_found")
	w.tru.delete("/account/"+unknownID()+"/token/"+unknownID(), "").wants(404, "token_not_found")
	own := w.open(0)
	w.tru.delete(own.path("/token/"+own.tokenID), "").ok()
	w.pub.get(own.path(""), own.token).wants(401, "invalid_token")
	p := w.tru.get("/transaction/"+unknownID(), "").wants(404, "transaction_not_found")
	if p.ErrorType != "TransactionError" || p.ErrorMessage != "TransactionDoesNotExist" {
		t.Errorf("got %s / %s", p.ErrorType, p.ErrorMessage)
	}
}

// TestFurtherTokensAreLimited asks for further tokens, and revokes them: a minute
// brings an account so many, and no bcrypt for more. Other accounts, sign-up and
// the trusted side have theirs all the same.
func TestFurtherTokensAreLimited(t *testing.T) {
	w := newWorld(t, setup{further: 3})
	own, other := w.open(0), w.open(0)
	issue := func(o owner) reply { return w.pub.post(o.path("/token"), o.token, "") }
	for range 3 {
		tok := into[tokenJSON](issue(own))
		w.pub.delete(own.path("/token/"+tok.TokenID), own.token).ok()
	}
	before := w.iss.Stats().HashRuns
	for range 100 {
		got := issue(own)
		got.wants(429, "too_many_requests")
		if got.header.Get("Retry-After") != "20" {
			t.Fatalf("%v: Retry-After is %q, want 20", got, got.header.Get("Retry-After"))
		}
	}
	// Whose token it is is looked at first.
	w.pub.post(own.path("/token"), other.token, "").wants(401, "invalid_token")
	if got := w.iss.Stats().HashRuns - before; got > 1 {
		t.Errorf("bcrypt ran %d times, want once for another's token", got)
	}
	w.tru.post(own.path("/token"), "", "").ok()
	w.pub.post("/account", "", "").ok()
	issue(other).ok()
	w.clock.Advance(20*time.Second - time.Millisecond)
	issue(own).wants(429, "too_many_requests")
	w.clock.Advance(time.Millisecond)
	issue(own).ok()
	issue(own).wants(429, "too_many_requests")
}

// TestFurtherTokensOfMany asks for further tokens of more accounts than are
// remembered: memory is bounded, and so are all together. Sign-up is counted by
// itself.
func TestFurtherTokensOfMany(t *testing.T) {
	w := newWorld(t, setup{further: 2, total: 500})
	taken := 0
	for range 100_000 {
		if w.api.TakeIssue(uuid.New()) == 0 {
			taken++
		}
	}
	if n := w.api.IssueAccounts(); taken != 500 || n > 1<<16 {
		t.Errorf("%d were let in, want 500; %d accounts are remembered, want at most %d", taken, n, 1<<16)
	}
	w.pub.post("/account", "", "").ok()
}
