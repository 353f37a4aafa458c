package main

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/harness"
)

// A cutDisk is an ext4 file system in a file, its image. What a process writes
// there stays in the memory of the system until it is synced, and only then
// comes into the image, for ext4 itself does so every 1,000 seconds. So a copy
// of the image is what a disk has after the power was cut.
type cutDisk struct {
	t       *testing.T
	dir     string // where it is mounted: a short path, for a socket's sake
	image   string
	mounted bool
	cuts    int
}

// newCutDisk makes one and mounts it. New temporary folders are on it from then
// on.
func newCutDisk(t *testing.T) *cutDisk {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs to mount a file system, as root")
	}
	for _, tool := range []string{"mkfs.ext4", "mount", "umount"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s", tool)
		}
	}
	dir, err := os.MkdirTemp("", "cut")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(dir) })
	images, err := os.MkdirTemp("/dev/shm", "capycoin") // in memory
	if err != nil {
		images = t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(images) })
	d := &cutDisk{t: t, dir: dir, image: filepath.Join(images, "disk")}
	if err := errors.Join(os.WriteFile(d.image, nil, 0o600), os.Truncate(d.image, 64<<20)); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", d.image).CombinedOutput(); err != nil {
		t.Fatalf("mkfs.ext4: %v: %s", err, out)
	}
	if out, err := d.mount(); err != nil {
		t.Skipf("mounting an image does not work here: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if d.mounted {
			d.unmount()
		}
	})
	t.Setenv("TMPDIR", dir)
	return d
}

func (d *cutDisk) mount() (out []byte, err error) {
	out, err = exec.Command("mount", "-t", "ext4", "-o", "loop,commit=1000", d.image, d.dir).CombinedOutput()
	d.mounted = err == nil
	return out, err
}

// unmount takes it away, and with that its loop device. Something may look at
// it for a moment still.
func (d *cutDisk) unmount() {
	d.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		out, err := exec.Command("umount", d.dir).CombinedOutput()
		if err == nil {
			d.mounted = false
			return
		}
		if time.Now().After(deadline) {
			syscall.Unmount(d.dir, syscall.MNT_DETACH)
			d.t.Fatalf("unmounting %s: %v: %s", d.dir, err, out)
		}
	}
}

// sync brings all that was written into the image.
func (d *cutDisk) sync() {
	d.t.Helper()
	if out, err := exec.Command("sync", "-f", d.dir).CombinedOutput(); err != nil {
		d.t.Fatalf("sync: %v: %s", err, out)
	}
}

// cut takes the power from the disk and gives it back. Nobody may have a file
// of it open.
func (d *cutDisk) cut() {
	d.t.Helper()
	from, err := os.Open(d.image)
	if err != nil {
		d.t.Fatal(err)
	}
	defer from.Close()
	after := d.image + ".after"
	to, err := os.Create(after)
	if err != nil {
		d.t.Fatal(err)
	}
	_, err = io.Copy(to, from)
	if err := errors.Join(err, to.Close()); err != nil {
		d.t.Fatal(err)
	}
	d.unmount()
	if err := os.Rename(after, d.image); err != nil {
		d.t.Fatal(err)
	}
	if out, err := d.mount(); err != nil {
		d.t.Fatalf("mounting it after a power cut: %v: %s", err, out)
	}
	d.cuts++
}

// writeBack has the system write pages of a file early, in no order, until it
// is told to end, as it may do at any time.
func writeBack(path string, rng *rand.Rand, end *atomic.Bool) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return
	}
	defer f.Close()
	const write = 2 // SYNC_FILE_RANGE_WRITE
	for !end.Load() {
		syscall.SyncFileRange(int(f.Fd()), rng.Int64N(256)*4096, 4096*(1+rng.Int64N(8)), write)
		time.Sleep(time.Duration(rng.IntN(200)) * time.Microsecond)
	}
}

// powerSeed returns a source of random numbers, and logs what it is made of.
func powerSeed(t *testing.T) *rand.Rand {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// TestHarnessPowerCut cuts the power under a server with a load of all sorts, or
// that is just about to end. Each time the file is judged as it is then: what
// was acknowledged is there, the books are whole, and the witness has seen no
// more than there is.
func TestHarnessPowerCut(t *testing.T) {
	d := newCutDisk(t)
	rng := powerSeed(t)
	p := newProcess(t, "--supply", "9007199254740991")
	o := newOracle(t, p, 6)
	path := filepath.Join(p.dir, "capycoin.db")
	rounds, made, not := 0, 0, 0
	for end := time.Now().Add(harness.Budget(t, 3*time.Second)); rounds < 4 || time.Now().Before(end) && !t.Failed(); rounds++ {
		if rounds > 0 {
			p.start()
		}
		var load sync.WaitGroup
		var over atomic.Bool
		o.loads(rng, &load)
		if rng.IntN(2) == 0 {
			writer := rand.New(rand.NewPCG(rng.Uint64(), 0))
			load.Go(func() { writeBack(path, writer, &over) })
		}
		for asked, deadline := o.amount.Load(), time.Now().Add(20*time.Second); o.amount.Load() < asked+50 && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond) // so that there is something to lose
		}
		time.Sleep(time.Duration(rng.IntN(100)) * time.Millisecond)
		if rng.IntN(4) == 0 {
			// At the end there is more to write.
			o.ending.Store(true)
			over.Store(true)
			load.Wait()
			p.cmd.Process.Signal(syscall.SIGTERM)
			time.Sleep(time.Duration(rng.IntN(30)) * time.Millisecond)
		}
		p.cmd.Process.Kill()
		over.Store(true)
		p.end()
		load.Wait()
		o.ending.Store(false)
		d.cut()
		m, n := o.judge()
		made, not = made+m, not+n
		if info, err := os.Stat(path); err != nil || info.Sys().(*syscall.Stat_t).Blocks*512 > 24<<20 {
			// The disk would be full one day.
			t.Logf("a new ledger after %d rounds: %v", rounds+1, err)
			os.RemoveAll(p.dir)
			p = newProcess(t, "--supply", "9007199254740991")
			o = newOracle(t, p, 6)
			path = filepath.Join(p.dir, "capycoin.db")
			p.cmd.Process.Kill()
			p.end()
		}
	}
	t.Logf("without an answer %d were made, %d not", made, not)
	harness.Count(t, "power cuts survived", d.cuts)
}

