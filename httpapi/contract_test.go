package httpapi_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestContractCatches feeds the check of exchanges with good and bad ones: the
// suite stands on it.
func TestContractCatches(t *testing.T) {
	const (
		id      = "26a6d7cb-e2be-44d4-acba-36e2c0ac1b90"
		account = `{"account_id":"` + id + `","created":"2022-08-15T13:24:23.136285Z","funds":95,"transactions":2,"public_key":null,"key_version":null}`
		receipt = `{"transaction_id":"` + id + `","timestamp":"2022-08-15T13:24:23.136285Z","sender_account_id":"` + id +
			`","receiver_account_id":"` + id + `","sender_account_funds":95,"fee":0}`
		noFunds = `{"type":"about:blank","title":"t","status":422,"detail":"d","code":"insufficient_funds","error_type":"TransactionError",` +
			`"error_message":"SenderAccountNotEnoughFunds","funds":1,"required":2}`
		unsigned     = `{"type":"about:blank","title":"t","status":403,"detail":"d","code":"signature_required"}`
		tooDear      = `{"type":"about:blank","title":"t","status":422,"detail":"d","code":"fee_too_high","fee":3,"max_fee":2}`
		policy       = `{"flat":1,"basis_points":0,"min":0,"max":null,"exempt":[],"since":null,"fee_account_id":"` + id + `","fee_account_funds":0}`
		unauthorized = `{"type":"about:blank","title":"t","status":401,"detail":"d","code":"invalid_token","error_type":"GatewayError","error_message":"Invalid token!"}`
		unavailable  = `{"type":"about:blank","title":"t","status":503,"detail":"d","code":"unavailable"}`
		notAllowed   = `{"type":"about:blank","title":"t","status":405,"detail":"d","code":"method_not_allowed"}`
		notFound     = `{"type":"about:blank","title":"t","status":404,"detail":"d","code":"not_found"}`
		transfer     = `{"receiver":"` + id + `","amount":1}`
		supply       = `{"ledger_id":"` + id + `","supply":1,"seed_account_funds":1,"circulating":0,"accounts":1,"transactions":0,"time":"2022-08-15T13:24:23.136285Z"}`
	)
	json := http.Header{"Content-Type": {"application/json"}, "X-Request-Id": {"r1"}}
	problem := func(more ...string) http.Header {
		h := http.Header{"Content-Type": {"application/problem+json"}, "X-Request-Id": {"r1"}}
		for i := 0; i < len(more); i += 2 {
			h.Set(more[i], more[i+1])
		}
		return h
	}
	invalid := problem("WWW-Authenticate", `Bearer realm="capycoin", error="invalid_token"`)
	for _, tt := range []struct {
		name                     string
		good                     bool
		side, method, path, body string
		status                   int
		header                   http.Header
		answer                   string
	}{
		{"account", true, public, "GET", "/account/" + id, "", 200, json, account},
		{"undashed id", true, public, "GET", "/account/" + strings.ReplaceAll(id, "-", ""), "", 200, json, account},
		{"account with a key", true, public, "GET", "/account/" + id, "", 200, json,
			strings.Replace(account, `"public_key":null,"key_version":null`, `"public_key":"O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik=","key_version":2`, 1)},
		{"key with stray bits", false, public, "GET", "/account/" + id, "", 200, json,
			strings.Replace(account, `"public_key":null,"key_version":null`, `"public_key":"O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2il=","key_version":2`, 1)},
		{"extra member", false, public, "GET", "/account/" + id, "", 200, json, account[:len(account)-1] + `,"x":1}`},
		{"missing member", false, public, "GET", "/account/" + id, "", 200, json, strings.Replace(account, `,"funds":95`, "", 1)},
		{"wrong type", false, public, "GET", "/account/" + id, "", 200, json, strings.Replace(account, "95", `"95"`, 1)},
		{"negative funds", false, public, "GET", "/account/" + id, "", 200, json, strings.Replace(account, "95", "-1", 1)},
		{"milliseconds", false, public, "GET", "/account/" + id, "", 200, json, strings.Replace(account, "136285Z", "136Z", 1)},
		{"upper-case id", false, public, "GET", "/account/" + id, "", 200, json, strings.Replace(account, "26a6d7cb", "26A6D7CB", 1)},
		{"no request id", false, public, "GET", "/account/" + id, "", 200, http.Header{"Content-Type": {"application/json"}}, account},
		{"content type", false, public, "GET", "/account/" + id, "", 200, http.Header{"Content-Type": {"text/plain"}, "X-Request-Id": {"r1"}}, account},
		{"undocumented status", false, public, "GET", "/account/" + id, "", 201, json, account},
		{"unknown parameter", false, public, "GET", "/account/" + id + "?x=1", "", 200, json, account},
		{"receipt", true, public, "POST", "/account/" + id + "/transaction", transfer, 200, json, receipt},
		{"body taken that is not in form", false, public, "POST", "/account/" + id + "/transaction", `{"amount":1}`, 200, json, receipt},
		{"float taken", false, public, "POST", "/account/" + id + "/transaction", strings.Replace(transfer, ":1}", ":1.5}", 1), 200, json, receipt},
		{"unknown member taken", false, public, "POST", "/account/" + id + "/transaction", strings.Replace(transfer, "}", `,"x":1}`, 1), 200, json, receipt},
		{"signature without its time taken", false, public, "POST", "/account/" + id + "/transaction",
			strings.Replace(transfer, "}", `,"max_fee":0,"signature":"`+strings.Repeat("A", 86)+`=="}`, 1), 200, json, receipt},
		{"signature refused", true, public, "POST", "/account/" + id + "/transaction", transfer, 403, problem(), unsigned},
		{"signature refused in a batch", true, public, "POST", "/account/" + id + "/transactions", `{"transactions":[` + transfer + `]}`, 200, json,
			`{"transactions":[` + unsigned + `,` + receipt + `]}`},
		{"forbidden on the public side", false, public, "POST", "/account/" + id + "/transaction", transfer, 403, problem(),
			strings.Replace(unsigned, "signature_required", "forbidden", 1)},
		{"fee too high", true, public, "POST", "/account/" + id + "/transaction", transfer, 422, problem(), tooDear},
		{"fee too high without the fee", false, public, "POST", "/account/" + id + "/transaction", transfer, 422, problem(), strings.Replace(tooDear, `"fee":3,`, "", 1)},
		{"fee policy on the public side", false, public, "GET", "/fee/policy", "", 200, json, policy},
		{"fee policy", true, trusted, "GET", "/fee/policy", "", 200, json, policy},
		{"refusal", true, public, "POST", "/account/" + id + "/transaction", transfer, 422, problem(), noFunds},
		{"refusal with an extra member", false, public, "POST", "/account/" + id + "/transaction", transfer, 422, problem(), strings.Replace(noFunds, `"funds":1`, `"funds":1,"x":2`, 1)},
		{"batch", true, public, "POST", "/account/" + id + "/transactions", `{"transactions":[` + transfer + `]}`, 200, json, `{"transactions":[` + receipt + `,` + noFunds + `]}`},
		{"extra member in a batch's receipt", false, public, "POST", "/account/" + id + "/transactions", `{"transactions":[` + transfer + `]}`, 200, json,
			`{"transactions":[` + receipt[:len(receipt)-1] + `,"x":1}]}`},
		{"index in a batch's problem", false, public, "POST", "/account/" + id + "/transactions", `{"transactions":[` + transfer + `]}`, 200, json,
			`{"transactions":[` + noFunds[:len(noFunds)-1] + `,"index":1}]}`},
		{"refusal without funds", false, public, "POST", "/account/" + id + "/transaction", transfer, 422, problem(), strings.Replace(noFunds, `"funds":1,`, "", 1)},
		{"wrong words", false, public, "POST", "/account/" + id + "/transaction", transfer, 422, problem(), strings.Replace(noFunds, "SenderAccountNot", "Not", 1)},
		{"another refusal's words", false, public, "POST", "/account/" + id + "/transaction", transfer, 422, problem(), strings.Replace(noFunds, "insufficient_funds", "same_account", 1)},
		{"unknown code", false, public, "POST", "/account/" + id + "/transaction", transfer, 422, problem(), strings.Replace(noFunds, "insufficient_funds", "broke", 1)},
		{"trusted refusal on the public side", false, public, "POST", "/account/" + id + "/transaction", transfer, 422, problem(),
			strings.NewReplacer("insufficient_funds", "sender_not_found", "SenderAccountNotEnoughFunds", "SenderAccountDoesNotExist", `,"funds":1,"required":2`, "").Replace(noFunds)},
		{"401", true, public, "GET", "/account/" + id, "", 401, invalid, unauthorized},
		{"401 without challenge", false, public, "GET", "/account/" + id, "", 401, problem(), unauthorized},
		{"401 with another's challenge", false, public, "GET", "/account/" + id, "", 401, problem("WWW-Authenticate", `Bearer realm="capycoin"`), unauthorized},
		{"401 on the trusted side", false, trusted, "GET", "/account/" + id, "", 401, invalid, unauthorized},
		{"404 account on the public side", false, public, "GET", "/account/" + id, "", 404, problem(), notFound},
		{"status in the problem", false, public, "GET", "/account/" + id, "", 401, invalid, strings.Replace(unauthorized, "401", "400", 1)},
		{"503", true, public, "GET", "/supply", "", 503, problem("Retry-After", "1"), unavailable},
		{"503 without Retry-After", false, public, "GET", "/supply", "", 503, problem(), unavailable},
		{"405", true, public, "PUT", "/supply", "", 405, problem("Allow", "GET, HEAD"), notAllowed},
		{"405 without Allow", false, public, "PUT", "/supply", "", 405, problem(), notAllowed},
		{"404", true, public, "GET", "/nope", "", 404, problem(), notFound},
		{"200 for an unknown path", false, public, "GET", "/nope", "", 200, json, account},
		{"trusted route on the public side", false, public, "GET", "/accounts", "", 200, json, `{"accounts":[],"next_cursor":null}`},
		{"trusted route", true, trusted, "GET", "/accounts", "", 200, json, `{"accounts":[],"next_cursor":null}`},
		{"account without a token on the trusted side", true, trusted, "POST", "/account", "", 200, json, `{"account_id":"` + id + `"}`},
		{"account without a token on the public side", false, public, "POST", "/account", "", 200, json, `{"account_id":"` + id + `"}`},
		{"supply", true, public, "GET", "/supply", "", 200, json, supply},
		{"supply over 2^53", false, public, "GET", "/supply", "", 200, json, strings.Replace(supply, `"supply":1`, `"supply":9007199254740993`, 1)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req := httptest.NewRequest(tt.method, tt.path, strings.NewReader(tt.body))
			req.Header.Set("Authorization", "Bearer x")
			if tt.body != "" {
				req.Header.Set("Content-Type", "application/json")
			}
			c := contractOf(t, tt.side).copy()
			resp := &http.Response{StatusCode: tt.status, Header: maps.Clone(tt.header)}
			var body []byte
			if tt.body != "" {
				body = []byte(tt.body)
			}
			errs := c.check(req, body, resp, []byte(tt.answer))
			if tt.good && len(errs) > 0 {
				t.Errorf("a good exchange: %v", errs)
			}
			if !tt.good && len(errs) == 0 {
				t.Error("a bad exchange passed")
			}
		})
	}
}
