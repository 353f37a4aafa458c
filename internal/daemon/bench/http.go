package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/httpapi"
	"github.com/capycoin/capycoin/internal/daemon/serve"
)

const siteAccounts = 64

// site is a ledger behind its public API, with accounts that have tokens.
type site struct {
	*world
	addr   string
	tokens []string // of the accounts
}

// site serves a ledger on the loopback interface, as capycoind does but for the
// lines that it logs.
func (b *bench) site(ctx context.Context) (*site, error) {
	if b.served != nil {
		return b.served, nil
	}
	w, err := b.ledger("http")
	if err != nil {
		return nil, err
	}
	// A token is hashed when it is issued and when it is first seen, and
	// remembered then: what its hash costs is none of what is measured.
	iss, err := capycoin.NewTokenIssuer(w.led, &capycoin.TokenOptions{BcryptCost: 4})
	if err != nil {
		return nil, err
	}
	api, err := httpapi.New(w.led, iss, nil)
	if err != nil {
		return nil, err
	}
	s := &site{world: w}
	for range siteAccounts {
		acct, tok, err := iss.OpenAccount(ctx)
		if err != nil {
			return nil, err
		}
		s.ids, s.tokens = append(s.ids, acct.ID), append(s.tokens, tok.Secret)
	}
	if err := w.grant(ctx); err != nil {
		return nil, err
	}
	if s.addr, err = b.listen(api.Public()); err != nil {
		return nil, err
	}
	b.served = s
	return s, nil
}

// listen serves a handler on a free port until the end.
func (b *bench) listen(h http.Handler) (addr string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	srv := serve.PublicServer(h, log.New(io.Discard, "", 0))
	serve.LimitConns(srv, serve.DefaultConns, slog.New(slog.DiscardHandler))
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(l) }()
	b.atEnd = append(b.atEnd, func() error {
		err := srv.Close()
		<-ended
		return err
	})
	return l.Addr().String(), nil
}

// bareHandler does the least that one of the same request can do: it decodes
// the same body with encoding/json into body(), nil if there is none, and
// writes as long a reply.
func bareHandler(body func() any, reply []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if body != nil {
			if err := json.NewDecoder(r.Body).Decode(body()); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(reply)))
		w.Write(reply)
	})
}

// bareTransfer is what the body of a transfer has.
type bareTransfer struct {
	Receiver string `json:"receiver"`
	Amount   int64  `json:"amount"`
}

// bareBatch is what the body of a batch has.
type bareBatch struct {
	Transactions []bareTransfer `json:"transactions"`
}

// request returns a request of the owner of the i-th account.
func (s *site) request(i int, method, path, body string) []byte {
	return fmt.Appendf(nil, "%s /account/%s%s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n"+
		"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", method, s.ids[i], path, s.tokens[i], len(body), body)
}

// siteLoad is a request that is made over and over.
type siteLoad struct {
	connections int
	each        int                // operations that one counts for
	request     func(i int) []byte // of the i-th connection
	body        func() any         // see bareHandler
}

// loads make a load of the site and the same one of a bare handler.
func (b *bench) loads(ctx context.Context, s *site, l siteLoad) (c, limit load, err error) {
	var reply []byte
	if c, reply, err = b.connect(ctx, s.addr, l); err != nil {
		return c, limit, err
	}
	bare, err := b.listen(bareHandler(l.body, reply))
	if err != nil {
		return c, limit, err
	}
	limit, _, err = b.connect(ctx, bare, l)
	return c, limit, err
}

// connect makes the connections of a load and one request on each, so that
// tokens were seen before it is measured; it returns the last reply, too.
func (b *bench) connect(ctx context.Context, addr string, l siteLoad) (load, []byte, error) {
	var made load
	var reply []byte
	for i := range l.connections {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return made, nil, err
		}
		// An end of ctx ends a request that waits for its answer.
		stop := context.AfterFunc(ctx, func() { conn.Close() })
		b.atEnd = append(b.atEnd, func() error {
			stop()
			if err := conn.Close(); !errors.Is(err, net.ErrClosed) {
				return err
			}
			return nil
		})
		client := newClient(conn, l.request(i))
		if err := client.do(); err != nil {
			return made, nil, err
		}
		reply = client.reply
		made.workers = append(made.workers, func() (int, time.Duration, error) {
			start := time.Now()
			err := client.do()
			return l.each, time.Since(start), err
		})
	}
	return made, slices.Clone(reply), nil
}

func postCase(ctx context.Context, b *bench) (c, limit load, err error) {
	s, err := b.site(ctx)
	if err != nil {
		return c, limit, err
	}
	c, limit, err = b.loads(ctx, s, siteLoad{
		connections: siteAccounts, each: 1, body: func() any { return new(bareTransfer) },
		request: func(i int) []byte {
			return s.request(i, "POST", "/transaction", fmt.Sprintf(`{"receiver":%q,"amount":1}`, s.ids[(i+1)%siteAccounts]))
		},
	})
	c.used = s.used
	return c, limit, err
}

// postBatchCase has few connections: each request is a hundred times as long as
// that of one transfer.
func postBatchCase(ctx context.Context, b *bench) (c, limit load, err error) {
	s, err := b.site(ctx)
	if err != nil {
		return c, limit, err
	}
	const items = 1000
	c, limit, err = b.loads(ctx, s, siteLoad{
		connections: 4, each: items, body: func() any { return new(bareBatch) },
		request: func(i int) []byte {
			var transfers []string
			for n := range items {
				receiver := s.ids[(i+1+n%(siteAccounts-1))%siteAccounts] // anybody else
				transfers = append(transfers, fmt.Sprintf(`{"receiver":%q,"amount":1}`, receiver))
			}
			return s.request(i, "POST", "/transactions", `{"transactions":[`+strings.Join(transfers, ",")+`]}`)
		},
	})
	c.used = s.used
	return c, limit, err
}

func getCase(ctx context.Context, b *bench) (c, limit load, err error) {
	s, err := b.site(ctx)
	if err != nil {
		return c, limit, err
	}
	return b.loads(ctx, s, siteLoad{connections: siteAccounts, each: 1,
		request: func(i int) []byte { return s.request(i, "GET", "", "") }})
}

func getPageCase(ctx context.Context, b *bench) (c, limit load, err error) {
	s, err := b.site(ctx)
	if err == nil {
		err = b.fill(ctx, s.world, 100_000, 1000, plainPayment) // 3,000 or so an account
	}
	if err != nil {
		return c, limit, err
	}
	return b.loads(ctx, s, siteLoad{connections: siteAccounts, each: 1,
		request: func(i int) []byte { return s.request(i, "GET", "/transactions?limit=100", "") }})
}