// checkWhole opens a file as it is after a power cut, or as it was made: it is
// a ledger, whole, with so many transactions at least.
func checkWhole(t *testing.T, path string, supply capycoin.Coins, transactions int64) {
	t.Helper()
	led, err := capycoin.Open(path, nil)
	if err != nil {
		t.Errorf("the file: %v", err)
		return
	}
	defer led.Close()
	s, err := led.Supply(t.Context())
	if err != nil || s.Supply != supply || s.Transactions < transactions {
		t.Errorf("the file: %+v, %v; want a supply of %d and %d transactions", s, err, supply, transactions)
	}
	if rep, err := led.Audit(t.Context(), nil); err != nil || rep.Err() != nil {
		t.Errorf("the file: audit: %v, %v", err, rep.Err())
	}
}

// isThere says whether there is a file.
func isThere(t *testing.T, path string) bool {
	t.Helper()
	_, err := os.Stat(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return err == nil
}

// TestHarnessPowerCutNew cuts the power under servers that make their file, or
// bring one of an old format to the present one. A new one is there whole or
// not at all, and there if the server has answered; an old one is always there.
func TestHarnessPowerCutNew(t *testing.T) {
	packed, err := os.Open("../../testdata/format1.db.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	z, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	old, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	d := newCutDisk(t)
	rng := powerSeed(t)
	p := newProcess(t)
	p.cmd.Process.Kill()
	p.end()
	path := filepath.Join(p.dir, "capycoin.db")
	there := 0
	for end := time.Now().Add(harness.Budget(t, 2*time.Second)); d.cuts < 4 || time.Now().Before(end) && !t.Failed(); {
		names, err := filepath.Glob(filepath.Join(p.dir, "*capycoin.db*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if err := os.Remove(name); err != nil {
				t.Fatal(err)
			}
		}
		supply, transactions := capycoin.Coins(100_000), int64(0)
		if d.cuts%2 == 1 {
			supply, transactions = 1_000_000, 440
			if err := os.WriteFile(path, old, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		d.sync()
		cmd := exec.Command("capycoind", "--listen", p.addr)
		cmd.Dir = p.dir
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		answered := false
		for wait := time.Now().Add(time.Duration(rng.IntN(80)) * time.Millisecond); time.Now().Before(wait); time.Sleep(100 * time.Microsecond) {
			if _, err := p.request("GET", "/supply", "", "", ""); err == nil {
				answered = true
			}
		}
		cmd.Process.Kill()
		cmd.Wait()
		p.socket.CloseIdleConnections()
		d.cut()
		if isThere(t, path) {
			there++
		} else if answered || transactions > 0 {
			t.Errorf("the file is gone; the server had answered: %t", answered)
		}
		checkWhole(t, path, supply, transactions) // which makes it where it was not there
	}
	t.Logf("the file was there %d times of %d", there, d.cuts)
	harness.Count(t, "power cuts survived", d.cuts)
}

// TestHarnessPowerCutBackup cuts the power while a server is backed up. The copy
// is there whole or not at all, and there if the command said so; what is left of
// it does not keep the next one from being made.
func TestHarnessPowerCutBackup(t *testing.T) {
	d := newCutDisk(t)
	rng := powerSeed(t)
	p := newProcess(t)
	to := p.open(0)
	item := fmt.Sprintf(`{"sender":%q,"receiver":%q,"amount":1}`, seedID, to.ID)
	const transactions = 10_000
	p.ask("POST", "/transactions", "", "", `{"transactions":[`+strings.Repeat(item+",", transactions-1)+item+`]}`, nil)
	dest := filepath.Join(p.dir, "copy.db")
	backup := func() *exec.Cmd {
		return exec.Command("capycoind", "backup", dest, "--socket", p.dir+"/capycoin.db.sock")
	}
	done := 0
	for end := time.Now().Add(harness.Budget(t, 2*time.Second)); d.cuts < 3 || time.Now().Before(end) && !t.Failed(); {
		cmd := backup()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		var err error
		select {
		case err = <-ended:
		case <-time.After(time.Duration(rng.IntN(150)) * time.Millisecond):
			cmd.Process.Kill()
			err = <-ended
		}
		p.cmd.Process.Kill()
		p.end()
		d.cut()
		if err == nil {
			done++
		}
		if isThere(t, dest) {
			checkWhole(t, dest, 100_000, transactions)
		} else if err == nil {
			t.Error("the copy was made, and is gone")
		}
		checkWhole(t, filepath.Join(p.dir, "capycoin.db"), 100_000, transactions)
		p.start()
		if !isThere(t, dest) {
			if out, err := backup().CombinedOutput(); err != nil {
				t.Errorf("the next copy: %v\n%s", err, out)
			}
			checkWhole(t, dest, 100_000, transactions)
		}
		for _, name := range []string{dest, dest + ".witness"} {
			if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
		}
		d.sync()
	}
	t.Logf("the copy was made before %d of %d cuts", done, d.cuts)
	harness.Count(t, "power cuts survived", d.cuts)
}
