package httpapi_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
)

// replayed says whether a transfer's answer is that of an earlier request.
func (r reply) replayed() bool { return r.header.Get("Idempotency-Replayed") == "true" }

// TestIdempotency checks that a key makes a transfer once, for ever.
func TestIdempotency(t *testing.T) {
	w := newWorld(t, setup{})
	own, other, third := w.open(100), w.open(0), w.open(100)
	first := w.payKeyed(own, other, 5, "order-17").ok()
	if first.replayed() {
		t.Error("the first request is marked as a replay")
	}
	check := func() {
		t.Helper()
		again := w.payKeyed(own, other, 5, "order-17").ok()
		if !again.replayed() || string(again.body) != string(first.body) {
			t.Errorf("got %v, replayed %t, want %s again", again, again.replayed(), first.body)
		}
		w.payKeyed(own, other, 6, "order-17").wants(422, "idempotency_key_reused")
		w.payKeyed(own, third, 5, "order-17").wants(422, "idempotency_key_reused")
		w.payKeyed(own, other, 0, "order-17").wants(422, "idempotency_key_reused")
		if got := w.funds(other); got != 5 {
			t.Errorf("got funds %d, want 5", got)
		}
	}
	check()
	w.payKeyed(own, other, 5, `"order-17"`).ok() // the same key, quoted
	if got := w.payKeyed(own, other, 5, `"order-17"`); !got.replayed() {
		t.Errorf("%v: a quoted key is another than a bare one", got)
	}
	check()
	w.reopen()
	check()
	w.clock.Advance(29 * 24 * 3600e9) // keys outlive what is usual for them
	check()
	w.pay(own, third, 95).ok() // and the money they paid with
	check()

	// Keys belong to their sender.
	if got := w.payKeyed(third, own, 5, "order-17").ok(); got.replayed() {
		t.Error("another sender's key is taken for the same")
	}
	// The trusted side has the same keys.
	got := w.tru.do(call{method: "POST", path: "/transaction", header: http.Header{"Idempotency-Key": {"order-17"}},
		body: `{"sender":"` + own.id + `","receiver":"` + other.id + `","amount":5}`}).ok()
	if !got.replayed() || string(got.body) != string(first.body) {
		t.Errorf("on the trusted side: got %v, replayed %t, want %s again", got, got.replayed(), first.body)
	}
}

// TestDeclinedKeysAreFree checks that a declined request stores nothing.
func TestDeclinedKeysAreFree(t *testing.T) {
	w := newWorld(t, setup{})
	own, other := w.open(0), w.open(0)
	w.payKeyed(own, other, 5, "k").wants(422, "insufficient_funds")
	w.payKeyed(own, other, 0, "k").wants(422, "amount_is_zero")
	w.payKeyed(own, own, 5, "k").wants(422, "same_account")
	w.grant(own, 10)
	if got := w.payKeyed(own, other, 7, "k").ok(); got.replayed() {
		t.Error("the first transfer under the key is marked as a replay")
	}
	w.payKeyed(own, other, 5, "k").wants(422, "idempotency_key_reused")
}

// TestConcurrentRepeats sends one request a hundred times at once.
func TestConcurrentRepeats(t *testing.T) {
	w := newWorld(t, setup{})
	own, other := w.open(1000), w.open(0)
	const n = 100
	replies := make([]reply, n)
	errs := make([]error, n)
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-begin
			replies[i], errs[i] = w.pub.try(call{method: "POST", path: own.path("/transaction"), token: own.token,
				body: transferBody(other.id, 5), header: http.Header{"Idempotency-Key": {"once"}}})
		})
	}
	close(begin)
	wg.Wait()
	made := 0
	for i, got := range replies {
		if errs[i] != nil {
			t.Fatal(errs[i])
		}
		if got.status != 200 || string(got.body) != string(replies[0].body) {
			t.Errorf("got %v, another got %v", got, replies[0])
		}
		if !got.replayed() {
			made++
		}
	}
	if made != 1 {
		t.Errorf("%d of %d answers are not replays, want 1", made, n)
	}
	if got := w.funds(other); got != 5 {
		t.Errorf("got funds %d, want 5", got)
	}
	w.reopen()
	if got := w.payKeyed(own, other, 5, "once").ok(); !got.replayed() || string(got.body) != string(replies[0].body) {
		t.Errorf("after reopening: got %v, replayed %t, want %s", got, got.replayed(), replies[0].body)
	}
	if got := w.funds(other); got != 5 {
		t.Errorf("got funds %d, want 5", got)
	}
}

// TestKeysInForm checks the forms of the header Idempotency-Key.
func TestKeysInForm(t *testing.T) {
	w := newWorld(t, setup{})
	own, other := w.open(1000), w.open(0)
	var all strings.Builder
	for c := byte(0x21); c <= 0x7e; c++ {
		if c != '"' && c != '\\' {
			all.WriteByte(c)
		}
	}
	for _, key := range []string{"k", "0", "'", all.String(), strings.Repeat("k", 255), `"quoted"`, `"` + strings.Repeat("q", 255) + `"`} {
		if got := w.payKeyed(own, other, 1, key).ok(); got.replayed() {
			t.Errorf("%q: a replay, want a new transfer", key)
		}
		if got := w.payKeyed(own, other, 1, key).ok(); !got.replayed() {
			t.Errorf("%q: not a replay", key)
		}
	}
	before := w.funds(other)
	for _, key := range []string{"", " ", `""`, `"`, `"a`, `a"`, `a"b`, `"a"b"`, `""a""`, `a\b`, `"a\"b"`, "a b", `"a b"`, "a\tb", "é",
		"a,b c", `"a", "b"`, `"a";p=1`, strings.Repeat("k", 256), `"` + strings.Repeat("q", 256) + `"`} {
		w.payKeyed(own, other, 1, key).wants(400, "bad_request")
	}
	for _, keys := range [][]string{{"a", "b"}, {"a", "a"}, {"a", ""}} {
		w.pub.do(call{method: "POST", path: own.path("/transaction"), token: own.token, body: transferBody(other.id, 1),
			header: http.Header{"Idempotency-Key": keys}}).wants(400, "bad_request")
	}
	if after := w.funds(other); after != before {
		t.Errorf("funds were %d and are %d", before, after)
	}
}
