package capycoin_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/harness"
	"github.com/capycoin/capycoin/internal/osfile"
	"github.com/capycoin/capycoin/internal/pages"
	"github.com/capycoin/capycoin/store"
)

// flipBit changes a bit of some bytes that start in a page.
func flipBit(r *rand.Rand, b []byte, at, n int) {
	if n = min(n, len(b)-at); at >= 0 && n > 0 {
		b[at+r.IntN(n)] ^= 1 << r.IntN(8)
	}
}

// damages are the ways to damage a page of a file. What they return is the file
// then; it may be the same as before.
var damages = []struct {
	name string
	do   func(d *damageLedger, r *rand.Rand, b []byte, n int) []byte
}{
	{"a bit of the header", func(d *damageLedger, r *rand.Rand, b []byte, n int) []byte {
		flipBit(r, b, n*d.pageSize, pages.HeaderSize)
		return b
	}},
	{"more pages, or fewer", func(d *damageLedger, r *rand.Rand, b []byte, n int) []byte {
		b[n*d.pageSize+pages.OverflowAt] ^= 1 << r.IntN(4)
		return b
	}},
	{"fewer elements", func(d *damageLedger, r *rand.Rand, b []byte, n int) []byte {
		if page := d.page(b, n); n > 1 && d.elements(page) > 1 {
			binary.NativeEndian.PutUint16(page[pages.CountAt:], uint16(1+r.IntN(d.elements(page)-1)))
		}
		return b
	}},
	{"a bit of the elements", func(d *damageLedger, r *rand.Rand, b []byte, n int) []byte {
		flipBit(r, b, n*d.pageSize+pages.HeaderSize, pages.ElementSize*max(1, d.elements(d.page(b, n))))
		return b
	}},
	{"a bit of a key", func(d *damageLedger, r *rand.Rand, b []byte, n int) []byte {
		if page := d.page(b, n); n > 1 && d.elements(page) > 0 {
			key, _ := d.element(page, r.IntN(d.elements(page)))
			flipBit(r, b, n*d.pageSize+key[0], key[1])
		}
		return b
	}},
	{"a last bit of a key", func(d *damageLedger, r *rand.Rand, b []byte, n int) []byte {
		if page := d.page(b, n); n > 1 && d.elements(page) > 0 {
			key, _ := d.element(page, r.IntN(d.elements(page)))
			flipBit(r, b, n*d.pageSize+key[0]+key[1]-1, 1)
		}
		return b
	}},
	{"a bit of a value", func(d *damageLedger, r *rand.Rand, b []byte, n int) []byte {
		if page := d.page(b, n); n > 1 && d.elements(page) > 0 {
			_, value := d.element(page, r.IntN(d.elements(page)))
			flipBit(r, b, n*d.pageSize+value[0], value[1])
		}
		return b
	}},
	{"a bit anywhere", func(d *damageLedger, r *rand.Rand, b []byte, n int) []byte {
		flipBit(r, b, n*d.pageSize, d.pageSize)
		return b
	}},
	{"zeroed", func(d *damageLedger, r *rand.Rand, b []byte, n int) []byte {
		clear(d.page(b, n))
		return b
	}},
	{"half of it", func(d *damageLedger, r *rand.Rand, b []byte, n int) []byte {
		clear(d.page(b, n)[d.pageSize/2:])
		return b
	}},
	{"random bytes", func(d *damageLedger, r *rand.Rand, b []byte, n int) []byte {
		for i, page := 0, d.page(b, n); i < len(page); i++ {
			page[i] = byte(r.Uint32())
		}
		return b
	}},
	{"random bytes after the header", func(d *damageLedger, r *rand.Rand, b []byte, n int) []byte {
		for i, page := pages.HeaderSize, d.page(b, n); i < len(page); i++ {
			page[i] = byte(r.Uint32())
		}
		return b
	}},
	{"the file ends before it", func(d *damageLedger, r *rand.Rand, b []byte, n int) []byte {
		return b[:n*d.pageSize]
	}},
	{"the file ends in it", func(d *damageLedger, r *rand.Rand, b []byte, n int) []byte {
		return b[:n*d.pageSize+1+r.IntN(d.pageSize-1)]
	}},
	{"swapped with another", func(d *damageLedger, r *rand.Rand, b []byte, n int) []byte {
		o := r.IntN(d.pages)
		copy(d.page(b, n), d.page(d.file, o))
		copy(d.page(b, o), d.page(d.file, n))
		return b
	}},
	{"another's in its place", func(d *damageLedger, r *rand.Rand, b []byte, n int) []byte {
		copy(d.page(b, n), d.page(d.file, r.IntN(d.pages)))
		return b
	}},
	{"an old copy", func(d *damageLedger, r *rand.Rand, b []byte, n int) []byte {
		from := r.IntN(len(d.old))
		for i := range d.old { // one that is of another time
			if old := d.old[(from+i)%len(d.old)]; len(old) >= (n+1)*d.pageSize && !bytes.Equal(d.page(old, n), d.page(d.file, n)) {
				copy(d.page(b, n), d.page(old, n))
				break
			}
		}
		return b
	}},
	{"a branch that leads to itself", func(d *damageLedger, r *rand.Rand, b []byte, n int) []byte {
		if page := d.page(b, n); pages.Flags(page) == pages.FlagBranch {
			binary.NativeEndian.PutUint64(page[pages.HeaderSize+pages.ElementSize*r.IntN(d.elements(page))+8:], uint64(n))
		}
		return b
	}},
	{"a branch that leads elsewhere", func(d *damageLedger, r *rand.Rand, b []byte, n int) []byte {
		if page := d.page(b, n); pages.Flags(page) == pages.FlagBranch {
			binary.NativeEndian.PutUint64(page[pages.HeaderSize+pages.ElementSize*r.IntN(d.elements(page))+8:], r.Uint64N(uint64(d.pages)+2))
		}
		return b
	}},
}

