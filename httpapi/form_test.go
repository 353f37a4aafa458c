package httpapi_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// jsonTable are bodies of a transfer to RECEIVER that are not in form.
var jsonTable = []struct{ name, body string }{
	{"nothing", " "},
	{"null", `null`},
	{"array", `[]`},
	{"array around it", `[{"receiver":"RECEIVER","amount":1}]`},
	{"string", `"receiver"`},
	{"number", `1`},
	{"no members", `{}`},
	{"missing receiver", `{"amount":1}`},
	{"missing amount", `{"receiver":"RECEIVER"}`},
	{"null receiver", `{"receiver":null,"amount":1}`},
	{"null amount", `{"receiver":"RECEIVER","amount":null}`},
	{"unknown member", `{"receiver":"RECEIVER","amount":1,"memo":"x"}`},
	{"unknown null member", `{"receiver":"RECEIVER","amount":1,"memo":null}`},
	{"sender", `{"sender":"RECEIVER","receiver":"RECEIVER","amount":1}`},
	{"key", `{"receiver":"RECEIVER","amount":1,"key":"k"}`},
	{"empty name", `{"receiver":"RECEIVER","amount":1,"":1}`},
	{"duplicate member", `{"receiver":"RECEIVER","amount":1,"amount":1}`},
	{"duplicate member, escaped", `{"receiver":"RECEIVER","amount":1,"\u0061mount":1}`},
	{"wrong case", `{"receiver":"RECEIVER","Amount":1}`},
	{"wrong case beside the right one", `{"receiver":"RECEIVER","amount":1,"AMOUNT":1}`},
	{"folded letter", `{"receiver":"RECEIVER","amount":1,"\u017fender":1}`},
	{"float", `{"receiver":"RECEIVER","amount":1.5}`},
	{"whole float", `{"receiver":"RECEIVER","amount":1.0}`},
	{"exponent", `{"receiver":"RECEIVER","amount":1e0}`},
	{"big exponent", `{"receiver":"RECEIVER","amount":1E2}`},
	{"leading zero", `{"receiver":"RECEIVER","amount":01}`},
	{"negative leading zero", `{"receiver":"RECEIVER","amount":-01}`},
	{"plus", `{"receiver":"RECEIVER","amount":+1}`},
	{"minus alone", `{"receiver":"RECEIVER","amount":-}`},
	{"hexadecimal", `{"receiver":"RECEIVER","amount":0x1}`},
	{"string for a number", `{"receiver":"RECEIVER","amount":"1"}`},
	{"boolean for a number", `{"receiver":"RECEIVER","amount":true}`},
	{"array for a number", `{"receiver":"RECEIVER","amount":[1]}`},
	{"object for a number", `{"receiver":"RECEIVER","amount":{"n":1}}`},
	{"number for a string", `{"receiver":1,"amount":1}`},
	{"array for a string", `{"receiver":["RECEIVER"],"amount":1}`},
	{"one over int64", `{"receiver":"RECEIVER","amount":9223372036854775808}`},
	{"one under int64", `{"receiver":"RECEIVER","amount":-9223372036854775809}`},
	{"2^64+1", `{"receiver":"RECEIVER","amount":18446744073709551617}`},
	{"a thousand digits", `{"receiver":"RECEIVER","amount":` + strings.Repeat("9", 1000) + `}`},
	{"NaN", `{"receiver":"RECEIVER","amount":NaN}`},
	{"trailing object", `{"receiver":"RECEIVER","amount":1}{}`},
	{"trailing brace", `{"receiver":"RECEIVER","amount":1}}`},
	{"trailing word", `{"receiver":"RECEIVER","amount":1} x`},
	{"trailing null byte", `{"receiver":"RECEIVER","amount":1}` + "\x00"},
	{"trailing comma", `{"receiver":"RECEIVER","amount":1,}`},
	{"comment", `{"receiver":"RECEIVER","amount":1/*one*/}`},
	{"single quotes", `{'receiver':'RECEIVER','amount':1}`},
	{"no quotes", `{receiver:"RECEIVER",amount:1}`},
	{"cut short", `{"receiver":"RECEIVER","amount":1`},
	{"control character", "{\"receiver\":\"RECEIVER\n\",\"amount\":1}"},
	{"other white space", "{\"receiver\":\"RECEIVER\",\"amount\":\u00a01}"},
	{"byte order mark", "\xef\xbb\xbf" + `{"receiver":"RECEIVER","amount":1}`},
	{"bad UTF-8 in a value", `{"receiver":"RECEIVER` + "\xff" + `","amount":1}`},
	{"bad UTF-8 in a name", `{"receiver":"RECEIVER","amount":1,"` + "\xc3\x28" + `":1}`},
	{"UTF-16", "\xff\xfe{\x00}\x00"},
	{"bad escape", `{"receiver":"RECEIVER\x","amount":1}`},
	{"lone surrogate", `{"receiver":"RECEIVER\ud800","amount":1}`},
	{"deep", `{"receiver":"RECEIVER","amount":1,"x":` + strings.Repeat("[", 30_000) + strings.Repeat("]", 30_000) + `}`},
	{"deep and open", strings.Repeat(`{"a":`, 10_000)},
	{"receiver empty", `{"receiver":"","amount":1}`},
	{"receiver no id", `{"receiver":"capybara","amount":1}`},
	{"receiver with a space", `{"receiver":"RECEIVER ","amount":1}`},
	{"receiver as a URN", `{"receiver":"urn:uuid:RECEIVER","amount":1}`},
	{"receiver in braces", `{"receiver":"{RECEIVER}","amount":1}`},
	{"receiver with a dash moved", `{"receiver":"26a6d7cbe-2be-44d4-acba-36e2c0ac1b90","amount":1}`},
	{"receiver with some dashes", `{"receiver":"26a6d7cbe2be-44d4-acba-36e2c0ac1b90","amount":1}`},
	{"receiver with no hexadecimal", `{"receiver":"26a6d7cb-e2be-44d4-acba-36e2c0ac1b9g","amount":1}`},
	{"receiver in quotes", `{"receiver":"\"RECEIVER\"","amount":1}`},
}

