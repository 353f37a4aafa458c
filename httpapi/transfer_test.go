package httpapi_test

import (
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestTransfer pays, and looks at both ends of it.
func TestTransfer(t *testing.T) {
	w := newWorld(t, setup{})
	own, other := w.open(100), w.open(0)
	w.clock.Advance(1500 * time.Millisecond)
	got := into[receiptJSON](w.pay(own, other, 5))
	want := receiptJSON{TransactionID: got.TransactionID, Timestamp: "2022-08-15T13:24:24.636285Z",
		SenderAccountID: own.id, ReceiverAccountID: other.id, SenderAccountFunds: 95}
	if got != want {
		t.Errorf("got receipt %+v, want %+v", got, want)
	}
	entry := transactionJSON{got.TransactionID, got.Timestamp, own.id, other.id, 5, 0, 95}
	if got := into[transactionJSON](w.pub.get(own.path("/transaction/"+got.TransactionID), own.token)); got != entry {
		t.Errorf("the sender sees %+v, want %+v", got, entry)
	}
	entry.FundsAfter = 5
	if got := into[transactionJSON](w.pub.get(other.path("/transaction/"+got.TransactionID), other.token)); got != entry {
		t.Errorf("the receiver sees %+v, want %+v", got, entry)
	}
	acct := into[accountJSON](w.pub.get(own.path(""), own.token))
	if want := (accountJSON{own.id, "2022-08-15T13:24:23.136285Z", 95, 2, nil, nil}); acct != want {
		t.Errorf("got account %+v, want %+v", acct, want)
	}
	// To the seed account, and all of it.
	if got := into[receiptJSON](w.pub.post(own.path("/transaction"), own.token, transferBody(seedID, 95))); got.SenderAccountFunds != 0 {
		t.Errorf("got funds %d after paying all, want 0", got.SenderAccountFunds)
	}
	w.pub.get(own.path("/transaction/"+unknownID()), own.token).wants(http.StatusNotFound, "transaction_not_found")
	third := w.open(0)
	a := w.pub.get(third.path("/transaction/"+got.TransactionID), third.token)
	b := w.pub.get(third.path("/transaction/"+unknownID()), third.token)
	a.wants(http.StatusNotFound, "transaction_not_found")
	if string(a.body) != string(b.body) {
		t.Errorf("another's transaction is answered %s, an unknown one %s", a.body, b.body)
	}
}

// TestRefusals checks each rule's status, code and the original's words, that
// nothing moves, and that nothing is recorded.
func TestRefusals(t *testing.T) {
	w := newWorld(t, setup{})
	own, other := w.open(100), w.open(0)
	for _, tt := range []struct {
		name, sender, receiver string
		amount                 int64
		code, message          string
		trustedOnly            bool
	}{
		{"zero", own.id, other.id, 0, "amount_is_zero", "AmountIsZero", false},
		{"negative", own.id, other.id, -1, "amount_is_negative", "AmountIsNegative", false},
		{"most negative", own.id, other.id, math.MinInt64, "amount_is_negative", "AmountIsNegative", false},
		{"to itself", own.id, own.id, 1, "same_account", "SenderReceiverAreTheSame", false},
		{"to nobody", own.id, unknownID(), 1, "receiver_not_found", "ReceiverAccountDoesNotExist", false},
		{"one too much", own.id, other.id, 101, "insufficient_funds", "SenderAccountNotEnoughFunds", false},
		{"over 2^53", own.id, other.id, 1 << 53, "insufficient_funds", "SenderAccountNotEnoughFunds", false},
		{"most", own.id, other.id, math.MaxInt64, "insufficient_funds", "SenderAccountNotEnoughFunds", false},
		{"from nobody", unknownID(), other.id, 1, "sender_not_found", "SenderAccountDoesNotExist", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w.pub.t, w.tru.t = t, t
			check := func(r reply) {
				t.Helper()
				p := r.wants(http.StatusUnprocessableEntity, tt.code)
				if p.ErrorType != "TransactionError" || p.ErrorMessage != tt.message {
					t.Errorf("got %s / %s, want TransactionError / %s", p.ErrorType, p.ErrorMessage, tt.message)
				}
				if p.Title == "" || p.Detail == "" || strings.Contains(p.Detail, "capycoin:") {
					t.Errorf("got title %q, detail %q", p.Title, p.Detail)
				}
				if tt.code != "insufficient_funds" {
					if p.Funds != nil || p.Required != nil {
						t.Errorf("%v: has funds or required", r)
					}
				} else if p.Funds == nil || *p.Funds != 100 || p.Required == nil || *p.Required != tt.amount {
					t.Errorf("%v: want funds 100, required %d", r, tt.amount)
				}
			}
			if !tt.trustedOnly {
				check(w.pub.post(own.path("/transaction"), own.token, transferBody(tt.receiver, tt.amount)))
			}
			check(w.tru.post("/transaction", "", fmt.Sprintf(`{"sender":%q,"receiver":%q,"amount":%d}`, tt.sender, tt.receiver, tt.amount)))
		})
	}
	w.pub.t, w.tru.t = t, t
	if a, b := w.funds(own), w.funds(other); a != 100 || b != 0 {
		t.Errorf("funds are %d and %d, want 100 and 0", a, b)
	}
	if got := into[accountJSON](w.pub.get(own.path(""), own.token)).Transactions; got != 1 {
		t.Errorf("got %d transactions, want 1", got)
	}
}

