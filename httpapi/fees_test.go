package httpapi_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

type policyJSON struct {
	Flat, BasisPoints, Min int64
	Max                    *int64
	Exempt                 []string
	Since                  *string
	FeeAccountID           string
	FeeAccountFunds        int64
}

// UnmarshalJSON reads the members with their names.
func (p *policyJSON) UnmarshalJSON(b []byte) error {
	var v struct {
		Flat            int64    `json:"flat"`
		BasisPoints     int64    `json:"basis_points"`
		Min             int64    `json:"min"`
		Max             *int64   `json:"max"`
		Exempt          []string `json:"exempt"`
		Since           *string  `json:"since"`
		FeeAccountID    string   `json:"fee_account_id"`
		FeeAccountFunds int64    `json:"fee_account_funds"`
	}
	err := json.Unmarshal(b, &v)
	*p = policyJSON(v)
	return err
}

func (p policyJSON) String() string {
	limit, since := "none", "never"
	if p.Max != nil {
		limit = fmt.Sprint(*p.Max)
	}
	if p.Since != nil {
		since = *p.Since
	}
	return fmt.Sprintf("%d+%dbp %d..%s exempt %v since %s, %d in %s", p.Flat, p.BasisPoints, p.Min, limit, p.Exempt, since, p.FeeAccountFunds, p.FeeAccountID)
}

const feeAccountID = "feefeefe-efee-4fee-8fee-feefeefeefee"

// TestFeePolicy sets policies and asks for them and for fees.
func TestFeePolicy(t *testing.T) {
	w := newWorld(t, setup{})
	own, other := w.open(1000), w.open(0)
	is := func(want string) {
		t.Helper()
		if got := into[policyJSON](w.tru.get("/fee/policy", "")).String(); got != want {
			t.Errorf("got policy %s, want %s", got, want)
		}
	}
	fee := func(amount, want int64) {
		t.Helper()
		for _, c := range []*client{w.pub, w.tru} {
			got := c.get(fmt.Sprint("/fee?amount=", amount), "").ok()
			if string(got.body) != fmt.Sprintf(`{"amount":%d,"fee":%d}`+"\n", amount, want) {
				t.Errorf("%s: got %v, want fee %d", c.side, got, want)
			}
		}
	}
	is("0+0bp 0..none exempt [] since never, 0 in " + feeAccountID)
	fee(1, 0)
	w.tru.get("/account/"+feeAccountID, "").wants(404, "account_not_found")

	set := into[policyJSON](w.setFees(fmt.Sprintf(`{"flat":1,"basis_points":150,"min":3,"max":20,"exempt":[%q,%q,%q]}`,
		strings.ToUpper(other.id), seedID, feeAccountID)))
	want := "1+150bp 3..20 exempt [" + other.id + "] since 2022-08-15T13:24:23.136285Z, 0 in " + feeAccountID
	if is(want); set.String() != want {
		t.Errorf("got policy %v, want %s", set, want)
	}
	fee(1, 3)
	fee(200, 4)
	fee(1<<53-1, 20)
	w.clock.Advance(time.Hour)
	third := w.open(0)
	w.pay(own, third, 200).ok()
	is("1+150bp 3..20 exempt [" + other.id + "] since 2022-08-15T13:24:23.136285Z, 4 in " + feeAccountID)
	w.setFees(`{"flat":2,"max":null}`).ok()
	is("2+0bp 0..none exempt [] since 2022-08-15T14:24:23.136285Z, 4 in " + feeAccountID)
	w.reopen()
	is("2+0bp 0..none exempt [] since 2022-08-15T14:24:23.136285Z, 4 in " + feeAccountID)
	w.setFees(`{"max":0}`).ok()
	is("0+0bp 0..none exempt [] since 2022-08-15T14:24:23.136285Z, 4 in " + feeAccountID)
	fee(1<<53-1, 0)

	// The account of the fees is looked at as others are, and pays nobody.
	if got := into[accountJSON](w.tru.get("/account/"+feeAccountID, "")); got.Funds != 4 || got.Transactions != 1 || got.PublicKey != nil {
		t.Errorf("got account %+v", got)
	}
	w.tru.post("/account/"+feeAccountID+"/token", "", "").wants(422, "fee_account_has_no_token")
	from := fmt.Sprintf(`{"sender":%q,"receiver":%q,"amount":1}`, feeAccountID, own.id)
	w.tru.post("/transaction", "", from).wants(422, "fee_account_cannot_pay")
	if got := into[batchJSON](w.tru.post("/transactions", "", batch(false, from))); codes(got) != "fee_account_cannot_pay" {
		t.Errorf("got %s", codes(got))
	}
	w.tru.post("/transactions", "", batch(true, from)).wants(422, "fee_account_cannot_pay")
	w.pub.post(own.path("/transaction"), own.token, transferBody(feeAccountID, 1)).ok()
}

