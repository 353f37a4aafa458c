package capycoin_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/store"
)

// TestNotWritable opens a file that may not be written, and makes one where
// none may be made.
func TestNotWritable(t *testing.T) {
	path := newFile(t)
	dir := filepath.Dir(path)
	if err := errors.Join(os.Chmod(path, 0o444), os.Chmod(dir, 0o555)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chmod(dir, 0o700) })
	if os.Getuid() == 0 {
		// Root may do all. This thread, which ends with the test, asks as nobody.
		for up := dir; up != "/"; up = filepath.Dir(up) {
			if info, err := os.Stat(up); err != nil || info.Mode()&0o001 == 0 {
				os.Chmod(up, info.Mode().Perm()|0o055)
				t.Cleanup(func() { os.Chmod(up, info.Mode().Perm()) })
			}
		}
		runtime.LockOSThread()
		if err := syscall.Setfsuid(65534); err != nil {
			t.Skip("can't ask as another user:", err)
		}
		defer syscall.Setfsuid(0)
	}
	for _, p := range []string{path, filepath.Join(dir, "new.db")} {
		led, err := capycoin.Open(p, nil)
		if err == nil {
			led.Close()
		}
		if !errors.Is(err, store.ErrNotWritable) {
			t.Errorf("%s: got %v, want ErrNotWritable", filepath.Base(p), err)
		}
	}
}
