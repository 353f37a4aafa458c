package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

// TestNothingTrustedOnTCP asks the public server for each route of the trusted
// side alone in every disguise: other spellings of the path, absolute targets,
// other methods, hosts, and headers by which proxies and frameworks let a
// request be another. None is answered as if it were the route, and nothing is
// written.
func TestNothingTrustedOnTCP(t *testing.T) {
	a := newTarget(t, "tcp", nil)
	defer a.close()
	public := routes(t, "public")
	disguised := 0
	position := a.led.Stats().Position
	for _, route := range routes(t, "trusted") {
		if slices.Contains(public, route) {
			continue
		}
		method, path, _ := strings.Cut(route, " ")
		path = strings.NewReplacer("{transaction_id}", uuid.NewString(), "{profile}", "heap").Replace(path)
		body := ""
		if method == "POST" && path != "/audit" {
			body = fmt.Sprintf(`{"sender":%q,"receiver":%q,"amount":1}`, a.other.ID, a.own.ID)
			if path == "/transactions" {
				body = `{"transactions":[` + body + `]}`
			}
		}
		// ask returns the status of the answer.
		ask := func(line string, headers ...string) int {
			t.Helper()
			disguised++
			head := line + " HTTP/1.1\r\n" + strings.Join(headers, "\r\n")
			if !strings.Contains(head, "Host:") {
				head += "\r\nHost: x"
			}
			head = strings.ReplaceAll(head, "\r\n\r\n", "\r\n")
			got, err := a.public.attack(fmt.Appendf(nil, "%s\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", head, len(body), body), 0, time.Second)
			if err != nil || len(got) != 1 {
				t.Fatalf("%.200q: %d answers, %v", head, len(got), err)
			}
			return got[0].StatusCode
		}
		refused := func(line string, headers ...string) {
			t.Helper()
			if status := ask(line, headers...); status < 400 {
				t.Errorf("%s %.100q: got %d", line, headers, status)
			}
		}
		bearer := "Authorization: Bearer " + a.own.Token
		for _, p := range []string{path, "/" + path, "/." + path, "//." + path, "/x/.." + path, "/supply/.." + path, "/account/.." + path, "/account/" + a.own.ID + "/.." + path,
			"/account/" + a.own.ID + "/..%2f.." + path, "/%2e" + path, "/%2e%2e" + path, "/x/%2e%2e" + path, "/%2f" + path, "/" + strings.ReplaceAll(path[1:], "/", "%2f"), "/%2F" + path[1:],
			strings.ToUpper(path), path + "/", path + "/.", path + "//", path + ";x", path + ";/../supply", path + "%00", path + "%20", path + "%23", path + "%3f", path + "?x", path + "#x", path + ".json",
			"http://capycoind" + path, "http://localhost" + path, "https://x:8000" + path, "unix://" + path, "file://" + path, "//capycoind" + path, "http://capycoind//" + path,
			"/" + fmt.Sprintf("%%%02x", path[1]) + path[2:], "/socket" + path, "/trusted" + path, "/..;" + path, "/\\.." + path, "/%5c.." + path, "/%c0%ae%c0%ae" + path, "/%252e%252e" + path} {
			refused(method + " " + p)
			refused(method+" "+p, bearer)
		}
		for _, m := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", strings.ToLower(method)} {
			refused(m + " " + path)
		}
		for _, h := range []string{"Host: localhost", "Host: capycoind", "Host: 127.0.0.1", "Host: [::1]", "Host: capycoin.db.sock", "Host:", "X-Forwarded-For: 127.0.0.1", "X-Real-IP: 127.0.0.1",
			"Forwarded: for=127.0.0.1;host=capycoind;proto=unix", "X-Forwarded-Host: capycoind", "X-Peer: uid=0 pid=1", "Connection: X-Peer", "Authorization: Basic cm9vdDo=", "X-Original-URL: /supply"} {
			refused(method+" "+path, h)
		}
		// The other way round: a public route that is to be the trusted one.
		for _, h := range []string{"X-HTTP-Method-Override: " + method, "X-HTTP-Method: " + method, "X-Method-Override: " + method, "X-Original-URL: " + path, "X-Rewrite-URL: " + path,
			"X-Forwarded-Prefix: " + path, "X-Forwarded-Uri: " + path, "X-Original-Method: " + method} {
			if status := ask("GET /supply", h); status != http.StatusOK {
				t.Errorf("GET /supply with %s: got %d, want 200", h, status)
			}
			if status := ask("POST /supply", h); status != http.StatusMethodNotAllowed {
				t.Errorf("POST /supply with %s: got %d, want 405", h, status)
			}
		}
	}
	if disguised < 500 {
		t.Errorf("%d requests were made, want more", disguised)
	}
	if got := a.led.Stats().Position; got != position {
		t.Errorf("%d records were written", got-position)
	}
	if err := a.unharmed(); err != nil {
		t.Error(err)
	}
}
