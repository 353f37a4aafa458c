package httpapi_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/httpapi"
)

type inviteJSON struct {
	InviteID     string `json:"invite_id"`
	Invite       string
	InviteExpiry string `json:"invite_expiry"`
	Created      string
	Label        string
}

func (w *world) invite(body string) inviteJSON {
	w.t.Helper()
	return into[inviteJSON](w.tru.post("/invite", "", body))
}

func inviteBody(code string) string { return fmt.Sprintf(`{"invite":%q}`, code) }

// TestSignUpPolicies asks for accounts with and without an invite under each
// policy. The trusted side opens them whatever it is.
func TestSignUpPolicies(t *testing.T) {
	for _, tt := range []struct {
		policy            httpapi.SignUp
		without, with     int
		codeWithout, code string
	}{
		{httpapi.SignUpOpen, 200, 400, "", "bad_request"},
		{httpapi.SignUpInvite, 403, 200, "invite_required", ""},
		{httpapi.SignUpClosed, 403, 403, "signup_closed", "signup_closed"},
	} {
		w := newWorld(t, setup{signUp: tt.policy})
		check := func(got reply, status int, code string) {
			t.Helper()
			if status == 200 {
				got.ok()
			} else {
				got.wants(status, code)
			}
		}
		inv := w.invite("")
		for _, body := range []string{"", "{}"} {
			check(w.pub.post("/account", "", body), tt.without, tt.codeWithout)
			w.tru.post("/account", "", body).ok()
			w.tru.post("/account", "", `{"token":true}`).ok()
		}
		check(w.pub.post("/account", "", inviteBody(inv.Invite)), tt.with, tt.code)
		w.tru.post("/account", "", inviteBody(inv.Invite)).wants(400, "bad_request")
		w.pub.post("/account", newToken(), "").wants(400, "bad_request")
		left := len(into[struct{ Invites []inviteJSON }](w.tru.get("/invites", "")).Invites)
		if used := left == 0; used != (tt.with == 200) {
			t.Errorf("policy %d: %d invites are left", tt.policy, left)
		}
	}
}