// TestStrictJSON checks that a body that is not one strict JSON object moves
// nothing, on both sides.
func TestStrictJSON(t *testing.T) {
	w := newWorld(t, setup{})
	own, other := w.open(100), w.open(0)
	for _, tt := range jsonTable {
		t.Run(tt.name, func(t *testing.T) {
			w.pub.t, w.tru.t = t, t
			body := strings.ReplaceAll(tt.body, "RECEIVER", other.id)
			p := w.pub.post(own.path("/transaction"), own.token, body).wants(http.StatusBadRequest, "bad_request")
			if p.ErrorType != "GatewayError" || p.ErrorMessage == "" {
				t.Errorf("got %q %q, want the original's words", p.ErrorType, p.ErrorMessage)
			}
			if !strings.HasPrefix(tt.name, "receiver ") && p.ErrorMessage != "Unexpected transaction request format" {
				t.Errorf("got error_message %q, want %q", p.ErrorMessage, "Unexpected transaction request format")
			}
			if tt.name == "sender" {
				return
			}
			body = strings.Replace(body, `{"`, fmt.Sprintf(`{"sender":%q,"`, own.id), 1)
			w.tru.post("/transaction", "", body).wants(http.StatusBadRequest, "bad_request")
		})
	}
	w.pub.t, w.tru.t = t, t
	if got := w.funds(own); got != 100 {
		t.Errorf("funds are %d, want 100", got)
	}
	w.tru.post("/transaction", "", transferBody(other.id, 1)).wants(http.StatusBadRequest, "bad_request")
	w.tru.post("/transaction", "", fmt.Sprintf(`{"sender":"x","receiver":%q,"amount":1}`, other.id)).wants(http.StatusBadRequest, "bad_request")
	w.tru.post("/transaction", "", fmt.Sprintf(`{"sender":null,"receiver":%q,"amount":1}`, other.id)).wants(http.StatusBadRequest, "bad_request")
}

