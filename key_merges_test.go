package capycoin_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/store"
)

// runsToMerge is how many runs of a level are merged at once.
const runsToMerge = 8

// keyRunRows is a run of idempotency keys, as its rows say.
type keyRunRows struct {
	level  byte
	number uint64
}

// keyRuns returns the runs of which there are rows.
func keyRuns(t *testing.T, folds store.Folds) (runs []keyRunRows) {
	t.Helper()
	from := make([]byte, 9)
	for {
		var found []byte
		err := folds.Scan(t.Context(), store.TableKeys, from, func(key, _ []byte) bool {
			found = slices.Clone(key)
			return false
		})
		if err != nil {
			t.Fatal(err)
		}
		if found == nil {
			return runs
		}
		run := keyRunRows{found[0], binary.BigEndian.Uint64(found[1:])}
		runs = append(runs, run)
		binary.BigEndian.PutUint64(from[1:], run.number+1)
		from[0] = run.level
	}
}

// mergeIsDue says whether there are runs that are being merged: both the new one has
// rows and one of those before it.
func mergeIsDue(runs []keyRunRows) bool {
	for _, into := range runs {
		for _, from := range runs {
			if from.level+1 == into.level && from.number <= into.number {
				return true
			}
		}
	}
	return false
}

// TestMergesKeepUp: however many keys come, no level gathers more runs than make
// the next merge while one goes on.
func TestMergesKeepUp(t *testing.T) {
	if testing.Short() {
		t.Skip("a million transfers")
	}
	t.Parallel()
	led, err := tunedLedger(filepath.Join(t.TempDir(), "coins.db"), &capycoin.Options{Supply: capycoin.MaxSupply}, folding(20_000, 64))
	if err != nil {
		t.Fatal(err)
	}
	defer led.Close()
	a, err := led.OpenAccount(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var most [3]int
	batch := make([]capycoin.Transfer, 200)
	for n := range 6000 {
		for i := range batch {
			batch[i] = capycoin.Transfer{Sender: capycoin.DefaultSeedAccount(), Receiver: a.ID, Amount: 1, Key: fmt.Sprint(n*len(batch) + i)}
		}
		if _, err := led.TransferBatch(t.Context(), batch, capycoin.EachAlone); err != nil {
			t.Fatal(err)
		}
		var runs [3]int
		for _, run := range keyRuns(t, led.file) {
			runs[run.level]++
		}
		for level := range runs {
			most[level] = max(most[level], runs[level])
		}
	}
	if most[0] >= 2*runsToMerge || most[1] >= 2*runsToMerge || most[2] == 0 {
		t.Errorf("the levels have had %d runs, want fewer than %d, and one of the last level", most, 2*runsToMerge)
	}
}

// TestInterruptedMerge opens a ledger whose runs were being merged when the
// process ended, and finds each key once, whatever part of it was done.
func TestInterruptedMerge(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "coins.db")
	clock := func() time.Time { return time.UnixMicro(1_700_000_000_000_000) }
	led, err := tunedLedger(path, &capycoin.Options{Clock: clock}, folding(40, 8))
	if err != nil {
		t.Fatal(err)
	}
	a, err := led.OpenAccount(ctx)
	if err != nil {
		t.Fatal(err)
	}
	merging, n := 0, 0
	for ; n < 4000; n++ {
		tr := capycoin.Transfer{Sender: capycoin.DefaultSeedAccount(), Receiver: a.ID, Amount: 1, Key: fmt.Sprint(n)}
		if _, err := led.Transfer(ctx, tr); err != nil {
			t.Fatal(err)
		}
		// Not at the very beginning of one: a part takes some transfers.
		if merging++; !mergeIsDue(keyRuns(t, led.file)) {
			merging = 0
		} else if merging > 200 {
			break
		}
	}
	if merging == 0 {
		t.Fatal("no merge was going on")
	}
	if err := led.Close(); err != nil {
		t.Fatal(err)
	}
	if led, err = tunedLedger(path, &capycoin.Options{Clock: clock}, folding(40, 8)); err != nil {
		t.Fatal(err)
	}
	defer led.Close()
	if runs := keyRuns(t, led.file); !mergeIsDue(runs) {
		t.Fatalf("the runs are %+v, none of them is being merged", runs)
	}
	for i := range 2 * n {
		tr := capycoin.Transfer{Sender: capycoin.DefaultSeedAccount(), Receiver: a.ID, Amount: 1, Key: fmt.Sprint(i)}
		rcpt, err := led.Transfer(ctx, tr)
		if err != nil || rcpt.Replayed != (i <= n) {
			t.Fatalf("key %d of %d: %+v, %v", i, n, rcpt, err)
		}
	}
	rep, err := led.Audit(ctx, nil)
	if err != nil || rep.Err() != nil || rep.Keys != int64(2*n) {
		t.Errorf("audit: %v, %v, %d keys, want %d", err, rep.Err(), rep.Keys, 2*n)
	}
}
