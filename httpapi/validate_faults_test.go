package httpapi_test

import (
	"bytes"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/capycoin/capycoin/httpapi"
)

// sent is an exchange, as the contract gets it.
type sent struct {
	side, method, target string
	header               http.Header
	body                 string
	status               int
	answerHeader         http.Header
	answer               string
}

// TestContractCatchesOneFault plants faults in good exchanges, one at a time: one
// for each kind of check that the contract makes.
func TestContractCatchesOneFault(t *testing.T) {
	const (
		id      = "26a6d7cb-e2be-44d4-acba-36e2c0ac1b90"
		receipt = `{"transaction_id":"` + id + `","timestamp":"2022-08-15T13:24:23.136285Z","sender_account_id":"` + id +
			`","receiver_account_id":"` + id + `","sender_account_funds":95,"fee":0}`
		none = `{"account_id":"` + id + `","transactions":[],"next_cursor":null}`
		busy = `{"type":"about:blank","title":"t","status":503,"detail":"d","code":"unavailable"}`
		page = `{"accounts":[{"account_id":"` + id + `","created":"2022-08-15T13:24:23.136285Z","funds":95,"transactions":2,"public_key":null,"key_version":null}],"next_cursor":null}`
	)
	token := http.Header{"Authorization": {"Bearer x"}}
	answered := func(more ...string) http.Header {
		h := http.Header{"Content-Type": {"application/json"}, "X-Request-Id": {"r1"}}
		for i := 0; i < len(more); i += 2 {
			h.Set(more[i], more[i+1])
		}
		return h
	}
	good := map[string]sent{
		"pay": {public, "POST", "/account/" + id + "/transaction",
			http.Header{"Authorization": {"bearer x"}, "Content-Type": {"application/json; charset=utf-8"}, "Idempotency-Key": {`"k"`}},
			`{"receiver":"` + id + `","amount":1,"max_fee":0,"not_after":"2022-08-15T14:00:00Z","signature":"` + strings.Repeat("A", 86) + `=="}`,
			200, answered("Idempotency-Replayed", "true"), receipt},
		"history": {public, "GET", "/account/" + id + "/transactions?start=2022-08-15&end=2022-08-16T00:00:00Z&limit=1000&order=desc&cursor=x",
			http.Header{"Authentication": {"Bearer x"}, "User-Agent": {"u"}}, "", 200, answered("Link", `</next>; rel="next"`), none},
		"accounts": {trusted, "GET", "/accounts?limit=1", nil, "", 200, answered(), page},
		"busy": {public, "GET", "/supply", nil, "", 503,
			answered("Content-Type", "application/problem+json", "Retry-After", "1"), busy},
		"revoke":  {public, "DELETE", "/account/" + id + "/token/" + id, token, "", 204, http.Header{"X-Request-Id": {"r1"}}, ""},
		"journal": {trusted, "GET", "/journal?after=0", nil, "", 200, answered("Content-Type", "application/octet-stream", "Journal-End", "7"), "\x00"},
		"head":    {public, "HEAD", "/supply", nil, "", 200, answered(), ""},
		"invites": {trusted, "GET", "/invites", nil, "", 200, answered(), `{"invites":[{"invite_id":"` + id +
			`","label":"","created":"2022-08-15T13:24:23.136285Z","invite_expiry":"2022-08-15T13:24:23.136285Z"}],"next_cursor":null}`},
		"issue": {public, "POST", "/account/" + id + "/token", token, "", 503, answered("Content-Type", "application/problem+json", "Retry-After", "1"), busy},
	}
	in := func(text *string, old, new string) { *text = strings.Replace(*text, old, new, 1) }
	for _, tt := range []struct {
		name, of string
		fault    func(e *sent)
	}{
		{"an id in the path that is none", "pay", func(e *sent) { in(&e.target, id, "26a6d7cb") }},
		{"an id in the path with something after it", "pay", func(e *sent) { in(&e.target, id, id+"%2F") }},
		{"an undocumented method", "pay", func(e *sent) { e.method = "PUT" }},
		{"an undocumented path", "pay", func(e *sent) { e.target += "/x" }},
		{"an unknown query parameter", "history", func(e *sent) { e.target += "&x=1" }},
		{"a query parameter given twice", "history", func(e *sent) { e.target += "&limit=1000" }},
		{"a query that is not escaped", "history", func(e *sent) { e.target += "%zz" }},
		{"a query parameter of another type", "history", func(e *sent) { in(&e.target, "limit=1000", "limit=ten") }},
		{"an integer with a fraction", "history", func(e *sent) { in(&e.target, "limit=1000", "limit=1.5") }},
		{"an integer above the maximum", "history", func(e *sent) { in(&e.target, "limit=1000", "limit=1001") }},
		{"an integer below the minimum", "history", func(e *sent) { in(&e.target, "limit=1000", "limit=0") }},
		{"an empty integer", "history", func(e *sent) { in(&e.target, "limit=1000", "limit=") }},
		{"an empty string", "history", func(e *sent) { in(&e.target, "cursor=x", "cursor=") }},
		{"a word that is not of the enum", "history", func(e *sent) { in(&e.target, "order=desc", "order=Desc") }},
		{"a day that there is not", "history", func(e *sent) { in(&e.target, "start=2022-08-15", "start=2022-02-30") }},
		{"an instant that there is not", "history", func(e *sent) { in(&e.target, "T00:00:00Z", "T24:00:00Z") }},
		{"a header that is not of its pattern", "pay", func(e *sent) { e.header.Set("Idempotency-Key", `"`) }},
		{"an unknown header", "pay", func(e *sent) { e.header.Set("X-Amount", "1") }},
		{"a header of another operation", "history", func(e *sent) { e.header.Set("Idempotency-Key", "k") }},
		{"an unknown cookie", "pay", func(e *sent) { e.header.Set("Cookie", "a=b") }},
		{"no token", "pay", func(e *sent) { e.header.Del("Authorization") }},
		{"another scheme's token", "pay", func(e *sent) { e.header.Set("Authorization", "Basic x") }},
		{"an empty token", "history", func(e *sent) { e.header.Set("Authentication", "") }},
		{"no body", "pay", func(e *sent) { e.body = "" }},
		{"a body where there is none", "history", func(e *sent) { e.body = "{}" }},
		{"a body of another type", "pay", func(e *sent) { e.header.Set("Content-Type", "text/plain") }},
		{"a body of no type at all", "pay", func(e *sent) { e.header.Set("Content-Type", "/") }},
		{"a body that is no JSON", "pay", func(e *sent) { e.body = e.body[1:] }},
		{"a body with something after it", "pay", func(e *sent) { e.body += "{}" }},
		{"a body that is an array", "pay", func(e *sent) { e.body = "[" + e.body + "]" }},
		{"an unknown member", "pay", func(e *sent) { in(&e.body, `{`, `{"x":1,`) }},
		{"a missing member", "pay", func(e *sent) { in(&e.body, `"amount":1,`, ``) }},
		{"a member of another type", "pay", func(e *sent) { in(&e.body, `"amount":1`, `"amount":"1"`) }},
		{"a null member", "pay", func(e *sent) { in(&e.body, `"amount":1`, `"amount":null`) }},
		{"a member above 64 bits", "pay", func(e *sent) { in(&e.body, `"amount":1`, `"amount":92233720368547758070`) }},
		{"a member that is not of its format", "pay", func(e *sent) { in(&e.body, "2022-08-15T14", "2022-02-30T14") }},
		{"a member without the one it needs", "pay", func(e *sent) { in(&e.body, `"max_fee":0,`, ``) }},

		{"an undocumented status", "pay", func(e *sent) { e.status = 202 }},
		{"a status of another operation", "revoke", func(e *sent) { e.status = 200 }},
		{"an answer without a required header", "journal", func(e *sent) { e.answerHeader.Del("Journal-End") }},
		{"an answer's header of another type", "journal", func(e *sent) { e.answerHeader.Set("Journal-End", "end") }},
		{"an answer's header below the minimum", "journal", func(e *sent) { e.answerHeader.Set("Journal-End", "0") }},
		{"an answer's empty header", "pay", func(e *sent) { e.answerHeader.Set("X-Request-Id", "") }},
		{"an answer's header that is too long", "pay", func(e *sent) { e.answerHeader.Set("X-Request-Id", strings.Repeat("x", 129)) }},
		{"an answer's header that is not of the enum", "pay", func(e *sent) { e.answerHeader.Set("Idempotency-Replayed", "false") }},
		{"an answer's header that is not of its pattern", "history", func(e *sent) { e.answerHeader.Set("Link", "/next") }},
		{"a header of an error with a good answer", "pay", func(e *sent) { e.answerHeader.Set("Retry-After", "1") }},
		{"an answer without a type", "pay", func(e *sent) { e.answerHeader.Del("Content-Type") }},
		{"an answer of another type", "journal", func(e *sent) { e.answerHeader.Set("Content-Type", "application/json") }},
		{"an error of another type", "busy", func(e *sent) { e.answerHeader.Set("Content-Type", "application/json") }},
		{"an answer that is no JSON", "pay", func(e *sent) { e.answer = e.answer[1:] }},
		{"an answer with something after it", "pay", func(e *sent) { e.answer += "{}" }},
		{"an empty answer", "pay", func(e *sent) { e.answer = "" }},
		{"an answer where there is none", "revoke", func(e *sent) { e.answer = "{}" }},
		{"an answer to HEAD", "head", func(e *sent) { e.answer = "{}" }},
		{"an answer's unknown member", "pay", func(e *sent) { in(&e.answer, `{`, `{"x":1,`) }},
		{"an answer's unknown member in an array", "accounts", func(e *sent) { in(&e.answer, `[{`, `[{"x":1,`) }},
		{"an answer's unknown member where the document has no name", "invites", func(e *sent) { in(&e.answer, `[{`, `[{"x":1,`) }},
		{"an answer's missing member", "pay", func(e *sent) { in(&e.answer, `,"fee":0`, ``) }},
		{"an answer's missing member in an array", "accounts", func(e *sent) { in(&e.answer, `"funds":95,`, ``) }},
		{"an answer's member of another type", "pay", func(e *sent) { in(&e.answer, `"fee":0`, `"fee":false`) }},
		{"an answer's null member", "pay", func(e *sent) { in(&e.answer, `"fee":0`, `"fee":null`) }},
		{"an answer's number with a fraction", "pay", func(e *sent) { in(&e.answer, `"fee":0`, `"fee":0.5`) }},
		{"an answer's number below the minimum", "pay", func(e *sent) { in(&e.answer, `"fee":0`, `"fee":-1`) }},
		{"an answer's number above 2^53-1", "pay", func(e *sent) { in(&e.answer, `"fee":0`, `"fee":9007199254740992`) }},
		{"an answer's member that is not of its format", "pay", func(e *sent) { in(&e.answer, "2022-08-15", "2022-02-30") }},
		{"an answer's member that is not of its pattern", "pay", func(e *sent) { in(&e.answer, "285Z", "285+00:00") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := good[tt.of]
			e.header, e.answerHeader = maps.Clone(e.header), maps.Clone(e.answerHeader)
			if errs := exchanged(t, e); len(errs) > 0 {
				t.Fatalf("without a fault: %v", errs)
			}
			if e.header == nil {
				e.header = make(http.Header)
			}
			tt.fault(&e)
			if errs := exchanged(t, e); len(errs) == 0 {
				t.Errorf("nothing is found in %+v", e)
			}
		})
	}
	for name, e := range good {
		if errs := exchanged(t, e); len(errs) > 0 {
			t.Errorf("%s: %v", name, errs)
		}
	}
}