// TestInvitesOverHTTP makes invites, uses, lists and revokes them. Whatever is
// wrong with one that is presented, the answer is the same to the byte, and no
// bcrypt runs.
func TestInvitesOverHTTP(t *testing.T) {
	w := newWorld(t, setup{signUp: httpapi.SignUpInvite})
	ann := w.invite(`{"label":"Ann"}`)
	if ann.Label != "Ann" || ann.InviteExpiry != wireTime(startTime.Add(30*24*time.Hour)) {
		t.Errorf("got %+v", ann)
	}
	soon := wireTime(startTime.Add(time.Hour))
	short := w.invite(`{"expires":"` + soon + `"}`)
	gone := w.invite("{}")
	var rest []inviteJSON
	for range 3 {
		rest = append(rest, w.invite(""))
	}
	w.tru.delete("/invite/"+gone.InviteID, "").ok()
	w.tru.delete("/invite/"+gone.InviteID, "").wants(404, "invite_not_found")
	w.tru.delete("/invite/"+unknownID(), "").wants(404, "invite_not_found")
	w.tru.delete("/invite/capybara", "").wants(400, "bad_request")

	opened := into[struct {
		AccountID string `json:"account_id"`
		tokenJSON
	}](w.pub.post("/account", "", inviteBody(strings.ToLower(ann.Invite))))
	w.pub.get("/account/"+opened.AccountID, opened.Token).ok()
	w.tru.delete("/invite/"+ann.InviteID, "").wants(404, "invite_not_found")
	if log := strings.ToUpper(logged()); !strings.Contains(log, strings.ToUpper(ann.InviteID)) || strings.Contains(log, ann.Invite) {
		t.Errorf("the log has no line with the invite's id, or one with its code")
	}

	w.clock.Advance(time.Hour)
	before := w.iss.Stats().HashRuns
	var first *reply
	for name, code := range map[string]string{
		"used": ann.Invite, "expired": short.Invite, "revoked": gone.Invite, "unknown": strings.Repeat("A", 26), "empty": "",
		"short": rest[0].Invite[:25], "long": rest[0].Invite + "A", "not base32": strings.Repeat("!", 26), "very long": strings.Repeat("A", 60_000),
	} {
		got := w.pub.post("/account", "", inviteBody(code))
		got.wants(403, "invalid_invite")
		if first == nil {
			first = &got
		}
		if string(got.body) != string(first.body) || stableHeader(got.header) != stableHeader(first.header) {
			t.Errorf("%s: got %s %s, another one got %s %s", name, got.body, stableHeader(got.header), first.body, stableHeader(first.header))
		}
	}
	if got := w.iss.Stats().HashRuns; got != before {
		t.Errorf("bcrypt ran %d times", got-before)
	}
	for _, body := range []string{`{"invite":null}`, `{"invite":1}`, `{"Invite":"A"}`, `{"invite":"A","invite":"A"}`, `{"code":"A"}`, `{"invite":"` + "\xff" + `"}`} {
		w.pub.post("/account", "", body).wants(400, "bad_request")
	}
	for _, body := range []string{
		`{"label":"` + strings.Repeat("x", 65) + `"}`, `{"expires":"` + wireTime(w.clock.Now()) + `"}`, `{"expires":"0001-01-01T00:00:00Z"}`,
		`{"expires":"` + wireTime(w.clock.Now().Add(365*24*time.Hour+time.Microsecond)) + `"}`, `{"life":1}`, `{"expires":"tomorrow"}`,
	} {
		w.tru.post("/invite", "", body).wants(400, "bad_request")
	}

	for _, limit := range []string{"1", "2", "3", "1000"} {
		var got []inviteJSON
		for path := "/invites?limit=" + limit; path != ""; {
			r := w.tru.get(path, "")
			page := into[struct {
				Invites    []inviteJSON
				NextCursor *string `json:"next_cursor"`
			}](r)
			got, path = append(got, page.Invites...), ""
			if page.NextCursor != nil {
				path = "/invites?limit=" + limit + "&cursor=" + url.QueryEscape(*page.NextCursor)
			}
			if (nextPath(t, r) == "") != (path == "") {
				t.Errorf("%v: Link leads to %q, next_cursor to %q", r, nextPath(t, r), path)
			}
		}
		if len(got) != len(rest) {
			t.Errorf("limit %s: got %d invites, want %d", limit, len(got), len(rest))
		}
		for i, inv := range got {
			if inv.InviteID != rest[i].InviteID || inv.InviteExpiry != rest[i].InviteExpiry || inv.Created != wireTime(startTime) || inv.Invite != "" {
				t.Errorf("limit %s: got %+v, want %+v", limit, inv, rest[i])
			}
		}
	}
	w.tru.get("/invites?cursor=capybara", "").wants(400, "bad_request")
	w.reopen()
	w.pub.post("/account", "", inviteBody(ann.Invite)).wants(403, "invalid_invite")
	w.pub.post("/account", "", inviteBody(rest[0].Invite)).ok()
	w.pub.post("/account", "", inviteBody(rest[0].Invite)).wants(403, "invalid_invite")
}

// signUpFrom asks for an account as a client at an address.
func (w *world) signUpFrom(addr, body string) (status int, retryAfter string) {
	r := httptest.NewRequest("POST", "/account", strings.NewReader(body))
	r.RemoteAddr = addr
	rec := httptest.NewRecorder()
	w.api.Public().ServeHTTP(rec, r)
	return rec.Code, rec.Header().Get("Retry-After")
}

func (w *world) wantSignUps(addr string, n int, retryAfter string) {
	w.t.Helper()
	for i := range n {
		if status, _ := w.signUpFrom(addr, ""); status != 200 {
			w.t.Errorf("sign-up %d from %s: got status %d", i+1, addr, status)
		}
	}
	if status, got := w.signUpFrom(addr, ""); status != 429 || got != retryAfter {
		w.t.Errorf("after %d sign-ups from %s: got status %d, Retry-After %q, want 429 and %q", n, addr, status, got, retryAfter)
	}
}

