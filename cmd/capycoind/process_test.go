package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// process is a capycoind with a folder of its own.
type process struct {
	t      *testing.T
	dir    string
	addr   string
	cmd    *exec.Cmd
	log    *lockedBuffer
	exited chan error
	public *http.Client
	socket *http.Client
}

// lockedBuffer is what a process writes while a test reads it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// listenApart listens on a port that the system gives to nobody who asks for any: those
// begin at 32768, or further up. So it is free until a server is up, or up again.
func listenApart() (l net.Listener, err error) {
	for range 1000 {
		if l, err = net.Listen("tcp", fmt.Sprintf("localhost:%d", 20_000+rand.IntN(12_000))); err == nil {
			return l, nil
		}
	}
	return nil, err
}

// newProcess makes a folder, with a short path for the socket's sake, and
// starts a server in it.
func newProcess(t *testing.T, flags ...string) *process {
	t.Helper()
	dir, err := os.MkdirTemp("", "capy")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	l, err := listenApart()
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p := &process{t: t, dir: dir, addr: fmt.Sprintf("localhost:%d", l.Addr().(*net.TCPAddr).Port)}
	p.public = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	p.socket = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(dir, "capycoin.db.sock"))
		}}}
	t.Cleanup(func() {
		p.public.CloseIdleConnections()
		p.socket.CloseIdleConnections()
		if p.cmd != nil {
			p.cmd.Process.Kill()
			<-p.exited
		}
	})
	l.Close()
	p.start(flags...)
	return p
}

// start starts the server on what is in the folder, and waits until it serves.
func (p *process) start(flags ...string) {
	p.t.Helper()
	p.run(exec.Command("capycoind", append([]string{"--listen", p.addr, "--bcrypt-cost", "4", "--log-level", "warn"}, flags...)...))
}

// run starts a server that is not the usual one.
func (p *process) run(cmd *exec.Cmd) {
	p.t.Helper()
	p.log = &lockedBuffer{}
	p.cmd = cmd
	p.cmd.Dir = p.dir
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.exited = make(chan error, 1)
	go func(cmd *exec.Cmd, exited chan error) { exited <- cmd.Wait() }(p.cmd, p.exited)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if resp, err := p.socket.Get("http://capycoind/supply"); err == nil {
			resp.Body.Close()
			return
		} else if time.Now().After(deadline) {
			p.t.Fatalf("the server does not serve: %v\n%s", err, p.log)
		}
	}
}

// end waits for the process and returns how it ended.
func (p *process) end() error {
	p.t.Helper()
	select {
	case err := <-p.exited:
		p.cmd = nil
		if strings.Contains(p.log.String(), "DATA RACE") {
			p.t.Errorf("the race detector says:\n%s", p.log)
		}
		return err
	case <-time.After(30 * time.Second):
		p.t.Fatalf("the server does not end\n%s", p.log)
		return nil
	}
}

// logs waits until a line of the log has a pattern.
func (p *process) logs(pattern string) {
	p.t.Helper()
	line := regexp.MustCompile(pattern)
	for deadline := time.Now().Add(5 * time.Second); !line.MatchString(p.log.String()); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Errorf("the log does not have %s:\n%s", pattern, p.log)
			return
		}
	}
}

// answer is a reply.
type answer struct {
	status   int
	replayed bool
	body     []byte
}

// request sends a request: to the socket if there is no token, else to the
// public side. An error means that there was no whole answer.
func (p *process) request(method, path, token, key, body string) (answer, error) {
	client, base := p.socket, "http://capycoind"
	if token != "" {
		client, base = p.public, "http://"+p.addr
	}
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	req, err := http.NewRequest(method, base+path, content)
	if err != nil {
		return answer{}, err
	}
	if token != "" && token != "none" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header.Get("Idempotency-Replayed") != "", b}, err
}

// ask is request for what has to be answered 200, decoded into v.
func (p *process) ask(method, path, token, key, body string, v any) {
	p.t.Helper()
	a, err := p.request(method, path, token, key, body)
	if err == nil && a.status != http.StatusOK {
		err = fmt.Errorf("%d %s", a.status, a.body)
	}
	if err == nil && v != nil {
		err = json.Unmarshal(a.body, v)
	}
	if err != nil {
		p.t.Fatalf("%s %s: %v\n%s", method, path, err, p.log)
	}
}

// holder is an account with its token.
type holder struct {
	ID    string `json:"account_id"`
	Token string
	key   ed25519.PrivateKey // nil: it has none
}

const seedID = "4e9b616a-f11e-48b6-8c2f-9534d482e48e"

// open opens an account with funds.
func (p *process) open(funds int64) (h holder) {
	p.t.Helper()
	return p.openKeyed(funds, nil)
}

// openKeyed opens an account with funds, and with a key unless that is nil.
func (p *process) openKeyed(funds int64, key ed25519.PrivateKey) (h holder) {
	p.t.Helper()
	body := ""
	if key != nil {
		body = fmt.Sprintf(`{"public_key":%q}`, base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey)))
	}
	p.ask("POST", "/account", "none", "", body, &h)
	h.key = key
	if funds > 0 {
		p.ask("POST", "/transaction", "", "", fmt.Sprintf(`{"sender":%q,"receiver":%q,"amount":%d}`, seedID, h.ID, funds), nil)
	}
	return h
}

// auditClean audits over the socket.
func (p *process) auditClean() {
	p.t.Helper()
	a, err := p.request("POST", "/audit", "", "", "")
	if err != nil || !bytes.Contains(a.body, []byte(`"fault_count":0`)) {
		p.t.Errorf("audit: %v\n%s", err, a.body)
	}
}
