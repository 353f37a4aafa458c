package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
)

// shortly shortens the timeouts of a server, so that a test can wait for them.
func shortly(srv *http.Server) {
	srv.ReadHeaderTimeout = 400 * time.Millisecond
	srv.ReadTimeout = 800 * time.Millisecond
	srv.WriteTimeout = 1200 * time.Millisecond
	srv.IdleTimeout = 800 * time.Millisecond
}

// drip sends bytes one by one until the connection is closed.
func drip(conn net.Conn, s string) {
	for _, c := range []byte(s) {
		if _, err := conn.Write([]byte{c}); err != nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// TestSlowOrGone opens connections of clients that are slow, silent, half gone
// or gone, at every stage of a request: each ends when its time is over, none
// stays, no coin moves, and others are served meanwhile. The best of three tries
// counts: on a machine that stands still for a moment the server's patience may be
// over before a client has begun.
func TestSlowOrGone(t *testing.T) {
	a := newTarget(t, "tcp", shortly)
	defer a.close()
	transfers := make([]capycoin.Transfer, 1000)
	for i := range transfers {
		transfers[i] = capycoin.Transfer{Sender: capycoin.DefaultSeedAccount(), Receiver: uuid.MustParse(a.other.ID), Amount: 1}
	}
	if _, err := a.led.TransferBatch(t.Context(), transfers, capycoin.Atomic); err != nil {
		t.Fatal(err)
	}
	before := a.funds(a.own)
	var faults []string
	for range 3 {
		if faults = a.slowOrGone(); len(faults) == 0 {
			break
		}
		t.Logf("a try:\n%s", strings.Join(faults, "\n"))
	}
	for _, fault := range faults {
		t.Error(fault)
	}
	if err := a.public.alone(0); err != nil {
		t.Error(err)
	}
	if moved := before - a.funds(a.own); moved != 0 {
		t.Errorf("%d coins have moved", moved)
	}
}

// slowOrGone is a try of TestSlowOrGone. It returns what was not as it should be.
func (a *target) slowOrGone() (faults []string) {
	var mu sync.Mutex
	fault := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		faults = append(faults, fmt.Sprintf(format, args...))
	}
	body := fmt.Sprintf(`{"receiver":%q,"amount":1}`, a.other.ID)
	get := "GET /supply HTTP/1.1\r\nHost: x\r\n\r\n"
	half := get[:20]
	post := fmt.Sprintf("POST /account/%s/transaction HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n", a.own.ID, a.own.Token, len(body))
	history := "GET /account/" + a.other.ID + "/transactions?limit=1000 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + a.other.Token + "\r\n\r\n"
	send := func(s string) func(*net.TCPConn) {
		return func(c *net.TCPConn) { io.WriteString(c, s) }
	}
	shut := func(s string) func(*net.TCPConn) {
		return func(c *net.TCPConn) { io.WriteString(c, s); c.CloseWrite() }
	}
	var reset = func(s string) func(*net.TCPConn) {
		return func(c *net.TCPConn) {
			io.WriteString(c, s)
			time.Sleep(20 * time.Millisecond)
			c.SetLinger(0)
			c.Close()
		}
	}
	const never = -1 // the client does not wait for an answer
	var wg sync.WaitGroup
	for _, tt := range []struct {
		name     string
		do       func(*net.TCPConn)
		want     string // how the answer begins; "" for none
		from, to time.Duration
	}{
		{"silent", send(""), "", a.public.srv.ReadHeaderTimeout, 0},
		{"half a request", send(half), "", a.public.srv.ReadHeaderTimeout, 0},
		{"a slow header", func(c *net.TCPConn) { drip(c, get[:len(get)-2]+"X: "+strings.Repeat("x", 50)) }, "HTTP/1.1 400 ", a.public.srv.ReadHeaderTimeout, 0}, // what there is of the first line is none
		{"idle after a request", send(get), "HTTP/1.1 200 ", a.public.srv.IdleTimeout, 0},
		{"a slow second header", func(c *net.TCPConn) { io.WriteString(c, get); drip(c, half+strings.Repeat("x", 50)) }, "HTTP/1.1 200 ", a.public.srv.ReadHeaderTimeout, 0},
		{"no body", send(post), "HTTP/1.1 400 ", a.public.srv.ReadTimeout, 0},
		{"half a body", send(post + body[:9]), "HTTP/1.1 400 ", a.public.srv.ReadTimeout, 0},
		{"a slow body", func(c *net.TCPConn) { io.WriteString(c, post); drip(c, body) }, "HTTP/1.1 400 ", a.public.srv.ReadTimeout, 0},
		{"a slow chunked body", func(c *net.TCPConn) {
			io.WriteString(c, strings.Replace(post, "Content-Length: ", "Transfer-Encoding: chunked\r\nX: ", 1)+"ff\r\n")
			drip(c, body)
		}, "HTTP/1.1 400 ", a.public.srv.ReadTimeout, 0},
		{"continue, and nothing", send(strings.Replace(post, "Host: x", "Host: x\r\nExpect: 100-continue", 1)), "HTTP/1.1 100 ", a.public.srv.ReadTimeout, 0},
		{"shut", shut(""), "", 0, time.Second},
		{"shut after half a request", shut(half), "HTTP/1.1 400 ", 0, time.Second},
		{"shut after a request", shut(get), "HTTP/1.1 ", 0, time.Second},
		{"shut before the body", shut(post), "HTTP/1.1 400 ", 0, time.Second},
		{"shut within the body", shut(post + body[:9]), "HTTP/1.1 400 ", 0, time.Second},
		{"gone", reset(""), "", never, 0},
		{"gone within a header", reset(half), "", never, 0},
		{"gone within the body", reset(post + body[:9]), "", never, 0},
		{"gone before the answer", reset(get), "", never, 0},
		{"gone within the answer", reset(history), "", never, 0},
		{"never reads", func(c *net.TCPConn) {
			c.SetReadBuffer(4096)
			const pages = 40 // more than the system takes in between
			io.WriteString(c, strings.Repeat(history, pages))
			time.Sleep(3 * a.public.srv.WriteTimeout)
			got, err := io.ReadAll(c)
			if n := bytes.Count(got, []byte("HTTP/1.1 200 ")); n == pages || errors.Is(err, os.ErrDeadlineExceeded) {
				fault("never reads: it was not cut off, and then had %d pages", n)
			}
		}, "", never, 0},
	} {
		wg.Go(func() {
			start := time.Now() // of the server's patience, at the earliest
			conn, err := a.public.dial()
			if err != nil {
				fault("%s: %v", tt.name, err)
				return
			}
			defer conn.Close()
			conn.SetDeadline(start.Add(20 * time.Second))
			if tt.from == never {
				tt.do(conn.(*net.TCPConn))
				return
			}
			go tt.do(conn.(*net.TCPConn))
			got, err := io.ReadAll(conn)
			took := time.Since(start)
			switch {
			case errors.Is(err, os.ErrDeadlineExceeded):
				fault("%s: it was not cut off", tt.name)
			case tt.want == "" && len(got) > 0, !strings.HasPrefix(string(got), tt.want):
				fault("%s: got %q, want %q", tt.name, got, tt.want)
			case took < tt.from-50*time.Millisecond || tt.to > 0 && took > tt.to || took > tt.from+3*time.Second:
				fault("%s: it ended after %v", tt.name, took)
			}
		})
	}
	for range 30 {
		start := time.Now()
		got, err := a.public.send([]byte(last), 0, 0)
		if took := time.Since(start); err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 ") || took > time.Second {
			fault("another client got %.20q after %v, %v", got, took, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	wg.Wait()
	return faults
}

// TestAnnouncedBodies announces many large bodies and sends little of them: the
// server makes room for what comes, not for what is announced.
func TestAnnouncedBodies(t *testing.T) {
	a := newTarget(t, "tcp", nil)
	defer a.close()
	const n, announced = 200, 1 << 20
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for range n {
		conn, err := a.public.dial()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "POST /account/%s/transactions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n{", a.own.ID, a.own.Token, announced)
	}
	for deadline := time.Now().Add(10 * time.Second); a.public.handled() < n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d requests got to the handler", a.public.handled(), n)
		}
	}
	time.Sleep(50 * time.Millisecond) // from there to the body
	if each := (int64(heap()) - int64(before)) / n; each > announced/4 {
		t.Errorf("each request of which little came takes %d bytes", each)
	} else {
		t.Logf("each takes %d bytes", each)
	}
}