// attempt is a transfer being put together, to have several things wrong.
type attempt struct {
	account, query, token string
	key                   string
	receiver              string
	amount                int64
	same, badBody         bool
}

// TestOrderOfChecks makes transfers with two things wrong, every pair: the one
// that is checked first is answered.
func TestOrderOfChecks(t *testing.T) {
	w := newWorld(t, setup{})
	own, poor, other := w.open(100), w.open(0), w.open(0)
	w.grant(poor, 1)
	into[receiptJSON](w.payKeyed(poor, other, 1, "used"))

	type fault struct {
		name   string
		make   func(*attempt)
		status int
		code   string
	}
	unprocessable, bad := http.StatusUnprocessableEntity, http.StatusBadRequest
	faults := []fault{
		{"path", func(a *attempt) { a.account = "x" }, bad, "bad_request"},
		{"query", func(a *attempt) { a.query = "?x=1" }, bad, "bad_request"},
		{"key's form", func(a *attempt) { a.key = "a b" }, bad, "bad_request"},
		{"no token", func(a *attempt) { a.token = "" }, http.StatusUnauthorized, "token_required"},
		{"another's token", func(a *attempt) { a.token = own.token }, http.StatusUnauthorized, "invalid_token"},
		{"body", func(a *attempt) { a.badBody = true }, bad, "bad_request"},
		{"key used", func(a *attempt) { a.key = "used" }, unprocessable, "idempotency_key_reused"},
		{"zero", func(a *attempt) { a.amount = 0 }, unprocessable, "amount_is_zero"},
		{"negative", func(a *attempt) { a.amount = -5 }, unprocessable, "amount_is_negative"},
		{"same account", func(a *attempt) { a.same = true }, unprocessable, "same_account"},
		{"no receiver", func(a *attempt) { a.receiver = unknownID() }, unprocessable, "receiver_not_found"},
		{"funds", func(a *attempt) {}, unprocessable, "insufficient_funds"}, // poor has none
	}
	either := map[string]bool{"no token+another's token": true, "key's form+key used": true, "zero+negative": true}
	for i, first := range faults {
		for _, second := range faults[i:] {
			name := first.name + "+" + second.name
			if either[name] {
				continue // one request can't have both
			}
			t.Run(name, func(t *testing.T) {
				w.pub.t = t
				a := attempt{account: poor.id, token: poor.token, receiver: other.id, amount: 7}
				second.make(&a)
				first.make(&a)
				if a.same {
					a.receiver = a.account
				}
				body := transferBody(a.receiver, a.amount)
				if a.badBody {
					body = body[:len(body)-1]
				}
				header := http.Header{}
				if a.key != "" {
					header.Set("Idempotency-Key", a.key)
				}
				w.pub.do(call{method: "POST", path: "/account/" + a.account + "/transaction" + a.query, token: a.token, body: body, header: header}).
					wants(first.status, first.code)
			})
		}
	}
	w.pub.t = t
	// A key that was used is answered before anything else is looked at, and
	// its first receipt is given though the funds are spent.
	got := w.payKeyed(poor, other, 1, "used").ok()
	if got.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("%v: want a replay", got)
	}
}