// TestBadFeePolicies are refused with the member's name and what is allowed, and
// change nothing.
func TestBadFeePolicies(t *testing.T) {
	w := newWorld(t, setup{})
	w.setFees(`{"flat":7}`).ok()
	before := w.led.Stats().Position
	exempt := make([]string, 65)
	for i := range exempt {
		exempt[i] = `"` + seedID + `"`
	}
	for _, tt := range []struct{ body, says string }{
		{"", "the body is empty"},
		{"null", "expected an object"},
		{`{"flat":-1}`, "flat is -1, allowed is 0 to the supply of 100000."},
		{`{"flat":100001}`, "flat is 100001, allowed is 0 to the supply of 100000."},
		{`{"flat":1.5}`, "whole number"},
		{`{"flat":null}`, "whole number"},
		{`{"basis_points":-1}`, "basis_points is -1, allowed is 0 to 10000."},
		{`{"basis_points":10001}`, "basis_points is 10001, allowed is 0 to 10000."},
		{`{"basis_points":4294967296}`, "basis_points is 2147483647, allowed is 0 to 10000."},
		{`{"min":-1}`, "min is -1, allowed is 0 to the supply of 100000."},
		{`{"min":100001}`, "min is 100001, allowed is 0 to the supply of 100000."},
		{`{"min":3,"max":2}`, "min is 3, allowed is 0 to the highest fee, which is 2."},
		{`{"max":-1}`, "max is -1, allowed is 0 to the supply of 100000."},
		{`{"max":100001}`, "max is 100001, allowed is 0 to the supply of 100000."},
		{`{"max":"none"}`, "whole number"},
		{`{"max":nullx}`, "a comma or the end"},
		{`{"exempt":["x"]}`, "exempt has to be a UUID"},
		{`{"exempt":null}`, "an array"},
		{`{"exempt":[` + strings.Join(exempt, ",") + `]}`, "exempt is 65, allowed is at most 64 accounts."},
		{`{"rate":1}`, "there are flat, basis_points, min, max and exempt"},
		{`{"flat":1}{}`, "nothing after"},
	} {
		p := w.setFees(tt.body).wants(400, "bad_request")
		if !strings.Contains(p.Detail, tt.says) || p.ErrorMessage == "" {
			t.Errorf("%s: got %q, want one that says %q", shorten(tt.body), p.Detail, tt.says)
		}
	}
	nobody := unknownID()
	p := w.setFees(fmt.Sprintf(`{"flat":1,"exempt":[%q,%q]}`, seedID, nobody)).wants(404, "account_not_found")
	if !strings.Contains(p.Detail, nobody) {
		t.Errorf("got %q, want one that names %s", p.Detail, nobody)
	}
	if now := w.led.Stats().Position; now != before {
		t.Errorf("%d records were written", now-before)
	}
}

