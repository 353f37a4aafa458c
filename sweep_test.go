package capycoin_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/tune"
	"github.com/capycoin/capycoin/storetest"
)

// TestSweepsKeepUp: whatever accounts change while a sweep goes on, and however
// often, it is through within half the lag. Else a restart would have more and
// more to replay.
func TestSweepsKeepUp(t *testing.T) {
	const lag, accounts, batch = 4000, 1000, 100
	for name, load := range map[string]struct {
		prefix bool // the ids of all accounts begin with the same bytes
		late   int  // how many accounts change while a sweep goes on,
		few    int  // and before
		keys   func(sweeping bool) bool
	}{
		// Each commit changes more accounts of one part than a slice has.
		"one part":      {true, 60, 60, func(bool) bool { return false }},
		"one part keys": {true, 60, 60, func(bool) bool { return true }},
		"late accounts": {false, accounts, 1, func(bool) bool { return false }},
		"late keys":     {false, accounts, accounts, func(sweeping bool) bool { return sweeping }},
		"early keys":    {false, accounts, accounts, func(sweeping bool) bool { return !sweeping }},
	} {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 2))
			ids := 0
			newID := func() (id uuid.UUID, err error) {
				if ids++; !load.prefix {
					binary.BigEndian.PutUint64(id[:], rng.Uint64())
				}
				binary.BigEndian.PutUint64(id[8:], uint64(ids))
				id[6], id[8] = id[6]&0x0f|0x40, 0x80
				return id, nil
			}
			mem := storetest.NewMemory()
			led, err := capycoin.OpenStore(tune.With(t.Context(), folding(lag, 4)), mem, mem, &capycoin.Options{NewID: newID})
			if err != nil {
				t.Fatal(err)
			}
			defer led.Close()
			var list []uuid.UUID
			for range accounts {
				list = append(list, openAccount(t, led, 0))
			}
			worst, sweeping := 0, false
			for n := 0; n < 12*lag; {
				transfers := make([]capycoin.Transfer, batch)
				for i := range transfers {
					tr := capycoin.Transfer{Sender: capycoin.DefaultSeedAccount(), Amount: 1}
					if sweeping {
						tr.Receiver = list[rng.IntN(load.late)]
					} else {
						tr.Receiver = list[rng.IntN(load.few)]
					}
					if load.keys(sweeping) {
						tr.Key = fmt.Sprint("key", n)
					}
					transfers[i] = tr
					n++
				}
				if _, err := led.TransferBatch(t.Context(), transfers, capycoin.Atomic); err != nil {
					t.Fatal(err)
				}
				s := led.Stats()
				unfolded := int(s.Position-s.FoldPosition) + s.FreshKeys
				worst, sweeping = max(worst, unfolded), unfolded >= lag
			}
			// A commit is over what is allowed, and one ends the sweep.
			if most := lag + lag/2 + 3*2*batch; worst > most {
				t.Errorf("%d records and keys were unfolded, want at most %d", worst, most)
			}
		})
	}
}
