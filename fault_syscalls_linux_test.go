package capycoin_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/harness"
	"github.com/capycoin/capycoin/internal/tune"
)

// syscallFaults are what can go wrong with each system call that a ledger makes
// to bring something to the disk.
var syscallFaults = []struct {
	call   string
	faults []string // as strace has them
}{
	{"pwrite64", []string{"error=EIO", "error=ENOSPC", "signal=KILL"}},
	{"fdatasync", []string{"error=EIO", "error=ENOSPC", "signal=KILL"}},
	{"fsync", []string{"error=EIO", "error=ENOSPC", "signal=KILL"}},
	{"ftruncate", []string{"error=EIO", "error=ENOSPC", "signal=KILL"}},
	{"linkat", []string{"error=EIO", "error=ENOSPC", "signal=KILL"}},
	{"renameat", []string{"error=EIO", "error=ENOSPC", "signal=KILL"}},
	{"unlinkat", []string{"error=EIO", "signal=KILL"}},
}

// syscallCase is one of them, the n-th time that a thread makes the call.
type syscallCase struct {
	call, fault string
	n           int
	old         bool // with a file of an old format
}

func (c syscallCase) String() string {
	return fmt.Sprintf("%s:%s:when=%d, old format %t", c.call, c.fault, c.n, c.old)
}

const syscallsVariable = "CAPYCOIN_TEST_SYSCALLS"

// TestHarnessSyscalls lets every system call fail, or be the last one, that a
// ledger makes for the disk in a fixed series of what clients do: what was
// acknowledged is there, what was declined is not, the error says which, the
// books are whole, and the ledger is opened again and goes on. Without a longer
// time it takes some of the calls by chance.
func TestHarnessSyscalls(t *testing.T) {
	if path := os.Getenv(syscallsVariable); path != "" {
		syscallsChild(t, path)
		return
	}
	inMemory(t)
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("needs strace")
	}
	var cases []syscallCase
	for _, old := range []bool{false, true} {
		trace := newSyscallRun(t, old)
		trace.start(strace, "-e", "trace=pwrite64,fdatasync,fsync,ftruncate,linkat,renameat,unlinkat")
		if trace.err != nil && trace.most("pwrite64") == 0 {
			t.Skipf("strace can't trace a process here: %v\n%s", trace.err, trace.out)
		}
		trace.judge()
		for _, f := range syscallFaults {
			for _, fault := range f.faults {
				for n := range trace.most(f.call) {
					cases = append(cases, syscallCase{f.call, fault, n + 1, old})
				}
			}
		}
	}
	all := len(cases)
	rand.Shuffle(all, func(i, k int) { cases[i], cases[k] = cases[k], cases[i] })
	injected := make(map[string]int)
	unknown, declined := 0, 0
	least := 30
	if testing.Short() {
		least = 5
	}
	end := time.Now().Add(harness.Budget(t, 4*time.Second))
	for len(cases) > 0 && (all-len(cases) < least || time.Now().Before(end)) && !t.Failed() {
		c := cases[0]
		cases = cases[1:]
		run := newSyscallRun(t, c.old)
		run.start(strace, "-e", "trace="+c.call, "-e", fmt.Sprintf("inject=%s:%s:when=%d", c.call, c.fault, c.n))
		run.judge()
		n := strings.Count(run.trace, "(INJECTED)")
		if c.fault == "signal=KILL" {
			n = min(strings.Count(run.trace, "+++ killed by SIGKILL +++"), 1) // each thread is listed
		} else if write := c.call == "pwrite64" || c.call == "ftruncate"; write && run.unknown > 0 {
			t.Error("a write that failed left an outcome unknown")
		} else if !write && len(run.declined) > 0 {
			t.Error("the ledger went on after a failed sync")
		}
		injected[c.call+" "+c.fault[strings.Index(c.fault, "=")+1:]] += n
		unknown, declined = unknown+run.unknown, declined+len(run.declined)
		if t.Failed() {
			t.Logf("with %v:\n%s\n%s", c, run.out, run.trace)
		} else if err := os.RemoveAll(filepath.Dir(run.path)); err != nil { // there are many
			t.Error(err)
		}
	}
	t.Logf("%d of %d cases; %d outcomes unknown, %d changes declined", all-len(cases), all, unknown, declined)
	if len(cases) == 0 && (unknown == 0 || declined == 0) {
		t.Error("no fault of all led to an unknown outcome, or none to a declined change")
	}
	for what, n := range injected {
		harness.Count(t, "faults injected: "+what, n)
	}
}