// TestSignUpLimits asks for too many accounts from one address, and from all.
func TestSignUpLimits(t *testing.T) {
	w := newWorld(t, setup{address: 6, total: 20})
	const tenth = 10 * time.Second // 6 a minute
	w.wantSignUps("192.0.2.1:1000", 6, "10")
	w.wantSignUps("[::ffff:192.0.2.1]:1001", 0, "10")
	// What is refused costs nothing, and is not held against anybody.
	before := w.iss.Stats().HashRuns
	for range 200 {
		w.signUpFrom("192.0.2.1:1000", `{"not":"looked at`)
	}
	if got := w.iss.Stats().HashRuns; got != before {
		t.Errorf("bcrypt ran %d times", got-before)
	}
	w.clock.Advance(tenth - time.Millisecond)
	w.wantSignUps("192.0.2.1:1000", 0, "1")
	w.clock.Advance(time.Millisecond)
	w.wantSignUps("192.0.2.1:1000", 1, "10")
	// A network of IPv6 is one client; what is not in form counts, too. By now
	// there is room for 13 and what ten seconds have brought.
	for i := range 6 {
		if status, _ := w.signUpFrom(fmt.Sprintf("[2001:db8::%d]:99", i), `{"invite":`); status != 400 {
			t.Errorf("got status %d, want 400", status)
		}
	}
	w.wantSignUps("[2001:db8:0:0:ffff::1]:99", 0, "10")
	w.wantSignUps("[2001:db8:0:1::1]:99", 6, "10")
	// All are more than 20 by now, but for 20/6 of ten seconds.
	w.wantSignUps("198.51.100.7:1", 4, "2")
	w.wantSignUps("198.51.100.8:1", 0, "2")
	w.clock.Advance(1999 * time.Millisecond)
	w.wantSignUps("198.51.100.8:1", 0, "1")
	w.clock.Advance(time.Millisecond)
	w.wantSignUps("198.51.100.8:1", 1, "3")
	w.clock.Advance(time.Minute)
	w.wantSignUps("198.51.100.8:1", 6, "10")
	// The trusted side has no such limit, and it is of sign-up alone.
	for range 30 {
		w.tru.post("/account", "", "").ok()
		w.pub.get("/supply", "").ok()
	}
	for range 7 {
		w.pub.post("/account", "", "")
	}
	w.pub.post("/account", "", "").wants(429, "too_many_requests")
	if got := string(w.tru.get("/metrics", "").ok().body); !strings.Contains(got, `capycoin_declines_total{code="too_many_requests"} `) {
		t.Error("the metrics do not count them")
	}
}

// TestSignUpLimitsOff: below zero there is none, and nothing is remembered.
func TestSignUpLimitsOff(t *testing.T) {
	w := newWorld(t, setup{})
	for range 100 {
		if wait := w.api.TakeSignUp(&http.Request{RemoteAddr: "192.0.2.1:1"}); wait != 0 {
			t.Fatalf("got a wait of %s", wait)
		}
	}
	if n := w.api.SignUpAddresses(); n != 0 {
		t.Errorf("%d addresses are remembered", n)
	}
}

// TestSignUpManyAddresses asks from more addresses than are remembered: memory
// is bounded, and the total holds.
func TestSignUpManyAddresses(t *testing.T) {
	w := newWorld(t, setup{address: 2, total: 500})
	taken := 0
	for i := range 200_000 {
		addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 9)
		if w.api.TakeSignUp(&http.Request{RemoteAddr: addr.String()}) == 0 {
			taken++
		}
	}
	if n := w.api.SignUpAddresses(); taken != 500 || n > 1<<16 {
		t.Errorf("%d were let in, want 500; %d addresses are remembered, want at most %d", taken, n, 1<<16)
	}
}

