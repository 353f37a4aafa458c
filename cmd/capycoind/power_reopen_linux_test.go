package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
)

// physical says where in the image a page of a file begins.
func (d *cutDisk) physical(path string, page int) int64 {
	d.t.Helper()
	out, err := exec.Command("filefrag", "-b1024", "-v", path).CombinedOutput()
	if err != nil {
		d.t.Skipf("needs filefrag: %v: %s", err, out)
	}
	extent := regexp.MustCompile(`(?m)^ *\d+: *(\d+)\.\. *(\d+): *(\d+)\.\.`)
	for _, m := range extent.FindAllStringSubmatch(string(out), -1) {
		first, _ := strconv.Atoi(m[1])
		last, _ := strconv.Atoi(m[2])
		at, _ := strconv.Atoi(m[3])
		if block := 4 * page; first <= block && block <= last {
			return int64(at+block-first) * 1024
		}
	}
	d.t.Fatalf("filefrag does not say where page %d is:\n%s", page, out)
	return 0
}

// TestPowerCutAfterRestart cuts the power when a server was started on a file
// whose newest commit the system has in its memory and takes for written, but the
// disk does not: that is how it is after a sync that failed. The server answers a
// repeated payment with the receipt that is in this commit, and so it has to be
// there after the cut.
func TestPowerCutAfterRestart(t *testing.T) {
	d := newCutDisk(t)
	p := newProcess(t)
	from, to := p.open(10), p.open(0)
	path := filepath.Join(p.dir, "capycoin.db")
	pay := func(key string) (id string) {
		var receipt struct {
			ID string `json:"transaction_id"`
		}
		p.ask("POST", "/account/"+from.ID+"/transaction", from.Token, key, fmt.Sprintf(`{"receiver":%q,"amount":1}`, to.ID), &receipt)
		return receipt.ID
	}
	metas := func() (pages [2][4096]byte) {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for i := range pages {
			if _, err := f.ReadAt(pages[i][:], int64(i)*4096); err != nil {
				t.Fatal(err)
			}
		}
		return pages
	}
	pay("first")
	before := metas()
	id := pay("second")
	after := metas()
	p.cmd.Process.Kill()
	p.end()
	d.sync()
	newest := 0
	if after[1] != before[1] {
		newest = 1
	}
	image, err := os.OpenFile(d.image, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()
	var there [4096]byte
	at := d.physical(path, newest)
	if _, err := image.ReadAt(there[:], at); err != nil || there != after[newest] {
		t.Fatalf("the image does not have the page where filefrag says, at %d: %v", at, err)
	}
	if _, err := image.WriteAt(before[newest][:], at); err != nil {
		t.Fatal(err)
	}
	if metas() != after {
		t.Skip("the system does not have the file in its memory")
	}
	p.start()
	if again := pay("second"); again != id {
		t.Fatalf("the payment was made twice, as %s and %s", id, again)
	}
	p.cmd.Process.Kill()
	p.end()
	d.cut()
	p.start()
	if again := pay("second"); again != id {
		t.Errorf("a receipt was given twice for %s, and after a power cut the payment is made anew, as %s", id, again)
	}
	p.auditClean()
}
