package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestBackupKilled: what a backup that was killed has copied is not copied
// again, and the copy that is made then is whole.
func TestBackupKilled(t *testing.T) {
	p := newProcess(t, "--supply", "1000000")
	to := p.open(0)
	const batches = 9 // some five megabytes: more than one commit of a backup
	for range batches {
		item := fmt.Sprintf(`{"sender":%q,"receiver":%q,"amount":1}`, seedID, to.ID)
		p.ask("POST", "/transactions", "", "", `{"transactions":[`+strings.Repeat(item+",", 9_999)+item+`]}`, nil)
	}

	// A socket on which the pages of the journal are answered but for the 19th.
	stuck := make(chan struct{})
	var pages atomic.Int32
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "capycoind"})
	proxy.Transport = p.socket.Transport
	slow := filepath.Join(p.dir, "slow")
	l, err := net.Listen("unix", slow)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if pages.Add(1) == 19 {
			close(stuck)
			<-r.Context().Done()
			return
		}
		proxy.ServeHTTP(w, r)
	})}
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })

	dest := filepath.Join(p.dir, "copy.db")
	backup := exec.Command("capycoind", "backup", dest, "--socket", slow)
	if err := backup.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-stuck:
	case <-time.After(15 * time.Second):
		t.Fatalf("the backup asked for %d pages only", pages.Load())
	}
	backup.Process.Kill()
	backup.Wait()
	if _, err := os.Stat(dest); err == nil {
		t.Fatal("there is a copy, of a backup that was killed")
	}

	out, err := exec.Command("capycoind", "backup", dest, "--json", "--socket", filepath.Join(p.dir, "capycoin.db.sock")).Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var made struct {
		Position     uint64 `json:"position"`
		Transactions int64  `json:"transactions"`
		ResumedFrom  uint64 `json:"resumed_from"`
	}
	if err := json.Unmarshal(out, &made); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if made.ResumedFrom == 0 || made.ResumedFrom >= made.Position || made.Transactions != batches*10_000 {
		t.Errorf("it went on after record %d: %s", made.ResumedFrom, out)
	}
	if out, err := exec.Command("capycoind", "audit", dest).Output(); err != nil || !bytes.Contains(out, []byte("the books are right")) {
		t.Errorf("%v: %s", err, out)
	}
}

// TestBackupInterrupted: a signal ends a backup in order, and it goes on later.
func TestBackupInterrupted(t *testing.T) {
	needSignals(t)
	p := newProcess(t)
	p.open(5)
	stuck := make(chan struct{})
	slow := filepath.Join(p.dir, "slow")
	l, err := net.Listen("unix", slow)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(stuck)
		<-r.Context().Done()
	})}
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	backup := exec.CommandContext(ctx, "capycoind", "backup", filepath.Join(p.dir, "copy.db"), "--socket", slow)
	backup.Cancel = func() error { return backup.Process.Signal(os.Interrupt) }
	backup.WaitDelay = 20 * time.Second
	go func() {
		<-stuck
		cancel()
	}()
	var stderr bytes.Buffer
	backup.Stderr = &stderr
	if err := backup.Run(); err == nil || stderr.String() != "capycoind: error: interrupted\n" {
		t.Errorf("%v: %s", err, &stderr)
	}
}
