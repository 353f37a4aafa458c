package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/httpapi"
)

// site is a ledger behind its public API, with accounts that have tokens, and
// beside it a handler that does nothing but read and write as much.
type site struct {
	addr     string
	bareAddr string
	accounts []siteAccount
	led      *capycoin.Ledger

	reply []byte // what the bare handler answers
	items int    // transfers in the body that it reads; 0: none, and no body
}

type siteAccount struct {
	id    uuid.UUID
	token string
}

const siteAccounts = 64

// site serves a ledger on the loopback interface, as capycoind would but for
// the lines that it logs.
func (b *bench) site(ctx context.Context) (*site, error) {
	if b.served != nil {
		return b.served, nil
	}
	led, err := capycoin.Open(filepath.Join(b.dir, "http.db"), &capycoin.Options{Supply: capycoin.MaxSupply})
	if err != nil {
		return nil, err
	}
	b.atEnd = append(b.atEnd, led.Close)
	b.worlds["http"] = &world{led: led}
	// A token is hashed when it is issued and when it is first seen, so its cost
	// is none of what is measured.
	iss, err := capycoin.NewTokenIssuer(led, &capycoin.TokenOptions{BcryptCost: 4})
	if err != nil {
		return nil, err
	}
	api, err := httpapi.New(led, iss, nil)
	if err != nil {
		return nil, err
	}
	s := &site{led: led}
	for range siteAccounts {
		acct, tok, err := iss.OpenAccount(ctx)
		if err != nil {
			return nil, err
		}
		s.accounts = append(s.accounts, siteAccount{acct.ID, tok.Secret})
	}
	for _, a := range s.accounts {
		_, err := led.Transfer(ctx, capycoin.Transfer{Sender: capycoin.DefaultSeedAccount(), Receiver: a.id, Amount: capycoin.MaxSupply / (siteAccounts + 1)})
		if err != nil {
			return nil, err
		}
	}
	if s.addr, err = b.listen(api.Public()); err == nil {
		s.bareAddr, err = b.listen(http.HandlerFunc(s.bare))
	}
	b.served = s
	return s, err
}

func (b *bench) listen(h http.Handler) (addr string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	srv := publicServer(h, log.New(io.Discard, "", 0))
	go srv.Serve(l)
	b.atEnd = append(b.atEnd, srv.Close)
	return l.Addr().String(), nil
}

// bare is the least that a handler of the same request does: it reads the same
// body with encoding/json, if there is one, and writes as long a reply.
func (s *site) bare(w http.ResponseWriter, r *http.Request) {
	type transfer struct {
		Receiver string `json:"receiver"`
		Amount   int64  `json:"amount"`
	}
	var err error
	switch {
	case s.items == 1:
		var t transfer
		err = json.NewDecoder(r.Body).Decode(&t)
	case s.items > 1:
		var batch struct {
			Transactions []transfer `json:"transactions"`
		}
		err = json.NewDecoder(r.Body).Decode(&batch)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(s.reply)))
	w.Write(s.reply)
}

// siteConn sends one request over and over, on one connection.
type siteConn struct {
	addr    string
	request []byte
	conn    net.Conn
	r       *bufio.Reader
	reply   []byte // of the last request
}

// request returns a request of an account's owner.
func (a *siteAccount) request(method, path, body string) []byte {
	return fmt.Appendf(nil, "%s /account/%s%s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n"+
		"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", method, a.id, path, a.token, len(body), body)
}

