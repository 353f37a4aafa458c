package serve

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestConnLimit: connections leave files to the rest of the process.
func TestConnLimit(t *testing.T) {
	for _, tt := range []struct{ asked, files, public, trusted int }{
		{4096, 1 << 20, 4096, 256}, {4096, 1024, 704, 256}, {4096, 100, 50, 25}, {10, 100, 10, 25}, {4096, 2, 1, 1},
	} {
		public, trusted := connLimits(tt.asked, tt.files)
		if public != tt.public || trusted != tt.trusted {
			t.Errorf("%d asked for and %d files: got %d and %d, want %d and %d", tt.asked, tt.files, public, trusted, tt.public, tt.trusted)
		}
	}
}

// connServer is a server of few connections, on which /slow takes until it is
// let go.
func connServer(t *testing.T, patience time.Duration) (c *conns, dial func(path string) net.Conn, letGo func()) {
	release := make(chan struct{})
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/body" {
			if _, err := io.ReadAll(r.Body); err != nil {
				w.WriteHeader(400)
				return
			}
		}
		if r.URL.Path != "/" {
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}
	})}
	c = newConns(4, slog.New(slog.DiscardHandler))
	c.patience = patience
	c.guard(srv)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(l) }()
	t.Cleanup(func() {
		srv.Close()
		<-ended
	})
	letGo = func() { close(release) }
	dial = func(path string) net.Conn {
		t.Helper()
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		if path != "" {
			io.WriteString(conn, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n")
		}
		return conn
	}
	return c, dial, letGo
}

// allBusy waits until so many connections are busy.
func (c *conns) allBusy(t *testing.T, want int) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		busy := 0
		c.mu.Lock()
		for e := c.order.Front(); e != nil; e = e.Next() {
			if e.Value.(*connState).busy {
				busy++
			}
		}
		c.mu.Unlock()
		if busy == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d connections are busy, want %d", busy, want)
		}
	}
}

// answered tells what comes on a connection: an answer, its end, or nothing
// within a while.
func answered(conn net.Conn, within time.Duration) string {
	conn.SetReadDeadline(time.Now().Add(within))
	b := make([]byte, 1024)
	n, err := conn.Read(b)
	ne := net.Error(nil)
	switch {
	case strings.HasPrefix(string(b[:n]), "HTTP/1.1 200 "):
		return "answer"
	case errors.As(err, &ne) && ne.Timeout():
		return "nothing"
	}
	return "end"
}

// TestConnsMakeRoom fills a server with connections: a new one is served, in
// the place of that which has been idle longest, or when one of a busy server
// becomes free, or when a client has been slow for too long.
func TestConnsMakeRoom(t *testing.T) {
	const soon = 5 * time.Second
	t.Run("idle", func(t *testing.T) {
		c, dial, _ := connServer(t, time.Hour)
		var old []net.Conn
		for i := range 4 {
			conn := dial([]string{"", "/"}[i%2]) // silent, or idle after a request
			if i%2 == 1 && answered(conn, soon) != "answer" {
				t.Fatal("there is no answer")
			}
			c.allBusy(t, 0) // the server notes it after the answer
			old = append(old, conn)
		}
		for range 2 {
			if got := answered(dial("/"), soon); got != "answer" {
				t.Fatalf("a fifth connection has got: %s", got)
			}
		}
		for i, want := range []string{"end", "end", "nothing", "nothing"} {
			if got := answered(old[i], map[string]time.Duration{"end": soon, "nothing": 50 * time.Millisecond}[want]); got != want {
				t.Errorf("connection %d has got: %s, want: %s", i, got, want)
			}
		}
		c.mu.Lock()
		n := len(c.open)
		c.mu.Unlock()
		if n != 4 {
			t.Errorf("%d connections are open, want 4", n)
		}
	})
	t.Run("busy", func(t *testing.T) {
		c, dial, letGo := connServer(t, time.Hour)
		var busy []net.Conn
		for range 4 {
			busy = append(busy, dial("/slow"))
		}
		c.allBusy(t, 4)
		next := dial("/")
		if got := answered(next, 100*time.Millisecond); got != "nothing" {
			t.Errorf("with all connections busy a new one has got: %s", got)
		}
		letGo()
		for _, conn := range append(busy, next) {
			if got := answered(conn, soon); got != "answer" {
				t.Errorf("with time for all one has got: %s", got)
			}
		}
	})
	t.Run("slow", func(t *testing.T) {
		c, dial, _ := connServer(t, 300*time.Millisecond)
		busy := dial("/slow")
		c.allBusy(t, 1)
		for range 3 {
			dial("/slow")
		}
		c.allBusy(t, 4)
		if got := answered(dial("/"), soon); got != "answer" {
			t.Errorf("with all connections slow a new one has got: %s", got)
		}
		if got := answered(busy, soon); got != "end" {
			t.Errorf("the slowest one has got: %s, want: end", got)
		}
	})
	// A client that does not send the body that it has told of, whether somebody
	// reads that or not, makes room long before one whose request is carried out.
	for name, target := range map[string]string{"a body that is awaited": "/body", "a body that nobody wants": "/"} {
		t.Run(name, func(t *testing.T) {
			c, dial, letGo := connServer(t, time.Hour)
			c.forBody = 300 * time.Millisecond
			busy := dial("/slow")
			c.allBusy(t, 1)
			whole := dial("")
			io.WriteString(whole, "POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nall") // and is carried out until it is let go
			c.allBusy(t, 2)
			var slow []net.Conn
			for n := range 2 {
				conn := dial("")
				io.WriteString(conn, "POST "+target+" HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nal")
				slow = append(slow, conn)
				c.allBusy(t, 3+n) // so that the first one is the slowest
			}
			if got := answered(dial("/"), soon); got != "answer" {
				t.Errorf("with bodies missing a new one has got: %s", got)
			}
			if got := answered(slow[0], soon); got != "end" {
				t.Errorf("the slowest body has got: %s, want: end", got)
			}
			letGo()
			for _, conn := range []net.Conn{busy, whole} {
				if got := answered(conn, soon); got != "answer" {
					t.Errorf("a request that was carried out has got: %s", got)
				}
			}
		})
	}
	t.Run("gone", func(t *testing.T) {
		c, dial, _ := connServer(t, time.Hour)
		for range 20 {
			conn := dial("/")
			answered(conn, soon)
			conn.Close()
		}
		for deadline := time.Now().Add(soon); ; time.Sleep(time.Millisecond) {
			c.mu.Lock()
			n := len(c.open) + c.order.Len()
			c.mu.Unlock()
			if n == 0 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%d connections are counted, none is open", n)
			}
		}
	})
}
