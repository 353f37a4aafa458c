package capycoin_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/harness"
	"github.com/capycoin/capycoin/internal/tune"
)

// fullRun is a ledger on a disk that is full now and then.
type fullRun struct {
	t    *testing.T
	path string
	opts *capycoin.Options
	led  *tuned
	full bool

	mu       sync.Mutex
	n        int // of keys
	accounts []uuid.UUID
	paid     map[string]capycoin.Receipt
	asked    map[string]capycoin.Transfer
	keys     []string // of paid
	declined []string // certainly not made
	refusals int      // calls that found no room
	replays  int      // of them while the disk was full
}

// fullFolding has the ledgers on a full disk fold all the time.
var fullFolding = folding(60, 8)

// open opens the ledger, which takes no room.
func (run *fullRun) open() {
	run.t.Helper()
	led, err := tunedLedger(run.path, run.opts, fullFolding)
	if err != nil {
		run.t.Fatalf("opening, disk full %t: %v", run.full, err)
	}
	if err := growBy(led.file, 32<<10); err != nil {
		run.t.Fatal(err)
	}
	run.led = led
}

// setRoom fills the disk, or makes room.
func (run *fullRun) setRoom(limit uint64) {
	run.full = limit != noLimit
	limitFiles(run.t, limit)
}

// settled says whether a change was made; it may have found no room only if
// there was none.
func (run *fullRun) settled(what string, err error) bool {
	switch {
	case err == nil:
		return true
	case !run.full || !errors.Is(err, capycoin.ErrDiskFull) || !errors.Is(err, capycoin.ErrNotWritten):
		run.t.Errorf("%s, disk full %t: %v", what, run.full, err)
	}
	run.mu.Lock()
	run.refusals++
	run.mu.Unlock()
	return false
}

// fresh makes a transfer that was not asked for yet, or one that was declined.
func (run *fullRun) fresh(rng *rand.Rand) capycoin.Transfer {
	run.mu.Lock()
	defer run.mu.Unlock()
	if n := len(run.declined); n > 0 && rng.IntN(4) == 0 {
		i := rng.IntN(n)
		key := run.declined[i]
		run.declined[i] = run.declined[n-1]
		run.declined = run.declined[:n-1]
		return run.asked[key]
	}
	run.n++
	tr := capycoin.Transfer{
		Sender: capycoin.DefaultSeedAccount(), Receiver: run.accounts[rng.IntN(len(run.accounts))],
		Amount: 1, Key: fmt.Sprint("k", run.n),
	}
	run.asked[tr.Key] = tr
	return tr
}

// outcome notes what became of a fresh transfer.
func (run *fullRun) outcome(tr capycoin.Transfer, rcpt capycoin.Receipt, made bool) {
	run.mu.Lock()
	defer run.mu.Unlock()
	if !made {
		run.declined = append(run.declined, tr.Key)
		return
	}
	if rcpt.Replayed {
		run.t.Errorf("key %s was declined, and yet was used", tr.Key)
	}
	run.paid[tr.Key] = rcpt
	run.keys = append(run.keys, tr.Key)
}

// replay repeats a transfer that was made. That takes no room.
func (run *fullRun) replay(rng *rand.Rand) {
	run.mu.Lock()
	if len(run.keys) == 0 {
		run.mu.Unlock()
		return
	}
	key := run.keys[rng.IntN(len(run.keys))]
	tr, want := run.asked[key], run.paid[key]
	if run.full {
		run.replays++
	}
	run.mu.Unlock()
	got, err := run.led.Transfer(context.Background(), tr)
	if err != nil || !got.Replayed || got.TransactionID != want.TransactionID {
		run.t.Errorf("key %s again, disk full %t: %+v, %v; it was %+v", key, run.full, got, err, want)
	}
}

