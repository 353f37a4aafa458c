package capycoin_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/tune"
	"github.com/capycoin/capycoin/storetest"
)

// TestFoldsPut fails calls of Folds while sweeps go on: no row that was not
// written is taken for durable, so no key is forgotten.
func TestFoldsPut(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine, many ledgers")
	}
	t.Parallel()
	for _, op := range []storetest.Op{storetest.OpPut, storetest.OpScan, storetest.OpGet, storetest.OpTail, storetest.OpAppend} {
		for n := 1; n <= 12; n++ {
			for _, fault := range []storetest.Fault{storetest.NotDone, storetest.YetDone, storetest.NotWritten, storetest.Fenced} {
				if op == storetest.OpAppend && (fault == storetest.NotDone || fault == storetest.YetDone) {
					continue
				}
				t.Run(fmt.Sprint(op, n, fault), func(t *testing.T) {
					ctx := context.Background()
					mem := storetest.NewMemory()
					f := storetest.NewFaulty(mem, mem)
					led, err := capycoin.OpenStore(tune.With(ctx, folding(4, 4)), f, f, &capycoin.Options{AccountCache: 16})
					if err != nil {
						t.Fatal(err)
					}
					defer led.Close()
					seed := capycoin.DefaultSeedAccount()
					var accts []capycoin.Account
					for range 10 {
						a, err := led.OpenAccount(ctx)
						if err != nil {
							t.Fatal(err)
						}
						accts = append(accts, a)
					}
					f.Fail(op, n, fault)
					paid := map[string]bool{}
					for i := 0; i < 200; i++ {
						key := fmt.Sprint("k", i)
						_, err := led.Transfer(ctx, capycoin.Transfer{Sender: seed, Receiver: accts[i%10].ID, Amount: 1, Key: key})
						if err != nil {
							continue
						}
						paid[key] = true
					}
					// fill the cache so that clean accounts go
					for range 60 {
						led.OpenAccount(ctx)
					}
					if rep, err := led.Audit(ctx, nil); err == nil && rep.FaultCount > 0 {
						t.Errorf("audit: %d faults, first %v", rep.FaultCount, rep.Faults[0])
					}
					again := 0
					for i := 0; i < 200; i++ {
						key := fmt.Sprint("k", i)
						if !paid[key] {
							continue
						}
						r, err := led.Transfer(ctx, capycoin.Transfer{Sender: seed, Receiver: accts[i%10].ID, Amount: 1, Key: key})
						if err == nil && !r.Replayed {
							again++
						}
					}
					if again > 0 {
						t.Errorf("%d keys paid twice", again)
					}
					if e := led.Err(); e != nil {
						t.Logf("stopped: %v", e)
					}
				})
			}
		}
	}
}

// TestMergeFaults fails a commit whose rows move keys from run to run, on Folds
// that write at once: the keys have gone from where they were, and are found
// where they are now.
func TestMergeFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("pays thousands of times again")
	}
	t.Parallel()
	for _, fault := range []struct {
		op    storetest.Op
		fault storetest.Fault
	}{{storetest.OpAppend, storetest.NotWritten}, {storetest.OpAppend, storetest.Fenced}, {storetest.OpPut, storetest.YetDone}} {
		t.Run(fmt.Sprint(fault), func(t *testing.T) {
			f := storetest.NewFaulty(storetest.NewMemory(), storetest.NewFolds())
			led, err := capycoin.OpenStore(tune.With(t.Context(), folding(1500, 64)), f, f, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer led.Close()
			to := openAccount(t, led, 0)
			var paid []capycoin.Transfer
			for n := range 120 {
				batch := make([]capycoin.Transfer, 300)
				for i := range batch {
					batch[i] = capycoin.Transfer{Sender: capycoin.DefaultSeedAccount(), Receiver: to, Amount: 1}
					if i < 50 {
						batch[i].Key = fmt.Sprint(n, "-", i)
					}
				}
				if n > 55 && n%3 == 0 {
					f.Fail(fault.op, 1, fault.fault)
				}
				_, err := led.TransferBatch(t.Context(), batch, capycoin.Atomic)
				f.Heal()
				if err == nil {
					paid = append(paid, batch[:50]...)
				}
				if n <= 55 || n%3 != 0 {
					continue
				}
				results, err := led.TransferBatch(t.Context(), paid, capycoin.EachAlone)
				if err != nil {
					t.Fatal(err)
				}
				for i, r := range results {
					if r.Err != nil || !r.Receipt.Replayed {
						t.Fatalf("batch %d: key %s of %d paid again: %+v", n, paid[i].Key, len(paid), r)
					}
				}
			}
			if rep, err := led.Audit(t.Context(), nil); err != nil || rep.Err() != nil {
				t.Error(err, rep.Err())
			}
		})
	}
}
