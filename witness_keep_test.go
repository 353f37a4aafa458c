package capycoin_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/harness"
	"github.com/capycoin/capycoin/internal/tune"
	"github.com/capycoin/capycoin/storetest"
)

var witnessPosition = regexp.MustCompile(`(?m)^position (\d+)$`)

// seenBy returns the highest position that is in the file of a witness.
func seenBy(t testing.TB, path string) (most uint64) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range witnessPosition.FindAllSubmatch(b, -1) {
		n, _ := strconv.ParseUint(string(m[1]), 10, 64) // it has digits only
		most = max(most, n)
	}
	return most
}

// eventually waits until something is so.
func eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after 20 s still not: %s", what)
		}
	}
}

// payers pay from several accounts at once until done is closed, or until the
// ledger is. Whoever has nothing left waits for the others' coins.
func payers(led *capycoin.Ledger, ids []uuid.UUID, done <-chan struct{}) *sync.WaitGroup {
	wg := new(sync.WaitGroup)
	for i := range ids {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				tr := capycoin.Transfer{Sender: ids[i], Receiver: ids[(i+1)%len(ids)], Amount: 1}
				if _, err := led.Transfer(context.Background(), tr); err != nil && !errors.Is(err, capycoin.ErrInsufficientFunds) {
					return
				}
			}
		})
	}
	return wg
}

// TestWitnessKept: the witness follows a ledger that is at work, is left alone
// while that has nothing to do, and is up to date after Close.
func TestWitnessKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "coins.db")
	led, err := tunedLedger(path, nil, tune.Options{WitnessEvery: 2 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ids := []uuid.UUID{openAccount(t, led.Ledger, 1000), openAccount(t, led.Ledger, 1000), openAccount(t, led.Ledger, 1000)}
	done := make(chan struct{})
	wg := payers(led.Ledger, ids, done)
	last := uint64(0)
	for range 5 {
		eventually(t, "the witness moves on", func() bool { return seenBy(t, path+".witness") > last })
		last = seenBy(t, path+".witness")
		if now := led.Stats(); last > now.Position || now.WitnessPosition > now.Position {
			t.Fatalf("the witness saw record %d, the ledger is at %+v", last, now)
		}
	}
	close(done)
	wg.Wait()
	eventually(t, "the witness is up to date", func() bool {
		now := led.Stats()
		return now.WitnessPosition == now.Position && seenBy(t, path+".witness") == now.Position
	})
	before, err := os.Stat(path + ".witness")
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(20 * time.Millisecond)
	if now, err := os.Stat(path + ".witness"); err != nil || !now.ModTime().Equal(before.ModTime()) {
		t.Errorf("it was written at %v, and again at %v, %v, though nothing was committed", before.ModTime(), now.ModTime(), err)
	}
	if err := led.Close(); err != nil {
		t.Fatal(err)
	}

	// Now with nothing but Close to write it.
	again := openLedger(t, path, nil)
	id := openAccount(t, again, 1)
	want := again.Stats().Position
	var closers sync.WaitGroup
	for range 8 {
		closers.Go(func() { again.Close() })
	}
	closers.Wait()
	if got := seenBy(t, path+".witness"); got != want {
		t.Errorf("the witness saw record %d, want %d, and account %s", got, want, id)
	}
	again = openLedger(t, path, nil)
	if s := again.Stats(); s.Position != seenBy(t, path+".witness") || s.WitnessPosition != s.Position {
		t.Errorf("the journal ends at record %d, the witness saw %d", s.Position, seenBy(t, path+".witness"))
	}
}

// TestWitnessOfAnyStore: a ledger on another store has a witness where it is
// asked for one. Of a commit whose outcome is unknown that says nothing.
func TestWitnessOfAnyStore(t *testing.T) {
	ctx := context.Background()
	for _, fault := range []storetest.Fault{storetest.NotDone, storetest.YetDone} {
		t.Run(fault.String(), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "witness")
			mem := storetest.NewMemory()
			store := storetest.NewFaulty(mem, mem)
			led, err := capycoin.OpenStore(ctx, store, store, &capycoin.Options{Witness: path})
			if err != nil {
				t.Fatal(err)
			}
			openAccount(t, led, 5) // records 2 and 3
			store.Fail(storetest.OpAppend, 1, fault)
			if _, err := led.OpenAccount(ctx); !errors.Is(err, capycoin.ErrOutcomeUnknown) {
				t.Fatalf("got %v, want an unknown outcome", err)
			}
			if err := led.Close(); err != nil {
				t.Fatal(err)
			}
			if got := seenBy(t, path); got != 3 {
				t.Errorf("the witness saw record %d, want 3", got)
			}
			if led, err = capycoin.OpenStore(ctx, store, store, &capycoin.Options{Witness: path}); err != nil {
				t.Fatal(err)
			}
			if err := led.CheckWitness(ctx, path); err != nil {
				t.Error(err)
			}
			if err := led.Close(); err != nil {
				t.Fatal(err)
			}

			// Another log has not got what it saw.
			other := storetest.NewMemory()
			if led, err = capycoin.OpenStore(ctx, other, other, &capycoin.Options{Witness: path}); !errors.Is(err, capycoin.ErrRolledBack) {
				t.Errorf("another log: got %v, want ErrRolledBack", err)
			}
			if led != nil {
				led.Close()
			}
			// Without a path nothing looks at it.
			if led, err = capycoin.OpenStore(ctx, other, other, nil); err != nil {
				t.Fatal(err)
			}
			if err := led.CheckWitness(ctx, path); !errors.Is(err, capycoin.ErrRolledBack) {
				t.Errorf("comparing it: got %v, want ErrRolledBack", err)
			}
			if err := led.CheckWitness(ctx, path+"x"); !errors.Is(err, capycoin.ErrWitness) || !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("comparing none: got %v, want ErrWitness that is fs.ErrNotExist", err)
			}
			if err := led.Close(); err != nil {
				t.Fatal(err)
			}
			if got := seenBy(t, path); got < 3 || got > 4 {
				t.Errorf("the witness saw record %d, want 3 or 4", got)
			}
		})
	}
	if _, err := capycoin.Open(filepath.Join(t.TempDir(), "coins.db"), &capycoin.Options{Witness: "x", NoWitness: true}); !errors.Is(err, capycoin.ErrBadOption) {
		t.Errorf("a witness and none: got %v, want ErrBadOption", err)
	}
}