// TestJSONInForm checks that what is strict JSON is taken.
func TestJSONInForm(t *testing.T) {
	w := newWorld(t, setup{})
	own, other := w.open(100), w.open(0)
	bare := strings.ReplaceAll(other.id, "-", "")
	bodies := []string{
		`{"amount":1,"receiver":"` + other.id + `"}`,
		"\r\n\t {\n\"receiver\" :\t\"" + other.id + "\" ,\"amount\": 1 }\n",
		`{"receiver":"` + bare + `","amount":1}`,
		`{"receiver":"` + strings.ToUpper(bare) + `","amount":1}`,
		`{"receiver":"` + strings.ToUpper(other.id) + `","amount":1}`,
		`{"r\u0065ceiver":"` + other.id + `","amount":1}`,
		`{"receiver":"\u00` + fmt.Sprintf("%x", other.id[0]) + other.id[1:] + `","amount":1}`,
	}
	for _, body := range bodies {
		got := into[receiptJSON](w.pub.post(own.path("/transaction"), own.token, body))
		if got.ReceiverAccountID != other.id {
			t.Errorf("%s: got receiver %s, want %s", body, got.ReceiverAccountID, other.id)
		}
	}
	if got, want := w.funds(other), int64(len(bodies)); got != want {
		t.Errorf("got funds %d, want %d", got, want)
	}
	w.pub.post(own.path("/transaction"), own.token, `{"receiver":"`+other.id+`","amount":-0}`).
		wants(http.StatusUnprocessableEntity, "amount_is_zero")
}

// TestOtherBodies checks the bodies of the routes that may do without one.
func TestOtherBodies(t *testing.T) {
	w := newWorld(t, setup{})
	own := w.open(0)
	for _, body := range []string{"", "{}", " {} "} {
		w.pub.post("/account", "", body).ok()
		w.pub.post(own.path("/token"), own.token, body).ok()
		w.tru.post("/account", "", body).ok()
		w.tru.post("/invite", "", body).ok()
	}
	for _, body := range []string{"null", "[]", "{", "{}{}", `{"x":1}`, `{"token":1}`, `{"token":null}`, `{"Token":true}`,
		`{"token":true,"token":true}`, `"token"`, "\xff"} {
		w.pub.post("/account", "", body).wants(http.StatusBadRequest, "bad_request")
		w.pub.post(own.path("/token"), own.token, body).wants(http.StatusBadRequest, "bad_request")
		w.tru.post("/account", "", body).wants(http.StatusBadRequest, "bad_request")
		w.tru.post("/invite", "", body).wants(http.StatusBadRequest, "bad_request")
	}
	for _, path := range []string{"", "/transactions", "/tokens"} {
		w.pub.do(call{method: "GET", path: own.path(path), token: own.token}).ok()
	}
}

// writes is the method of a route that has a body.
func writes(path string) string {
	if path == "/fee/policy" {
		return "PUT"
	}
	return "POST"
}

// taken fails the test unless the request was served, or refused with a code for
// what it asks, not for its form.
func (r reply) taken(code string) {
	r.t.Helper()
	if code == "" {
		r.ok()
	} else {
		r.wants(http.StatusUnprocessableEntity, code)
	}
}