// damaged is one way to damage one page.
type damaged struct {
	d    *damageLedger
	page int
	kind int
	seed uint64
}

func (c damaged) String() string {
	return fmt.Sprintf("pages of %d bytes, page %d, %s, seed %d", c.d.pageSize, c.page, damages[c.kind].name, c.seed)
}

// file returns the damaged file, nil if it is as it was.
func (c damaged) file() []byte {
	r := rand.New(rand.NewPCG(c.seed, uint64(c.page<<8|c.kind)))
	b := damages[c.kind].do(c.d, r, bytes.Clone(c.d.file), c.page)
	if bytes.Equal(b, c.d.file) {
		return nil
	}
	return b
}

// everyDamage calls try with damaged pages of some ledgers until the budget is
// used up: each page in each way, in an order that the seed draws; then again
// with other bits. What try returns are counted.
func everyDamage(t *testing.T, budget time.Duration, ledgers []*damageLedger, try func(dir string, c damaged, file []byte) string) (files int, outcomes map[string]int) {
	t.Helper()
	var all []damaged
	for _, d := range ledgers {
		for n := range d.pages {
			for kind := range damages {
				if !d.free[n] || damages[kind].name == "random bytes" {
					all = append(all, damaged{d: d, page: n, kind: kind})
				}
			}
		}
	}
	outcomes = make(map[string]int)
	var mu sync.Mutex
	next := 0
	draw := func() (c damaged) {
		mu.Lock()
		defer mu.Unlock()
		round := next / len(all)
		if next%len(all) == 0 {
			r := rand.New(rand.NewPCG(1, uint64(round)))
			r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		}
		c = all[next%len(all)]
		c.seed = uint64(round)
		next++
		return c
	}
	end := time.Now().Add(budget)
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		dir := t.TempDir()
		wg.Go(func() {
			for time.Now().Before(end) && !t.Failed() {
				c := draw()
				file := c.file()
				if file == nil {
					continue
				}
				// Whoever hangs is not waited for with the rest of the tests.
				hangs := time.AfterFunc(time.Minute, func() {
					all := make([]byte, 1<<20)
					panic(fmt.Sprintf("%s: it hangs\n%s", c, all[:runtime.Stack(all, true)]))
				})
				outcome := try(dir, c, file)
				hangs.Stop()
				mu.Lock()
				files++
				outcomes[outcome]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return files, outcomes
}

func damageLedgers(t *testing.T) []*damageLedger {
	t.Helper()
	needsTestPage(t)
	if testing.Short() {
		t.Skip("hundreds of ledgers")
	}
	return []*damageLedger{newDamageLedger(t, testPage, false), newDamageLedger(t, 1024, false), newDamageLedger(t, 1024, true)}
}

// TestHarnessDamagedPages damages each page of a ledger's file in each of several
// ways. The process lives, and either opening says so, or an answer does, or
// the audit does; or every answer is as it was, because the damage lies where
// nothing is.
func TestHarnessDamagedPages(t *testing.T) {
	ledgers := damageLedgers(t)
	files, outcomes := everyDamage(t, harness.Budget(t, 4*time.Second), ledgers, func(dir string, c damaged, file []byte) string {
		path := filepath.Join(dir, "bad.db")
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Error(err)
		}
		return tryDamaged(t, c, path)
	})
	harness.Count(t, "damaged files opened", files)
	harness.Count(t, "damaged files, named by Open", outcomes["refused"])
	harness.Count(t, "damaged files, named by the audit", outcomes["found by the audit"])
	harness.Count(t, "damaged files, every answer right", outcomes["nothing lost"])
}

// saysDamaged says whether an error is one that damage may give.
func saysDamaged(err error) bool {
	return errors.Is(err, store.ErrCorrupt) || errors.Is(err, store.ErrNotLedger) || errors.Is(err, store.ErrNewerFormat) || errors.Is(err, store.ErrEmptyFile)
}

// tryDamaged opens a damaged file and asks it everything, and returns how the
// damage showed.
func tryDamaged(t *testing.T, c damaged, path string) string {
	t.Helper()
	defer unlocked(t, c, path)
	led, err := capycoin.Open(path, &capycoin.Options{NoWitness: true})
	if err != nil {
		if !saysDamaged(err) {
			t.Errorf("%s: Open: got %v, want an error that says damaged", c, err)
		}
		return "refused"
	}
	defer led.Close() // it may say that it was stopped
	rep, err := led.Audit(context.Background(), nil)
	if err != nil || rep.Err() != nil {
		// What is written all the same makes it no worse.
		c.d.goOn(led)
		led.Close()
		if err := pagesFault(path); err != nil {
			t.Errorf("%s: the audit found it, then payments were made: %v", c, err)
		}
		return "found by the audit"
	}
	got, err := c.d.answers(led)
	if err != nil {
		t.Errorf("%s: the audit was clean, then: %v", c, err)
		return "found later"
	}
	if got != c.d.want {
		t.Errorf("%s: the audit was clean, and an answer is wrong: %s", c, firstDifference(got, c.d.want))
	}
	if err := c.d.goesOn(led, path); err != nil {
		t.Errorf("%s: the audit was clean, then payments were made: %v", c, err)
	}
	return "nothing lost"
}

// pagesFault says what is wrong with the pages of a file.
func pagesFault(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(pages.CheckFile(f), f.Close())
}

// unlocked makes sure that nobody has a file open any more.
func unlocked(t *testing.T, c damaged, path string) {
	t.Helper()
	if f, err := os.Open(path); err != nil {
		t.Error(err)
	} else if err := errors.Join(osfile.Lock(f, 10*time.Millisecond), f.Close()); err != nil {
		t.Errorf("%s: the lock of the file was left: %v", c, err)
	}
}

// firstDifference shows the first lines that two answers do not have in common.
func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range g {
		if i >= len(w) || g[i] != w[i] {
			return fmt.Sprintf("line %d is\n%s, want\n%s", i, g[i], w[min(i, len(w)-1)])
		}
	}
	return fmt.Sprintf("it ends after %d lines, want %d", len(g), len(w))
}

// TestHarnessRottenPages damages a page of a file while a ledger has it open,
// and then asks it everything. Each answer is an error, or as it was; the
// process lives, and the file can be closed. What is folded from the journal is
// read from the file, as little of it is kept in memory. Where a page lacks rows
// now and is whole otherwise, what it had is not found, without an error; then
// the audit says so.
func TestHarnessRottenPages(t *testing.T) {
	ledgers := damageLedgers(t)
	files, outcomes := everyDamage(t, harness.Budget(t, 2*time.Second), ledgers, func(dir string, c damaged, file []byte) string {
		path := filepath.Join(dir, "rotten.db")
		if err := os.WriteFile(path, c.d.file, 0o600); err != nil {
			t.Error(err)
		}
		defer unlocked(t, c, path)
		led, err := capycoin.Open(path, &capycoin.Options{AccountCache: 16, NoWitness: true})
		if err != nil {
			t.Errorf("%s: before it was damaged: %v", c, err)
			return "refused"
		}
		defer led.Close() // it may say that it was stopped
		if err := rot(path, c.d.file, file, c.d.pageSize); err != nil {
			t.Error(err)
		}
		got, err := c.d.answers(led)
		switch {
		case err == nil && got != c.d.want || errors.Is(err, capycoin.ErrAccountNotFound):
			if rep, err := led.Audit(context.Background(), nil); err == nil && rep.Err() == nil {
				t.Errorf("%s: an answer is wrong, and the audit is clean: %v, %s", c, err, firstDifference(got, c.d.want))
			}
			return "named by the audit"
		case err == nil:
			return "nothing lost"
		case !saysDamaged(err):
			t.Errorf("%s: got %v, want an error that says damaged", c, err)
		}
		if err := led.Err(); err == nil {
			if rep, err := led.Audit(context.Background(), nil); err == nil && rep.Err() == nil {
				t.Errorf("%s: it said damaged, and the audit is clean", c)
			}
		}
		return "named"
	})
	harness.Count(t, "pages rotted under an open ledger", files)
	harness.Count(t, "pages rotted under an open ledger, named", outcomes["named"])
	harness.Count(t, "pages rotted under an open ledger, named by the audit alone", outcomes["named by the audit"])
	harness.Count(t, "pages rotted under an open ledger, every answer right", outcomes["nothing lost"])
}

// rot writes to a file what differs, or cuts it.
func rot(path string, was, is []byte, pageSize int) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if len(is) < len(was) {
		return f.Truncate(int64(len(is)))
	}
	for at := 0; at < len(is); at += pageSize {
		if !bytes.Equal(is[at:at+pageSize], was[at:at+pageSize]) {
			if _, err := f.WriteAt(is[at:at+pageSize], int64(at)); err != nil {
				return err
			}
		}
	}
	return nil
}
