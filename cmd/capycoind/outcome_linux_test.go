package main

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// breakDisk makes every fdatasync of a process fail from now on.
func breakDisk(t *testing.T, pid int) {
	t.Helper()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("needs strace")
	}
	var log lockedBuffer
	cmd := exec.Command(strace, "-f", "-o", "/dev/null", "-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO", "-p", strconv.Itoa(pid))
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-ended
	})
	for deadline := time.Now().Add(10 * time.Second); !strings.Contains(log.String(), "attached"); time.Sleep(5 * time.Millisecond) {
		select {
		case <-ended:
			t.Skipf("strace can't attach to a process here: %s", log.String())
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("strace did not attach within 10 s: %s", log.String())
		}
	}
}

// transactionID returns the id in a receipt.
func transactionID(body []byte) string {
	var r struct {
		ID string `json:"transaction_id"`
	}
	json.Unmarshal(body, &r) // what is no receipt has none
	return r.ID
}

// TestOutcomeUnknown breaks the disk under a server that is under load. It
// says so to those whose commit it was, refuses the others, and exits with
// status 1; what it refused was not made, what it acknowledged was, and the
// next one goes on from there.
func TestOutcomeUnknown(t *testing.T) {
	p := newProcess(t, "--supply", "9007199254740991")
	o := newOracle(t, p, 6)
	o.p.auditClean()
	var unknown, refused atomic.Int64
	var load sync.WaitGroup
	for i := range 2 * len(o.holders) {
		rng := rand.New(rand.NewPCG(uint64(i), uint64(time.Now().UnixNano())))
		load.Go(func() {
			for {
				x := o.ask(rng, i%len(o.holders), rng.IntN(2) == 0)
				h := o.holders[i%len(o.holders)]
				body := o.body(h, x)
				a, err := p.request("POST", "/account/"+h.ID+"/transaction", h.Token, x.key, body)
				switch {
				case err != nil:
					return // the server is gone
				case a.status == http.StatusOK:
					o.acknowledge(x, transactionID(a.body))
				case a.status == http.StatusServiceUnavailable && bytes.Contains(a.body, []byte(`"unavailable"`)):
					refused.Add(1)
					o.mu.Lock()
					x.fate = lost
					o.mu.Unlock()
				case a.status == http.StatusInternalServerError && bytes.Contains(a.body, []byte(`"outcome_unknown"`)):
					unknown.Add(1)
				default:
					t.Errorf("got %d %s", a.status, a.body)
				}
			}
		})
	}
	time.Sleep(50 * time.Millisecond)
	breakDisk(t, p.cmd.Process.Pid)
	cmd := p.cmd
	if err := p.end(); err == nil || cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("the server ended with %v, want exit status 1", err)
	}
	load.Wait()
	for _, want := range []string{"capycoind: error: stopped: ", "input/output error", "capycoind: hint: start the server again"} {
		if !strings.Contains(p.log.String(), want) {
			t.Errorf("the server did not say %q:\n%s", want, p.log)
		}
	}
	made, not := o.judge()
	t.Logf("%d outcomes unknown, %d refused; without a receipt %d were made, %d not", unknown.Load(), refused.Load(), made, not)
	if unknown.Load() == 0 {
		t.Error("nobody was told that an outcome is unknown")
	}
	p.start()
	p.auditClean()
}
