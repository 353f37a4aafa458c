package httpapi_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/capycoin/capycoin/httpapi"
)

// TestAllowUIDs asks for every route of the trusted side as users that may use
// it and as others.
func TestAllowUIDs(t *testing.T) {
	w := newWorld(t, setup{uids: []int{0, 1000}})
	own, other := w.open(1000), w.open(0)
	paid := into[receiptJSON](w.pay(own, other, 1))
	before := w.led.Stats()
	as := func(p *httpapi.Peer, r route) reply {
		w.caller.Store(p)
		return w.tru.do(call{method: r.method, path: fill(r.path, own.id, paid.TransactionID, own.tokenID), body: bodyFor(r, other.id)})
	}
	for _, r := range routesOf(t, trusted) {
		for _, p := range []*httpapi.Peer{nil, {UID: 1, PID: 5}, {UID: 1001}, {UID: -1}, {UID: 10000}} {
			as(p, r).wants(http.StatusForbidden, "forbidden")
		}
	}
	for _, path := range []string{"/supply", "/nope", "//supply"} { // others learn nothing of what there is
		rec := httptest.NewRecorder()
		w.api.Trusted().ServeHTTP(rec, httptest.NewRequest("GET", path, nil))
		if rec.Code != http.StatusForbidden || rec.Header().Get("Connection") != "close" {
			t.Errorf("%s: got %d %v, want 403 and the end of the connection", path, rec.Code, rec.Header())
		}
	}
	if now := w.led.Stats(); now.Position != before.Position {
		t.Errorf("others had %d records written", now.Position-before.Position)
	}
	for _, r := range routesOf(t, trusted) {
		for _, uid := range []int{0, 1000} {
			if got := as(&httpapi.Peer{UID: uid}, r); got.status == http.StatusForbidden || got.status >= 500 {
				t.Errorf("%v: as user %d", got, uid)
			}
		}
	}
	w.pub.get(own.path("/tokens"), own.token) // the public side asks nobody's user
}

// lineOf returns the log line of a request.
func lineOf(t *testing.T, r reply) map[string]any {
	t.Helper()
	want := fmt.Sprintf(`"request":%q`, r.header.Get("X-Request-Id"))
	for line := range strings.Lines(logged()) {
		var v map[string]any
		if strings.Contains(line, want) && json.Unmarshal([]byte(line), &v) == nil && v["took"] != nil {
			return v
		}
	}
	t.Fatalf("%v: no line of the log has %s", r, want)
	return nil
}