// TestContentType checks which types of a body are taken.
func TestContentType(t *testing.T) {
	w := newWorld(t, setup{})
	own, other := w.open(100), w.open(0)
	keyChange := bodyFor(route{"POST", "/account/{account_id}/key"}, "")
	routes := []struct {
		c           *client
		path, token string
		body        string
		code        string // of the refusal of one that is taken; empty: it is not refused
	}{
		{w.pub, own.path("/transaction"), own.token, transferBody(other.id, 1), ""},
		{w.pub, own.path("/transactions"), own.token, `{"transactions":[` + transferBody(other.id, 1) + `]}`, ""},
		{w.pub, "/account", "", "{}", ""},
		{w.pub, own.path("/token"), own.token, "{}", ""},
		{w.pub, own.path("/key"), own.token, keyChange, "account_has_no_key"},
		{w.tru, "/account", "", "{}", ""},
		{w.tru, own.path("/token"), "", "{}", ""},
		{w.tru, own.path("/key"), "", keyChange, "account_has_no_key"},
		{w.tru, "/fee/policy", "", "{}", ""},
		{w.tru, "/stipend", "", "{}", ""},
		{w.tru, "/invite", "", "{}", ""},
		{w.tru, "/transaction", "", fmt.Sprintf(`{"sender":%q,"receiver":%q,"amount":1}`, seedID, other.id), ""},
		{w.tru, "/transactions", "", fmt.Sprintf(`{"transactions":[{"sender":%q,"receiver":%q,"amount":1}]}`, seedID, other.id), ""},
	}
	for _, r := range routes {
		ask := func(header http.Header) reply {
			return r.c.do(call{method: writes(r.path), path: r.path, token: r.token, body: r.body, header: header})
		}
		ask(http.Header{"Content-Type": nil}).taken(r.code)
		for _, ct := range []string{"application/json; charset=utf-8", `Application/JSON;charset="UTF-8"`} {
			ask(http.Header{"Content-Type": {ct}}).taken(r.code)
		}
		for _, ct := range []string{"text/plain", "application/x-www-form-urlencoded", "application/json; charset=iso-8859-1",
			"application/problem+json", "application/jsonp", "json", "*/*", "application/json, text/plain"} {
			ask(http.Header{"Content-Type": {ct}}).wants(http.StatusUnsupportedMediaType, "unsupported_media_type")
		}
	}
}

// TestBodySize checks the largest body of each route to the byte, also when
// its length is not announced.
func TestBodySize(t *testing.T) {
	w := newWorld(t, setup{})
	own, other := w.open(100), w.open(0)
	for _, tt := range []struct {
		name              string
		c                 *client
		path, token, body string
		limit             int
	}{
		{"transfer", w.pub, own.path("/transaction"), own.token, transferBody(other.id, 1), 64 << 10},
		{"batch", w.pub, own.path("/transactions"), own.token, `{"transactions":[` + transferBody(other.id, 1) + `]}`, 1 << 20},
		{"account", w.pub, "/account", "", "{}", 64 << 10},
		{"token", w.pub, own.path("/token"), own.token, "{}", 64 << 10},
		{"trusted transfer", w.tru, "/transaction", "", fmt.Sprintf(`{"sender":%q,"receiver":%q,"amount":1}`, seedID, other.id), 64 << 10},
		{"trusted batch", w.tru, "/transactions", "",
			fmt.Sprintf(`{"transactions":[{"sender":%q,"receiver":%q,"amount":1}]}`, seedID, other.id), 8 << 20},
		{"trusted account", w.tru, "/account", "", "{}", 64 << 10},
		{"trusted token", w.tru, own.path("/token"), "", "{}", 64 << 10},
		{"invite", w.tru, "/invite", "", "{}", 64 << 10},
		{"key", w.pub, own.path("/key"), own.token, bodyFor(route{"POST", "/account/{account_id}/key"}, ""), 64 << 10},
		{"trusted key", w.tru, own.path("/key"), "", bodyFor(route{"POST", "/account/{account_id}/key"}, ""), 64 << 10},
		{"fee policy", w.tru, "/fee/policy", "", "{}", 64 << 10},
		{"stipend", w.tru, "/stipend", "", "{}", 64 << 10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.c.t = t
			body := tt.body + strings.Repeat(" ", tt.limit-len(tt.body))
			ask := func(body string) reply {
				return tt.c.do(call{method: writes(tt.path), path: tt.path, token: tt.token, body: body})
			}
			code := ""
			if strings.HasSuffix(tt.path, "/key") {
				code = "account_has_no_key"
			}
			ask(body).taken(code)
			ask(body+" ").wants(http.StatusRequestEntityTooLarge, "too_large")
			req, err := http.NewRequest(writes(tt.path), tt.c.server.URL+tt.path, io.MultiReader(strings.NewReader(body), strings.NewReader(" ")))
			if err != nil {
				t.Fatal(err)
			}
			if req.Header.Set("Content-Type", "application/json"); tt.token != "" {
				req.Header.Set("Authorization", "Bearer "+tt.token)
			}
			resp, err := tt.c.http.Transport.(*checking).next.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.StatusCode != http.StatusRequestEntityTooLarge {
				t.Errorf("without Content-Length: got %d, want 413", resp.StatusCode)
			}
			io.Copy(io.Discard, resp.Body)
		})
	}
}

