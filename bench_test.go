package capycoin_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	bolt "go.etcd.io/bbolt"

	"github.com/capycoin/capycoin"
)

// The benchmarks make durable transfers between random accounts of a ledger in
// a file and report transfers/s. Run them all, and raw bbolt appending records
// of the same size beside them, with
//
//	go test -run '^$' -bench 'Transfer|Bbolt' -benchtime 2s .
//
// Machines differ and are noisy: compare figures of one run.

// benchOn runs a benchmark on a ledger of so many accounts beside the seed
// account, all with funds that outlast it. The ledger is made once, however
// often the benchmark is run to find its length.
func benchOn(b *testing.B, name string, accounts int, run func(b *testing.B, led *capycoin.Ledger, ids []uuid.UUID)) {
	if accounts > 1000 && testing.Short() {
		return
	}
	path := filepath.Join(b.TempDir(), "coins.db")
	var led *capycoin.Ledger
	var ids []uuid.UUID
	b.Run(name, func(b *testing.B) {
		if led == nil {
			led, ids = benchLedger(b, path, accounts)
		}
		run(b, led, ids)
	})
	if led != nil {
		if err := led.Close(); err != nil {
			b.Error(err)
		}
	}
}

func benchLedger(b *testing.B, path string, accounts int) (*capycoin.Ledger, []uuid.UUID) {
	b.Helper()
	ctx := context.Background()
	led, err := capycoin.Open(path, &capycoin.Options{Supply: capycoin.MaxSupply})
	if err != nil {
		b.Fatal(err)
	}
	ids := make([]uuid.UUID, accounts)
	const openers = 1024
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(openers, accounts) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(accounts); i = next.Add(1) - 1 {
				acct, err := led.OpenAccount(ctx)
				if err != nil {
					b.Error(err)
					return
				}
				ids[i] = acct.ID
			}
		})
	}
	wg.Wait()
	for first := 0; first < accounts; first += capycoin.MaxBatch {
		var grants []capycoin.Transfer
		for _, id := range ids[first:min(first+capycoin.MaxBatch, accounts)] {
			grants = append(grants, capycoin.Transfer{
				Sender: capycoin.DefaultSeedAccount(), Receiver: id, Amount: capycoin.MaxSupply / capycoin.Coins(accounts+1)})
		}
		if _, err := led.TransferBatch(ctx, grants, capycoin.Atomic); err != nil {
			b.Fatal(err)
		}
	}
	return led, ids
}

// randomTransfer pays a coin or a few to another account; to the first one if
// the ledger is to have a hot account.
func randomTransfer(rng *rand.Rand, ids []uuid.UUID, hot bool, key string) capycoin.Transfer {
	from := rng.IntN(len(ids))
	to := (from + 1 + rng.IntN(len(ids)-1)) % len(ids)
	if hot {
		if from == 0 {
			from = 1
		}
		to = 0
	}
	return capycoin.Transfer{Sender: ids[from], Receiver: ids[to], Amount: capycoin.Coins(1 + rng.IntN(100)), Key: key}
}

// runs numbers the runs of benchmarks, so that no key is used twice.
var runs atomic.Int64

func perSecond(b *testing.B, transfers int) {
	b.ReportMetric(float64(transfers)/b.Elapsed().Seconds(), "transfers/s")
	b.ReportMetric(0, "ns/op")
}