// TestFeeQuery asks for fees of what is and is not an amount.
func TestFeeQuery(t *testing.T) {
	w := newWorld(t, setup{})
	for _, c := range []*client{w.pub, w.tru} {
		for _, query := range []string{"", "?amount=", "?amount=x", "?amount=1.5", "?amount=1e3", "?amount=%2B1", "?amount=+1", "?amount=01", "?amount=-0",
			"?amount=1%20", "?amount=9007199254740992", "?amount=9223372036854775808", "?amount=1&amount=1", "?amount=1&limit=1", "?Amount=1"} {
			if p := c.get("/fee"+query, "").wants(400, "bad_request"); p.Detail == "" {
				t.Errorf("%s: got no detail", query)
			}
		}
		c.get("/fee?amount=0", "").wants(422, "amount_is_zero")
		c.get("/fee?amount=-1", "").wants(422, "amount_is_negative")
		c.get("/fee?amount=-9223372036854775808", "").wants(422, "amount_is_negative")
	}
}

// TestFeesPaid pays with fees: they are in receipts and histories of everybody, and
// what was not allowed is refused before funds are looked at.
func TestFeesPaid(t *testing.T) {
	w := newWorld(t, setup{})
	own, other, free := w.open(1000), w.open(0), w.open(100)
	w.setFees(fmt.Sprintf(`{"flat":2,"basis_points":100,"exempt":[%q]}`, free.id)).ok()
	with := func(from owner, amount, maxFee int64) reply {
		return w.pub.post(from.path("/transaction"), from.token, fmt.Sprintf(`{"receiver":%q,"amount":%d,"max_fee":%d}`, other.id, amount, maxFee))
	}
	got := into[receiptJSON](w.pay(own, other, 150))
	if got.Fee != 4 || got.SenderAccountFunds != 846 {
		t.Errorf("got receipt %+v, want fee 4 and funds 846", got)
	}
	entry := transactionJSON{got.TransactionID, got.Timestamp, own.id, other.id, 150, 4, 846}
	if got := into[transactionJSON](w.pub.get(own.path("/transaction/"+got.TransactionID), own.token)); got != entry {
		t.Errorf("the sender sees %+v, want %+v", got, entry)
	}
	if got := into[historyJSON](w.pub.get(own.path("/transactions?order=desc&limit=1"), own.token)).Transactions[0]; got != entry {
		t.Errorf("the sender's history has %+v, want %+v", got, entry)
	}
	entry.FundsAfter = 150
	if got := into[transactionJSON](w.pub.get(other.path("/transaction/"+got.TransactionID), other.token)); got != entry {
		t.Errorf("the receiver sees %+v, want %+v", got, entry)
	}
	entry.FundsAfter = 4
	if got := into[historyJSON](w.tru.get("/account/"+feeAccountID+"/transactions", "")).Transactions; len(got) != 1 || got[0] != entry {
		t.Errorf("the history of the account of the fees is %+v, want %+v", got, entry)
	}
	if got := into[receiptJSON](with(own, 100, 3)); got.Fee != 3 {
		t.Errorf("got receipt %+v, want fee 3", got)
	}
	if got := into[receiptJSON](with(free, 100, 0)); got.Fee != 0 || got.SenderAccountFunds != 0 {
		t.Errorf("got receipt %+v, want no fee", got)
	}
	if got := into[receiptJSON](w.pay(other, free, 10)); got.Fee != 0 {
		t.Errorf("got receipt %+v, want no fee", got)
	}

	// Too dear, whether or not there are the funds.
	for _, amount := range []int64{100, 743, 744, 1 << 40, 1<<63 - 1} {
		type dear struct {
			Code   string
			Fee    int64
			MaxFee int64  `json:"max_fee"`
			Funds  *int64 `json:"funds"`
			Index  *int
		}
		p := with(own, amount, 2)
		p.wants(422, "fee_too_high")
		var d dear
		if err := json.Unmarshal(p.body, &d); err != nil || d.Fee <= 2 || d.MaxFee != 2 || d.Funds != nil || amount == 100 && d.Fee != 3 {
			t.Errorf("%v: got fee %d, max_fee %d", p, d.Fee, d.MaxFee)
		}
	}
	batched := batch(false, strings.Replace(item(other.id, 100, ""), "}", `,"max_fee":2}`, 1), item(other.id, 10, ""))
	if got := into[batchJSON](w.pub.post(own.path("/transactions"), own.token, batched)); codes(got) != "fee_too_high ok:730" || got.Transactions[1].receiptJSON.Fee != 3 {
		t.Errorf("got %s, %+v", codes(got), got)
	}
	p := w.pub.post(own.path("/transactions"), own.token, strings.Replace(batched, "false", "true", 1)).wants(422, "fee_too_high")
	if p.Index == nil || *p.Index != 0 {
		t.Errorf("got index %v, want 0", p.Index)
	}

	// What it takes is the amount and the fee.
	p = w.pay(own, other, 730).wants(422, "insufficient_funds")
	if p.Funds == nil || *p.Funds != 730 || p.Required == nil || *p.Required != 740 {
		t.Errorf("got funds %v, required %v, want 730 and 740", p.Funds, p.Required)
	}
	w.pay(own, other, 721).wants(422, "insufficient_funds")
	if got := into[receiptJSON](w.pay(own, other, 720)); got.SenderAccountFunds != 0 || got.Fee != 10 {
		t.Errorf("got receipt %+v, want funds 0, fee 10", got)
	}
	if s := into[policyJSON](w.tru.get("/fee/policy", "")); s.FeeAccountFunds != 4+3+3+10 {
		t.Errorf("the account of the fees has %d, want 20", s.FeeAccountFunds)
	}
}