// syscallsChild is the series, on one thread, which prints what it asks for and
// gets. When the ledger does not open or has stopped, it is opened again, once
// for each of the two faults that there may be: on this thread and the writer's.
func syscallsChild(t *testing.T, path string) {
	runtime.LockOSThread()
	ctx := context.Background()
	var led *tuned
	for try := 0; led == nil; try++ {
		var err error
		if led, err = openForSyscalls(path); err != nil {
			fmt.Println("no-open", err)
			if try == 2 {
				t.Fatal(err)
			}
		}
	}
	var ids []uuid.UUID
	reopen := func() {
		led.Close()
		var err error
		if led, err = openForSyscalls(path); err != nil {
			fmt.Println("no-open", err)
			if led, err = openForSyscalls(path); err != nil {
				t.Fatal(err)
			}
		}
	}
	again := func() {
		if errors.Is(led.Err(), capycoin.ErrStopped) {
			fmt.Println("stopped", led.Err())
			reopen()
		}
	}
	for len(ids) < 3 {
		acct, err := led.OpenAccount(ctx)
		if err == nil {
			ids = append(ids, acct.ID)
		}
		again()
	}
	for i := range 30 {
		if i == 24 {
			reopen()
		}
		batch := make([]capycoin.Transfer, 1)
		if i%8 == 7 {
			batch = make([]capycoin.Transfer, 40)
		}
		fmt.Print("ask")
		for n := range batch {
			batch[n] = capycoin.Transfer{Sender: capycoin.DefaultSeedAccount(), Receiver: ids[i%3], Amount: 1, Key: fmt.Sprintf("s%d-%d", i, n)}
			fmt.Print(" ", batch[n].Key, " ", batch[n].Receiver)
		}
		fmt.Println()
		results, err := led.TransferBatch(ctx, batch, capycoin.Atomic)
		switch {
		case err == nil:
			fmt.Print("ack")
			for _, r := range results {
				fmt.Print(" ", r.Receipt.TransactionID)
			}
			fmt.Println()
		case errors.Is(err, capycoin.ErrOutcomeUnknown):
			fmt.Println("unknown", err)
		case errors.Is(err, capycoin.ErrNotWritten):
			fmt.Println("declined", err)
		default:
			t.Fatal(err)
		}
		again()
	}
	if err := led.Close(); err != nil {
		fmt.Println("close", err)
	}
}

func openForSyscalls(path string) (*tuned, error) {
	led, err := tunedLedger(path, &capycoin.Options{AccountCache: 16}, folding(12, 4))
	if err == nil {
		err = growBy(led.file, 8<<10)
	}
	return led, err
}

// syscallRun is the series under strace, and what became of it.
type syscallRun struct {
	t     *testing.T
	path  string
	err   error
	out   []byte
	trace string

	before   int64             // transactions that the file had
	paid     map[string]string // key to transaction
	to       map[string]uuid.UUID
	doubtful []string // keys whose outcome nobody knows
	declined []string
	unknown  int
}

func newSyscallRun(t *testing.T, old bool) *syscallRun {
	run := &syscallRun{t: t, path: filepath.Join(t.TempDir(), "coins.db"), paid: make(map[string]string), to: make(map[string]uuid.UUID)}
	if old {
		run.path, run.before = oldFile(t, "format1.db"), 440
	}
	return run
}

func (run *syscallRun) report(format string, args ...any) {
	run.t.Helper()
	run.t.Errorf(format, args...)
}