func BenchmarkTransfer(b *testing.B) {
	for _, bm := range []struct {
		name     string
		callers  int
		accounts int
		hot      bool
		keys     bool
	}{
		{"1caller", 1, 1000, false, false},
		{"64callers", 64, 1000, false, false},
		{"64callers/keys", 64, 1000, false, true},
		{"64callers/hot", 64, 1000, true, false},
		{"1024callers", 1024, 1000, false, false},
		{"1024callers/keys", 1024, 1000, false, true},
		{"1024callers/1Maccounts", 1024, 1_000_000, false, false},
	} {
		benchOn(b, bm.name, bm.accounts, func(b *testing.B, led *capycoin.Ledger, ids []uuid.UUID) {
			ctx := context.Background()
			run := runs.Add(1)
			var left atomic.Int64
			left.Store(int64(b.N))
			b.ResetTimer()
			var wg sync.WaitGroup
			for caller := range bm.callers {
				wg.Go(func() {
					rng := rand.New(rand.NewPCG(uint64(caller), uint64(b.N)))
					for i := left.Add(-1); i >= 0; i = left.Add(-1) {
						key := ""
						if bm.keys {
							key = fmt.Sprintf("order-%d-%d", run, i)
						}
						if _, err := led.Transfer(ctx, randomTransfer(rng, ids, bm.hot, key)); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			perSecond(b, b.N)
		})
	}
}

func BenchmarkTransferBatch(b *testing.B) {
	const size = 8192
	for _, bm := range []struct {
		name     string
		accounts int
		hot      bool
		keys     bool
		mode     capycoin.BatchMode
	}{
		{"1000accounts", 1000, false, false, capycoin.EachAlone},
		{"1000accounts/atomic", 1000, false, false, capycoin.Atomic},
		{"1000accounts/keys", 1000, false, true, capycoin.EachAlone},
		{"1000accounts/hot", 1000, true, false, capycoin.EachAlone},
		{"1Maccounts", 1_000_000, false, false, capycoin.EachAlone},
		{"1Maccounts/keys", 1_000_000, false, true, capycoin.EachAlone},
	} {
		benchOn(b, bm.name, bm.accounts, func(b *testing.B, led *capycoin.Ledger, ids []uuid.UUID) {
			ctx := context.Background()
			run := runs.Add(1)
			rng := rand.New(rand.NewPCG(1, uint64(b.N)))
			batch := make([]capycoin.Transfer, size)
			before := led.Stats().FileUsed
			b.ResetTimer()
			for n := range b.N {
				b.StopTimer()
				for i := range batch {
					key := ""
					if bm.keys {
						key = fmt.Sprintf("order-%d-%d-%d", run, n, i)
					}
					batch[i] = randomTransfer(rng, ids, bm.hot, key)
				}
				b.StartTimer()
				results, err := led.TransferBatch(ctx, batch, bm.mode)
				if err != nil {
					b.Fatal(err)
				}
				for i := range results {
					if results[i].Err != nil {
						b.Fatal(results[i].Err)
					}
				}
			}
			b.StopTimer()
			perSecond(b, b.N*size)
			b.ReportMetric(float64(led.Stats().FileUsed-before)/float64(b.N*size), "file-B/transfer")
		})
	}
}

// BenchmarkBbolt appends records as long as a transfer's to a bbolt bucket,
// one row each, with nothing else around it: what the disk and bbolt allow.
func BenchmarkBbolt(b *testing.B) {
	for _, size := range []int{1, 32, 512, 8192} {
		b.Run(fmt.Sprintf("commits-of-%d", size), func(b *testing.B) {
			options := bolt.Options{FreelistType: bolt.FreelistMapType}
			if strconv.IntSize == 64 && runtime.GOOS != "windows" {
				size := int64(16 << 30) // a variable, as the constant is no int of 32 bits
				options.InitialMmapSize = int(size)
			}
			db, err := bolt.Open(filepath.Join(b.TempDir(), "raw.db"), 0o600, &options)
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			name := []byte("journal")
			if err := db.Update(func(tx *bolt.Tx) error { _, err := tx.CreateBucket(name); return err }); err != nil {
				b.Fatal(err)
			}
			value := make([]byte, size*75)
			position := uint64(0)
			b.ResetTimer()
			for range b.N {
				err := db.Update(func(tx *bolt.Tx) error {
					bucket := tx.Bucket(name)
					bucket.FillPercent = 1
					for i := range size {
						position++
						if err := bucket.Put(binary.BigEndian.AppendUint64(nil, position), value[75*i:75*i+75]); err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			perSecond(b, b.N*size)
		})
	}
}
