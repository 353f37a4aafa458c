package httpapi_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// batch is the body of a batch of items.
func batch(atomic bool, items ...string) string {
	return fmt.Sprintf(`{"transactions":[%s],"atomic":%t}`, strings.Join(items, ","), atomic)
}

// item is a transfer of a batch; without a key if that is empty.
func item(receiver string, amount int64, key string) string {
	if key == "" {
		return transferBody(receiver, amount)
	}
	return fmt.Sprintf(`{"receiver":%q,"amount":%d,"key":%q}`, receiver, amount, key)
}

// codes describes a batch's answer: "ok" or "replayed" with the sender's funds
// afterwards, or the problem's code.
func codes(b batchJSON) string {
	var s []string
	for _, r := range b.Transactions {
		switch {
		case r.Code != "":
			s = append(s, r.Code)
		case r.Replayed:
			s = append(s, fmt.Sprintf("replayed:%d", r.SenderAccountFunds))
		default:
			s = append(s, fmt.Sprintf("ok:%d", r.SenderAccountFunds))
		}
	}
	return strings.Join(s, " ")
}

// TestBatch checks that each item is judged after those before it, and alone.
func TestBatch(t *testing.T) {
	w := newWorld(t, setup{})
	own, a, b := w.open(10), w.open(0), w.open(0)
	for _, tt := range []struct {
		name  string
		items []string
		want  string
	}{
		{"one", []string{item(a.id, 1, "")}, "ok:9"},
		{"later ones see earlier ones", []string{item(a.id, 5, ""), item(b.id, 5, ""), item(b.id, 4, "")}, "ok:4 insufficient_funds ok:0"},
		{"all fail", []string{item(a.id, 1, ""), item(a.id, 0, ""), item(a.id, -1, ""), item(own.id, 1, ""), item(unknownID(), 1, "")},
			"insufficient_funds amount_is_zero amount_is_negative same_account receiver_not_found"},
	} {
		got := into[batchJSON](w.pub.post(own.path("/transactions"), own.token, batch(false, tt.items...)))
		if codes(got) != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, codes(got), tt.want)
		}
		for i, r := range got.Transactions {
			if r.Code != "" && r.Status != 422 {
				t.Errorf("%s: item %d has status %d, want 422", tt.name, i, r.Status)
			}
		}
	}
	if got := []int64{w.funds(own), w.funds(a), w.funds(b)}; got[0] != 0 || got[1] != 6 || got[2] != 4 {
		t.Errorf("got funds %v, want [0 6 4]", got)
	}
	w.grant(own, 1)
	// Without "atomic" at all.
	got := into[batchJSON](w.pub.post(own.path("/transactions"), own.token, `{"transactions":[`+item(a.id, 1, "")+`]}`))
	if codes(got) != "ok:0" || got.Transactions[0].ReceiverAccountID != a.id || got.Transactions[0].SenderAccountID != own.id {
		t.Errorf("got %+v", got)
	}
}

// TestAtomicBatch checks that one refused item refuses all.
func TestAtomicBatch(t *testing.T) {
	w := newWorld(t, setup{})
	own, a, b := w.open(10), w.open(0), w.open(0)
	for _, tt := range []struct {
		name  string
		items []string
		index int
		code  string
	}{
		{"first", []string{item(a.id, 0, ""), item(a.id, 1, "")}, 0, "amount_is_zero"},
		{"last", []string{item(a.id, 5, "x"), item(b.id, 5, ""), item(b.id, 1, "")}, 2, "insufficient_funds"},
		{"middle", []string{item(a.id, 5, "x"), item(unknownID(), 5, ""), item(b.id, 1, "")}, 1, "receiver_not_found"},
		{"key twice", []string{item(a.id, 5, "x"), item(a.id, 4, "x")}, 1, "idempotency_key_reused"},
		{"to itself", []string{item(a.id, 5, "x"), item(own.id, 4, "")}, 1, "same_account"},
		{"negative", []string{item(a.id, 5, "x"), item(a.id, -4, "")}, 1, "amount_is_negative"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w.pub.t = t
			p := w.pub.post(own.path("/transactions"), own.token, batch(true, tt.items...)).wants(422, tt.code)
			if p.Index == nil || *p.Index != tt.index {
				t.Errorf("got index %v, want %d", p.Index, tt.index)
			}
			if tt.code == "insufficient_funds" && (p.Funds == nil || *p.Funds != 0 || p.Required == nil || *p.Required != 1) {
				t.Errorf("got funds %v, required %v, want 0 and 1", p.Funds, p.Required)
			}
			if w.funds(own) != 10 || w.funds(a) != 0 || w.funds(b) != 0 {
				t.Error("something moved")
			}
		})
	}
	w.pub.t = t
	got := into[batchJSON](w.pub.post(own.path("/transactions"), own.token, batch(true, item(a.id, 4, "x"), item(b.id, 6, ""))))
	if codes(got) != "ok:6 ok:0" { // and so the key x was free
		t.Errorf("got %s", codes(got))
	}
	w.tru.post("/transactions", "", fmt.Sprintf(`{"atomic":true,"transactions":[{"sender":%q,"receiver":%q,"amount":1}]}`, unknownID(), a.id)).
		wants(422, "sender_not_found")
}

