package capycoin_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/capycoin/capycoin"
)

// BenchmarkReopen makes 10,000,000 transfers with new keys of 36 bytes among
// 1,000,000 accounts, a hundredth of that with -short, and reports what they cost
// in memory and in the file, how long it takes to open the ledger after Close and
// as kill -9 leaves it, and how fast the audit is:
//
//	go test -run '^$' -bench Reopen -benchtime 1x -timeout 30m .
func BenchmarkReopen(b *testing.B) {
	for _, keys := range []bool{false, true} {
		b.Run(fmt.Sprintf("keys=%t", keys), func(b *testing.B) { benchReopen(b, keys) })
	}
}

func benchReopen(b *testing.B, keys bool) {
	ctx := context.Background()
	accounts, transfers := 1_000_000, 10_000_000
	if testing.Short() {
		accounts, transfers = accounts/100, transfers/100
	}
	path := filepath.Join(b.TempDir(), "coins.db")
	led, ids := benchLedger(b, path, accounts)
	before := led.Stats().FileUsed
	rng := rand.New(rand.NewPCG(1, uint64(runs.Add(1))))
	batch := make([]capycoin.Transfer, 8192)
	memory := 0
	for made := 0; made < transfers; made += len(batch) {
		for i := range batch {
			key := ""
			if keys {
				key = fmt.Sprintf("%016x-%019d", rng.Uint64(), made+i)
			}
			batch[i] = randomTransfer(rng, ids, false, key)
		}
		if _, err := led.TransferBatch(ctx, batch, capycoin.EachAlone); err != nil {
			b.Fatal(err)
		}
		if made%(transfers/100) < len(batch) {
			memory = max(memory, anonymousMemory())
		}
	}
	stats := led.Stats()
	b.ReportMetric(float64(memory)/1e6, "MB-of-memory")
	b.ReportMetric(float64(stats.FileUsed-before)/float64(transfers), "file-B/transfer")

	killed := path + ".killed"
	copyFile(b, path, killed)
	start := time.Now()
	again, err := capycoin.Open(killed, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(time.Since(start).Seconds(), "s-to-open-killed")
	b.ReportMetric(float64(stats.Position-stats.FoldPosition), "records-replayed")
	rep, err := again.Audit(ctx, nil)
	if err == nil {
		err = rep.Err()
	}
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(rep.Records)/rep.Elapsed.Seconds(), "records-audited/s")
	if err := again.Close(); err != nil {
		b.Fatal(err)
	}

	if err := led.Close(); err != nil {
		b.Fatal(err)
	}
	start = time.Now()
	led, err = capycoin.Open(path, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(time.Since(start).Seconds(), "s-to-open-closed")
	b.ReportMetric(0, "ns/op")
	if err := led.Close(); err != nil {
		b.Fatal(err)
	}
}

// copyFile copies a file as it is: what a killed process leaves.
func copyFile(b *testing.B, from, to string) {
	b.Helper()
	src, err := os.Open(from)
	if err != nil {
		b.Fatal(err)
	}
	defer src.Close()
	dst, err := os.Create(to)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := io.Copy(dst, src); err != nil {
		b.Fatal(err)
	}
	if err := dst.Close(); err != nil {
		b.Fatal(err)
	}
}

// anonymousMemory returns the bytes of memory in use that are no pages of a file,
// 0 where the system does not tell.
func anonymousMemory() int {
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "RssAnon:" {
			kilobytes, _ := strconv.Atoi(fields[1])
			return kilobytes * 1024
		}
	}
	return 0
}