// TestOrderOfSignedChecks makes signed transfers with two things wrong, every pair:
// the one that is checked first is answered, on both sides and in a batch.
func TestOrderOfSignedChecks(t *testing.T) {
	w := newWorld(t, setup{})
	poor, other := w.openKeyed(1, 1), w.open(0)
	w.signed(poor, other.id, 1, "used").pay(w).ok()
	w.setFees(`{"flat":5}`).ok()
	type fault struct {
		name   string
		make   func(*signing)
		status int
		code   string
	}
	faults := []fault{
		{"key's form", func(s *signing) { s.key, s.signedKey = "a b", "k" }, 400, "bad_request"},
		{"key used", func(s *signing) { s.key = "used" }, 422, "idempotency_key_reused"},
		{"signature", func(s *signing) { s.changedSignature = true }, 403, "invalid_signature"},
		{"not_after", func(s *signing) { s.notAfter = w.clock.Now().Add(-time.Second) }, 422, "signature_expired"},
		{"zero", func(s *signing) { s.amount = 0 }, 422, "amount_is_zero"},
		{"same account", func(s *signing) { s.receiver = s.from.id }, 422, "same_account"},
		{"no receiver", func(s *signing) { s.receiver = unknownID() }, 422, "receiver_not_found"},
		{"fee", func(s *signing) { s.maxFee = 4 }, 422, "fee_too_high"},
		{"funds", func(*signing) {}, 422, "insufficient_funds"},
	}
	for i, first := range faults {
		for _, second := range faults[i:] {
			if first.name == "key's form" && second.name == "key used" {
				continue // one request can't have both
			}
			t.Run(first.name+"+"+second.name, func(t *testing.T) {
				w.pub.t, w.tru.t = t, t
				s := w.signed(poor, other.id, 7, "k")
				s.maxFee = 5
				second.make(s)
				first.make(s)
				s.pay(w).wants(first.status, first.code)
				s.payTrusted(w).wants(first.status, first.code)
				p := w.pub.post(poor.path("/transactions"), poor.token, batch(true, s.item(t))).wants(first.status, first.code)
				if p.Index == nil || *p.Index != 0 {
					t.Errorf("got index %v, want 0", p.Index)
				}
			})
		}
	}
	w.pub.t, w.tru.t = t, t
	// A token comes before, and so does the form.
	s := w.signed(poor, other.id, 7, "k")
	s.changedSignature = true
	s.from.token = newToken()
	s.pay(w).wants(401, "invalid_token")
	// A key that was used is answered whatever the signature and the fee.
	s = w.signed(poor, other.id, 1, "used")
	s.changedSignature = true
	if got := s.pay(w).ok(); !got.replayed() {
		t.Errorf("%v: want a replay", got)
	}
}
