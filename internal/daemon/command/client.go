package command

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/capycoin/capycoin/internal/cli"
	"github.com/capycoin/capycoin/internal/daemon/serve"
)

// client talks to the running server over its socket.
type client struct {
	ctx    context.Context
	socket string
	start  string // the command that starts such a server
	again  string // what to do about a change that was not answered
	http   *http.Client
}

func newClient(cmd *cobra.Command, s *Settings) *client {
	socket := s.socketPath()
	c := &client{
		ctx: cmd.Context(), socket: socket, start: "capycoind --db " + s.DB,
		again: "repeat it with the same --key if it had one, look at the accounts if not",
	}
	if s.Socket != "" {
		c.start = "capycoind --db FILE --socket " + s.Socket
	}
	c.http = &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			d := net.Dialer{Timeout: 5 * time.Second}
			return d.DialContext(ctx, "unix", socket)
		},
		ResponseHeaderTimeout: time.Minute,
	}}
	return c
}

// open sends a request and returns the answer if it is a 2xx, its problem as
// an error otherwise.
func (c *client) open(method, path, key string, body any) (*http.Response, error) {
	if err := serve.CheckSocketPath(c.socket); err != nil {
		return nil, err
	}
	var content io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(c.ctx, method, "http://capycoind"+path, content)
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(method, err)
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()
	p := new(refusal)
	if err := json.NewDecoder(resp.Body).Decode(p); err != nil || p.Code == "" {
		return nil, cli.Hint(fmt.Errorf("%s answered %s", c.socket, resp.Status), "it does not seem to be the socket of a capycoind")
	}
	if p.Code == "forbidden" {
		return nil, notAllowed(p)
	}
	return nil, p
}

// unreachable says what it means that no answer came.
func (c *client) unreachable(method string, err error) error {
	if e := (*url.Error)(nil); errors.As(err, &e) {
		err = e.Err // without the address, which is made up
	}
	dial := (*net.OpError)(nil)
	dialling := errors.As(err, &dial) && dial.Op == "dial"
	switch {
	case c.ctx.Err() != nil && method == http.MethodGet:
		return errors.New("interrupted")
	case c.ctx.Err() != nil:
		return c.maybeDone(errors.New("interrupted before the answer came"))
	case errors.Is(err, fs.ErrPermission):
		return notAllowed(fmt.Errorf("you may not open %s", c.socket))
	case dialling && (serve.ConnRefused(err) || errors.Is(err, fs.ErrNotExist)):
		return cli.Hint(fmt.Errorf("no server listens on %s", c.socket), "start one with: %s; or say where it is with --socket or --db", c.start)
	case dialling:
		return cli.Hint(fmt.Errorf("no server can be reached on %s: %w", c.socket, dial.Err), "start one with: %s; or say where it is with --socket or --db", c.start)
	case method == http.MethodGet:
		return fmt.Errorf("asking the server on %s: %w", c.socket, err)
	}
	return c.maybeDone(fmt.Errorf("asking the server on %s: %w", c.socket, err))
}

// notAllowed is about a socket that is not for this user.
func notAllowed(err error) error {
	if !serve.KnowsPeers {
		return cli.Hint(err, "run this as the user that runs the server")
	}
	return cli.Hint(err, "run this as the user that runs the server, as root, or start the server with --allow-uid %d", os.Geteuid())
}

// maybeDone is about a change that was asked for and not answered.
func (c *client) maybeDone(err error) error {
	return cli.Hint(err, "it may have been done or not: %s", c.again)
}

// refusal is a problem that the server answered.
type refusal struct {
	Code     string
	Detail   string
	Funds    int64
	Required int64
}

func (r *refusal) Error() string {
	s := r.Code + ": " + r.Detail
	if r.Required > 0 {
		s += fmt.Sprintf(" It has %d and needs %d.", r.Funds, r.Required)
	}
	return s
}

// ask sends a request and returns the answer's body, decoded into v too if v
// is not nil.
func (c *client) ask(method, path, key string, body, v any) ([]byte, error) {
	resp, err := c.open(method, path, key, body)
	if err != nil {
		return nil, err
	}
	return read(resp, v)
}

// read reads an answer to its end. What it is about was done.
func read(resp *http.Response, v any) ([]byte, error) {
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && v != nil {
		err = json.Unmarshal(b, v)
	}
	if err != nil {
		return nil, fmt.Errorf("it was done, but the server's answer can't be read: %w", err)
	}
	return b, nil
}

// account is an account as the server has it.
type account struct {
	ID           string `json:"account_id"`
	Created      string `json:"created"`
	Funds        int64  `json:"funds"`
	Transactions int64  `json:"transactions"`
	// Of one with a public key; nil, and null, otherwise.
	PublicKey  *string `json:"public_key"`
	KeyVersion *uint32 `json:"key_version"`
}

// accounts calls fn with a page of accounts after the other, in order of
// opening: the seed account is the first of all.
func (c *client) accounts(limit int, fn func([]account) (more bool, err error)) error {
	for path := fmt.Sprintf("/accounts?limit=%d", limit); path != ""; {
		var page struct {
			Accounts []account
			Next     string `json:"next_cursor"`
		}
		if _, err := c.ask("GET", path, "", nil, &page); err != nil {
			return err
		}
		more, err := fn(page.Accounts)
		if err != nil || !more || page.Next == "" {
			return err
		}
		path = fmt.Sprintf("/accounts?limit=%d&cursor=%s", limit, url.QueryEscape(page.Next))
	}
	return nil
}

// seed returns the seed account.
func (c *client) seed() (seed account, err error) {
	err = c.accounts(1, func(page []account) (bool, error) {
		if len(page) == 0 {
			return false, errors.New("the server has no seed account")
		}
		seed = page[0]
		return false, nil
	})
	return seed, err
}
