package capycoin_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/capycoin/capycoin"
)

// TestWitnessFullDisk has the witness on a disk of its own, which gets full and
// then can't be written at all. What has its room there goes on being written;
// without, the ledger goes on and says so.
func TestWitnessFullDisk(t *testing.T) {
	dir := t.TempDir()
	disk := filepath.Join(dir, "disk")
	if err := os.Mkdir(disk, 0o700); err != nil {
		t.Fatal(err)
	}
	const size = "size=64k"
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, size); err != nil {
		t.Skipf("needs root, to mount a small disk: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	witness := filepath.Join(disk, "witness")
	path := filepath.Join(dir, "coins.db")
	led, log, stop := troubled(t, path, witness)

	fill := filepath.Join(disk, "fill")
	if err := os.WriteFile(fill, make([]byte, 64<<10), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("got %v, want a full disk", err)
	}
	at := led.Stats().Position
	eventually(t, "it is written on a full disk", func() bool { return seenBy(t, witness) > at })

	// Its room is taken by another file that has a name in the same folder.
	if err := os.Rename(witness, filepath.Join(disk, "old")); err != nil {
		t.Fatal(err)
	}
	goesOnWithout(t, led, log)
	if log.count("no space left on device") != 1 {
		t.Error("the warning does not say that the disk is full")
	}
	if err := os.Remove(fill); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is written again", func() bool { return log.count(saysAgain) == 1 && seenBy(t, witness) > at })

	eventually(t, "nobody has a file there open", func() bool {
		err := syscall.Mount("tmpfs", disk, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, size)
		if err != nil && !errors.Is(err, syscall.EBUSY) {
			t.Fatal(err)
		}
		return err == nil
	})
	eventually(t, "a warning of a disk that can't be written", func() bool { return log.count("read-only file system") == 1 })
	stop()
	if err := led.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}

	// At the start that is an error, with the file untouched.
	_, err := capycoin.Open(path, &capycoin.Options{Witness: witness})
	if !errors.Is(err, capycoin.ErrWitness) || !errors.Is(err, syscall.EROFS) {
		t.Errorf("opening: got %v, want ErrWitness and why", err)
	}
	if err := syscall.Mount("tmpfs", disk, "tmpfs", syscall.MS_REMOUNT, size); err != nil {
		t.Fatal(err)
	}
	openLedger(t, path, &capycoin.Options{Witness: witness})
}
