package httpapi_test

import (
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/httpapi"
	"github.com/capycoin/capycoin/storetest"
)

// The accounts of the examples in openapi.yaml.
const (
	exampleOwner    = "26a6d7cb-e2be-44d4-acba-36e2c0ac1b90"
	exampleReceiver = "9c4cb1bf-25a8-4a05-9ad0-0f4d9a0a5b6e"
)

// What the examples have in place of what is random.
var (
	exampleToken  = strings.Repeat("4DC49F5F3D5C3AB2", 16)
	exampleInvite = "MFRGGZDFMZTWQ2LKNNWG23TPOA"
	exampleLedger = "0c9e7a64-5d0f-4b0e-8d0a-3d1b8f1f6a11"
)

// TestExamplesAreReal makes the session of the examples and compares each
// response's example with what is answered. Time and ids are given, so all but
// tokens and the ledger's id is the same to the digit.
func TestExamplesAreReal(t *testing.T) {
	got := exampleSession(t)
	doc, err := sideDocument(httpapi.OpenAPI(), bothSides)
	if err != nil {
		t.Fatal(err)
	}
	documented := make(map[string]any)
	for path, item := range doc["paths"].(map[string]any) {
		for method, op := range item.(map[string]any) {
			collectExamples(strings.ToUpper(method)+" "+path, dig(op, "responses"), documented)
		}
	}
	collectExamples("components", dig(doc, "components", "responses"), documented)
	var places []string
	for place := range documented {
		places = append(places, place)
	}
	for place := range got {
		places = append(places, place)
	}
	sort.Strings(places)
	for _, place := range slices.Compact(places) {
		r, made := got[place]
		if !made {
			t.Errorf("%s: no request makes this example", place)
			continue
		}
		body := string(r.body)
		var answer map[string]any
		if err := json.Unmarshal(r.body, &answer); err != nil {
			t.Fatalf("%v: %v", r, err)
		}
		if token, ok := answer["token"].(string); ok {
			body = strings.ReplaceAll(body, token, exampleToken)
		}
		if code, ok := answer["invite"].(string); ok {
			body = strings.ReplaceAll(body, code, exampleInvite)
		}
		if id, ok := answer["ledger_id"].(string); ok {
			body = strings.ReplaceAll(body, id, exampleLedger)
		}
		var want any
		if err := json.Unmarshal([]byte(body), &want); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(documented[place], want) {
			t.Errorf("%s: openapi.yaml has %v, answered is\n%s", place, documented[place], body)
		}
	}
}

// collectExamples finds the examples of responses with JSON.
func collectExamples(where string, responses any, into map[string]any) {
	all, _ := responses.(map[string]any)
	for name, response := range all {
		content, _ := dig(response, "content").(map[string]any)
		for mediaType, media := range content {
			if mediaType == "application/json" || mediaType == "application/problem+json" {
				into[where+" "+name] = dig(media, "example")
			}
		}
	}
}

// exampleSession makes the requests of the examples, by where the example is.
func exampleSession(t *testing.T) map[string]reply {
	t.Helper()
	ids := []string{exampleOwner, exampleReceiver}
	faulty, s := onFaulty(storetest.NewMemory())
	s.ledger = capycoin.Options{NewID: func() (uuid.UUID, error) {
		if len(ids) == 0 {
			return uuid.NewRandom()
		}
		id := uuid.MustParse(ids[0])
		ids = ids[1:]
		return id, nil
	}}
	w := newWorld(t, s)
	got := make(map[string]reply)
	put := func(place string, r reply) reply {
		got[place] = r
		return r
	}
	opened := into[tokenJSON](put("POST /account 200", w.pub.post("/account", "", "")))
	own := owner{exampleOwner, opened.Token, opened.TokenID}
	other := w.open(0)
	w.grant(own, 100)
	first := into[receiptJSON](put("components Receipt", w.pay(own, other, 5)))
	put("GET /account/{account_id} 200", w.pub.get(own.path(""), own.token))
	put("components Transaction", w.pub.get(own.path("/transaction/"+first.TransactionID), own.token))
	put("components BatchResults", w.pub.post(own.path("/transactions"), own.token, batch(false, item(other.id, 5, "order-17"), item(other.id, 0, ""))))
	put("GET /account/{account_id}/transactions 200", w.pub.get(own.path("/transactions?limit=2"), own.token))
	put("GET /accounts 200", w.tru.get("/accounts?limit=2", ""))
	put("POST /account/{account_id}/token 200", w.pub.post(own.path("/token"), own.token, `{"label":"phone","expires":"2022-09-01T00:00:00Z"}`))
	put("GET /account/{account_id}/tokens 200", w.pub.get(own.path("/tokens"), own.token))
	put("GET /supply 200", w.pub.get("/supply", ""))

	put("components BadRequest", w.pub.get("/account/capybara", own.token))
	put("components BadBatch", w.pub.post(own.path("/transactions"), own.token, batch(false, item(other.id, 5, ""), item("capybara", 5, ""))))
	put("components Unauthorized", w.pub.get(own.path(""), ""))
	put("components AccountNotFound", w.tru.get("/account/00000000-0000-4000-8000-000000000000", ""))
	put("components TransactionNotFound", w.pub.get(own.path("/transaction/00000000-0000-4000-8000-000000000000"), own.token))
	put("components TokenNotFound", w.pub.delete(own.path("/token/00000000-0000-4000-8000-000000000000"), own.token))
	put("components NotFound", w.pub.get("/capybara", ""))
	put("components MethodNotAllowed", w.pub.delete("/supply", ""))
	put("components TooLarge", w.pub.post(own.path("/transaction"), own.token, strings.Repeat(" ", 64<<10+1)))
	put("components UnsupportedMediaType", w.pub.do(call{method: "POST", path: own.path("/transaction"), token: own.token,
		body: "receiver=x", header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}}))
	inviting := newWorld(t, setup{signUp: httpapi.SignUpInvite, address: 1})
	put("POST /invite 200", inviting.tru.post("/invite", "", `{"label":"Ann","expires":"2022-09-01T00:00:00Z"}`))
	put("GET /invites 200", inviting.tru.get("/invites", ""))
	put("components InviteNotFound", inviting.tru.delete("/invite/00000000-0000-4000-8000-000000000000", ""))
	put("components SignUpRefused", inviting.pub.post("/account", "", `{"invite":"`+exampleInvite+`"}`))
	put("components TooManyRequests", inviting.pub.post("/account", "", ""))
	put("components Forbidden", newWorld(t, setup{uids: []int{0}}).tru.get("/supply", ""))
	put("components Refused", w.pay(own, other, 1000))
	put("components RefusedBatch", w.pub.post(own.path("/transactions"), own.token, batch(true, item(other.id, 5, ""), item(other.id, 1000, ""))))
	for range 8 {
		w.pub.post(own.path("/token"), own.token, "").ok()
	}
	put("components TokenRefused", w.pub.post(own.path("/token"), own.token, ""))
	faulty.Fail(storetest.OpAppend, 1, storetest.NotDone)
	put("components OutcomeUnknown", w.pay(own, other, 1))
	put("components Unavailable", w.pay(own, other, 1))
	put("components Internal", panics(t, w.pub, route{"GET", "/supply"}, owner{}))
	return got
}