// TestHangUpWhilePaying has clients hang up at any moment of a transfer, and
// repeat it with its key: each is made once, whether or not the first try was.
func TestHangUpWhilePaying(t *testing.T) {
	a := newTarget(t, "tcp", nil)
	defer a.close()
	const n = 300
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	body := fmt.Sprintf(`{"receiver":%q,"amount":1}`, a.other.ID)
	pay := func(key int, end string) string {
		return fmt.Sprintf("POST /account/%s/transaction HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nIdempotency-Key: k%d\r\n%sContent-Length: %d\r\n\r\n%s",
			a.own.ID, a.own.Token, key, end, len(body), body)
	}
	var wg sync.WaitGroup
	for key := range n {
		request, wait := pay(key, ""), time.Duration(rng.IntN(3000))*time.Microsecond
		if rng.IntN(4) == 0 {
			request = request[:rng.IntN(len(request))]
		}
		wg.Go(func() {
			conn, err := a.public.dial()
			if err != nil {
				t.Error(err)
				return
			}
			io.WriteString(conn, request)
			time.Sleep(wait)
			conn.(*net.TCPConn).SetLinger(0)
			conn.Close()
		})
	}
	wg.Wait()
	// Connections are accepted in their order: after this one none of theirs is to come.
	if _, err := a.public.send([]byte(last), 0, 0); err != nil {
		t.Fatal(err)
	}
	if err := a.public.alone(0); err != nil {
		t.Fatal(err)
	}
	made := capycoin.Coins(1000) - a.funds(a.own)
	for key := range n {
		got, err := a.public.attack([]byte(pay(key, "Connection: close\r\n")), 0, 5*time.Second)
		if err != nil || len(got) != 1 || got[0].StatusCode != http.StatusOK {
			t.Fatalf("repeated: %v %v", statuses(got), err)
		}
		if replayed := got[0].Header.Get("Idempotency-Replayed") != ""; replayed {
			made--
		}
	}
	if moved := 1000 - a.funds(a.own); moved != n || made != 0 {
		t.Errorf("%d coins have moved, want %d; of those made first %d were not replayed", moved, n, made)
	}
}