// logLines counts the lines of a log with a text in them.
type logLines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logLines) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), text)
}

// troubled opens a ledger at work that writes its witness all the time, with
// what it logs.
func troubled(t *testing.T, path, witness string) (*tuned, *logLines, func()) {
	t.Helper()
	log := new(logLines)
	led := openTuned(t, path, &capycoin.Options{Witness: witness, Logger: slog.New(slog.NewTextHandler(log, nil))}, tune.Options{WitnessEvery: time.Millisecond})
	ids := []uuid.UUID{openAccount(t, led.Ledger, 1000), openAccount(t, led.Ledger, 1000)}
	done := make(chan struct{})
	wg := payers(led.Ledger, ids, done)
	return led, log, func() {
		close(done)
		wg.Wait()
	}
}

const (
	saysFailed = `level=WARN msg="the witness can't be written; the ledger goes on without"`
	saysAgain  = `level=INFO msg="the witness is written again"`
	saysMade   = `level=WARN msg="the witness was gone or damaged, it is made anew"`
)

// goesOnWithout makes sure that a ledger at work does not mind that its witness
// can't be written, and says so once.
func goesOnWithout(t *testing.T, led *tuned, log *logLines) {
	t.Helper()
	eventually(t, "a warning", func() bool { return log.count(saysFailed) == 1 })
	at := led.Stats().Position
	eventually(t, "the ledger goes on", func() bool { return led.Stats().Position > at+50 })
	time.Sleep(20 * time.Millisecond) // it is tried many times
	if n := log.count(saysFailed); n != 1 {
		t.Errorf("the log has %d warnings, want one", n)
	}
	if s := led.Stats(); s.WitnessPosition >= s.Position {
		t.Errorf("the witness is said to be at %d, the ledger is at %d", s.WitnessPosition, s.Position)
	}
}

