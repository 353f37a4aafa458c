package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/harness"
)

// history makes transfers to and fro between two accounts of a target.
func (a *target) history(rows int) {
	a.t.Helper()
	own, other := uuid.MustParse(a.own.ID), uuid.MustParse(a.other.ID)
	const size = 8192
	for made := 0; made < rows; made += size {
		batch := make([]capycoin.Transfer, min(size, rows-made))
		for i := range batch {
			if batch[i] = (capycoin.Transfer{Sender: own, Receiver: other, Amount: 1}); i%2 == 1 {
				batch[i].Sender, batch[i].Receiver = other, own
			}
		}
		results, err := a.led.TransferBatch(context.Background(), batch, capycoin.EachAlone)
		if err != nil {
			a.t.Fatal(err)
		}
		for _, r := range results {
			if r.Err != nil {
				a.t.Fatal(r.Err)
			}
		}
	}
}

// fare is how transfers fare.
type fare struct {
	took  floodLatencies
	grown int64 // bytes of the file
}

func (f *fare) String() string {
	return fmt.Sprintf("p99 %v and %d bytes each of %d", f.took.p99().Round(10*time.Microsecond), f.grown/int64(len(f.took)), len(f.took))
}

// pay makes transfers over HTTP for 150 ms and as long as busy says, one after the
// other, and some at least.
func (a *target) pay(f *fare, client *http.Client, from, to holder, busy func() bool) {
	a.t.Helper()
	before := a.led.Stats().FileUsed
	const while, fewest = 150 * time.Millisecond, 60
	for start, first := time.Now(), len(f.took); time.Since(start) < while || len(f.took) < first+fewest || busy(); {
		began := time.Now()
		req, err := http.NewRequest("POST", "http://"+a.public.listener.Addr().String()+"/account/"+from.ID+"/transaction", strings.NewReader(fmt.Sprintf(`{"receiver":%q,"amount":1}`, to.ID)))
		if err != nil {
			a.t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+from.Token)
		resp, err := client.Do(req)
		if err != nil {
			a.t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK {
			a.t.Fatalf("a transfer: %d %s %v", resp.StatusCode, body, err)
		}
		f.took = append(f.took, time.Since(began))
		from, to = to, from // neither runs out of coins
	}
	f.grown += a.led.Stats().FileUsed - before
}

// compare lets transfers be made with something beside them and without, in
// turn. It fails the test unless the file grows no more for it and, where it has
// the machine to itself, they keep their p99 within twice that without, in the
// best of five tries. start begins
// what is beside them, and returns whether it goes on and what ends it; lasts is of what
// goes on until that.
func (a *target) compare(what string, lasts bool, start func() (busy func() bool, end func())) {
	a.t.Helper()
	from, to := a.open(), a.open()
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	const pages = 128 << 10 // may be held for a moment
	said := ""
	for range 5 {
		var quiet, loaded fare
		unsettled := 0
		for range 3 {
			a.pay(&quiet, client, from, to, never)
			busy, end := start() // returns when what it takes to begin is over
			before, first := loaded.grown, len(loaded.took)
			a.pay(&loaded, client, from, to, busy)
			// On a fast disk there are many commits in a moment for which pages are held.
			// They are used again then; what is held for good has the file grow further.
			moments := 0 // transfers in which it grew for a moment
			for more := 0; lasts && more < 4 && loaded.grown > before+pages/3; more++ {
				loaded.grown, moments = before, len(loaded.took)-first
				a.pay(&loaded, client, from, to, busy)
			}
			end()
			unsettled += moments
		}
		said += fmt.Sprintf("\n\twith: %v; without: %v", &loaded, &quiet)
		plain := quiet.grown * int64(len(loaded.took)-unsettled) / int64(len(quiet.took))
		if loaded.grown > 4*plain+pages {
			a.t.Errorf("the file grows for what is beside transfers %s:%s", what, said)
			return
		}
		if !harness.Alone() || tolerable(loaded.took.p99(), quiet.took.p99(), 2) {
			a.t.Logf("transfers %s%s", what, said)
			return
		}
	}
	a.t.Errorf("transfers %s take more than twice as long:%s", what, said)
}

// never is for what is beside transfers until it is told to end.
func never() bool { return false }

// historyRows are those of the long history of the tests below.
const historyRows = 1_000_000

func historyRequest(h holder, query string) string {
	return "GET /account/" + h.ID + "/transactions?limit=1000" + query + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + h.Token + "\r\n\r\n"
}

// littleRoom lets the system take only little of an answer that nobody reads.
func littleRoom(srv *http.Server) {
	state := srv.ConnState
	srv.ConnState = func(c net.Conn, to http.ConnState) {
		if tcp, ok := c.(*net.TCPConn); ok && to == http.StateNew {
			tcp.SetWriteBuffer(4096)
		}
		state(c, to)
	}
}

// readSlowly opens a hundred connections that ask for pages and read none of
// them, one that reads a byte a second, and one that asks for one page after the
// other of a million rows.
func (a *target) readSlowly() (busy func() bool, end func()) {
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var conns []net.Conn
	dial := func() net.Conn {
		a.t.Helper()
		conn, err := a.public.dial()
		if err != nil {
			a.t.Fatal(err)
		}
		conn.(*net.TCPConn).SetReadBuffer(4096)
		conns = append(conns, conn)
		return conn
	}
	before := a.public.handled()
	for range 100 {
		io.WriteString(dial(), strings.Repeat(historyRequest(a.own, ""), 4))
	}
	trickle := dial()
	wg.Go(func() {
		io.WriteString(trickle, historyRequest(a.own, ""))
		for b := make([]byte, 1); ; {
			if _, err := trickle.Read(b); err != nil {
				return
			}
			select {
			case <-stop:
				return
			case <-time.After(time.Second):
			}
		}
	})
	for seen, same := before, 0; same < 5; time.Sleep(10 * time.Millisecond) { // until all are stuck
		if n := a.public.handled(); n == seen && n >= before+100 {
			same++
		} else {
			seen, same = n, 0
		}
	}
	pager := dial()
	wg.Go(func() {
		r := bufio.NewReader(pager)
		for cursor := ""; ; {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
			io.WriteString(pager, historyRequest(a.own, cursor))
			resp, err := http.ReadResponse(r, nil)
			if err != nil {
				return // the end of the test
			}
			var page struct {
				Transactions []json.RawMessage
				Next         string `json:"next_cursor"`
			}
			if err := json.NewDecoder(resp.Body).Decode(&page); err != nil {
				return
			}
			if cursor = "&cursor=" + page.Next; len(page.Transactions) != 1000 || page.Next == "" {
				a.t.Errorf("a page of the history has %d rows, then %q", len(page.Transactions), page.Next)
				return
			}
		}
	})
	return never, func() {
		close(stop)
		for _, conn := range conns {
			conn.(*net.TCPConn).SetLinger(0)
			conn.Close()
		}
		wg.Wait()
	}
}

// TestHarnessSlowReaders makes transfers while others read a long history
// slowly, or not at all.
func TestHarnessSlowReaders(t *testing.T) {
	if testing.Short() {
		t.Skip("measures times")
	}
	budget := harness.Budget(t, 0)
	a := newTarget(t, "tcp", littleRoom)
	defer a.close()
	start := time.Now()
	a.history(historyRows)
	t.Logf("a history of %d rows was made in %v", historyRows, time.Since(start))
	for start = time.Now(); ; {
		a.compare("beside slow readers", true, a.readSlowly)
		if t.Failed() || time.Since(start) >= budget {
			break
		}
	}
	if err := a.public.alone(0); err != nil {
		t.Error(err)
	}
}

// TestHarnessBackupUnderLoad makes transfers while the ledger is copied.
func TestHarnessBackupUnderLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("measures times")
	}
	budget := harness.Budget(t, 0)
	a := newTarget(t, "tcp", nil)
	defer a.close()
	a.history(historyRows / 10)
	backups := 0
	for start := time.Now(); ; {
		a.compare("beside a backup", false, func() (busy func() bool, end func()) {
			backups++
			dest := filepath.Join(t.TempDir(), "backup.db")
			cmd := exec.Command("capycoind", "backup", dest, "--socket", filepath.Join(a.dir, "trusted"))
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Errorf("the backup: %v\n%s", err, out)
				}
			}()
			busy = func() bool {
				select {
				case <-ended:
					return false
				default:
					return true
				}
			}
			return busy, func() { <-ended }
		})
		if t.Failed() || time.Since(start) >= budget {
			break
		}
	}
	harness.Count(t, "backups made beside transfers", backups)
}
