package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/capycoin/capycoin/internal/harness"
)

// smallDisk mounts a file system in memory of so many bytes, and returns its
// folder, which has a short path for a socket's sake.
func smallDisk(t *testing.T, bytes int) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "disk")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(dir) })
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", bytes)); err != nil {
		t.Skipf("needs to mount a file system, as root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmounting %s: %v", dir, err)
		}
	})
	return dir
}

// fillDisk writes a file until there is no room left.
func fillDisk(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
}

// payUntil sends payments from all accounts at once until the server has made
// some, or declined some for want of room. Others of both kinds may come first.
func (o *oracle) payUntil(full bool) (made, declined int64) {
	o.t.Helper()
	var paid, refused atomic.Int64
	enough := func() bool {
		if full {
			return refused.Load() >= 100
		}
		return paid.Load() >= 100
	}
	deadline := time.Now().Add(20 * time.Second)
	var load sync.WaitGroup
	for i := range o.holders {
		rng := rand.New(rand.NewPCG(uint64(i), uint64(time.Now().UnixNano())))
		load.Go(func() {
			for !enough() && time.Now().Before(deadline) {
				x := o.ask(rng, i, true)
				h := o.holders[i]
				a, err := o.p.request("POST", "/account/"+h.ID+"/transaction", h.Token, x.key, o.body(h, x))
				switch {
				case err == nil && a.status == http.StatusOK:
					paid.Add(1)
					o.acknowledge(x, transactionID(a.body))
				case err == nil && full && a.status == http.StatusServiceUnavailable &&
					bytes.Contains(a.body, []byte("disk is full")) && bytes.Contains(a.body, []byte("Nothing was applied")):
					refused.Add(1)
					o.mu.Lock()
					x.fate = lost
					o.mu.Unlock()
				default:
					o.t.Errorf("disk full %t: %d %s, %v", full, a.status, a.body, err)
					return
				}
			}
		})
	}
	load.Wait()
	if !enough() {
		o.t.Errorf("disk full %t: within 20 s %d payments were made and %d declined", full, paid.Load(), refused.Load())
	}
	return paid.Load(), refused.Load()
}

// TestHarnessDiskFullServer fills the disk under a server, makes room again,
// and so on. While it is full, payments are declined with a clear word and
// everything else goes on, over a kill and an orderly end, too; then they are
// made again, without a restart. Nothing acknowledged is lost, nothing
// declined is there.
func TestHarnessDiskFullServer(t *testing.T) {
	dir := smallDisk(t, 3<<20)
	t.Setenv("TMPDIR", dir)
	p := newProcess(t, "--supply", "9007199254740991", "--log-level", "info")
	o := newOracle(t, p, 4)
	first := o.ask(rand.New(rand.NewPCG(1, 1)), 0, true)
	if err := o.pay(o.holders[0], first, false); err != nil {
		t.Fatal(err)
	}
	end := func(signal os.Signal) {
		p.cmd.Process.Signal(signal)
		if err := p.end(); err != nil && signal != syscall.SIGKILL {
			t.Errorf("an orderly end: %v", err)
		}
		o.judge()
	}
	filler := filepath.Join(dir, "filler")
	rounds, declined := 0, int64(0)
	for stop := time.Now().Add(harness.Budget(t, 2*time.Second)); rounds < 2 || time.Now().Before(stop) && !t.Failed(); rounds++ {
		if rounds > 0 {
			p.start("--log-level", "info")
		}
		fillDisk(t, filler)
		_, n := o.payUntil(true)
		declined += n
		o.readFull(first)
		if rounds%2 == 1 { // the next one serves from a full disk
			end([]os.Signal{syscall.SIGKILL, syscall.SIGTERM}[rounds/2%2])
			p.start("--log-level", "info")
			_, n := o.payUntil(true)
			declined += n
			o.readFull(first)
		}
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
		o.payUntil(false)
		if rounds == 0 {
			time.Sleep(1100 * time.Millisecond)
			o.payUntil(false)
			p.logs("changes are written again")
		}
		p.auditClean()
		end(syscall.SIGTERM)
		info, err := os.Stat(filepath.Join(p.dir, "capycoin.db"))
		if err != nil {
			t.Fatal(err)
		}
		if info.Sys().(*syscall.Stat_t).Blocks*512 > 2<<20 {
			break // the ledger itself will soon fill the disk
		}
	}
	harness.Count(t, "disks filled", rounds)
	harness.Count(t, "changes declined on a full disk", int(declined))
}

