//go:build unix

package serve

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// TestSocketFromTheFirstMoment makes a socket over and over while somebody
// watches: it never has another mode than it is to have.
func TestSocketFromTheFirstMoment(t *testing.T) {
	umask := syscall.Umask(0)
	defer syscall.Umask(umask)
	for _, tt := range []struct {
		others bool
		want   fs.FileMode
	}{{false, 0o600}, {true, 0o666}} {
		path := filepath.Join(shortDir(t), "s")
		var seen, looks atomic.Int64
		stop := make(chan struct{})
		var watching sync.WaitGroup
		watching.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				looks.Add(1)
				info, err := os.Lstat(path)
				if err != nil {
					continue
				}
				if seen.Add(1); info.Mode().Perm() != tt.want {
					t.Errorf("the socket has mode %v, want %v", info.Mode().Perm(), tt.want)
					return
				}
			}
		})
		begin := time.Now()
		for took := time.Duration(0); (took < 300*time.Millisecond || seen.Load() == 0 && took < 20*time.Second) && !t.Failed(); took = time.Since(begin) {
			l, err := listenUnix(path, tt.others)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := os.Lstat(path); err != nil {
				t.Fatal(err)
			}
			l.Close()
		}
		close(stop)
		watching.Wait()
		if seen.Load() == 0 {
			t.Errorf("in %d looks the socket was never there", looks.Load())
		}
	}
}

// shortDir is a temporary folder whose path is short enough for a socket's.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "capy")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// TestSocketRace starts servers at once where a killed one has left its socket:
// one of them gets the path, and is still reached by it when all others were
// refused.
func TestSocketRace(t *testing.T) {
	umask := syscall.Umask(0)
	defer syscall.Umask(umask)
	for range 100 {
		path := filepath.Join(shortDir(t), "s")
		left, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
		if err != nil {
			t.Fatal(err)
		}
		left.SetUnlinkOnClose(false)
		left.Close()

		const n = 8
		listeners, errs := make([]net.Listener, n), make([]error, n)
		var starting sync.WaitGroup
		for i := range n {
			starting.Go(func() { listeners[i], errs[i] = listenUnix(path, false) })
		}
		starting.Wait()
		got := 0
		for i, l := range listeners {
			if l != nil {
				got++
				defer l.Close()
			} else if !strings.Contains(errs[i].Error(), "another server listens on") {
				t.Errorf("got %v, want that another server listens", errs[i])
			}
		}
		if got != 1 {
			t.Fatalf("%d servers have the socket, want one", got)
		}
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatalf("the one that has it is not reached: %v", err)
		}
		conn.Close()
	}
}

// TestSocketFolder refuses a folder that is not there, and waits for another
// server that is making its socket. Nothing but the socket is left in the folder.
func TestSocketFolder(t *testing.T) {
	dir := shortDir(t)
	if _, err := listenUnix(filepath.Join(dir, "no", "s"), false); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want that the folder is missing", err)
	}
	path := filepath.Join(dir, "s")
	unlock, err := lockSocket(path)
	if err != nil {
		t.Fatal(err)
	}
	released := make(chan struct{})
	time.AfterFunc(100*time.Millisecond, func() { unlock(); close(released) })
	l, err := listenUnix(path, false)
	if err != nil {
		t.Fatalf("a path that is locked for a moment: %v", err)
	}
	defer l.Close()
	<-released
	names, err := os.ReadDir(dir)
	if err != nil || len(names) != 1 || names[0].Name() != "s" {
		t.Errorf("the folder has %v, %v; want the socket", names, err)
	}
}

// TestSocketFolderLocked locks the socket's folder, as everybody can who can read
// it: a server starts all the same, and what it locks has nobody else's rights.
func TestSocketFolderLocked(t *testing.T) {
	umask := syscall.Umask(0)
	defer syscall.Umask(umask)
	dir := shortDir(t)
	folder, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	if err := syscall.Flock(int(folder.Fd()), syscall.LOCK_SH); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "s")
	l, err := listenUnix(path, false)
	if err != nil {
		t.Fatalf("with the folder locked by somebody: %v", err)
	}
	l.Close()

	unlock, err := lockSocket(path)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	names, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if info, err := name.Info(); err != nil || info.Mode() != 0o600 {
			t.Errorf("while it is locked there is %v, %v; want a file of mode 0600", info, err)
		}
	}
}