// act does one thing of those that clients do.
func (run *fullRun) act(rng *rand.Rand) {
	ctx := context.Background()
	switch n := rng.IntN(100); {
	case n < 50:
		tr := run.fresh(rng)
		rcpt, err := run.led.Transfer(ctx, tr)
		run.outcome(tr, rcpt, run.settled("a transfer", err))
	case n < 60:
		batch := make([]capycoin.Transfer, 1+rng.IntN(100))
		for i := range batch {
			batch[i] = run.fresh(rng)
		}
		results, err := run.led.TransferBatch(ctx, batch, capycoin.Atomic)
		made := run.settled("a batch", err)
		for i, tr := range batch {
			if made {
				run.outcome(tr, results[i].Receipt, true)
			} else {
				run.outcome(tr, capycoin.Receipt{}, false)
			}
		}
	case n < 65:
		acct, err := run.led.OpenAccount(ctx)
		if run.settled("opening an account", err) {
			run.mu.Lock()
			run.accounts = append(run.accounts, acct.ID)
			run.mu.Unlock()
		}
	case n < 90:
		run.replay(rng)
	default:
		run.mu.Lock()
		id := run.accounts[rng.IntN(len(run.accounts))]
		run.mu.Unlock()
		if _, err := run.led.TransactionPage(ctx, id, capycoin.Range{Limit: 5}); err != nil {
			run.t.Errorf("a page, disk full %t: %v", run.full, err)
		}
	}
}

// work lets some clients act at once.
func (run *fullRun) work(rng *rand.Rand, clients, acts int) {
	var wg sync.WaitGroup
	for range clients {
		own := rand.New(rand.NewPCG(rng.Uint64(), 0))
		wg.Go(func() {
			for range acts {
				run.act(own)
			}
		})
	}
	wg.Wait()
}

// check compares the file with its books, its pages with bbolt's lists of
// them, and the books with what was acknowledged.
func (run *fullRun) check() {
	run.t.Helper()
	checkFull(run.t, run.led, int64(len(run.paid)))
}

func checkFull(t *testing.T, led *tuned, transactions int64) {
	t.Helper()
	for _, err := range checkPages(led.file) {
		t.Errorf("pages: %v", err)
	}
	rep, err := led.Audit(context.Background(), nil)
	if err != nil || rep.Err() != nil {
		t.Errorf("audit: %v, %v", err, rep.Err())
	}
	if s, err := led.Supply(context.Background()); err != nil || s.Transactions != transactions {
		t.Errorf("there are %d transactions, %d were made: %v", s.Transactions, transactions, err)
	}
}

// crash opens a copy of the file as it is now, on a full disk: it can be read,
// though there may be more to fold than fits into memory, and is whole.
func (run *fullRun) crash() {
	run.t.Helper()
	b, err := os.ReadFile(run.path)
	if err != nil {
		run.t.Fatal(err)
	}
	run.setRoom(noLimit)
	path := filepath.Join(run.t.TempDir(), "copy.db")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		run.t.Fatal(err)
	}
	run.setRoom(0)
	led, err := tunedLedger(path, run.opts, fullFolding)
	if err != nil {
		run.t.Fatalf("opening a copy on a full disk: %v", err)
	}
	checkFull(run.t, led, int64(len(run.paid)))
	run.setRoom(noLimit)
	tr := capycoin.Transfer{Sender: capycoin.DefaultSeedAccount(), Receiver: run.accounts[0], Amount: 1}
	if _, err := led.Transfer(context.Background(), tr); err != nil {
		run.t.Errorf("with room again: %v", err)
	}
	checkFull(run.t, led, int64(len(run.paid))+1)
	if err := errors.Join(led.Close(), os.RemoveAll(filepath.Dir(path))); err != nil {
		run.t.Error(err)
	}
}