// TestWitnessUnwritable takes the file of a witness away while the ledger is at
// work, and puts something else in its place.
func TestWitnessUnwritable(t *testing.T) {
	dir := t.TempDir()
	path, witness := filepath.Join(dir, "coins.db"), filepath.Join(dir, "place", "witness")
	if err := os.Mkdir(filepath.Dir(witness), 0o700); err != nil {
		t.Fatal(err)
	}
	led, log, stop := troubled(t, path, witness)
	defer stop()

	if err := os.Remove(witness); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is made anew", func() bool { return log.count(saysMade) == 1 })

	if err := os.Rename(filepath.Dir(witness), filepath.Join(dir, "gone")); err != nil {
		t.Fatal(err)
	}
	goesOnWithout(t, led, log)
	// Another ledger's file in its place is left alone.
	if err := os.Mkdir(filepath.Dir(witness), 0o700); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is written again", func() bool { return log.count(saysAgain) == 1 })
	other := filepath.Join(dir, "other.db")
	if err := openLedger(t, other, nil).Close(); err != nil {
		t.Fatal(err)
	}
	theirs, err := os.ReadFile(other + ".witness")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(other+".witness", witness); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a second warning", func() bool { return log.count(saysFailed) == 2 && log.count("another ledger writes it") == 1 })
	if now, err := os.ReadFile(witness); err != nil || !bytes.Equal(now, theirs) {
		t.Errorf("the other ledger's witness has changed, %v", err)
	}
	if err := os.Remove(witness); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is written again", func() bool { return log.count(saysAgain) == 2 })
}

// TestHarnessWitness kills a process at random while it commits and writes its
// witness as often as it can. The file is never refused, and never without what
// the witness saw.
func TestHarnessWitness(t *testing.T) {
	path := filepath.Join(t.TempDir(), "coins.db")
	rng := rand.New(rand.NewPCG(21, uint64(time.Now().UnixNano())))
	kills, seen := 0, uint64(0)
	least := time.Duration(0) // it has, longer where the machine is slow
	for deadline := time.Now().Add(harness.Budget(t, 2*time.Second)); (time.Now().Before(deadline) || seen < 10 && kills < 100) && !t.Failed(); kills++ {
		cmd := exec.Command(os.Args[0], "-test.run=^TestWitnessChild$")
		cmd.Env = append(os.Environ(), "CAPYCOIN_WITNESS_CHILD="+path)
		var says bytes.Buffer
		cmd.Stdout = &says
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if seen < 10 {
			least += 20 * time.Millisecond
		}
		time.Sleep(least + time.Duration(10+rng.IntN(200))*time.Millisecond)
		cmd.Process.Kill()
		cmd.Wait() // it was killed
		if says.Len() > 0 {
			t.Fatalf("the process says: %s", says.String())
		}
		if _, err := os.Stat(path + ".witness"); errors.Is(err, fs.ErrNotExist) {
			continue // it had no time
		}
		saw := seenBy(t, path+".witness")
		if saw < seen {
			t.Errorf("kill %d: the witness saw record %d before, and now %d", kills, seen, saw)
		}
		seen = saw
		led, err := capycoin.Open(path, nil)
		if err != nil {
			t.Fatalf("kill %d: %v", kills, err)
		}
		if s := led.Stats(); s.Position < saw {
			t.Errorf("kill %d: the witness saw record %d, the journal ends at %d", kills, saw, s.Position)
		}
		seen = led.Stats().Position
		if err := led.Close(); err != nil {
			t.Fatal(err)
		}
	}
	harness.Count(t, "kills survived while a witness was written", kills)
	if seen < 10 {
		t.Errorf("only %d records were made", seen)
	}
}

// TestWitnessChild is the process that TestHarnessWitness kills.
func TestWitnessChild(t *testing.T) {
	path := os.Getenv("CAPYCOIN_WITNESS_CHILD")
	if path == "" {
		t.Skip("it is for TestHarnessWitness")
	}
	led, err := tunedLedger(path, &capycoin.Options{Supply: capycoin.MaxSupply}, tune.Options{WitnessEvery: 50 * time.Microsecond})
	if err != nil {
		fmt.Println(err) // a killed process says nothing
		return
	}
	ctx := context.Background()
	var ids []uuid.UUID
	for range 8 {
		acct, err := led.OpenAccount(ctx)
		if err == nil {
			_, err = led.Transfer(ctx, capycoin.Transfer{Sender: capycoin.DefaultSeedAccount(), Receiver: acct.ID, Amount: 10})
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		ids = append(ids, acct.ID)
	}
	payers(led.Ledger, ids, nil).Wait()
	fmt.Println("the ledger has stopped:", led.Err())
}
