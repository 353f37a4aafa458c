package httpapi_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/httpapi"
)

// privateKey returns the n-th private key of the tests.
func privateKey(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
}

func publicOf(key ed25519.PrivateKey) capycoin.PublicKey {
	return capycoin.PublicKey(key.Public().(ed25519.PublicKey))
}

func base64Of(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// keyedOwner is an owner whose account has a key.
type keyedOwner struct {
	owner
	key     ed25519.PrivateKey
	version uint32
}

// openKeyed opens an account with the n-th key over the public side.
func (w *world) openKeyed(funds int64, n byte) keyedOwner {
	w.t.Helper()
	key := privateKey(n)
	got := into[struct {
		AccountID string `json:"account_id"`
		tokenJSON
	}](w.pub.post("/account", "", fmt.Sprintf(`{"public_key":%q}`, publicOf(key))))
	o := keyedOwner{owner{got.AccountID, got.Token, got.TokenID}, key, 1}
	if funds > 0 {
		w.grant(o.owner, funds)
	}
	return o
}

// ledgerID is the id of the world's ledger.
func (w *world) ledgerID() uuid.UUID {
	w.t.Helper()
	s, err := w.led.Supply(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	return s.LedgerID
}

// signing is a signed transfer that is put together.
type signing struct {
	from             keyedOwner
	receiver         string
	amount, maxFee   int64
	key              string
	notAfter         time.Time
	ledger           uuid.UUID
	signedReceiver   string // what is signed in place of what is sent, if it is set
	signedAmount     int64
	signedKey        string
	signedMaxFee     int64
	signedNotAfter   time.Time
	changedSignature bool
}

// signed begins a transfer of the world that is in order.
func (w *world) signed(from keyedOwner, receiver string, amount int64, key string) *signing {
	return &signing{from: from, receiver: receiver, amount: amount, key: key, notAfter: w.clock.Now().Add(time.Hour), ledger: w.ledgerID()}
}

// or returns the first that is not zero.
func or[T comparable](a, b T) T {
	var zero T
	if a != zero {
		return a
	}
	return b
}

// members are those of the request, without braces.
func (s *signing) members(t testing.TB, trusted, inBatch bool) string {
	t.Helper()
	maxFee := capycoin.Coins(or(s.signedMaxFee, s.maxFee))
	sig, err := capycoin.SignTransfer(s.ledger, s.from.version, capycoin.Transfer{
		Sender: s.from.uuid(), Receiver: uuid.MustParse(or(s.signedReceiver, s.receiver)), Amount: capycoin.Coins(or(s.signedAmount, s.amount)),
		Key: or(s.signedKey, s.key), MaxFee: &maxFee,
	}, or(s.signedNotAfter, s.notAfter), s.from.key)
	if err != nil {
		t.Fatal(err)
	}
	if s.changedSignature {
		sig.Bytes[10] ^= 1
	}
	m := fmt.Sprintf(`"receiver":%q,"amount":%d,"max_fee":%d,"not_after":%q,"signature":%q`,
		s.receiver, s.amount, s.maxFee, s.notAfter.Format(time.RFC3339Nano), base64Of(sig.Bytes[:]))
	if trusted {
		m = fmt.Sprintf(`"sender":%q,`, s.from.id) + m
	}
	if inBatch {
		m += fmt.Sprintf(`,"key":%q`, s.key)
	}
	return m
}

// item is the transfer as one of a batch of the public side.
func (s *signing) item(t testing.TB) string { return "{" + s.members(t, false, true) + "}" }

// pay sends it over the public side.
func (s *signing) pay(w *world) reply {
	w.t.Helper()
	return w.pub.do(call{method: "POST", path: s.from.path("/transaction"), token: s.from.token,
		body: "{" + s.members(w.t, false, false) + "}", header: http.Header{"Idempotency-Key": {s.key}}})
}

// payTrusted sends it over the trusted side.
func (s *signing) payTrusted(w *world) reply {
	w.t.Helper()
	return w.tru.do(call{method: "POST", path: "/transaction", body: "{" + s.members(w.t, true, false) + "}",
		header: http.Header{"Idempotency-Key": {s.key}}})
}

// setFees sets a policy over the trusted side.
func (w *world) setFees(body string) reply {
	w.t.Helper()
	return w.tru.do(call{method: "PUT", path: "/fee/policy", body: body})
}

// TestOpenWithKey opens accounts with a key on both sides, under each policy, and
// looks at them.
func TestOpenWithKey(t *testing.T) {
	w := newWorld(t, setup{})
	public := publicOf(privateKey(1))
	body := fmt.Sprintf(`{"public_key":%q}`, public)
	check := func(w *world, got reply) {
		t.Helper()
		id := into[accountJSON](got).AccountID
		acct := into[accountJSON](w.tru.get("/account/"+id, ""))
		if acct.PublicKey == nil || *acct.PublicKey != public.String() || acct.KeyVersion == nil || *acct.KeyVersion != 1 {
			t.Errorf("%v: the account is %+v, want key %s, version 1", got, acct, public)
		}
	}
	check(w, w.pub.post("/account", "", body))
	check(w, w.tru.post("/account", "", body))
	check(w, w.tru.post("/account", "", strings.Replace(body, "{", `{"token":true,`, 1)))
	own := w.openKeyed(0, 1) // another account may have the same key
	if got := into[accountJSON](w.pub.get(own.path(""), own.token)); got.PublicKey == nil || *got.PublicKey != public.String() {
		t.Errorf("its owner sees %+v", got)
	}
	without := w.open(0)
	for _, got := range []reply{w.pub.get(without.path(""), without.token), w.tru.get(without.path(""), ""), w.tru.get("/account/"+seedID, "")} {
		if !strings.HasSuffix(strings.TrimSpace(string(got.body)), `,"public_key":null,"key_version":null}`) {
			t.Errorf("%v: want an account without a key", got)
		}
	}
	inviting := newWorld(t, setup{signUp: httpapi.SignUpInvite})
	inv := inviting.invite("")
	with := strings.Replace(body, "{", fmt.Sprintf(`{"invite":%q,`, inv.Invite), 1)
	inviting.pub.post("/account", "", body).wants(403, "invite_required")
	inviting.pub.post("/account", "", strings.Replace(with, public.String(), "AAAA", 1)).wants(400, "bad_request") // and the invite stays unused
	check(inviting, inviting.pub.post("/account", "", with))
	inviting.pub.post("/account", "", with).wants(403, "invalid_invite")
	accounts := into[struct{ Accounts []accountJSON }](w.tru.get("/accounts", ""))
	if n := len(accounts.Accounts); n < 5 || accounts.Accounts[0].PublicKey != nil || accounts.Accounts[1].PublicKey == nil {
		t.Errorf("the list of accounts is %+v", accounts.Accounts)
	}
}

// badKeys are what can't be a public key, with what is said of it.
var badKeys = []struct{ name, key, says string }{
	{"empty", "", "44 characters"},
	{"31 bytes", base64Of(make([]byte, 31)), "44 characters"},
	{"33 bytes", base64Of(make([]byte, 33)), "44 characters"},
	{"no padding", strings.TrimRight(publicOf(privateKey(1)).String(), "="), "44 characters"},
	{"hexadecimal", strings.Repeat("ab", 32), "44 characters"},
	{"line break at the end", publicOf(privateKey(1)).String() + `\n`, "44 characters"},
	{"line break for a character", publicOf(privateKey(1)).String()[:43] + `\n`, "44 characters"},
	{"line break within", publicOf(privateKey(1)).String()[:20] + `\n` + publicOf(privateKey(1)).String()[20:], "44 characters"},
	{"base64 of URLs", strings.Repeat("_", 42) + "8=", "44 characters"},
	{"stray bits", publicOf(privateKey(1)).String()[:42] + "/=", "44 characters"},
	{"zero", base64Of(make([]byte, 32)), "order is small"},
	{"the neutral element", base64Of(append([]byte{1}, make([]byte, 31)...)), "order is small"},
	{"not canonical", base64Of(append([]byte{0xee}, append(bytes.Repeat([]byte{0xff}, 30), 0x7f)...)), "not canonical"},
	{"not on the curve", base64Of(append([]byte{2}, make([]byte, 31)...)), "not on the curve"},
}

// TestBadKeys sends what can't be a key wherever a key is taken: it is refused, with
// the member's name and what is wrong, and nothing is opened or changed.
func TestBadKeys(t *testing.T) {
	w := newWorld(t, setup{})
	own := w.openKeyed(0, 1)
	before := w.led.Stats().Position
	change := keyChangeBody(capycoin.KeyChange{Version: 1, NewKey: publicOf(privateKey(2))})
	for _, tt := range badKeys {
		body := fmt.Sprintf(`{"public_key":"%s"}`, tt.key)
		for _, got := range []reply{
			w.pub.post("/account", "", body), w.tru.post("/account", "", body), w.tru.post("/account", "", strings.Replace(body, "{", `{"token":true,`, 1)),
			w.pub.post(own.path("/key"), own.token, strings.Replace(change, publicOf(privateKey(2)).String(), tt.key, 1)),
			w.tru.post(own.path("/key"), "", strings.Replace(change, publicOf(privateKey(2)).String(), tt.key, 1)),
		} {
			p := got.wants(400, "bad_request")
			if p.ErrorMessage != "Invalid format for `public_key`" || !strings.Contains(p.Detail, "public_key") || !strings.Contains(p.Detail, tt.says) {
				t.Errorf("%s: got %v, want one that says %q", tt.name, got, tt.says)
			}
		}
	}
	for _, key := range []string{"null", "5", "[]", "{}", "true"} {
		w.pub.post("/account", "", `{"public_key":`+key+`}`).wants(400, "bad_request")
		w.tru.post("/account", "", `{"public_key":`+key+`}`).wants(400, "bad_request")
	}
	if now := w.led.Stats().Position; now != before {
		t.Errorf("%d records were written", now-before)
	}
}

// TestSignedTransfer pays from an account with a key: signed from every side, and
// unsigned from none.
func TestSignedTransfer(t *testing.T) {
	w := newWorld(t, setup{})
	own, other := w.openKeyed(100, 1), w.open(0)
	got := into[receiptJSON](w.signed(own, other.id, 5, "a").pay(w))
	if got.SenderAccountFunds != 95 || got.ReceiverAccountID != other.id || got.Fee != 0 {
		t.Errorf("got receipt %+v", got)
	}
	w.signed(own, other.id, 5, "b").payTrusted(w).ok()
	batched := into[batchJSON](w.pub.post(own.path("/transactions"), own.token, batch(true, w.signed(own, other.id, 1, "c").item(t), w.signed(own, other.id, 2, "d").item(t))))
	if codes(batched) != "ok:89 ok:87" {
		t.Errorf("got %s", codes(batched))
	}
	w.tru.post("/transactions", "", fmt.Sprintf(`{"transactions":[{%s}]}`, w.signed(own, other.id, 7, "e").members(t, true, true))).ok()
	if funds := w.funds(own.owner); funds != 80 {
		t.Fatalf("got funds %d, want 80", funds)
	}

	// Unsigned, from every side, and whatever else may be wrong with it.
	unsigned := fmt.Sprintf(`{"sender":%q,"receiver":%q,"amount":1}`, own.id, other.id)
	w.pay(own.owner, other, 1).wants(403, "signature_required")
	w.payKeyed(own.owner, other, 1, "f").wants(403, "signature_required")
	w.pay(own.owner, other, 0).wants(403, "signature_required")
	w.pay(own.owner, own.owner, 1000).wants(403, "signature_required")
	w.tru.post("/transaction", "", unsigned).wants(403, "signature_required")
	for _, side := range []struct {
		c           *client
		path, token string
		item        string
	}{{w.pub, own.path("/transactions"), own.token, item(other.id, 1, "g")}, {w.tru, "/transactions", "", unsigned}} {
		each := into[batchJSON](side.c.post(side.path, side.token, batch(false, side.item)))
		if codes(each) != "signature_required" || each.Transactions[0].Status != 403 {
			t.Errorf("%s: got %s, %d", side.c.side, codes(each), each.Transactions[0].Status)
		}
		p := side.c.post(side.path, side.token, batch(true, side.item)).wants(403, "signature_required")
		if p.Index == nil || *p.Index != 0 {
			t.Errorf("%s: got index %v, want 0", side.c.side, p.Index)
		}
	}
	if funds := w.funds(own.owner); funds != 80 {
		t.Errorf("got funds %d, want 80", funds)
	}
	// To it anybody pays as before.
	w.pay(other, own.owner, 1).ok()
}

// TestSignatureCoversAll changes one thing at a time after it was signed.
func TestSignatureCoversAll(t *testing.T) {
	w := newWorld(t, setup{})
	own, twin, other, third := w.openKeyed(100, 1), w.openKeyed(100, 1), w.open(0), w.open(0)
	unkeyed := keyedOwner{w.open(50), privateKey(1), 1}
	for _, tt := range []struct {
		name   string
		change func(*signing)
	}{
		{"receiver", func(s *signing) { s.signedReceiver = third.id }},
		{"amount", func(s *signing) { s.signedAmount = 6 }},
		{"key", func(s *signing) { s.signedKey = "other" }},
		{"max_fee", func(s *signing) { s.signedMaxFee = 3 }},
		{"not_after", func(s *signing) { s.signedNotAfter = s.notAfter.Add(time.Microsecond) }},
		{"ledger", func(s *signing) { s.ledger[3] ^= 1 }},
		{"version", func(s *signing) { s.from.version = 2 }},
		{"another's key", func(s *signing) { s.from.key = privateKey(2) }},
		{"a bit of the signature", func(s *signing) { s.changedSignature = true }},
		{"sender without a key", func(s *signing) { s.from = unkeyed }},
	} {
		make := func() *signing {
			s := w.signed(own, other.id, 5, "k")
			tt.change(s)
			return s
		}
		for _, got := range []reply{make().pay(w), make().payTrusted(w)} {
			if got.wants(403, "invalid_signature"); got.status == 200 {
				t.Errorf("%s: it was taken", tt.name)
			}
		}
		s := make()
		each := into[batchJSON](w.pub.post(s.from.path("/transactions"), s.from.token, batch(false, s.item(t))))
		if codes(each) != "invalid_signature" {
			t.Errorf("%s: got %s", tt.name, codes(each))
		}
		w.pub.post(s.from.path("/transactions"), s.from.token, batch(true, s.item(t))).wants(403, "invalid_signature")
	}
	// What one account signed is not good for another with the same key.
	s := w.signed(own, other.id, 5, "k")
	w.tru.do(call{method: "POST", path: "/transaction", header: http.Header{"Idempotency-Key": {"k"}},
		body: strings.Replace("{"+s.members(t, true, false)+"}", own.id, twin.id, 1)}).wants(403, "invalid_signature")
	s.pay(w).ok()
	if a, b := w.funds(own.owner), w.funds(twin.owner); a != 95 || b != 100 {
		t.Errorf("got funds %d and %d, want 95 and 100", a, b)
	}
}

// TestSignatureTimes goes to the ends of the time that a signature is good for.
func TestSignatureTimes(t *testing.T) {
	w := newWorld(t, setup{})
	own, other := w.openKeyed(100, 1), w.open(0)
	at := func(key string, notAfter time.Time) *signing {
		s := w.signed(own, other.id, 1, key)
		s.notAfter = notAfter
		return s
	}
	now := w.clock.Now()
	at("a", now).pay(w).ok()
	at("b", now.Add(24*time.Hour)).pay(w).ok()
	at("c", now.In(time.FixedZone("", 5400))).pay(w).ok()
	at("d", now.Add(-time.Microsecond)).pay(w).wants(422, "signature_expired")
	at("d", time.Unix(0, 0)).pay(w).wants(422, "signature_expired")
	at("d", now.Add(24*time.Hour+time.Microsecond)).pay(w).wants(422, "signature_too_long")
	at("d", time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC)).pay(w).wants(422, "signature_too_long")
	got := into[batchJSON](w.pub.post(own.path("/transactions"), own.token,
		batch(false, at("d", now.Add(-time.Second)).item(t), at("d", now.Add(25*time.Hour)).item(t), at("d", now).item(t))))
	if codes(got) != "signature_expired signature_too_long ok:96" {
		t.Errorf("got %s", codes(got))
	}
	p := w.pub.post(own.path("/transactions"), own.token, batch(true, at("e", now).item(t), at("f", now.Add(-time.Second)).item(t))).wants(422, "signature_expired")
	if p.Index == nil || *p.Index != 1 {
		t.Errorf("got index %v, want 1", p.Index)
	}
	// What was paid in time is paid: a repetition gets its receipt, later and
	// unsigned, too.
	s := at("a", now)
	w.clock.Advance(48 * time.Hour)
	if got := s.pay(w).ok(); !got.replayed() {
		t.Errorf("%v: want a replay", got)
	}
	if got := w.payKeyed(own.owner, other, 1, "a").ok(); !got.replayed() {
		t.Errorf("%v: want a replay", got)
	}
	w.payKeyed(own.owner, other, 2, "a").wants(422, "idempotency_key_reused")
	s.key = "never"
	s.pay(w).wants(422, "signature_expired")
}

// TestSignedBatch has in one batch what is in order, not in order, repeated and too
// late, more than one processor takes at once.
func TestSignedBatch(t *testing.T) {
	w := newWorld(t, setup{})
	own, other := w.openKeyed(10_000, 1), w.open(0)
	w.signed(own, other.id, 1, "before").pay(w).ok()
	var items, want []string
	funds := 9999
	for i := range 100 {
		s := w.signed(own, other.id, int64(i+1), fmt.Sprint("k", i))
		switch i % 5 {
		case 1:
			s.changedSignature = true
			want = append(want, "invalid_signature")
		case 2:
			s.notAfter = w.clock.Now().Add(-time.Hour)
			want = append(want, "signature_expired")
		case 3:
			s.key, s.amount = "before", 1
			want = append(want, "replayed:9999")
		default:
			funds -= i + 1
			want = append(want, fmt.Sprint("ok:", funds))
		}
		items = append(items, s.item(t))
	}
	got := into[batchJSON](w.pub.post(own.path("/transactions"), own.token, batch(false, items...)))
	if codes(got) != strings.Join(want, " ") {
		t.Errorf("got %s\nwant %s", codes(got), strings.Join(want, " "))
	}
	if left := w.funds(own.owner); left != int64(funds) {
		t.Errorf("got funds %d, want %d", left, funds)
	}
}

// TestSignedForm sends signed transfers that are not in form.
func TestSignedForm(t *testing.T) {
	w := newWorld(t, setup{})
	own, other := w.openKeyed(100, 1), w.open(0)
	s := w.signed(own, other.id, 1, "k")
	whole := "{" + s.members(t, false, false) + "}"
	signature := whole[strings.LastIndex(whole, `:"`)+2 : len(whole)-2]
	without := func(member string) string {
		var kept []string
		for m := range strings.SplitSeq(whole[1:len(whole)-1], ",") {
			if !strings.HasPrefix(m, `"`+member+`"`) {
				kept = append(kept, m)
			}
		}
		return "{" + strings.Join(kept, ",") + "}"
	}
	time := s.notAfter.Format("2006-01-02T15:04:05.999999999Z07:00")
	none := "-"
	for _, tt := range []struct{ name, body, key, says string }{
		{"no signature", without("signature"), "k", "The member signature is missing."},
		{"no not_after", without("not_after"), "k", "The member not_after is missing."},
		{"no max_fee", without("max_fee"), "k", "The member max_fee is missing."},
		{"no key", whole, none, "Idempotency-Key"},
		{"signature of 63 bytes", strings.Replace(whole, signature, base64Of(make([]byte, 63)), 1), "k", "64 bytes"},
		{"signature of 65 bytes", strings.Replace(whole, signature, base64Of(make([]byte, 65)), 1), "k", "64 bytes"},
		{"signature of 66 bytes, as long", strings.Replace(whole, signature, base64Of(make([]byte, 66)), 1), "k", "64 bytes"},
		{"signature empty", strings.Replace(whole, signature, "", 1), "k", "64 bytes"},
		{"signature without padding", strings.Replace(whole, signature, signature[:86], 1), "k", "64 bytes"},
		{"signature with a line break", strings.Replace(whole, signature, signature[:40]+`\n`+signature[40:], 1), "k", "64 bytes"},
		{"signature with a line break, as long", strings.Replace(whole, signature, signature[:40]+`\n`+signature[41:], 1), "k", "64 bytes"},
		{"signature with stray bits", strings.Replace(whole, signature, strings.Repeat("A", 85)+"B==", 1), "k", "64 bytes"},
		{"signature of URLs", strings.Replace(whole, signature, strings.Repeat("_", 85)+"A==", 1), "k", "64 bytes"},
		{"signature null", strings.Replace(whole, `"`+signature+`"`, "null", 1), "k", "a string"},
		{"nanoseconds", strings.Replace(whole, time, "2022-08-15T14:24:23.1362850Z", 1), "k", "microseconds"},
		{"nanoseconds in a zone", strings.Replace(whole, time, "2022-08-15T14:24:23.1362850+01:00", 1), "k", "microseconds"},
		{"a day", strings.Replace(whole, time, "2022-08-16", 1), "k", "not_after has to be"},
		{"no zone", strings.Replace(whole, time, "2022-08-15T14:24:23", 1), "k", "not_after has to be"},
		{"before 1970", strings.Replace(whole, time, "1969-12-31T23:59:59.999999Z", 1), "k", "1970"},
		{"after 9999", strings.Replace(whole, time, "9999-12-31T23:59:59-00:01", 1), "k", "9999"},
		{"a number for not_after", strings.Replace(whole, `"`+time+`"`, "1660569863", 1), "k", "a string"},
		{"max_fee below 0", strings.Replace(whole, `"max_fee":0`, `"max_fee":-1`, 1), "k", "0 to 9007199254740991"},
		{"max_fee too large", strings.Replace(whole, `"max_fee":0`, `"max_fee":9007199254740992`, 1), "k", "0 to 9007199254740991"},
		{"max_fee a string", strings.Replace(whole, `"max_fee":0`, `"max_fee":"0"`, 1), "k", "whole number"},
		{"max_fee null", strings.Replace(whole, `"max_fee":0`, `"max_fee":null`, 1), "k", "whole number"},
		{"twice", whole[:len(whole)-1] + `,"max_fee":0}`, "k", "comes twice"},
		{"another member", whole[:len(whole)-1] + `,"memo":"x"}`, "k", "there are receiver, amount, max_fee, signature and not_after"},
		{"not the signature alone", `{"receiver":"` + other.id + `","amount":1,"signature":"` + signature + `"}`, "k", "not_after"},
		{"not the time alone", `{"receiver":"` + other.id + `","amount":1,"not_after":"` + time + `"}`, "k", "signature"},
	} {
		header := http.Header{}
		inBatch := strings.Replace(tt.body, "{", `{"key":"k",`, 1)
		if tt.key != none {
			header.Set("Idempotency-Key", tt.key)
		} else {
			inBatch, tt.says = tt.body, "The member key is missing."
		}
		single := w.pub.do(call{method: "POST", path: own.path("/transaction"), token: own.token, body: tt.body, header: header})
		p := single.wants(400, "bad_request")
		if tt.key != none && !strings.Contains(p.Detail, tt.says) || tt.key == none && p.ErrorMessage != "Invalid format for `Idempotency-Key`" {
			t.Errorf("%s: got %q, want one that says %q", tt.name, p.Detail, tt.says)
		}
		p = w.pub.post(own.path("/transactions"), own.token, batch(false, item(other.id, 1, ""), inBatch)).wants(400, "bad_request")
		if tt.name == "another member" {
			tt.says = "there are key, receiver"
		}
		if p.Index == nil || *p.Index != 1 || !strings.Contains(p.Detail, tt.says) {
			t.Errorf("%s, in a batch: got %q, index %v", tt.name, p.Detail, p.Index)
		}
		w.tru.do(call{method: "POST", path: "/transaction", body: strings.Replace(tt.body, "{", fmt.Sprintf(`{"sender":%q,`, own.id), 1), header: header}).wants(400, "bad_request")
	}
	if funds := w.funds(own.owner); funds != 100 {
		t.Errorf("got funds %d, want 100", funds)
	}
	// In any order, with escapes, and with the time written otherwise.
	turned := strings.ReplaceAll(fmt.Sprintf(`{"signature":%q,"not_after":%q,"max_fee":0,"amount":1,"receiver":%q}`,
		strings.ReplaceAll(signature, "/", "SLASH"), "2022-08-15T15:24:23.136285+01:00", other.id), "SLASH", `\/`)
	w.pub.do(call{method: "POST", path: own.path("/transaction"), token: own.token, body: turned, header: http.Header{"Idempotency-Key": {`"k"`}}}).ok()
	// max_fee alone is for anybody.
	unkeyed := w.open(10)
	w.pub.post(unkeyed.path("/transaction"), unkeyed.token, `{"max_fee":0,"amount":1,"receiver":"`+other.id+`"}`).ok()
}
