package httpapi_test

import (
	"crypto/ed25519"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/storetest"
)

// keyChangeBody is a change of a key as a request has it.
func keyChangeBody(c capycoin.KeyChange) string {
	return fmt.Sprintf(`{"public_key":%q,"key_version":%d,"old_signature":%q,"new_signature":%q}`,
		c.NewKey, c.Version, base64Of(c.OldSignature[:]), base64Of(c.NewSignature[:]))
}

// change signs a change of an account's key.
func (w *world) change(account uuid.UUID, version uint32, old, next ed25519.PrivateKey) capycoin.KeyChange {
	w.t.Helper()
	c := capycoin.KeyChange{Account: account, Version: version, NewKey: publicOf(next)}
	var err error
	if c.OldSignature, err = capycoin.SignKeyChange(w.ledgerID(), account, version, c.NewKey, old); err == nil {
		c.NewSignature, err = capycoin.SignKeyChange(w.ledgerID(), account, version, c.NewKey, next)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// TestChangeKey changes a key from both sides: signatures of the old one are
// refused from then on, those of the new one are taken.
func TestChangeKey(t *testing.T) {
	w := newWorld(t, setup{})
	own, other := w.openKeyed(100, 1), w.open(0)
	w.signed(own, other.id, 1, "a").pay(w).ok()
	early := w.signed(own, other.id, 1, "b") // signed now, sent later
	next := own
	next.key, next.version = privateKey(2), 2
	w.signed(next, other.id, 1, "x").pay(w).wants(403, "invalid_signature")

	body := keyChangeBody(w.change(own.uuid(), 1, own.key, next.key))
	got := into[accountJSON](w.pub.post(own.path("/key"), own.token, body))
	want := into[accountJSON](w.pub.get(own.path(""), own.token))
	if got.Funds != 99 || got.PublicKey == nil || *got.PublicKey != publicOf(next.key).String() || *got.KeyVersion != 2 || *want.PublicKey != *got.PublicKey {
		t.Errorf("got %+v, then %+v", got, want)
	}
	w.pub.post(own.path("/key"), own.token, body).wants(422, "key_version_mismatch") // the same once more
	early.pay(w).wants(403, "invalid_signature")
	w.signed(own, other.id, 1, "c").pay(w).wants(403, "invalid_signature")
	w.signed(next, other.id, 1, "d").pay(w).ok()
	w.reopen()
	w.signed(next, other.id, 1, "e").pay(w).ok()
	// Back to the first key, from the trusted side: what it signed before stays void.
	again := own
	again.version = 3
	into[accountJSON](w.tru.post(own.path("/key"), "", keyChangeBody(w.change(own.uuid(), 2, next.key, own.key))))
	early.pay(w).wants(403, "invalid_signature")
	w.signed(next, other.id, 1, "f").pay(w).wants(403, "invalid_signature")
	w.signed(again, other.id, 1, "f").pay(w).ok()
	if funds := w.funds(own.owner); funds != 96 {
		t.Errorf("got funds %d, want 96", funds)
	}
}

// keyAttempt is a change of a key being put together, to have several things wrong.
type keyAttempt struct {
	account, token string
	change         capycoin.KeyChange
	cut            bool
}

// TestChangeKeyOrder makes changes of a key with two things wrong, every pair: the one
// that is checked first is answered.
func TestChangeKeyOrder(t *testing.T) {
	w := newWorld(t, setup{})
	own, other := w.openKeyed(0, 1), w.open(0)
	type fault struct {
		name   string
		make   func(*keyAttempt)
		status int
		code   string
	}
	faults := []fault{
		{"path", func(a *keyAttempt) { a.account = "x" }, 400, "bad_request"},
		{"no token", func(a *keyAttempt) { a.token = "" }, 401, "token_required"},
		{"another's token", func(a *keyAttempt) { a.token = newToken() }, 401, "invalid_token"},
		{"body", func(a *keyAttempt) { a.cut = true }, 400, "bad_request"},
		{"new key", func(a *keyAttempt) { a.change.NewKey = capycoin.PublicKey{2} }, 400, "bad_request"},
		{"no key", func(a *keyAttempt) { a.account, a.token = other.id, other.token }, 422, "account_has_no_key"},
		{"version", func(a *keyAttempt) { a.change.Version = 2 }, 422, "key_version_mismatch"},
		{"old signature", func(a *keyAttempt) { a.change.OldSignature = [64]byte{1} }, 403, "invalid_signature"},
		{"new signature", func(a *keyAttempt) { a.change.NewSignature = [64]byte{1} }, 403, "invalid_signature"},
	}
	before := w.led.Stats().Position
	for i, first := range faults {
		for _, second := range faults[i:] {
			t.Run(first.name+"+"+second.name, func(t *testing.T) {
				w.pub.t, w.tru.t = t, t
				a := keyAttempt{own.id, own.token, w.change(own.uuid(), 1, privateKey(1), privateKey(2)), false}
				second.make(&a)
				first.make(&a)
				body := keyChangeBody(a.change)
				if a.cut {
					body = body[:len(body)-1]
				}
				w.pub.post("/account/"+a.account+"/key", a.token, body).wants(first.status, first.code)
				if !strings.Contains(first.name+second.name, "token") {
					w.tru.post("/account/"+a.account+"/key", "", body).wants(first.status, first.code)
				}
			})
		}
	}
	w.pub.t, w.tru.t = t, t
	w.tru.post("/account/"+unknownID()+"/key", "", keyChangeBody(w.change(own.uuid(), 1, privateKey(1), privateKey(2)))).wants(404, "account_not_found")
	if now := w.led.Stats().Position; now != before {
		t.Errorf("%d records were written", now-before)
	}
}

// TestChangeKeyForm sends bodies that are not in form, each lacking or having
// something that is said.
func TestChangeKeyForm(t *testing.T) {
	w := newWorld(t, setup{})
	own := w.openKeyed(0, 1)
	c := w.change(own.uuid(), 1, privateKey(1), privateKey(2))
	body := keyChangeBody(c)
	for _, tt := range []struct{ body, says string }{
		{"", "public_key"},
		{"{}", "The member public_key is missing."},
		{strings.Replace(body, `"key_version":1,`, "", 1), "The member key_version is missing."},
		{strings.Replace(body, `"old_signature"`, `"older_signature"`, 1), "there are public_key, key_version, old_signature and new_signature"},
		{`{"public_key":"` + c.NewKey.String() + `","key_version":1}`, "The member old_signature is missing."},
		{strings.Replace(body, `,"new_signature":"`+base64Of(c.NewSignature[:])+`"`, "", 1), "The member new_signature is missing."},
		{strings.Replace(body, `"key_version":1`, `"key_version":0`, 1), "key_version has to be a whole number, 1 to 4294967295"},
		{strings.Replace(body, `"key_version":1`, `"key_version":4294967296`, 1), "1 to 4294967295"},
		{strings.Replace(body, `"key_version":1`, `"key_version":-1`, 1), "1 to 4294967295"},
		{strings.Replace(body, `"key_version":1`, `"key_version":"1"`, 1), "whole number"},
		{strings.Replace(body, base64Of(c.OldSignature[:]), "", 1), "old_signature has to be 64 bytes"},
		{strings.Replace(body, base64Of(c.NewSignature[:]), base64Of(c.NewSignature[:63]), 1), "new_signature has to be 64 bytes"},
		{body + "{}", "nothing after"},
	} {
		for _, got := range []reply{w.pub.post(own.path("/key"), own.token, tt.body), w.tru.post(own.path("/key"), "", tt.body)} {
			if p := got.wants(400, "bad_request"); !strings.Contains(p.Detail, tt.says) {
				t.Errorf("%s: got %q, want one that says %q", shorten(tt.body), p.Detail, tt.says)
			}
		}
	}
	w.pub.post(own.path("/key"), own.token, body).ok()
}

// TestChangeKeyLimit has changes of a key counted with the further tokens of an
// account, on the public side.
func TestChangeKeyLimit(t *testing.T) {
	w := newWorld(t, setup{further: 2})
	own := w.openKeyed(0, 1)
	w.pub.post(own.path("/token"), own.token, "").ok()
	w.pub.post(own.path("/key"), own.token, keyChangeBody(w.change(own.uuid(), 1, privateKey(1), privateKey(2)))).ok()
	body := keyChangeBody(w.change(own.uuid(), 2, privateKey(2), privateKey(3)))
	got := w.pub.post(own.path("/key"), own.token, body)
	if got.wants(http.StatusTooManyRequests, "too_many_requests"); got.header.Get("Retry-After") != "30" {
		t.Errorf("%v: got Retry-After %q, want 30", got, got.header.Get("Retry-After"))
	}
	w.tru.post(own.path("/key"), "", body).ok() // the trusted side has no limit
	w.clock.Advance(30 * time.Second)
	w.pub.post(own.path("/key"), own.token, keyChangeBody(w.change(own.uuid(), 3, privateKey(3), privateKey(1)))).ok()
}

// TestChangeKeyAmongOthers has other accounts use up the limit of all: it keeps nobody
// from changing a key that was stolen.
func TestChangeKeyAmongOthers(t *testing.T) {
	w := newWorld(t, setup{further: 2, total: 3})
	own := w.openKeyed(0, 1)
	for w.api.TakeIssue(uuid.New()) == 0 {
	}
	w.pub.post(own.path("/token"), own.token, "").wants(http.StatusTooManyRequests, "too_many_requests")
	w.pub.post(own.path("/key"), own.token, keyChangeBody(w.change(own.uuid(), 1, privateKey(1), privateKey(2)))).ok()
}

// TestChangeKeyFaults has the disk fail in the middle of a change, and decline it.
func TestChangeKeyFaults(t *testing.T) {
	for _, trusted := range []bool{false, true} {
		faulty, s := onFaulty(storetest.NewMemory())
		w := newWorld(t, s)
		own := w.openKeyed(0, 1)
		ask := func() reply {
			body := keyChangeBody(w.change(own.uuid(), 1, privateKey(1), privateKey(2)))
			if trusted {
				return w.tru.post(own.path("/key"), "", body)
			}
			return w.pub.post(own.path("/key"), own.token, body)
		}
		faulty.Fail(storetest.OpAppend, 1, storetest.NotWritten)
		ask().wants(503, "unavailable")
		faulty.Heal()
		if got := into[accountJSON](w.tru.get(own.path(""), "")); *got.KeyVersion != 1 {
			t.Errorf("got version %d, want 1", *got.KeyVersion)
		}
		faulty.Fail(storetest.OpAppend, 1, storetest.YetDone)
		ask().wants(500, "outcome_unknown")
		w.reopen()
		if got := into[accountJSON](w.tru.get(own.path(""), "")); *got.KeyVersion != 2 {
			t.Errorf("got version %d, want 2", *got.KeyVersion)
		}
	}
}