// readFull looks whether everything but payments goes on while the disk is full,
// and whether the server tells of it. x is a payment that was made.
func (o *oracle) readFull(x *transfer) {
	t, p := o.t, o.p
	t.Helper()
	if err := o.pay(o.holders[0], x, true); err != nil { // its key was used
		t.Error(err)
	}
	for _, path := range []string{"/account/" + x.sender, "/account/" + x.sender + "/transactions", "/transaction/" + x.id, "/supply"} {
		p.ask("GET", path, "", "", "", nil)
	}
	if a, err := p.request("GET", "/readyz", "none", "", ""); err != nil || a.status != http.StatusOK {
		t.Errorf("readyz: %d %v", a.status, err)
	}
	if a, err := p.request("GET", "/metrics", "", "", ""); err != nil || !bytes.Contains(a.body, []byte("\ncapycoin_disk_full 1\n")) {
		t.Errorf("the metrics do not tell of a full disk: %v", err)
	}
	p.logs("changes are declined")
	if n := strings.Count(p.log.String(), "changes are declined"); n != 1 {
		t.Errorf("the log tells of a full disk %d times, want once", n)
	}
	p.auditClean()
}

// TestHarnessDiskFullStart starts a server on a full disk that has no ledger
// yet: it says what is wrong and leaves nothing.
func TestHarnessDiskFullStart(t *testing.T) {
	dir := smallDisk(t, 256<<10)
	fillDisk(t, filepath.Join(dir, "filler"))
	cmd := exec.Command("capycoind", "--listen", "localhost:0", "--db", filepath.Join(dir, "new.db"), "--socket", filepath.Join(dir, "s"))
	out, err := cmd.CombinedOutput()
	if err == nil || cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("it ended with %v, want exit status 1", err)
	}
	for _, want := range []string{"capycoind: error: ", "the disk is full", "capycoind: hint: make room"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("it did not say %q:\n%s", want, out)
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("it left %v, %v", left, err)
	}
}

// TestHarnessDiskFullBackup backs a server up to a disk that is full sooner or
// later: the command says so, nobody takes a part for a copy, and with room the
// copy is made.
func TestHarnessDiskFullBackup(t *testing.T) {
	p := newProcess(t)
	to := p.open(0)
	item := fmt.Sprintf(`{"sender":%q,"receiver":%q,"amount":1}`, seedID, to.ID)
	p.ask("POST", "/transactions", "", "", `{"transactions":[`+strings.Repeat(item+",", 4_999)+item+`]}`, nil)
	dir := smallDisk(t, 4<<20)
	filler, dest := filepath.Join(dir, "filler"), filepath.Join(dir, "copy.db")
	full := 0
	for room := int64(0); room < 1<<20; room += 16<<10 + room/2 {
		fillDisk(t, filler)
		info, err := os.Stat(filler)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(filler, info.Size()-room); err != nil {
			t.Fatal(err)
		}
		backup := func() (string, error) {
			out, err := exec.Command("capycoind", "backup", dest, "--socket", filepath.Join(p.dir, "capycoin.db.sock")).CombinedOutput()
			return string(out), err
		}
		out, err := backup()
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
		if err != nil {
			full++
			if !strings.Contains(out, "the disk is full") || !strings.Contains(out, "hint: make room") {
				t.Errorf("with room for %d bytes it ended with %v and said\n%s", room, err, out)
			}
			if isThere(t, dest) {
				t.Errorf("with room for %d bytes there is a copy", room)
			}
			if out, err := backup(); err != nil {
				t.Errorf("with room again after %d bytes: %v\n%s", room, err, out)
			}
		}
		checkWhole(t, dest, 100_000, 5_000)
		for _, name := range []string{dest, dest + ".witness"} {
			if err := os.Remove(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	if full == 0 {
		t.Error("the disk was never full")
	}
	harness.Count(t, "disks filled", full)
}