// TestHarnessDiskFull fills the disk of a ledger at work and makes room again,
// at random, hundreds of times: what finds no room is declined, all else goes
// on, nothing that was acknowledged is lost and nothing declined is made, and
// bbolt's pages stay in order. The disk is full at any byte of the file, so
// that the writes of a commit fail one after the other, and where it grows.
func TestHarnessDiskFull(t *testing.T) {
	if !inChild(t) {
		return
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	defer limitFiles(t, noLimit)
	filled, refusals, replays := 0, 0, 0
	for end := time.Now().Add(harness.Budget(t, 3*time.Second)); time.Now().Before(end) && !t.Failed(); {
		run := &fullRun{
			t: t, path: filepath.Join(t.TempDir(), "coins.db"), opts: &capycoin.Options{AccountCache: 16, Supply: capycoin.MaxSupply},
			paid: make(map[string]capycoin.Receipt), asked: make(map[string]capycoin.Transfer),
		}
		filled += run.fill(rng, 50)
		refusals, replays = refusals+run.refusals, replays+run.replays
	}
	if refusals == 0 || replays == 0 {
		t.Errorf("%d changes were declined, %d keys replayed on a full disk", refusals, replays)
	}
	harness.Count(t, "disks filled", filled)
	harness.Count(t, "changes declined on a full disk", refusals)
	harness.Count(t, "keys replayed on a full disk", replays)
}

// fill makes a ledger and fills its disk so many times. It returns how many it
// was.
func (run *fullRun) fill(rng *rand.Rand, times int) (filled int) {
	t := run.t
	run.open()
	run.accounts = append(run.accounts, openAccount(t, run.led.Ledger, 0))
	run.work(rng, 1, 50)
	for ; filled < times && !t.Failed(); filled++ {
		used := uint64(run.led.Stats().FileUsed)
		limit := rng.Uint64N(used)
		if rng.IntN(2) == 0 {
			limit = used - min(used, 32<<10) + rng.Uint64N(96<<10)
		}
		run.setRoom(limit)
		run.work(rng, 1+rng.IntN(6), rng.IntN(20))
		switch rng.IntN(12) {
		case 0:
			run.check()
		case 1:
			run.crash()
		case 2:
			if err := run.led.Close(); err != nil {
				t.Errorf("closing on a full disk: %v", err)
			}
			run.open()
			run.check()
		}
		run.setRoom(noLimit)
		run.work(rng, 1+rng.IntN(3), rng.IntN(10))
		if rng.IntN(6) == 0 {
			run.check()
		}
	}
	run.check()
	if err := errors.Join(run.led.Err(), run.led.Close(), os.RemoveAll(filepath.Dir(run.path))); err != nil {
		t.Error(err)
	}
	return filled
}

// TestHarnessDiskFullNew makes a ledger, and brings one of an old format to the
// present one, on a disk that is full sooner or later: it says so, leaves no
// file or the old ledger, and both work once there is room.
func TestHarnessDiskFullNew(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine, many files")
	}
	if !inChild(t) {
		return
	}
	defer limitFiles(t, noLimit)
	made, converted := 0, 0
	for limit := uint64(0); limit <= 1<<20; limit += 6000 + limit {
		path := filepath.Join(t.TempDir(), "coins.db")
		limitFiles(t, limit)
		_, err := capycoin.Open(path, nil)
		limitFiles(t, noLimit)
		if !errors.Is(err, capycoin.ErrDiskFull) {
			t.Fatalf("making a file of at most %d bytes: got %v, want ErrDiskFull", limit, err)
		}
		if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) > 0 {
			t.Errorf("limit %d: it left %v, %v", limit, left, err)
		}
		led, err := tunedLedger(path, nil, tune.Options{})
		if err != nil {
			t.Fatalf("with room again: %v", err)
		}
		checkFull(t, led, 0)
		if err := led.Close(); err != nil {
			t.Error(err)
		}
		made++

		path = oldFile(t, "format1.db")
		limitFiles(t, limit)
		present, err := capycoin.Open(path, nil)
		limitFiles(t, noLimit)
		switch {
		case err == nil && converted > 0: // there was room enough
			if err := present.Close(); err != nil {
				t.Error(err)
			}
		case errors.Is(err, capycoin.ErrDiskFull):
			converted++
		default:
			t.Errorf("converting a file of at most %d bytes: got %v, want ErrDiskFull", limit, err)
		}
		checkOldFile(t, path)
	}
	harness.Count(t, "disks filled", made+converted)
}