// TestQueryInForm checks that every route refuses a query parameter that it
// does not have, one given twice, and a query that can't be read.
func TestQueryInForm(t *testing.T) {
	w := newWorld(t, setup{})
	own := w.open(10)
	for _, side := range []struct {
		c     *client
		token string
	}{{w.pub, own.token}, {w.tru, ""}} {
		for _, r := range routesOf(t, side.c.side) {
			if strings.HasPrefix(r.path, "/debug/pprof/") {
				continue // net/http/pprof reads its own parameters
			}
			for _, query := range []string{"x=1", "Limit=1", "limit=1&limit=1", "start=2022-08-15&start=2022-08-15", "limit=%zz", "a;b", "limit"} {
				path := fill(r.path, own.id, unknownID(), unknownID())
				if strings.Contains(path, "?") {
					path += "&" + query
				} else {
					path += "?" + query
				}
				token := side.token
				if r.path == "/account" {
					token = ""
				}
				side.c.do(call{method: r.method, path: path, token: token, body: bodyFor(r, own.id)}).
					wants(http.StatusBadRequest, "bad_request")
			}
		}
	}
	if got := w.funds(own); got != 10 {
		t.Errorf("funds are %d, want 10", got)
	}
	w.pub.get(own.path("?"), own.token).ok()
}

// TestMethods asks every documented path with every method it does not have.
func TestMethods(t *testing.T) {
	w := newWorld(t, setup{})
	own := w.open(10)
	for _, c := range []*client{w.pub, w.tru} {
		has := make(map[string][]string)
		for _, r := range routesOf(t, c.side) {
			has[r.path] = append(has[r.path], r.method)
			if r.method == http.MethodGet {
				has[r.path] = append(has[r.path], http.MethodHead)
			}
		}
		for path, allowed := range has {
			slices.Sort(allowed)
			for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"} {
				if slices.Contains(allowed, method) || method == "HEAD" || strings.HasPrefix(path, "/debug/pprof/") {
					continue
				}
				got := c.do(call{method: method, path: fill(path, own.id, unknownID(), unknownID()), token: own.token})
				got.wants(http.StatusMethodNotAllowed, "method_not_allowed")
				allow := strings.Split(got.header.Get("Allow"), ", ")
				slices.Sort(allow)
				if !slices.Equal(allow, allowed) {
					t.Errorf("%v: got Allow %v, want %v", got, allow, allowed)
				}
			}
		}
	}
	got := w.pub.do(call{method: "HEAD", path: own.path(""), token: own.token}).ok()
	if len(got.body) != 0 {
		t.Errorf("HEAD: got a body %q", got.body)
	}
}

// TestUnknownPaths checks that a path that is nearly one of the documented
// ones is none, and that nobody is redirected.
func TestUnknownPaths(t *testing.T) {
	w := newWorld(t, setup{})
	own := w.open(10)
	for _, c := range []*client{w.pub, w.tru} {
		for _, path := range []string{"/nope", "/account/", "/Account", "/supply/", "/account//", own.path("/"), own.path("/nope"),
			own.path("/transactions/"), own.path("/transaction/" + unknownID() + "/x"), own.path("/token/" + unknownID() + "/"),
			"//account", "/./supply", "/x/../supply", "/account/../supply", "//", "/index.html", "/favicon.ico",
			"/openapi.yaml/", "/openapi.json", "/debug", "/%2e%2e/supply", "/supply%00", "/account%2F" + own.id,
			"/debug/pprof/../../supply"} {
			for _, method := range []string{"GET", "POST"} {
				got := c.do(call{method: method, path: path, token: own.token})
				if got.status != http.StatusNotFound && got.status != http.StatusMethodNotAllowed && got.status != http.StatusBadRequest {
					t.Errorf("%s %v: want 404, 405 or 400", c.side, got)
				}
				if got.status == http.StatusNotFound {
					got.wants(http.StatusNotFound, "not_found")
				}
			}
		}
		c.get("/nope", "").wants(http.StatusNotFound, "not_found")
		c.get(own.path("/nope"), "").wants(http.StatusNotFound, "not_found")
	}
}

