package capycoin_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
)

// growth makes batches of transfers among 200 accounts, with beside at work at
// the same time, until done is closed. It returns by how much the file grew for
// each of them, and how many of its pages are free.
func growth(t *testing.T, batches int, beside func(led *capycoin.Ledger, id uuid.UUID, done <-chan struct{})) (perTransfer float64, free int) {
	led := openTuned(t, filepath.Join(t.TempDir(), "coins.db"), nil, folding(4096, 64)).Ledger
	ids := make([]uuid.UUID, 200)
	for i := range ids {
		ids[i] = openAccount(t, led, 400)
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	if beside != nil {
		wg.Go(func() { beside(led, ids[0], done) })
	}
	before := led.Stats().FileUsed
	const size = 256
	for n := range batches {
		batch := make([]capycoin.Transfer, size)
		for i := range batch {
			from := (n*7 + i) % len(ids)
			to := (from + 1 + i%199) % len(ids)
			batch[i] = capycoin.Transfer{Sender: ids[from], Receiver: ids[to], Amount: 1, Key: fmt.Sprintf("%d-%d", n, i)}
		}
		results, err := led.TransferBatch(context.Background(), batch, capycoin.EachAlone)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range results {
			if r.Err != nil {
				t.Fatal(r.Err)
			}
		}
	}
	close(done)
	wg.Wait()
	return float64(led.Stats().FileUsed-before) / float64(batches*size), led.Stats().FreePages
}

// TestAuditUnderLoad audits again and again while transfers are made. The
// books are right at any moment, and the audits, which read in pages, leave
// the file as small as it would be without them.
func TestAuditUnderLoad(t *testing.T) {
	const batches = 300
	plain, _ := growth(t, batches, nil)
	audited, free := growth(t, batches, func(led *capycoin.Ledger, _ uuid.UUID, done <-chan struct{}) {
		for n := 0; ; n++ {
			select {
			case <-done:
				if n < 3 {
					t.Errorf("only %d audits were made meanwhile", n)
				}
				return
			default:
				audit(t, led)
			}
		}
	})
	t.Logf("bytes a transfer: %.0f without audits, %.0f with; %d free pages", plain, audited, free)
	if audited > 1.5*plain+20 {
		t.Errorf("the file grew by %.0f bytes a transfer under audits, %.0f without", audited, plain)
	}
}

// TestSlowListing lists an account's transactions and takes its time over the
// first one, while others are made. Nothing of the file is held meanwhile, so
// it does not grow for that.
func TestSlowListing(t *testing.T) {
	const batches = 100
	plain, _ := growth(t, batches, nil)
	beside, free := growth(t, batches, func(led *capycoin.Ledger, id uuid.UUID, done <-chan struct{}) {
		for _, err := range led.Transactions(context.Background(), id, capycoin.Range{Limit: 1}) {
			if err != nil {
				t.Error(err)
			}
			<-done
		}
	})
	t.Logf("bytes a transfer: %.0f without a listing, %.0f with; %d free pages", plain, beside, free)
	if beside > 1.5*plain+20 {
		t.Errorf("the file grew by %.0f bytes a transfer while somebody read slowly, %.0f without", beside, plain)
	}
}
