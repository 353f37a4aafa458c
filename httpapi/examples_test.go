package httpapi_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/santhosh-tekuri/jsonschema/v6"

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
		want, err := jsonschema.UnmarshalJSON(strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(documented[place], want) {
			t.Errorf("%s: openapi.yaml has %v, answered is\n%s", place, documented[place], body)
		}
	}
}

// TestSignedExamples verifies the signatures of the requests in openapi.yaml, which
// are of the tests' first and second key, in the ledger that the examples have.
func TestSignedExamples(t *testing.T) {
	doc, err := sideDocument(httpapi.OpenAPI(), bothSides)
	if err != nil {
		t.Fatal(err)
	}
	request := func(path string) map[string]any {
		return dig(doc, "paths", path, "post", "requestBody", "content", "application/json").(map[string]any)
	}
	member := func(m any, name string) []byte {
		b, err := base64.StdEncoding.DecodeString(m.(map[string]any)[name].(string))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		return b
	}
	ledger, account := uuid.MustParse(exampleLedger), uuid.MustParse(exampleOwner)

	change := request("/account/{account_id}/key")["example"]
	c := capycoin.KeyChange{Account: account, Version: 1, NewKey: capycoin.PublicKey(member(change, "public_key")),
		OldSignature: [64]byte(member(change, "old_signature")), NewSignature: [64]byte(member(change, "new_signature"))}
	if err := capycoin.VerifyKeyChange(ledger, c, publicOf(privateKey(1))); err != nil || c.NewKey != publicOf(privateKey(2)) {
		w := capycoin.KeyChange{Account: account, Version: 1, NewKey: publicOf(privateKey(2))}
		w.OldSignature, _ = capycoin.SignKeyChange(ledger, account, 1, w.NewKey, privateKey(1))
		w.NewSignature, _ = capycoin.SignKeyChange(ledger, account, 1, w.NewKey, privateKey(2))
		t.Errorf("the change of a key: %v; want %s", err, keyChangeBody(w))
	}

	signed := dig(request("/account/{account_id}/transaction"), "examples", "signed", "value")
	maxFee, notAfter := capycoin.Coins(2), time.Date(2022, 8, 15, 14, 0, 0, 0, time.UTC)
	tx := capycoin.Transfer{Sender: account, Receiver: uuid.MustParse(exampleReceiver), Amount: 50, MaxFee: &maxFee, Key: "order-17",
		Signature: &capycoin.Signature{NotAfter: notAfter, Bytes: [64]byte(member(signed, "signature"))}}
	if err := capycoin.VerifyTransfer(ledger, 1, tx, publicOf(privateKey(1))); err != nil {
		s, _ := capycoin.SignTransfer(ledger, 1, tx, notAfter, privateKey(1))
		t.Errorf("the signed transfer: %v; want %s", err, base64Of(s.Bytes[:]))
	}
	want := map[string]any{"receiver": exampleReceiver, "amount": json.Number("50"), "max_fee": json.Number("2"), "not_after": "2022-08-15T14:00:00Z",
		"signature": signed.(map[string]any)["signature"]}
	if !reflect.DeepEqual(signed, want) {
		t.Errorf("the signed transfer is %v, want %v", signed, want)
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

// exampleIDs returns a source of ids for accounts whose first ones are those of the
// examples.
func exampleIDs() func() (uuid.UUID, error) {
	ids := []string{exampleOwner, exampleReceiver}
	return func() (uuid.UUID, error) {
		if len(ids) == 0 {
			return uuid.NewRandom()
		}
		id := uuid.MustParse(ids[0])
		ids = ids[1:]
		return id, nil
	}
}

// exampleSession makes the requests of the examples, by where the example is.
func exampleSession(t *testing.T) map[string]reply {
	t.Helper()
	faulty, s := onFaulty(storetest.NewMemory())
	s.ledger = capycoin.Options{NewID: exampleIDs()}
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
	keyed := newWorld(t, setup{ledger: capycoin.Options{NewID: exampleIDs()}})
	payer, payee := keyed.openKeyed(100, 1), keyed.open(0)
	put("components SignatureRefused", keyed.pay(payer.owner, payee, 5))
	put("components SignatureRefusedBatch", keyed.pub.post(payer.path("/transactions"), payer.token,
		batch(true, keyed.signed(payer, payee.id, 5, "order-17").item(t), item(payee.id, 5, "order-18"))))
	rekey := keyed.change(payer.uuid(), 1, privateKey(1), privateKey(2))
	put("components KeySignatureRefused", keyed.pub.post(payer.path("/key"), payer.token,
		keyChangeBody(capycoin.KeyChange{Version: 1, NewKey: rekey.NewKey})))
	put("POST /account/{account_id}/key 200", keyed.pub.post(payer.path("/key"), payer.token, keyChangeBody(rekey)))
	put("components KeyRefused", keyed.pub.post(payer.path("/key"), payer.token, keyChangeBody(rekey)))
	put("components ExemptNotFound", keyed.setFees(`{"exempt":["00000000-0000-4000-8000-000000000000"]}`))
	keyed.setFees(`{"flat":1,"basis_points":100,"max":20}`).ok()
	put("GET /fee 200", keyed.pub.get("/fee?amount=50", ""))
	put("components AmountRefused", keyed.pub.get("/fee?amount=0", ""))
	payer.key, payer.version = privateKey(2), 2
	paying := keyed.signed(payer, payee.id, 50, "order-17")
	paying.maxFee = 2
	paying.pay(keyed).ok()
	put("components FeePolicy", keyed.setFees(`{"flat":1,"basis_points":100,"max":20,"exempt":["`+exampleReceiver+`"]}`))
	keyed.clock.Advance(48 * time.Hour)
	put("POST /stipend 200", keyed.tru.post("/stipend", "", `{"window":7,"min_age":1,"cap":5}`))
	put("GET /stipend 200", keyed.tru.get("/stipend", ""))
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
