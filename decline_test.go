package capycoin_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/storetest"
)

// fullLog is a log that has no room while full is set.
type fullLog struct {
	capycoin.Log
	full atomic.Bool
}

func (l *fullLog) Append(ctx context.Context, after uint64, records [][]byte) error {
	time.Sleep(time.Millisecond) // so that callers share commits
	if l.full.Load() {
		return fmt.Errorf("%w: no room in a test", capycoin.ErrDiskFull)
	}
	return l.Log.Append(ctx, after, records)
}

// TestDecline fills the store under callers that share commits: those that
// change nothing are answered by what is committed, not by what others of the
// commit would have done; the rest are declined. It is told in the log twice.
func TestDecline(t *testing.T) {
	var lines bytes.Buffer
	mem := storetest.NewMemory()
	log := &fullLog{Log: mem}
	led, err := capycoin.OpenStore(t.Context(), log, mem, &capycoin.Options{Logger: slog.New(slog.NewTextHandler(&lines, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer led.Close()
	from, to := openAccount(t, led, 10), openAccount(t, led, 0)
	used := capycoin.Transfer{Sender: from, Receiver: to, Amount: 3, Key: "used"}
	first := pay(t, led, used)
	log.full.Store(true)
	var declined, replayed, short atomic.Int64
	var wg sync.WaitGroup
	for n := range 32 {
		wg.Go(func() {
			for i := range 20 {
				tr := used
				switch n % 4 {
				case 1: // all the funds, with the same key for all
					tr.Amount, tr.Key = 7, "new"
				case 2:
					tr.Amount, tr.Key = 4, fmt.Sprint(n, "-", i)
				case 3:
					tr.Amount, tr.Key = 8, ""
				}
				rcpt, err := led.Transfer(t.Context(), tr)
				switch {
				case n%4 == 0 && err == nil && rcpt.Replayed && rcpt.TransactionID == first.TransactionID:
					replayed.Add(1)
				case n%4 == 1 && errors.Is(err, capycoin.ErrDiskFull), n%4 == 2 && errors.Is(err, capycoin.ErrDiskFull):
					declined.Add(1)
				case n%4 == 3 && errors.Is(err, capycoin.ErrInsufficientFunds):
					var e *capycoin.InsufficientFundsError
					if errors.As(err, &e) && e.Funds == 7 {
						short.Add(1)
					}
				default:
					t.Errorf("caller %d: %+v, %v", n, rcpt, err)
				}
			}
		})
	}
	wg.Wait()
	if replayed.Load() != 160 || declined.Load() != 320 || short.Load() != 160 {
		t.Errorf("%d replayed, %d declined, %d short of funds; want 160, 320 and 160", replayed.Load(), declined.Load(), short.Load())
	}
	if !led.Stats().DiskFull {
		t.Error("Stats do not say that the disk is full")
	}
	if got := funds(t, led, from); got != 7 {
		t.Errorf("the sender has %d coins, want 7", got)
	}
	last := time.Now()
	if _, err := led.Transfer(t.Context(), capycoin.Transfer{Sender: from, Receiver: to, Amount: 1}); !errors.Is(err, capycoin.ErrDiskFull) {
		t.Errorf("got %v, want ErrDiskFull", err)
	}
	log.full.Store(false)
	pay(t, led, capycoin.Transfer{Sender: from, Receiver: to, Amount: 7, Key: "new"})
	if full := led.Stats().DiskFull; !full && time.Since(last) < time.Second {
		t.Error("all is well again at once: a disk that fills up would be told of again and again")
	}
	time.Sleep(time.Second)
	pay(t, led, capycoin.Transfer{Sender: to, Receiver: from, Amount: 1})
	if led.Stats().DiskFull {
		t.Error("Stats still say that the disk is full")
	}
	if rep, err := led.Audit(t.Context(), nil); err != nil || rep.Err() != nil {
		t.Error(err, rep.Err())
	}
	for _, want := range []string{"changes are declined", "no room in a test", "changes are written again"} {
		if n := strings.Count(lines.String(), want); n != 1 {
			t.Errorf("the log has %q %d times, want once:\n%s", want, n, lines.String())
		}
	}
}
