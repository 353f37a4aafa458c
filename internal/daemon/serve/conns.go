package serve

import (
	"container/list"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	// DefaultConns is how many connections the public side has at once if nothing
	// else is said, and MostConns how many it can be told to have.
	DefaultConns = 4096
	MostConns    = 1_000_000
	// trustedConns is how many connections the trusted side has at once, and
	// spareFiles are open files that both leave to the rest: the database, its
	// backups, the log.
	trustedConns = 256
	spareFiles   = 64
	// busyPatience is how long a request may take, from the end of its headers,
	// when others wait for its connection. Only an answer on a slow line takes that
	// long. bodyPatience is how long its body may take then: nothing is done yet.
	busyPatience = 10 * time.Second
	bodyPatience = time.Second
)

// connLimits returns how many connections the two sides may have when so many
// are asked for on the public one and the process can open so many files.
func connLimits(asked, files int) (public, trusted int) {
	return min(asked, max(files-trustedConns-spareFiles, files/2)), min(trustedConns, max(files/4, 1))
}

// conns keeps a server to a number of connections. When it has them all a new
// one takes the place of that which has waited longest for its client to say
// something, so that idle clients, however many, do not keep others out. If all
// are busy with a request the new one waits.
type conns struct {
	most     int
	patience time.Duration // busyPatience
	forBody  time.Duration // bodyPatience
	logger   *slog.Logger

	mu      sync.Mutex
	open    map[net.Conn]*connState // the system has them all
	order   *list.List              // of those in open that do not make room, the one whose state is oldest first
	changed chan struct{}           // gets an item when one may have become idle or closed
	full    bool                    // which is to be logged
	warned  time.Time
}

// connState is the state of a connection.
type connState struct {
	conn  net.Conn
	busy  bool // with a request, of which the headers are read
	body  bool // which its client has to send yet
	since time.Time
	place *list.Element // nil: it makes room
}

// LimitConns keeps a server to so many connections. Its handler and ConnContext are to
// be set before.
func LimitConns(srv *http.Server, most int, logger *slog.Logger) {
	newConns(most, logger).guard(srv)
}

func newConns(most int, logger *slog.Logger) *conns {
	return &conns{most: most, patience: busyPatience, forBody: bodyPatience, logger: logger, open: make(map[net.Conn]*connState), order: list.New(), changed: make(chan struct{}, 1)}
}

// guard has a server keep to the number.
func (c *conns) guard(srv *http.Server) {
	handler, inner := srv.Handler, srv.ConnContext
	srv.ConnState = c.state
	srv.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		if inner != nil {
			ctx = inner(ctx, conn)
		}
		return context.WithValue(ctx, connKey{}, conn)
	}
	srv.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if conn, ok := r.Context().Value(connKey{}).(net.Conn); ok && r.ContentLength != 0 {
			c.awaits(conn, true)           // until it ends, also if nobody reads it
			r = r.WithContext(r.Context()) // net/http goes by the body of its own one
			r.Body = &awaited{r.Body, c, conn}
		}
		handler.ServeHTTP(w, r)
	})
}

type connKey struct{}

// awaited is the body of a request, without which nothing is done yet.
type awaited struct {
	io.ReadCloser
	conns *conns
	conn  net.Conn
}

// errMadeRoom: a body that came to its end when its connection had just been
// closed. Nobody would get the answer.
var errMadeRoom = errors.New("the connection made room for another")

// Read implements [io.Reader].
func (a *awaited) Read(b []byte) (int, error) {
	n, err := a.ReadCloser.Read(b)
	if err == io.EOF && !a.conns.awaits(a.conn, false) {
		return 0, errMadeRoom
	}
	return n, err
}

// awaits notes that a connection's client has to send a body, or has sent it. It
// is false if the connection has made room.
func (c *conns) awaits(conn net.Conn, body bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.open[conn]
	if s == nil || s.place == nil {
		return false
	}
	s.body = body
	return true
}

// state is the ConnState of a server, which calls it for a new connection
// before it accepts another one.
func (c *conns) state(conn net.Conn, to http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if to == http.StateNew {
		for late := false; len(c.open) >= c.most; late = c.wait() {
			if late || c.order.Len() >= c.most { // else one is about to be closed
				c.makeRoom()
			}
		}
		s := &connState{conn: conn, since: time.Now()}
		s.place = c.order.PushBack(s)
		c.open[conn] = s
		return
	}
	s := c.open[conn]
	if to == http.StateClosed || to == http.StateHijacked {
		delete(c.open, conn)
		if s.place != nil {
			c.order.Remove(s.place)
		}
	} else if s.place != nil {
		s.busy, s.body, s.since = to == http.StateActive, false, time.Now()
		c.order.MoveToBack(s.place)
	}
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

// makeRoom closes a connection that can be spared, if there is one. It is gone
// when its goroutine has seen that.
func (c *conns) makeRoom() {
	now := time.Now()
	for e := c.order.Front(); e != nil; e = e.Next() {
		s := e.Value.(*connState)
		patience := c.patience
		if s.body {
			patience = min(patience, c.forBody)
		}
		if s.busy && now.Sub(s.since) < patience {
			continue
		}
		c.order.Remove(s.place)
		s.place = nil
		conn := s.conn
		if t, ok := conn.(*tls.Conn); ok {
			conn = t.NetConn() // TLS would take time to say goodbye
		}
		conn.Close()
		c.full = now.Sub(c.warned) > time.Minute
		return
	}
}

// wait waits until there may be room, or it is late. The caller holds c.mu, but not
// meanwhile, nor while it is logged that there is none.
func (c *conns) wait() (late bool) {
	full := c.full
	if full {
		c.full, c.warned = false, time.Now()
	}
	c.mu.Unlock()
	defer c.mu.Lock()
	if full {
		c.logger.Warn("all connections are taken: those idle longest make room", "connections", c.most)
	}
	timer := time.NewTimer(100 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-c.changed:
		return false
	case <-timer.C:
		return true
	}
}