// start runs the series.
func (run *syscallRun) start(strace string, args ...string) {
	run.t.Helper()
	trace := filepath.Join(filepath.Dir(run.path), "trace")
	args = append([]string{"-f", "-q", "-o", trace}, args...)
	cmd := exec.Command(strace, append(args, os.Args[0], "-test.run=^"+run.t.Name()+"$", "-test.timeout=1m")...)
	cmd.Env = append(os.Environ(), syscallsVariable+"="+run.path)
	run.out, run.err = cmd.CombinedOutput()
	b, err := os.ReadFile(trace)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		run.t.Fatal(err)
	}
	run.trace = string(b)
}

var traced = regexp.MustCompile(`(?m)^(\d+) +(\w+)\(`)

// most returns how often a thread made a call, at most.
func (run *syscallRun) most(call string) (most int) {
	threads := make(map[string]int)
	for _, m := range traced.FindAllStringSubmatch(run.trace, -1) {
		if m[2] == call {
			threads[m[1]]++
			most = max(most, threads[m[1]])
		}
	}
	return most
}

// read takes in what the series printed.
func (run *syscallRun) read() {
	run.t.Helper()
	var asked []string
	lines := bufio.NewScanner(bytes.NewReader(run.out))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		fields := strings.Fields(rest)
		switch word {
		case "ask":
			asked = asked[:0]
			for i := 0; i+1 < len(fields); i += 2 {
				if id, err := uuid.Parse(fields[i+1]); err == nil { // or it was killed in the middle
					asked = append(asked, fields[i])
					run.to[fields[i]] = id
				}
			}
			continue
		case "ack":
			if len(fields) != len(asked) {
				run.report("%d transfers, %d receipts", len(asked), len(fields))
				continue
			}
			for i, id := range fields {
				run.paid[asked[i]] = id
			}
		case "unknown":
			run.unknown++
			run.doubtful = append(run.doubtful, asked...)
		case "declined":
			run.declined = append(run.declined, asked...)
		default:
			continue // for whoever reads it
		}
		asked = asked[:0]
	}
	run.doubtful = append(run.doubtful, asked...) // by a kill
}

// judge opens the file and compares it with what the series was told.
func (run *syscallRun) judge() {
	t := run.t
	t.Helper()
	run.read()
	if run.err != nil && !strings.Contains(run.trace, "killed by SIGKILL") {
		run.report("the series failed: %v\n%s", run.err, run.out)
	}
	led, err := tunedLedger(run.path, nil, tune.Options{})
	if err != nil {
		run.report("opening it: %v", err)
		return
	}
	defer led.Close()
	for _, err := range checkPages(led.file) {
		run.report("pages: %v", err)
	}
	ctx := context.Background()
	if rep, err := led.Audit(ctx, nil); err != nil || rep.Err() != nil {
		run.report("audit: %v, %v", err, rep.Err())
	}
	supply, err := led.Supply(ctx)
	if err != nil {
		run.report("supply: %v", err)
	}
	repeat := func(key string) capycoin.Receipt {
		rcpt, err := led.Transfer(ctx, capycoin.Transfer{Sender: capycoin.DefaultSeedAccount(), Receiver: run.to[key], Amount: 1, Key: key})
		if err != nil {
			run.report("repeating %s: %v", key, err)
		}
		return rcpt
	}
	there := run.before
	for key, id := range run.paid {
		if rcpt := repeat(key); !rcpt.Replayed || rcpt.TransactionID.String() != id {
			run.report("%s was acknowledged as %s; repeated it is %+v", key, id, rcpt)
		}
		there++
	}
	for _, key := range run.doubtful {
		if repeat(key).Replayed {
			there++
		}
	}
	for _, key := range run.declined {
		if repeat(key).Replayed {
			run.report("%s was declined, and is there", key)
		}
	}
	if supply.Transactions != there {
		run.report("there were %d transactions, acknowledged or doubtful are %d", supply.Transactions, there)
	}
}