// TestBatchKeys checks keys within a batch, across batches, and against the
// header of the single transfer.
func TestBatchKeys(t *testing.T) {
	w := newWorld(t, setup{})
	own, a := w.open(100), w.open(0)
	body := batch(false, item(a.id, 1, "k"), item(a.id, 1, "k"), item(a.id, 2, "k"), item(a.id, 3, "l"))
	ask := func(want string) batchJSON {
		t.Helper()
		got := into[batchJSON](w.pub.post(own.path("/transactions"), own.token, body))
		if codes(got) != want {
			t.Errorf("got %s, want %s", codes(got), want)
		}
		return got
	}
	first := ask("ok:99 replayed:99 idempotency_key_reused ok:96")
	if a, b := first.Transactions[0].TransactionID, first.Transactions[1].TransactionID; a != b {
		t.Errorf("the replay within the batch has id %s, want %s", b, a)
	}
	again := ask("replayed:99 replayed:99 idempotency_key_reused replayed:96")
	w.reopen()
	ask("replayed:99 replayed:99 idempotency_key_reused replayed:96")
	for i := range again.Transactions {
		if a, b := first.Transactions[i].TransactionID, again.Transactions[i].TransactionID; a != b {
			t.Errorf("item %d: the replay has id %s, want %s", i, b, a)
		}
	}
	if got := w.payKeyed(own, a, 1, "k").ok(); !got.replayed() {
		t.Error("the key of an item is another than the header's")
	}
	into[receiptJSON](w.payKeyed(own, a, 1, "m"))
	body = batch(true, item(a.id, 1, "m"), item(a.id, 5, ""))
	ask("replayed:95 ok:90")
	if got := w.funds(a); got != 10 {
		t.Errorf("got funds %d, want 10", got)
	}
}

