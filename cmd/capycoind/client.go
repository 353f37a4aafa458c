package main

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
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// client talks to the running server over its socket.
type client struct {
	ctx    context.Context
	socket string
	db     string
	http   *http.Client
}

func newClient(cmd *cobra.Command, s *settings) *client {
	socket := s.socketPath()
	return &client{ctx: cmd.Context(), socket: socket, db: s.db, http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			d := net.Dialer{Timeout: 5 * time.Second}
			return d.DialContext(ctx, "unix", socket)
		},
		ResponseHeaderTimeout: time.Minute,
	}}}
}

// open sends a request and returns the answer if it is a 2xx, its problem as
// an error otherwise.
func (c *client) open(method, path, key string, body any) (*http.Response, error) {
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
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return nil, hint(fmt.Errorf("no server listens on %s", c.socket), "start one with: capycoind --db %s; or say where it is with --socket or --db", c.db)
	case errors.Is(err, fs.ErrPermission):
		return nil, hint(fmt.Errorf("you may not open %s", c.socket), "run this as the user that runs the server")
	case err != nil:
		return nil, fmt.Errorf("asking the server at %s: %w", c.socket, err)
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()
	var p struct{ Code, Detail string }
	if err := json.NewDecoder(resp.Body).Decode(&p); err != nil || p.Code == "" {
		return nil, fmt.Errorf("the server at %s answered %s", c.socket, resp.Status)
	}
	return nil, &refusal{p.Code, p.Detail}
}

// refusal is a problem that the server answered.
type refusal struct{ code, detail string }

func (r *refusal) Error() string { return r.code + ": " + r.detail }

// ask sends a request and returns the answer's body, decoded into v too if v
// is not nil.
func (c *client) ask(method, path, key string, body, v any) ([]byte, error) {
	resp, err := c.open(method, path, key, body)
	if err != nil {
		return nil, err
	}
	return read(resp, v)
}

// read reads an answer to its end.
func read(resp *http.Response, v any) ([]byte, error) {
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && v != nil {
		err = json.Unmarshal(b, v)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the server's answer: %w", err)
	}
	return b, nil
}

// account is an account as the server has it.
type account struct {
	ID           string `json:"account_id"`
	Created      string `json:"created"`
	Funds        int64  `json:"funds"`
	Transactions int64  `json:"transactions"`
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
		path = fmt.Sprintf("/accounts?limit=%d&cursor=%s", limit, page.Next)
	}
	return nil
}

// seed returns the id of the seed account.
func (c *client) seed() (id string, err error) {
	err = c.accounts(1, func(page []account) (bool, error) {
		if len(page) == 0 {
			return false, errors.New("the server has no seed account")
		}
		id = page[0].ID
		return false, nil
	})
	return id, err
}