// TestIDsInForm checks the forms of an id in a path.
func TestIDsInForm(t *testing.T) {
	w := newWorld(t, setup{})
	own := w.open(10)
	bare := strings.ReplaceAll(own.id, "-", "")
	for _, id := range []string{own.id, bare, strings.ToUpper(own.id), strings.ToUpper(bare)} {
		if got := into[accountJSON](w.pub.get("/account/"+id, own.token)); got.AccountID != own.id {
			t.Errorf("%s: got account_id %s, want %s", id, got.AccountID, own.id)
		}
	}
	bad := []string{"x", bare[:31], bare + "0", own.id + "0", "urn:uuid:" + own.id, "%7B" + own.id + "%7D", bare[:31] + "g",
		own.id[:9] + own.id[10:], "-" + bare, "%22" + own.id + "%22", own.id + "%20", strings.Repeat("0", 5000), "%F0%9F%92%B0",
		strings.Replace(own.id, "-", "%E2%80%93", 1), own.id + "%00"}
	ids := map[string]string{"{account_id}": "account_id", "{transaction_id}": "transaction_id", "{token_id}": "token_id"}
	for _, c := range []*client{w.pub, w.tru} {
		for _, r := range routesOf(t, c.side) {
			for param, name := range ids {
				if !strings.Contains(r.path, param) {
					continue
				}
				for _, id := range bad {
					path := fill(strings.Replace(r.path, param, id, 1), own.id, unknownID(), unknownID())
					p := c.do(call{method: r.method, path: path, body: bodyFor(r, own.id)}).wants(http.StatusBadRequest, "bad_request")
					if want := "Invalid format for `" + name + "`"; p.ErrorMessage != want {
						t.Errorf("%s %s: got error_message %q, want %q", r.method, shorten(path), p.ErrorMessage, want)
					}
				}
			}
		}
	}
}

// TestRequestIDs checks that each response has an id of its own.
func TestRequestIDs(t *testing.T) {
	w := newWorld(t, setup{})
	seen := make(map[string]bool)
	form := regexp.MustCompile(`^[!-~]{8,128}$`)
	for _, path := range []string{"/", "/supply", "/nope", "/account/x", "/account/" + unknownID(), "/healthz"} {
		for range 3 {
			got := w.pub.get(path, "")
			ids := got.header.Values("X-Request-Id")
			if len(ids) != 1 || !form.MatchString(ids[0]) || seen[ids[0]] {
				t.Errorf("%v: got X-Request-Id %q, want one that is new", got, ids)
				continue
			}
			seen[ids[0]] = true
			if !strings.Contains(logged(), ids[0]) {
				t.Errorf("%v: request %s is not in the log", got, ids[0])
			}
		}
	}
	got := w.pub.do(call{method: "GET", path: "/supply", header: http.Header{"X-Request-Id": {`a" forged="b`}}})
	if id := got.header.Get("X-Request-Id"); strings.Contains(id, "forged") {
		t.Errorf("got X-Request-Id %q, taken from the request", id)
	}
}

