package capycoin_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/harness"
)

// TestHarnessRepairSteps kills a repair as it is about to make each of its
// changes to the folder and each of its syncs, and repairs again.
func TestHarnessRepairSteps(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("needs strace")
	}
	if testing.Short() {
		t.Skip("dozens of processes")
	}
	needsTestPage(t)
	d := newDamageLedger(t, testPage, false)
	file, lost := d.lostLeaf(t, len(d.records)/2)
	kills := 0
	end := time.Now().Add(harness.Budget(t, 4*time.Second))
	for _, call := range []string{"renameat", "linkat", "unlinkat", "fsync", "fdatasync"} {
		for n := 1; time.Now().Before(end); n++ {
			path := damagedFile(t, file)
			cmd := exec.Command(strace, "-f", "-q", "-o", os.DevNull, "-e", "trace="+call, "-e", fmt.Sprintf("inject=%s:signal=KILL:when=%d", call, n),
				os.Args[0], "-test.run=^TestRepairChild$")
			cmd.Env = append(os.Environ(), "CAPYCOIN_REPAIR_CHILD="+path)
			if err := cmd.Run(); err == nil {
				if d.afterKill(t, path, file, lost) {
					t.Fatal("it ended, and the file is as it was")
				}
				break // none is left
			}
			kills++
			d.afterKill(t, path, file, lost)
			if _, err := capycoin.Repair(context.Background(), path, &capycoin.RepairOptions{Cut: true}); err != nil {
				t.Fatalf("killed at %s %d, then: %v", call, n, err)
			}
			if d.afterKill(t, path, file, lost) {
				t.Errorf("killed at %s %d, and repaired again: it is as it was", call, n)
			}
		}
	}
	harness.Count(t, "repairs killed at a step", kills)
}
