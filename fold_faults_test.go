package capycoin_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/storetest"
)

// TestFoldsPut fails calls of Folds while sweeps go on: no row that was not
// written is taken for durable, so no key is forgotten.
func TestFoldsPut(t *testing.T) {
	for _, op := range []storetest.Op{storetest.OpPut, storetest.OpScan, storetest.OpGet, storetest.OpTail, storetest.OpAppend} {
		for n := 1; n <= 12; n++ {
			for _, fault := range []storetest.Fault{storetest.NotDone, storetest.YetDone, storetest.NotWritten, storetest.Fenced} {
				if op == storetest.OpAppend && (fault == storetest.NotDone || fault == storetest.YetDone) {
					continue
				}
				t.Run(fmt.Sprint(op, n, fault), func(t *testing.T) {
					defer capycoin.TuneFolding(4, 4)()
					ctx := context.Background()
					mem := storetest.NewMemory()
					f := storetest.NewFaulty(mem, mem)
					led, err := capycoin.OpenStore(ctx, f, f, &capycoin.Options{AccountCache: 16})
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