// TestOrderOfTrustedChecks is TestOrderOfChecks for what the public side can't
// get wrong: the sender.
func TestOrderOfTrustedChecks(t *testing.T) {
	w := newWorld(t, setup{})
	poor := w.open(0)
	nobody := unknownID()
	for _, tt := range []struct {
		name, sender, receiver string
		amount                 int64
		code                   string
	}{
		{"zero+same", nobody, nobody, 0, "amount_is_zero"},
		{"zero+sender", nobody, poor.id, 0, "amount_is_zero"},
		{"negative+sender", nobody, poor.id, -1, "amount_is_negative"},
		{"same+sender", nobody, nobody, 1, "same_account"},
		{"same+funds", poor.id, poor.id, 1, "same_account"},
		{"sender+receiver", nobody, unknownID(), 1, "sender_not_found"},
		{"sender+funds", nobody, poor.id, math.MaxInt64, "sender_not_found"},
		{"receiver+funds", poor.id, nobody, 1, "receiver_not_found"},
	} {
		body := fmt.Sprintf(`{"sender":%q,"receiver":%q,"amount":%d}`, tt.sender, tt.receiver, tt.amount)
		if p := w.tru.post("/transaction", "", body).wants(http.StatusUnprocessableEntity, tt.code); p.Code != tt.code {
			t.Errorf("%s: got %s", tt.name, p.Code)
		}
	}
}

// TestAuthorization checks the forms of the header.
func TestAuthorization(t *testing.T) {
	w := newWorld(t, setup{})
	own := w.open(10)
	bearer := "Bearer " + own.token
	for _, tt := range []struct {
		name   string
		header http.Header
		status int
		code   string
	}{
		{"Authorization", http.Header{"Authorization": {bearer}}, 200, ""},
		{"Authentication", http.Header{"Authentication": {bearer}}, 200, ""},
		{"lower case", http.Header{"Authorization": {"bearer " + strings.ToLower(own.token)}}, 200, ""},
		{"upper case", http.Header{"Authorization": {"BEARER " + own.token}}, 200, ""},
		{"mixed case token", http.Header{"Authorization": {"bEaReR " + own.token[:100] + strings.ToLower(own.token[100:])}}, 200, ""},
		{"both", http.Header{"Authorization": {bearer}, "Authentication": {bearer}}, 400, "bad_request"},
		{"both, one empty", http.Header{"Authorization": {""}, "Authentication": {bearer}}, 400, "bad_request"},
		{"twice", http.Header{"Authorization": {bearer, bearer}}, 400, "bad_request"},
		{"twice Authentication", http.Header{"Authentication": {bearer, bearer}}, 400, "bad_request"},
		{"another scheme", http.Header{"Authorization": {"Basic dXNlcjpwYXNz"}}, 401, "token_required"},
		{"scheme that begins so", http.Header{"Authorization": {"Bearerx " + own.token}}, 401, "token_required"},
		{"no scheme", http.Header{"Authorization": {own.token}}, 401, "token_required"},
		{"empty", http.Header{"Authorization": {""}}, 401, "token_required"},
		{"none", nil, 401, "token_required"},
		{"two tokens", http.Header{"Authorization": {bearer + " " + own.token}}, 401, "invalid_token"},
		{"list", http.Header{"Authorization": {bearer + ", " + bearer}}, 401, "invalid_token"},
		{"quoted", http.Header{"Authorization": {`Bearer "` + own.token + `"`}}, 401, "invalid_token"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w.pub.t = t
			got := w.pub.do(call{method: "GET", path: own.path(""), header: tt.header})
			if tt.code != "" {
				got.wants(tt.status, tt.code)
			} else {
				got.ok()
			}
			// On account creation a bearer's token is out of place; what
			// counts as no token is not.
			got = w.pub.do(call{method: "POST", path: "/account", header: tt.header})
			switch {
			case tt.code == "token_required":
				got.ok()
			case tt.code == "bad_request":
				got.wants(400, "bad_request")
			default:
				if p := got.wants(400, "bad_request"); p.ErrorMessage != "Bearer Auth not necessary" {
					t.Errorf("got error_message %q, want %q", p.ErrorMessage, "Bearer Auth not necessary")
				}
			}
		})
	}
	w.pub.t = t
	p := w.pub.get(own.path(""), "").wants(401, "token_required")
	if p.ErrorMessage != "Token required!" {
		t.Errorf("got error_message %q", p.ErrorMessage)
	}
	p = w.pub.get(own.path(""), newToken()).wants(401, "invalid_token")
	if p.ErrorMessage != "Invalid token!" {
		t.Errorf("got error_message %q", p.ErrorMessage)
	}
}
