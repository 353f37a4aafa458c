package capycoin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/harness"
	"github.com/capycoin/capycoin/store"
)

// TestHarnessRepair damages pages as [TestHarnessDamagedPages] does and repairs
// the files. Either all answers are as they were, or the records that are lost
// are named, and cut off on request, or it is refused, and nothing is changed.
func TestHarnessRepair(t *testing.T) {
	ledgers := damageLedgers(t)
	files, outcomes := everyDamage(t, harness.Budget(t, 5*time.Second), ledgers, func(dir string, c damaged, file []byte) string {
		dir, err := os.MkdirTemp(dir, "")
		if err != nil {
			t.Error(err)
		}
		defer os.RemoveAll(dir)
		path := filepath.Join(dir, "bad.db")
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Error(err)
		}
		outcome, err := tryRepair(c, path, file)
		if err != nil {
			t.Errorf("%s: %s: %v", c, outcome, err)
		}
		if testing.Verbose() && os.Getenv("CAPYCOIN_SHOW") != "" && outcome != "repaired" && outcome != "healthy" {
			t.Logf("%s: %s", c, outcome)
		}
		return outcome
	})
	harness.Count(t, "damaged files repaired or cut", files)
	harness.Count(t, "damaged files, nothing to repair", outcomes["healthy"])
	harness.Count(t, "damaged files repaired without loss", outcomes["repaired"])
	harness.Count(t, "damaged files, lost records named and cut off", outcomes["cut"])
	harness.Count(t, "damaged files taken as rolled back", outcomes["rolled back"])
	harness.Count(t, "damaged files that repair refuses by name", outcomes["refused"])
	// It is nearly half of them; of a few on a slow machine it may be less.
	if files >= 20 && outcomes["repaired"] < files/6 {
		t.Errorf("of %d files %d were repaired without loss: %v", files, outcomes["repaired"], outcomes)
	}
}

// tryRepair repairs a damaged file and checks what comes of it.
func tryRepair(c damaged, path string, file []byte) (outcome string, err error) {
	ctx := context.Background()
	rep, err := capycoin.Repair(ctx, path, nil)
	switch {
	case err == nil && rep.Healthy:
		return "healthy", c.check(path, len(c.d.records), true)
	case err == nil:
		if kept, err := os.ReadFile(rep.KeptAs); err != nil || !bytes.Equal(kept, file) {
			return "repaired", fmt.Errorf("the damaged file was not kept as it was: %v", err)
		}
		return "repaired", c.check(path, len(c.d.records), true)
	}
	if now, bad := os.ReadFile(path); bad != nil || !bytes.Equal(now, file) {
		return "refused", fmt.Errorf("refused with %v, and the file has changed: %v", err, bad)
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 1 {
		return "refused", fmt.Errorf("refused with %v, and there are the files %v", err, entries)
	}
	harmless := c.harmless()
	switch {
	case !saysDamaged(err) && !errors.Is(err, store.ErrRolledBack):
		return "refused", err
	case harmless:
		return "refused", fmt.Errorf("the journal is whole, and it is refused: %w", err)
	case len(rep.Lost) > 0:
		first := rep.Lost[0].First
		cut, err := capycoin.Repair(ctx, path, &capycoin.RepairOptions{Cut: true, AcceptRollback: errors.Is(err, store.ErrRolledBack)})
		if err != nil {
			if first == 1 || errors.Is(err, store.ErrRolledBack) || saysDamaged(err) && cut.Journal == 0 {
				return "refused", nil
			}
			return "cut", err
		}
		if err := checkCutFile(cut); err != nil {
			return "cut", err
		}
		return "cut", c.check(path, int(first-1), false)
	case errors.Is(err, store.ErrRolledBack):
		back, err := capycoin.Repair(ctx, path, &capycoin.RepairOptions{AcceptRollback: true})
		if err != nil {
			return "rolled back", err
		}
		// A commit has fewer records than that. Where the end of the file is gone,
		// what says where the journal ends may be too; the size tells.
		if back.Journal+120 < uint64(len(c.d.records)) && !strings.Contains(rep.Damage, "pages need") {
			return "rolled back", fmt.Errorf("by %d of %d records", uint64(len(c.d.records))-back.Journal, len(c.d.records))
		}
		return "rolled back", c.check(path, int(back.Journal), false)
	}
	return "refused", nil
}

// harmless says whether nothing of the journal is on the damaged page, and
// nothing that says where it ends.
func (c damaged) harmless() bool {
	name := damages[c.kind].name
	if strings.Contains(name, "swapped") || strings.Contains(name, "ends") {
		return false
	}
	return !c.d.journal[c.page]
}

// check makes sure that a file has the ledger's first records, and if it is all
// of them, all its answers, and goes on with it.
func (c damaged) check(path string, records int, all bool) error {
	led, err := capycoin.Open(path, &capycoin.Options{NoWitness: true})
	if err != nil {
		return err
	}
	defer led.Close()
	ctx := context.Background()
	n := 0
	for r, err := range led.Journal(ctx, 0) {
		if err != nil {
			return err
		}
		if n >= len(c.d.records) || !bytes.Equal(r.Data, c.d.records[n]) {
			return fmt.Errorf("record %d is another one", r.Position)
		}
		n++
	}
	if n != records {
		return fmt.Errorf("it has %d records, want %d", n, records)
	}
	if !all {
		rep, err := led.Audit(ctx, nil)
		return errors.Join(err, rep.Err())
	}
	got, err := c.d.answers(led)
	if err == nil && got != c.d.want {
		err = fmt.Errorf("an answer is wrong: %s", firstDifference(got, c.d.want))
	}
	if err != nil {
		return err
	}
	return c.d.goesOn(led, path)
}

// checkCutFile makes sure that what was cut off can be read.
func checkCutFile(rep capycoin.RepairReport) error {
	if rep.CutRecords == 0 {
		return nil
	}
	b, err := os.ReadFile(rep.CutFile)
	if err != nil {
		return err
	}
	lines := bytes.Split(bytes.TrimSuffix(b, []byte("\n")), []byte("\n"))
	if uint64(len(lines)) != rep.CutRecords {
		return fmt.Errorf("%d lines of records that were cut off, want %d", len(lines), rep.CutRecords)
	}
	for _, l := range lines {
		var r struct {
			Position uint64
			Kind     string
		}
		if err := json.Unmarshal(l, &r); err != nil || r.Position <= rep.Lost[0].First || r.Kind == "" {
			return fmt.Errorf("the line %q of what was cut off after record %d: %v", l, rep.Lost[0].First, err)
		}
	}
	return nil
}
