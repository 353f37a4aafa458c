package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"runtime"
	"time"
)

// checkSocketPath makes sure that the system takes a path for a socket: a name
// of struct sockaddr_un has 108 bytes on Linux and Windows, 104 elsewhere, one
// of them for its end.
func checkSocketPath(path string) error {
	most := 103
	if runtime.GOOS == "linux" || runtime.GOOS == "windows" {
		most = 107
	}
	if len(path) > most {
		return hint(fmt.Errorf("the path of the socket has %d bytes, this system takes %d: %s", len(path), most, path),
			"choose a shorter one with --socket")
	}
	return nil
}

// listenUnix listens on a socket that only this user can open, from its first
// moment on. A socket that a killed server has left is replaced; it is left by
// one if nobody answers. The caller has the lock of the database.
func listenUnix(path string) (net.Listener, error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case info.Mode().Type() != fs.ModeSocket && runtime.GOOS != "windows": // where a socket has no type of its own
		return nil, hint(fmt.Errorf("%s is there and is no socket", path), "choose another path with --socket")
	default:
		conn, err := net.DialTimeout("unix", path, time.Second)
		if err == nil {
			conn.Close()
			return nil, hint(fmt.Errorf("another server listens on %s", path), "choose another path with --socket")
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	var l net.Listener
	err = withUmask(func() error {
		l, err = net.Listen("unix", path)
		return err
	})
	return l, err
}
