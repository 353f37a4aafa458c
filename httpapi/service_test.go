package httpapi_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
)

// TestIndex checks the page for people.
func TestIndex(t *testing.T) {
	w := newWorld(t, setup{})
	got := w.pub.get("/", "").ok()
	if ct := got.header.Get("Content-Type"); ct != "text/html; charset=utf-8" {
		t.Errorf("got Content-Type %q", ct)
	}
	links := regexp.MustCompile(`href="([^"]+)"`).FindAllSubmatch(got.body, -1)
	if !bytes.Contains(got.body, []byte("CapyCoin")) || len(links) == 0 {
		t.Errorf("got %s, want a page with links", got.body)
	}
	for _, link := range links {
		base, _ := url.Parse(got.url)
		to, err := base.Parse(string(link[1]))
		if err != nil {
			t.Errorf("link %s: %v", link[1], err)
		} else if to.Host == base.Host {
			w.pub.get(to.Path, "").ok()
		}
	}
}

// TestService checks the routes about the server itself.
func TestService(t *testing.T) {
	w := newWorld(t, setup{})
	want, err := os.ReadFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if got := w.pub.get("/openapi.yaml", "").ok(); !bytes.Equal(got.body, want) {
		t.Error("/openapi.yaml is not openapi.yaml")
	}
	w.pub.get("/healthz", "").ok()
	w.pub.get("/readyz", "").ok()
}

// TestSupply checks the numbers against what was done.
func TestSupply(t *testing.T) {
	w := newWorld(t, setup{ledger: capycoin.Options{Supply: capycoin.MaxSupply}})
	own, other := w.open(1000), w.open(0)
	w.pay(own, other, 10).ok()
	w.pub.post(own.path("/transaction"), own.token, transferBody(seedID, 90)).ok()
	r := w.pub.get("/supply", "").ok()
	got := into[supplyJSON](r)
	if _, err := uuid.Parse(got.LedgerID); err != nil {
		t.Errorf("ledger_id: %v", err)
	}
	want := supplyJSON{got.LedgerID, 1<<53 - 1, 1<<53 - 1 - 910, 910, 3, 3}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if !strings.Contains(string(r.body), `9007199254740991`) {
		t.Errorf("got %s, want the supply in digits", r.body)
	}
	if same := w.tru.get("/supply", "").ok(); !bytes.Equal(same.body, r.body) {
		t.Errorf("the trusted side has %s, the public one %s", same.body, r.body)
	}
	w.reopen()
	if again := into[supplyJSON](w.pub.get("/supply", "")); again != want {
		t.Errorf("after reopening got %+v, want %+v", again, want)
	}
}

// TestAudit reads the lines of an audit.
func TestAudit(t *testing.T) {
	w := newWorld(t, setup{})
	own, other := w.open(1000), w.open(0)
	w.pay(own, other, 10).ok()
	got := w.tru.post("/audit", "", "").ok()
	lines := bytes.Split(bytes.TrimRight(got.body, "\n"), []byte("\n"))
	for _, line := range lines {
		var v map[string]any
		if err := json.Unmarshal(line, &v); err != nil {
			t.Errorf("line %s: %v", line, err)
		}
		if bytes.Contains(line, []byte("fault")) && bytes.Contains(line, []byte("detail")) {
			t.Errorf("a fault in good books: %s", line)
		}
	}
	if last := string(lines[len(lines)-1]); !strings.Contains(last, "100000") {
		t.Errorf("the last line is %s, want a report with the supply", last)
	}
}

// TestMetrics checks that what happened is counted.
func TestMetrics(t *testing.T) {
	w := newWorld(t, setup{})
	own, other := w.open(1000), w.open(0)
	w.pay(own, other, 10).ok()
	w.pay(own, other, 0).wants(422, "amount_is_zero")
	got := w.tru.get("/metrics", "").ok()
	if ct := got.header.Get("Content-Type"); !strings.HasPrefix(ct, "text/plain") {
		t.Errorf("got Content-Type %q", ct)
	}
	for _, want := range []string{"amount_is_zero", `/account/{account_id}/transaction`, "capycoin_"} {
		if !strings.Contains(string(got.body), want) {
			t.Errorf("the metrics do not have %q", want)
		}
	}
	for _, never := range []string{own.id, own.token, strings.ToLower(own.token)} {
		if strings.Contains(string(got.body), never) {
			t.Errorf("the metrics have %.40q", never)
		}
	}
}

// TestProfiles asks for the profiles.
func TestProfiles(t *testing.T) {
	w := newWorld(t, setup{})
	w.tru.get("/debug/pprof/", "").ok()
	w.tru.get("/debug/pprof/goroutine", "").ok()
	w.tru.get("/debug/pprof/cmdline", "").ok()
	w.pub.get("/debug/pprof/", "").wants(http.StatusNotFound, "not_found")
	w.pub.get("/debug/pprof/goroutine", "").wants(http.StatusNotFound, "not_found")
	w.pub.get("/metrics", "").wants(http.StatusNotFound, "not_found")
}

// TestMounted checks that both handlers work under a path of someone else's
// server: routes, links, pages.
func TestMounted(t *testing.T) {
	w := newWorld(t, setup{prefix: "/coins/v1"})
	own, other := w.open(1000), w.open(0)
	for range 4 {
		w.pay(own, other, 10).ok()
	}
	if got := w.pages(own, url.Values{"limit": {"2"}, "order": {"desc"}}, true); len(got) != 5 {
		t.Errorf("got %d transactions, want 5", len(got))
	}
	index := w.pub.get("/", "").ok()
	for _, link := range regexp.MustCompile(`href="([^"]+)"`).FindAllStringSubmatch(string(index.body), -1) {
		base, _ := url.Parse(index.url)
		if to, err := base.Parse(link[1]); err != nil || to.Host == base.Host && !strings.HasPrefix(to.Path, "/coins/v1/") {
			t.Errorf("link %s leads out of the mount", link[1])
		}
	}
	w.pub.get("/nope", "").wants(404, "not_found")
	w.pub.delete("/supply", "").wants(405, "method_not_allowed")
	w.pub.get(own.path(""), "").wants(401, "token_required")
	w.tru.get("/accounts?limit=1", "").ok()
	w.tru.post("/transaction", "", `{"sender":"`+seedID+`","receiver":"`+own.id+`","amount":1}`).ok()
}