// exchanged is what the contract finds.
func exchanged(t *testing.T, e sent) []error {
	t.Helper()
	req := httptest.NewRequest(e.method, e.target, strings.NewReader(e.body))
	if e.header != nil {
		req.Header = e.header.Clone()
	}
	var body []byte
	if e.body != "" {
		body = []byte(e.body)
	}
	resp := &http.Response{StatusCode: e.status, Header: e.answerHeader.Clone()}
	return contractOf(t, e.side).copy().check(req, body, resp, []byte(e.answer))
}

// TestOpenAPICatches plants faults in the document, one at a time.
func TestOpenAPICatches(t *testing.T) {
	for _, tt := range []struct{ name, old, new string }{
		{"no YAML", "openapi: 3.1.0", "openapi: [3.1.0"},
		{"a member twice", "openapi: 3.1.0", "openapi: 3.1.0\nopenapi: 3.1.0"},
		{"a member whose name is a number", `"200":`, `200:`},
		{"another version", "openapi: 3.1.0", "openapi: 3.0.3"},
		{"a missing member", `  version: "1"`, ``},
		{"an unknown member", "  title: CapyCoin", "  title: CapyCoin\n  name: CapyCoin"},
		{"an unknown member of an operation", "      operationId: index", "      operationID: index"},
		{"a member of another type", "      operationId: index", "      operationId: [index]"},
		{"a path without a slash", "  /account:", "  account:"},
		{"a response without a description", "          description: The account is open.\n", ""},
		{"a parameter without a place", "      in: path\n", ""},
		{"a parameter in another place", "      in: path\n", "      in: body\n"},
		{"a parameter of a path that is not required", "      in: path\n      required: true\n", "      in: path\n"},
		{"a parameter without a schema", "      schema: {$ref: \"#/components/schemas/UuidIn\"}\n", ""},
		{"a scheme of another type", "      type: http\n", "      type: token\n"},
		{"a reference to a response that there is not", "#/components/responses/BadRequest", "#/components/responses/Bad"},
		{"a reference to a parameter that there is not", "#/components/parameters/AccountId", "#/components/parameters/Account"},
		{"a reference to a header that there is not", "#/components/headers/X-Request-Id", "#/components/headers/Request-Id"},
		{"a reference to a schema that there is not", "#/components/schemas/Uuid\"", "#/components/schemas/Uid\""},
		{"a schema of another type", "      type: integer\n", "      type: int\n"},
		{"a schema with a word for a number", "      maximum: 9007199254740991\n", "      maximum: many\n"},
		{"a schema with a pattern that is none", "pattern: '^[0-9A-F]{256}$'", "pattern: '^[0-9A-F{256}$'"},
		{"a schema whose required member is no list", "      required: [account_id, token, token_expiry, token_id]\n", "      required: account_id\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if !bytes.Contains(httpapi.OpenAPI(), []byte(tt.old)) {
				t.Fatalf("openapi.yaml does not have %q", tt.old)
			}
			if err := documentFault(bytes.Replace(httpapi.OpenAPI(), []byte(tt.old), []byte(tt.new), 1)); err == nil {
				t.Error("nothing is found")
			}
		})
	}
}

// documentFault is what is wrong with a document.
func documentFault(raw []byte) error {
	tree, err := readTree(raw)
	if err != nil {
		return err
	}
	_, err = newDocument(tree)
	return err
}