// TestChangesAreLogged makes every change that there is on the trusted side:
// the log says who did what, and what came of it.
func TestChangesAreLogged(t *testing.T) {
	w := newWorld(t, setup{})
	own, other := w.open(1000), w.open(0)
	inv := w.invite("")
	keyed := w.openKeyed(100, 1)
	rekey := w.change(keyed.uuid(), 1, privateKey(1), privateKey(2))
	w.caller.Store(&httpapi.Peer{UID: 1000, PID: 77})
	const none = "11111111-2222-4333-8444-555555555555"
	pay := func(amount int) string {
		return fmt.Sprintf(`{"sender":%q,"receiver":%q,"amount":%d}`, seedID, other.id, amount)
	}
	batch := func(atomic bool, amounts ...int) string {
		var items []string
		for i, n := range amounts {
			items = append(items, strings.Replace(pay(n), "}", fmt.Sprintf(`,"key":"b-%d-%d"}`, i, n), 1))
		}
		return fmt.Sprintf(`{"transactions":[%s],"atomic":%t}`, strings.Join(items, ","), atomic)
	}
	rent := http.Header{"Idempotency-Key": {"rent-3"}}
	signed := w.signed(keyed, other.id, 3, "rent-3")
	signed.maxFee = 2
	seen := make(map[route]bool)
	for _, tt := range []struct {
		call
		route string
		want  map[string]any // beside what every line has; "*": something
	}{
		{call{method: "POST", path: "/account"}, "/account", map[string]any{"account_id": "*"}},
		{call{method: "POST", path: "/account", body: `{"token":true}`}, "/account", map[string]any{"account_id": "*", "token_id": "*"}},
		{call{method: "POST", path: "/account", body: `{"x":true}`}, "/account", map[string]any{"code": "bad_request"}},
		{call{method: "POST", path: "/transaction", body: pay(5)}, "/transaction",
			map[string]any{"sender": seedID, "receiver": other.id, "amount": 5.0, "transaction_id": "*"}},
		{call{method: "POST", path: "/transaction", body: pay(7), header: rent}, "/transaction",
			map[string]any{"sender": seedID, "receiver": other.id, "amount": 7.0, "key": "rent-3", "transaction_id": "*"}},
		{call{method: "POST", path: "/transaction", body: pay(7), header: rent}, "/transaction",
			map[string]any{"sender": seedID, "receiver": other.id, "amount": 7.0, "key": "rent-3", "transaction_id": "*", "replayed": true}},
		{call{method: "POST", path: "/transaction", body: pay(8), header: rent}, "/transaction",
			map[string]any{"sender": seedID, "receiver": other.id, "amount": 8.0, "key": "rent-3", "code": "idempotency_key_reused"}},
		{call{method: "POST", path: "/transactions", body: batch(false, 1, 2, 0)}, "/transactions",
			map[string]any{"transfers": 3.0, "atomic": false, "sender": seedID, "first_key": "b-0-1", "made": 2.0, "replayed": 0.0, "amount": 3.0,
				"first_transaction_id": "*", "last_transaction_id": "*"}},
		{call{method: "POST", path: "/transactions", body: batch(false, 1, 2)}, "/transactions",
			map[string]any{"transfers": 2.0, "atomic": false, "sender": seedID, "first_key": "b-0-1", "made": 0.0, "replayed": 2.0, "amount": 0.0}},
		{call{method: "POST", path: "/transactions", body: batch(true, 3, 0)}, "/transactions",
			map[string]any{"transfers": 2.0, "atomic": true, "sender": seedID, "first_key": "b-0-3", "code": "amount_is_zero"}},
		{call{method: "POST", path: own.path("/token"), body: `{"label":"` + notAToken + `"}`}, "/account/{account_id}/token",
			map[string]any{"account_id": own.id, "token_id": "*", "expires": "*"}},
		{call{method: "POST", path: "/account/" + none + "/token"}, "/account/{account_id}/token",
			map[string]any{"account_id": none, "code": "account_not_found"}},
		{call{method: "DELETE", path: own.path("/token/" + own.tokenID)}, "/account/{account_id}/token/{token_id}",
			map[string]any{"account_id": own.id, "token_id": own.tokenID}},
		{call{method: "DELETE", path: own.path("/token/" + own.tokenID)}, "/account/{account_id}/token/{token_id}",
			map[string]any{"account_id": own.id, "token_id": own.tokenID, "code": "token_not_found"}},
		{call{method: "POST", path: "/account", body: fmt.Sprintf(`{"public_key":%q}`, rekey.NewKey)}, "/account",
			map[string]any{"account_id": "*", "public_key": rekey.NewKey.String()}},
		{call{method: "PUT", path: "/fee/policy", body: fmt.Sprintf(`{"flat":2,"basis_points":5,"min":1,"max":2,"exempt":[%q]}`, own.id)}, "/fee/policy",
			map[string]any{"flat": 2.0, "basis_points": 5.0, "min": 1.0, "max": 2.0, "exempt": 1.0}},
		{call{method: "PUT", path: "/fee/policy", body: `{"basis_points":10001}`}, "/fee/policy",
			map[string]any{"flat": 0.0, "basis_points": 10001.0, "min": 0.0, "max": 0.0, "exempt": 0.0, "code": "bad_request"}},
		{call{method: "POST", path: "/transaction", body: "{" + signed.members(t, true, false) + "}", header: rent}, "/transaction",
			map[string]any{"sender": keyed.id, "receiver": other.id, "amount": 3.0, "key": "rent-3", "signed": true, "fee": 2.0, "transaction_id": "*"}},
		{call{method: "POST", path: keyed.path("/key"), body: keyChangeBody(rekey)}, "/account/{account_id}/key",
			map[string]any{"account_id": keyed.id, "public_key": rekey.NewKey.String(), "key_version": 2.0}},
		{call{method: "POST", path: keyed.path("/key"), body: keyChangeBody(rekey)}, "/account/{account_id}/key",
			map[string]any{"account_id": keyed.id, "public_key": rekey.NewKey.String(), "code": "key_version_mismatch"}},
		{call{method: "POST", path: "/stipend"}, "/stipend", map[string]any{"day": "2022-08-15", "payees": 0.0, "share": 0.0, "paid": 0.0}},
		{call{method: "POST", path: "/stipend", body: `{"dry_run":true}`}, "/stipend",
			map[string]any{"day": "2022-08-15", "payees": 0.0, "share": 0.0, "paid": 0.0, "dry_run": true}},
		{call{method: "POST", path: "/stipend", body: `{"window":0}`}, "/stipend", map[string]any{"code": "bad_request"}},
		{call{method: "POST", path: "/invite", body: `{"label":"` + notAToken + `"}`}, "/invite", map[string]any{"invite_id": "*", "expires": "*"}},
		{call{method: "DELETE", path: "/invite/" + inv.InviteID}, "/invite/{invite_id}", map[string]any{"invite_id": inv.InviteID}},
		{call{method: "DELETE", path: "/invite/" + none}, "/invite/{invite_id}", map[string]any{"invite_id": none, "code": "invite_not_found"}},
	} {
		got := w.tru.do(tt.call)
		seen[route{tt.method, tt.route}] = true
		want := map[string]any{"level": "INFO", "msg": "change", "side": "trusted", "method": tt.method, "route": tt.route, "status": float64(got.status),
			"peer": "uid=1000 pid=77", "time": "*", "request": "*", "bytes": "*", "took": "*"}
		maps.Copy(want, tt.want)
		line := lineOf(t, got)
		for name := range line {
			if want[name] == nil {
				t.Errorf("%v: the log's line has %s: %v", got, name, line[name])
			}
		}
		for name, v := range want {
			if have := line[name]; have != v && (v != "*" || have == nil) {
				t.Errorf("%v: the log's line has %s: %v, want %v", got, name, have, v)
			}
		}
		if id, ok := line["transaction_id"]; ok && !strings.Contains(string(got.body), id.(string)) {
			t.Errorf("%v: the log's line has transaction_id %v", got, id)
		}
	}
	for _, r := range routesOf(t, trusted) {
		if r.method != http.MethodGet && r.path != "/audit" && !seen[r] {
			t.Errorf("%v: a change of which no line was seen", r)
		}
	}
	// What changes nothing has the usual line, and so has the public side.
	for _, r := range []reply{w.tru.get("/supply", ""), w.tru.post("/audit", "", ""), w.pay(other, own, 1).ok()} {
		if line := lineOf(t, r); line["msg"] != "request" || line["sender"] != nil {
			t.Errorf("%v: got the line %v", r, slices.Sorted(maps.Keys(line)))
		}
	}
}
