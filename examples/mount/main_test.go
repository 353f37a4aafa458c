package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
)

// newTestSite serves the site on a new ledger.
func newTestSite(t *testing.T) (*httptest.Server, *capycoin.Ledger) {
	t.Helper()
	led, err := capycoin.Open(filepath.Join(t.TempDir(), "coins.db"), nil)
	if err != nil {
		t.Fatal(err)
	}
	site, err := newSite(led)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(site)
	t.Cleanup(func() {
		srv.Close()
		if err := led.Close(); err != nil {
			t.Error(err)
		}
	})
	return srv, led
}

// do sends a request and returns the answer with its body.
func do(t *testing.T, method, url, token, body string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(text)
}

// signUp opens an account through the API.
func signUp(t *testing.T, base string) (id, token string) {
	t.Helper()
	resp, text := do(t, "POST", base+"/account", "", "")
	var acct struct {
		ID    string `json:"account_id"`
		Token string `json:"token"`
	}
	if err := json.Unmarshal([]byte(text), &acct); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("sign-up: %s %s %v", resp.Status, text, err)
	}
	return acct.ID, acct.Token
}

// TestAPIUnderPrefix: a payment through the mounted API, a page of the history
// whose link leads on to the next one, and the site's own page beside it.
func TestAPIUnderPrefix(t *testing.T) {
	srv, led := newTestSite(t)
	base := srv.URL + "/coins"
	alice, token := signUp(t, base)
	bob, _ := signUp(t, base)
	if _, err := led.Transfer(t.Context(), capycoin.Transfer{Sender: capycoin.DefaultSeedAccount(), Receiver: uuid.MustParse(alice), Amount: 10}); err != nil {
		t.Fatal(err)
	}
	resp, text := do(t, "POST", base+"/account/"+alice+"/transaction", token, `{"receiver": "`+bob+`", "amount": 4}`)
	if resp.StatusCode != http.StatusOK || !strings.Contains(text, `"sender_account_funds":6`) {
		t.Errorf("payment: got %s %s, want 200 and 6 coins left", resp.Status, text)
	}

	resp, text = do(t, "GET", base+"/account/"+alice+"/transactions?limit=1", token, "")
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("history: got %s %s", resp.Status, text)
	}
	target, rel, _ := strings.Cut(strings.TrimPrefix(resp.Header.Get("Link"), "<"), ">")
	next, err := resp.Request.URL.Parse(target)
	if err != nil || rel != `; rel="next"` {
		t.Fatalf("Link is %q: %v", resp.Header.Get("Link"), err)
	}
	resp, text = do(t, "GET", next.String(), token, "")
	if resp.StatusCode != http.StatusOK || !strings.Contains(text, `"funds_after":6`) {
		t.Errorf("the next page, %s: got %s %s, want the payment", next, resp.Status, text)
	}

	if _, text := do(t, "GET", srv.URL+"/", "", ""); text != "Welcome! 10 of 100000 coins are in circulation.\n" {
		t.Errorf("the site's page says %q", text)
	}
}

// TestSignUpLimit: the middleware stands before the API, and only before
// sign-ups.
func TestSignUpLimit(t *testing.T) {
	now := time.Now()
	limit := &signUpLimit{most: 2, window: time.Hour, clock: func() time.Time { return now }}
	passed := 0
	site := limit.middleware(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { passed++ }))
	tests := []struct {
		remote, method, path string
		after                time.Duration
		status               int
	}{
		{"192.0.2.1:1000", "POST", "/coins/account", 0, 200},
		{"192.0.2.1:1001", "POST", "/coins/account", 0, 200},
		{"192.0.2.1:1002", "POST", "/coins/account", 0, 429},
		{"192.0.2.2:1000", "POST", "/coins/account", 0, 200},
		{"192.0.2.1:1003", "GET", "/coins/supply", 0, 200},
		{"192.0.2.1:1004", "POST", "/coins/account", time.Hour - 1, 429},
		{"192.0.2.1:1005", "POST", "/coins/account", 1, 200},
	}
	want := 0
	for i, tt := range tests {
		now = now.Add(tt.after)
		r := httptest.NewRequest(tt.method, tt.path, nil)
		r.RemoteAddr = tt.remote
		w := httptest.NewRecorder()
		site.ServeHTTP(w, r)
		if w.Code != tt.status {
			t.Errorf("request %d, %s %s from %s: status %d, want %d", i, tt.method, tt.path, tt.remote, w.Code, tt.status)
		}
		if tt.status == 200 {
			want++
		}
	}
	if passed != want {
		t.Errorf("%d requests reached the API, want %d", passed, want)
	}
}