// do makes the request and reads the answer.
func (c *siteConn) do() (err error) {
	if c.conn == nil {
		if c.conn, err = net.Dial("tcp", c.addr); err != nil {
			return err
		}
		c.r = bufio.NewReaderSize(c.conn, 64<<10)
	}
	if _, err := c.conn.Write(c.request); err != nil {
		return err
	}
	status, err := c.r.ReadSlice('\n')
	if err != nil {
		return err
	}
	ok := bytes.HasPrefix(status, []byte("HTTP/1.1 200"))
	first, length := string(status), -1
	if ok {
		first = ""
	}
	for {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if line = bytes.TrimRight(line, "\r\n"); len(line) == 0 {
			break
		}
		const name = "content-length: "
		if len(line) > len(name) && strings.EqualFold(string(line[:len(name)]), name) {
			if length, err = strconv.Atoi(string(line[len(name):])); err != nil {
				return err
			}
		}
	}
	if length < 0 {
		return fmt.Errorf("an answer without a length: %s", first)
	}
	if cap(c.reply) < length {
		c.reply = make([]byte, length)
	}
	c.reply = c.reply[:length]
	if _, err := io.ReadFull(c.r, c.reply); err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("%s: %.200s", strings.TrimSpace(first), c.reply)
	}
	return nil
}

// requests makes the load of so many connections, each with a request of its
// own that counts for so many operations, and that of the bare handler.
func (b *bench) requests(s *site, connections, each int, request func(i int) []byte) (c, limit load, err error) {
	for i := range connections {
		real := &siteConn{addr: s.addr, request: request(i)}
		bare := &siteConn{addr: s.bareAddr, request: request(i)}
		c.workers = append(c.workers, func() (int, error) { return each, real.do() })
		limit.workers = append(limit.workers, func() (int, error) { return each, bare.do() })
		b.atEnd = append(b.atEnd, real.close, bare.close)
		if i == 0 {
			if err := real.do(); err != nil {
				return c, limit, err
			}
			s.reply = bytes.Clone(real.reply)
		}
	}
	return c, limit, nil
}

func (c *siteConn) close() error {
	if c.conn == nil {
		return nil
	}
	return c.conn.Close()
}

func postCase(ctx context.Context, b *bench) (c, limit load, err error) {
	s, err := b.site(ctx)
	if err != nil {
		return c, limit, err
	}
	s.items = 1
	c, limit, err = b.requests(s, 64, 1, func(i int) []byte {
		return s.accounts[i].request("POST", "/transaction", fmt.Sprintf(`{"receiver":%q,"amount":1}`, s.accounts[(i+1)%siteAccounts].id))
	})
	c.used = b.worlds["http"].used
	return c, limit, err
}

func postBatchCase(ctx context.Context, b *bench) (c, limit load, err error) {
	s, err := b.site(ctx)
	if err != nil {
		return c, limit, err
	}
	const items = 1000
	s.items = items
	c, limit, err = b.requests(s, 4, items, func(i int) []byte {
		var body strings.Builder
		for n := range items {
			sep := ","
			if n == 0 {
				sep = `{"transactions":[`
			}
			fmt.Fprintf(&body, `%s{"receiver":%q,"amount":1}`, sep, s.accounts[(i+1+n%(siteAccounts-1))%siteAccounts].id)
		}
		return s.accounts[i].request("POST", "/transactions", body.String()+"]}")
	})
	c.used = b.worlds["http"].used
	return c, limit, err
}

// getCase reads something of an account's.
func getCase(path string) func(context.Context, *bench) (load, load, error) {
	return func(ctx context.Context, b *bench) (c, limit load, err error) {
		s, err := b.site(ctx)
		if err != nil {
			return c, limit, err
		}
		s.items = 0
		// Each account has a few thousand transactions.
		for n := s.led.Stats().Transactions; n < 100_000 && ctx.Err() == nil; n += siteAccounts {
			var batch []capycoin.Transfer
			for i := range s.accounts {
				batch = append(batch, capycoin.Transfer{Sender: s.accounts[i].id, Receiver: s.accounts[(i+7)%siteAccounts].id, Amount: 1})
			}
			if _, err := s.led.TransferBatch(ctx, batch, capycoin.Atomic); err != nil {
				return c, limit, err
			}
		}
		return b.requests(s, 64, 1, func(i int) []byte { return s.accounts[i].request("GET", path, "") })
	}
}