// TestLogsHaveNoToken sends tokens where they don't belong; TestMain looks for
// them in the log of the whole suite.
func TestLogsHaveNoToken(t *testing.T) {
	w := newWorld(t, setup{})
	own := w.open(10)
	w.pub.get("/account/"+own.token, own.token).wants(http.StatusBadRequest, "bad_request")
	w.pub.get("/"+own.token, "").wants(http.StatusNotFound, "not_found")
	w.pub.get("/supply?token="+own.token, "").wants(http.StatusBadRequest, "bad_request")
	w.pub.get("/supply?"+own.token, "").wants(http.StatusBadRequest, "bad_request")
	w.pub.get(own.path("/transactions?cursor="+own.token), own.token).wants(http.StatusBadRequest, "bad_request")
	w.pub.get(own.path(""), notAToken).wants(http.StatusUnauthorized, "invalid_token")
	w.pub.post("/account", own.token, "").wants(http.StatusBadRequest, "bad_request")
	w.pub.post(own.path("/token"), own.token, `{"label":"`+own.token+`"}`).wants(http.StatusBadRequest, "bad_request")
	for _, name := range []string{"User-Agent", "Referer", "X-Request-Id", "Idempotency-Key", "Content-Type"} {
		w.pub.do(call{method: "POST", path: own.path("/transaction"), token: own.token, body: transferBody(unknownID(), 1),
			header: http.Header{name: {own.token}}})
	}
	w.pub.do(call{method: "GET", path: own.path(""), header: http.Header{"Authentication": {"Bearer " + own.token}}}).ok()
	w.pub.do(call{method: own.token[:100], path: "/supply"}).wants(http.StatusMethodNotAllowed, "method_not_allowed")
	if !bytes.Contains([]byte(logged()), []byte(`"status":401`)) {
		t.Error("the log does not tell the status of requests; is it what is being looked at?")
	}
}

// TestDetail checks what is said of some bodies: where it is wrong and what is
// allowed.
func TestDetail(t *testing.T) {
	w := newWorld(t, setup{})
	own, other := w.open(100), w.open(0)
	head := `{"receiver":"` + other.id + `","amount":`
	const most = "9223372036854775807"
	for _, tt := range []struct{ path, body, want string }{
		{"/transaction", "", "At byte 0: the body is empty, expected an object."},
		{"/transactions", "", "At byte 0: the body is empty, expected an object."},
		{"/transaction", " ", "At byte 1: expected an object."},
		{"/transaction", head + "9223372036854775808}", fmt.Sprintf("At byte %d, in the member amount: a number of 64 bits is -9223372036854775808 to %s.", len(head), most)},
		{"/transaction", head + " -9223372036854775809}", fmt.Sprintf("At byte %d, in the member amount: a number of 64 bits is -9223372036854775808 to %s.", len(head)+1, most)},
		{"/transaction", head + "01}", fmt.Sprintf("At byte %d, in the member amount: a number has no leading zero.", len(head))},
		{"/transaction", head + "1.5}", fmt.Sprintf("At byte %d, in the member amount: expected a whole number, written without fraction and exponent.", len(head))},
		{"/transaction", head + "-}", fmt.Sprintf("At byte %d, in the member amount: expected a whole number.", len(head))},
		{"/transaction", `{"receiver":null,"amount":1}`, "At byte 12, in the member receiver: expected a string."},
		{"/transactions", `{"transactions":[{"receiver":5}]}`, "At byte 29, in the member receiver: expected a string."},
		{"/transactions", `{"transactions":[5]}`, "At byte 17: expected an object."},
		{"/transaction", `{"reciever":null}`, `At byte 12: there is no member "reciever"; there are receiver, amount, max_fee, signature and not_after.`},
		{"/transaction", `{"receiver":"x","amount":1}`, "receiver has to be a UUID, 32 hexadecimal digits with dashes or without."},
		{"/transactions", `{"transactions":[{"receiver":"` + other.id + `","amount":1,"key":"a b"}]}`, `key has to be 1 to 255 characters 0x21 to 0x7E without " and \.`},
	} {
		if p := w.pub.post(own.path(tt.path), own.token, tt.body).wants(http.StatusBadRequest, "bad_request"); p.Detail != tt.want {
			t.Errorf("%s: got %q, want %q", tt.body, p.Detail, tt.want)
		}
	}
	for amount, more := range map[string]string{
		"101": "", "9007199254740991": "", "9007199254740992": " No ledger has more than 9007199254740991 coins.",
		most: " No ledger has more than 9007199254740991 coins.",
	} {
		p := w.pub.post(own.path("/transaction"), own.token, head+amount+"}").wants(http.StatusUnprocessableEntity, "insufficient_funds")
		if want := "The sender has less than the amount and the fee." + more; p.Detail != want || p.Funds == nil || *p.Funds != 100 || fmt.Sprint(*p.Required) != amount {
			t.Errorf("%s: got %q, funds %v, required %v", amount, p.Detail, p.Funds, p.Required)
		}
	}
}