// TestSignUpClient finds out who asks, by way of proxies that are named or not.
func TestSignUpClient(t *testing.T) {
	w := newWorld(t, setup{proxies: []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8"), netip.MustParsePrefix("127.0.0.1/32")}})
	for _, tt := range []struct {
		remote string
		hops   []string
		want   string
	}{
		{"192.0.2.1:5", nil, "192.0.2.1/32"},
		{"[::ffff:192.0.2.1]:5", nil, "192.0.2.1/32"},
		{"[2001:db8:1:2:3::4]:5", nil, "2001:db8:1:2::/64"},
		{"[fe80::1%eth0]:5", nil, "fe80::/64"},
		{"@", nil, "none"},
		{"", []string{"192.0.2.9"}, "none"},
		// Who is not named is not believed.
		{"192.0.2.1:5", []string{"198.51.100.1"}, "192.0.2.1/32"},
		{"127.0.0.2:5", []string{"198.51.100.1"}, "127.0.0.2/32"},
		// Who is, is.
		{"10.1.2.3:5", nil, "10.1.2.3/32"},
		{"10.1.2.3:5", []string{""}, "10.1.2.3/32"},
		{"10.1.2.3:5", []string{"198.51.100.1"}, "198.51.100.1/32"},
		{"[::ffff:10.1.2.3]:5", []string{"::ffff:198.51.100.1"}, "198.51.100.1/32"},
		{"[fd00::1]:5", []string{"2001:db8:9:9:9::1"}, "2001:db8:9:9::/64"},
		{"127.0.0.1:5", []string{"198.51.100.1:4711"}, "198.51.100.1/32"},
		{"127.0.0.1:5", []string{"[2001:db8::1]:4711"}, "2001:db8::/64"},
		{"127.0.0.1:5", []string{"[2001:db8::1]"}, "2001:db8::/64"},
		// What the client itself wrote before it does not count,
		{"127.0.0.1:5", []string{"1.1.1.1, 198.51.100.1"}, "198.51.100.1/32"},
		{"127.0.0.1:5", []string{"1.1.1.1", "2.2.2.2,198.51.100.1"}, "198.51.100.1/32"},
		{"127.0.0.1:5", []string{"10.9.9.9, 198.51.100.1"}, "198.51.100.1/32"},
		// through any number of named proxies,
		{"127.0.0.1:5", []string{"1.1.1.1, 198.51.100.1, 10.0.0.7 ,fd00::2"}, "198.51.100.1/32"},
		{"127.0.0.1:5", []string{"10.0.0.8,10.0.0.7"}, "10.0.0.8/32"},
		// nor does what is no address.
		{"127.0.0.1:5", []string{"198.51.100.1, unknown"}, "127.0.0.1/32"},
		{"127.0.0.1:5", []string{"198.51.100.1,"}, "127.0.0.1/32"},
		{"127.0.0.1:5", []string{"198.51.100.1, _hidden, 10.0.0.7"}, "10.0.0.7/32"},
		{"127.0.0.1:5", []string{strings.Repeat("10.0.0.1,", 3000) + "10.0.0.2"}, "10.0.0.1/32"},
	} {
		r := &http.Request{RemoteAddr: tt.remote, Header: http.Header{"X-Forwarded-For": tt.hops}}
		if got := w.api.SignUpClient(r); got != tt.want {
			t.Errorf("%s, forwarded for %.100q: got %s, want %s", tt.remote, tt.hops, got, tt.want)
		}
	}
}

func TestSignUpOptions(t *testing.T) {
	w := newWorld(t, setup{})
	for field, o := range map[string]httpapi.Options{
		"SignUp":            {SignUp: 3},
		"SignUpsPerAddress": {SignUpsPerAddress: 1_000_001},
		"SignUpsTotal":      {SignUpsTotal: 1_000_001},
		"TokensPerAccount":  {TokensPerAccount: 1_000_001},
		"Window":            {Stipend: capycoin.StipendRules{Window: 366}},
		"Cap":               {Stipend: capycoin.StipendRules{Cap: 100_001}},
		"TrustedProxies":    {TrustedProxies: []netip.Prefix{netip.MustParsePrefix("::ffff:10.0.0.0/104")}},
	} {
		_, err := httpapi.New(w.led, w.iss, &o)
		if bad := (*capycoin.OptionError)(nil); !errors.As(err, &bad) || bad.Field != field {
			t.Errorf("%s: got error %v", field, err)
		}
	}
	if _, err := httpapi.New(w.led, w.iss, &httpapi.Options{TrustedProxies: []netip.Prefix{{}}}); !errors.Is(err, capycoin.ErrBadOption) {
		t.Errorf("a zero network: got error %v", err)
	}
	// The defaults.
	api, err := httpapi.New(w.led, w.iss, nil)
	if err != nil {
		t.Fatal(err)
	}
	taken := 0
	for range 100 {
		if api.TakeSignUp(&http.Request{RemoteAddr: "192.0.2.1:1"}) == 0 {
			taken++
		}
	}
	for i := range 1000 {
		if api.TakeSignUp(&http.Request{RemoteAddr: fmt.Sprintf("10.0.%d.%d:1", i/250, i%250)}) == 0 {
			taken++
		}
	}
	if taken < 600 || taken > 605 { // time goes on
		t.Errorf("%d were let in, want 600", taken)
	}
}