// TestBatchInForm checks what is answered 400, with the index of the item at
// fault, and that nothing of such a batch is made.
func TestBatchInForm(t *testing.T) {
	w := newWorld(t, setup{})
	own, a := w.open(1000), w.open(0)
	good := item(a.id, 1, "")
	keyed := func(key string) string { return fmt.Sprintf(`{"receiver":%q,"amount":1,"key":%s}`, a.id, key) }
	none := -1
	for _, tt := range []struct {
		name, body string
		index      int
	}{
		{"no list", `{}`, none},
		{"null list", `{"transactions":null}`, none},
		{"empty list", `{"transactions":[]}`, none},
		{"object for a list", `{"transactions":{}}`, none},
		{"array", `[` + good + `]`, none},
		{"unknown member", `{"transactions":[` + good + `],"x":1}`, none},
		{"duplicate member", `{"transactions":[` + good + `],"transactions":[]}`, none},
		{"wrong case", `{"Transactions":[` + good + `]}`, none},
		{"atomic null", `{"transactions":[` + good + `],"atomic":null}`, none},
		{"atomic a number", `{"transactions":[` + good + `],"atomic":1}`, none},
		{"atomic a string", `{"transactions":[` + good + `],"atomic":"true"}`, none},
		{"trailing data", batch(false, good) + "x", none},
		{"null item", batch(false, good, "null"), 1},
		{"number for an item", batch(false, "1", good), 0},
		{"empty item", batch(false, good, good, "{}"), 2},
		{"missing amount", batch(false, good, fmt.Sprintf(`{"receiver":%q}`, a.id)), 1},
		{"missing receiver", batch(false, good, `{"amount":1}`), 1},
		{"unknown member of an item", batch(false, good, fmt.Sprintf(`{"receiver":%q,"amount":1,"x":1}`, a.id)), 1},
		{"sender in an item", batch(false, fmt.Sprintf(`{"sender":%q,"receiver":%q,"amount":1}`, own.id, a.id)), 0},
		{"duplicate member of an item", batch(false, good, fmt.Sprintf(`{"receiver":%q,"amount":1,"amount":1}`, a.id)), 1},
		{"wrong case in an item", batch(false, good, fmt.Sprintf(`{"receiver":%q,"Amount":1}`, a.id)), 1},
		{"float", batch(false, good, fmt.Sprintf(`{"receiver":%q,"amount":1.0}`, a.id)), 1},
		{"string amount", batch(false, good, fmt.Sprintf(`{"receiver":%q,"amount":"1"}`, a.id)), 1},
		{"over int64", batch(false, good, fmt.Sprintf(`{"receiver":%q,"amount":9223372036854775808}`, a.id)), 1},
		{"receiver no id", batch(false, good, item("x", 1, "")), 1},
		{"null key", batch(false, good, keyed("null")), 1},
		{"empty key", batch(false, good, keyed(`""`)), 1},
		{"number for a key", batch(false, good, keyed("17")), 1},
		{"key with a space", batch(false, good, keyed(`"a b"`)), 1},
		{"key with quotes", batch(false, good, keyed(`"\"a\""`)), 1},
		{"key with a backslash", batch(false, good, keyed(`"a\\b"`)), 1},
		{"key not ASCII", batch(false, good, keyed(`"é"`)), 1},
		{"long key", batch(false, good, keyed(`"`+strings.Repeat("k", 256)+`"`)), 1},
		{"too many", batch(false, many(good, 1001)...), none},
	} {
		for _, atomic := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/atomic=%t", tt.name, atomic), func(t *testing.T) {
				w.pub.t = t
				body := tt.body
				if atomic {
					body = strings.Replace(body, `"atomic":false`, `"atomic":true`, 1)
				}
				p := w.pub.post(own.path("/transactions"), own.token, body).wants(400, "bad_request")
				switch {
				case tt.index == none && p.Index != nil:
					t.Errorf("got index %d, want none", *p.Index)
				case tt.index != none && (p.Index == nil || *p.Index != tt.index):
					t.Errorf("got index %v, want %d", p.Index, tt.index)
				}
			})
		}
	}
	w.pub.t = t
	w.pub.do(call{method: "POST", path: own.path("/transactions"), token: own.token, body: batch(false, good),
		header: http.Header{"Idempotency-Key": {"k"}}}).wants(400, "bad_request")
	w.tru.do(call{method: "POST", path: "/transactions",
		body:   fmt.Sprintf(`{"transactions":[{"sender":%q,"receiver":%q,"amount":1}]}`, own.id, a.id),
		header: http.Header{"Idempotency-Key": {"k"}}}).wants(400, "bad_request")
	if got := w.funds(own); got != 1000 {
		t.Errorf("funds are %d, want 1000", got)
	}
	got := into[batchJSON](w.pub.post(own.path("/transactions"), own.token, batch(false, many(good, 1000)...)))
	if len(got.Transactions) != 1000 || got.Transactions[999].SenderAccountFunds != 0 {
		t.Errorf("a batch of 1000: got %d results, the last %+v", len(got.Transactions), got.Transactions[len(got.Transactions)-1])
	}
}

// many repeats an item.
func many(item string, n int) []string {
	items := make([]string, n)
	for i := range items {
		items[i] = item
	}
	return items
}

// TestTrustedBatch checks the larger batches of the trusted side, where each
// item names its sender.
func TestTrustedBatch(t *testing.T) {
	w := newWorld(t, setup{})
	a, b := w.open(0), w.open(0)
	from := func(sender, receiver string, amount int) string {
		return fmt.Sprintf(`{"sender":%q,"receiver":%q,"amount":%d}`, sender, receiver, amount)
	}
	got := into[batchJSON](w.tru.post("/transactions", "", batch(false,
		from(seedID, a.id, 10), from(a.id, b.id, 10), from(a.id, b.id, 1), from(unknownID(), b.id, 1), from(b.id, seedID, 3))))
	if want := "ok:99990 ok:0 insufficient_funds sender_not_found ok:7"; codes(got) != want {
		t.Errorf("got %s, want %s", codes(got), want)
	}
	got = into[batchJSON](w.tru.post("/transactions", "", batch(true, many(from(seedID, a.id, 1), 10_000)...)))
	if len(got.Transactions) != 10_000 || w.funds(a) != 10_000 {
		t.Errorf("a batch of 10,000: got %d results, funds %d", len(got.Transactions), w.funds(a))
	}
	w.tru.post("/transactions", "", batch(false, many(from(seedID, a.id, 1), 10_001)...)).wants(400, "bad_request")
	p := w.tru.post("/transactions", "", batch(false, append(many(from(seedID, a.id, 1), 9_999), from(seedID, "x", 1))...)).wants(400, "bad_request")
	if p.Index == nil || *p.Index != 9_999 {
		t.Errorf("got index %v, want 9999", p.Index)
	}
}
