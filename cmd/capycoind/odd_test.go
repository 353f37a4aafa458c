package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
)

// funds returns what an account has.
func (a *target) funds(h holder) capycoin.Coins {
	a.t.Helper()
	acct, err := a.led.Account(a.t.Context(), uuid.MustParse(h.ID))
	if err != nil {
		a.t.Fatal(err)
	}
	return acct.Funds
}

// statuses lists the statuses of answers.
func statuses(answers []*http.Response) (all []int) {
	for _, r := range answers {
		all = append(all, r.StatusCode)
	}
	return all
}

// TestOddRequests sends what clients rarely send and attackers like to: each is
// answered as it should be, moves no coin that it should not, and leaves the
// connection in step or closed. What follows on it is a request of its own, or
// nobody's.
func TestOddRequests(t *testing.T) {
	a := newTarget(t, "tcp", nil)
	defer a.close()
	// A transfer of the attacker's, and one that is hidden in another's body.
	body := fmt.Sprintf(`{"receiver":%q,"amount":1}`, a.other.ID)
	head := "POST /account/" + a.own.ID + "/transaction HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + a.own.Token + "\r\n"
	length := fmt.Sprintf("Content-Length: %d\r\n", len(body))
	chunk := func(size string) string { return size + "\r\n" + body + "\r\n0\r\n\r\n" }
	size := fmt.Sprintf("%x", len(body))
	hidden := head + length + "\r\n" + body
	old := strings.Replace(head, "HTTP/1.1\r\nHost: x", "HTTP/1.0", 1)
	get := "GET /supply HTTP/1.1\r\nHost: x\r\n"
	for _, tt := range []struct {
		name  string
		bytes string
		want  []int
		moved capycoin.Coins
		stays bool // the connection is good for another request
	}{
		{"a transfer", hidden, []int{200}, 1, true},
		{"pipelined", hidden + hidden + get + "\r\n", []int{200, 200, 200}, 2, true},
		{"a thousand pipelined", strings.Repeat(get+"\r\n", 1000), slices.Repeat([]int{200}, 1000), 0, true},
		{"empty lines before", "\r\n\r\n" + get + "\r\n", []int{400}, 0, false},

		// Where a body ends.
		{"chunked", head + "Transfer-Encoding: chunked\r\n\r\n" + chunk(size), []int{200}, 1, false},
		{"chunked, then another", head + "Transfer-Encoding: chunked\r\n\r\n" + chunk(size) + hidden, []int{200}, 1, false},
		{"length and chunks", head + length + "Transfer-Encoding: chunked\r\n\r\n" + chunk(size), []int{200}, 1, false},
		{"length over what is chunked", head + fmt.Sprintf("Content-Length: %d\r\n", len(chunk(size)+hidden)) + "Transfer-Encoding: chunked\r\n\r\n" + chunk(size) + hidden, []int{200}, 1, false},
		{"length 0 and chunks", head + "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(size) + hidden, []int{200}, 1, false},
		{"no chunks and a length", head + fmt.Sprintf("Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 5+len(hidden)) + hidden, []int{400}, 0, false},
		{"two lengths", head + length + "Content-Length: 0\r\n\r\n" + body, []int{400}, 0, false},
		{"one length twice", head + length + length + "\r\n" + body, []int{200}, 1, true},
		{"a list of lengths", head + fmt.Sprintf("Content-Length: %d, %[1]d\r\n\r\n", len(body)) + body, []int{400}, 0, false},
		{"length with a plus", head + fmt.Sprintf("Content-Length: +%d\r\n\r\n", len(body)) + body, []int{400}, 0, false},
		{"negative length", head + "Content-Length: -1\r\n\r\n" + body, []int{400}, 0, false},
		{"length in hexadecimal", head + fmt.Sprintf("Content-Length: 0x%x\r\n\r\n", len(body)) + body, []int{400}, 0, false},
		{"length with a space in it", head + "Content-Length: 6 6\r\n\r\n" + body, []int{400}, 0, false},
		{"no length", head + "Content-Length:\r\n\r\n" + body, []int{400}, 0, false},
		{"length of 20 digits", head + "Content-Length: 99999999999999999999\r\n\r\n" + body, []int{400}, 0, false},
		{"the longest length", head + "Content-Length: 9223372036854775807\r\n\r\n" + body, []int{413}, 0, false},
		{"space before the colon", head + fmt.Sprintf("Content-Length : %d\r\n\r\n", len(body)) + body, []int{400}, 0, false},
		{"identity", head + length + "Transfer-Encoding: identity\r\n\r\n" + body, []int{501}, 0, false},
		{"chunked and identity", head + "Transfer-Encoding: chunked, identity\r\n\r\n" + chunk(size), []int{501}, 0, false},
		{"chunked twice", head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(size), []int{501}, 0, false},
		{"chunked, almost", head + "Transfer-Encoding: xchunked\r\n\r\n" + chunk(size), []int{501}, 0, false},
		{"chunked after a vertical tab", head + "Transfer-Encoding: \x0bchunked\r\n\r\n" + chunk(size), []int{400}, 0, false},
		{"chunked in capitals", head + "Transfer-Encoding: CHUNKED\r\n\r\n" + chunk(size), []int{200}, 1, false},
		{"space before the colon of chunked", head + length + "Transfer-Encoding : chunked\r\n\r\n" + body, []int{400}, 0, false},
		{"a chunk's size in no hexadecimal", head + "Transfer-Encoding: chunked\r\n\r\n" + chunk("zz"), []int{400}, 0, false},
		{"a chunk's size of 17 digits", head + "Transfer-Encoding: chunked\r\n\r\n" + chunk("00000000000000"+size+"0"), []int{400}, 0, false},
		{"a negative chunk", head + "Transfer-Encoding: chunked\r\n\r\n" + chunk("-"+size), []int{400}, 0, false},
		{"a chunk longer than its size", head + "Transfer-Encoding: chunked\r\n\r\n" + chunk("5"), []int{400}, 0, false},
		{"a chunk with a bare line feed", head + "Transfer-Encoding: chunked\r\n\r\n" + size + "\n" + body + "\r\n0\r\n\r\n", []int{400}, 0, false},
		{"an extension of a chunk", head + "Transfer-Encoding: chunked\r\n\r\n" + chunk(size+";x=y"), []int{200}, 1, false},
		{"a trailer that would be a token", strings.Replace(head, "Authorization", "X", 1) + "Trailer: Authorization\r\nTransfer-Encoding: chunked\r\n\r\n" +
			size + "\r\n" + body + "\r\n0\r\nAuthorization: Bearer " + a.own.Token + "\r\n\r\n", []int{401}, 0, false},
		{"a GET with a body", get + length + "\r\n" + body + get + "\r\n", []int{200, 200}, 0, true},
		{"a GET with a request for a body", get + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(hidden)) + hidden, []int{200}, 0, true},
		{"a HEAD with a request for a body", "HEAD" + get[3:] + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(hidden)) + hidden, []int{200}, 0, true},
		{"a refused request with another for a body", strings.Replace(head, a.own.ID, a.other.ID, 1) + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(hidden)) + hidden, []int{401}, 0, true},
		{"one that is too large", head + fmt.Sprintf("Content-Length: %d\r\n\r\n", 1<<30) + strings.Repeat(hidden, 100), []int{413}, 0, false},

		// HTTP/1.0, 0.9, 2.
		{"1.0", old + length + "\r\n" + body, []int{200}, 1, false},
		{"1.0 without a length", old + "\r\n" + body, []int{400}, 0, false},
		{"1.0 that would stay", old + length + "Connection: keep-alive\r\n\r\n" + body + hidden, []int{200}, 1, false},
		{"1.0 with chunks", old + "Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n" + size + "\r\n" + hidden, []int{400}, 0, false},
		{"0.9", "GET /supply\r\n", []int{400}, 0, false},
		{"0.9 with a number", "GET /supply HTTP/0.9\r\nHost: x\r\n\r\n", []int{505}, 0, false},
		{"2 without TLS", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", []int{404}, 0, false},
		{"an upgrade to 2", get + "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n", []int{200}, 0, true},
		{"an upgrade to websocket", get + "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n", []int{200}, 0, true},
		{"3.1", "GET /supply HTTP/3.1\r\nHost: x\r\n\r\n", []int{505}, 0, false},
		{"no version", "GET /supply HTTP\r\nHost: x\r\n\r\n", []int{400}, 0, false},
		{"TLS", "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\r\n\r\n", []int{400}, 0, false},

		// Headers.
		{"a folded header", get + "X: a\r\n b\r\n\r\n", []int{200}, 0, true},
		{"a folded first header", "GET /supply HTTP/1.1\r\n Host: x\r\n\r\n", []int{400}, 0, false},
		{"a folded token", strings.Replace(head, "Bearer ", "Bearer\r\n ", 1) + length + "\r\n" + body, []int{200}, 1, true},
		{"bare line feeds", "GET /supply HTTP/1.1\nHost: x\n\n", []int{200}, 0, true},
		{"a bare carriage return", get + "X: a\rY: b\r\n\r\n", []int{400}, 0, false},
		{"a NUL in a value", get + "X: a\x00b\r\n\r\n", []int{400}, 0, false},
		{"a NUL in a name", get + "X\x00: a\r\n\r\n", []int{400}, 0, false},
		{"no colon", get + "X\r\n\r\n", []int{400}, 0, false},
		{"no name", get + ": x\r\n\r\n", []int{400}, 0, false},
		{"no host", "GET /supply HTTP/1.1\r\n\r\n", []int{400}, 0, false},
		{"two hosts", get + "Host: y\r\n\r\n", []int{400}, 0, false},
		{"a host that is none", "GET /supply HTTP/1.1\r\nHost: x/y z\r\n\r\n", []int{400}, 0, false},
		{"headers of 40 KiB", get + "X: " + strings.Repeat("a", 40<<10) + "\r\n\r\n", []int{431}, 0, false},
		{"10,000 headers", get + strings.Repeat("X: a\r\n", 10_000) + "\r\n", []int{431}, 0, false},
		{"a path of 40 KiB", "GET /" + strings.Repeat("a", 40<<10) + " HTTP/1.1\r\nHost: x\r\n\r\n", []int{431}, 0, false},
		{"headers without an end", "GET / HTTP/1.1\r\n" + strings.Repeat("a", 100<<10), []int{431}, 0, false},
		{"a method without an end", strings.Repeat("A", 100<<10), []int{431}, 0, false},
		{"continue", head + length + "Expect: 100-continue\r\n\r\n" + body, []int{200}, 1, true},
		{"another expectation", head + length + "Expect: 200-ok\r\n\r\n" + body, []int{417}, 0, false},

		// Methods and targets.
		{"OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", []int{404}, 0, true},
		{"GET *", "GET * HTTP/1.1\r\nHost: x\r\n\r\n", []int{404}, 0, true},
		{"TRACE", "TRACE /supply HTTP/1.1\r\nHost: x\r\n\r\n", []int{405}, 0, true},
		{"CONNECT", "CONNECT localhost:22 HTTP/1.1\r\nHost: x\r\n\r\n", []int{404}, 0, true},
		{"a method in small letters", "get /supply HTTP/1.1\r\nHost: x\r\n\r\n", []int{405}, 0, true},
		{"a method that is none", "G@T /supply HTTP/1.1\r\nHost: x\r\n\r\n", []int{400}, 0, false},
		{"an absolute target", "GET http://elsewhere:1/supply HTTP/1.1\r\nHost: x\r\n\r\n", []int{200}, 0, true},
		{"a target that is none", "GET supply HTTP/1.1\r\nHost: x\r\n\r\n", []int{400}, 0, false},
		{"a target with a space", "GET /sup ply HTTP/1.1\r\nHost: x\r\n\r\n", []int{400}, 0, false},
		{"a target with half an escape", "GET /supply%2 HTTP/1.1\r\nHost: x\r\n\r\n", []int{400}, 0, false},
		{"a target with raw bytes", "GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n", []int{404}, 0, true},
		{"a fragment", "GET /supply#x HTTP/1.1\r\nHost: x\r\n\r\n", []int{404}, 0, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a.t = t
			before := a.funds(a.own)
			got, err := a.public.attack([]byte(tt.bytes+last), 0, 2*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			if tt.stays {
				tt.want = append(slices.Clone(tt.want), 200)
			}
			if !slices.Equal(statuses(got), tt.want) {
				t.Errorf("got %v, want %v", statuses(got), tt.want)
			}
			if moved := before - a.funds(a.own); moved != tt.moved {
				t.Errorf("%d coins moved, want %d", moved, tt.moved)
			}
			if again, err := a.public.attack([]byte(last), 0, time.Second); err != nil || !slices.Equal(statuses(again), []int{200}) {
				t.Errorf("then others got %v, %v", statuses(again), err)
			}
			if err := a.unharmed(); err != nil {
				t.Error(err)
			}
		})
	}
	a.t = t
	if err := a.public.alone(0); err != nil {
		t.Error(err)
	}
}
