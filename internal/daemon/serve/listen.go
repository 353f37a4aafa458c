package serve

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"runtime"
	"syscall"
	"time"

	"github.com/capycoin/capycoin/internal/cli"
)

// CheckSocketPath makes sure that the system takes a path for a socket: the
// path in struct sockaddr_un has 108 bytes on Linux and Windows and 104
// elsewhere, one of them for its end.
func CheckSocketPath(path string) error {
	most := 103
	if runtime.GOOS == "linux" || runtime.GOOS == "windows" {
		most = 107
	}
	if len(path) > most {
		return cli.Hint(fmt.Errorf("the path of the socket has %d bytes, this system takes %d: %s", len(path), most, path),
			"choose a shorter one with --socket")
	}
	return nil
}

// listenUnix listens on a socket that only this user can open, or, with others,
// everybody, from its first moment on. A socket that a killed server has left is
// replaced; it is one if the system refuses connections to it. Whatever else is
// at the path stays there. The path is locked meanwhile, so that of two servers
// that start at once neither takes the other's socket for one that was left, in
// the moment before it listens.
func listenUnix(path string, others bool) (net.Listener, error) {
	unlock, err := lockSocket(path)
	if err != nil {
		return nil, cli.Hint(fmt.Errorf("the socket's folder: %w", err), "make it first, or choose another path with --socket")
	}
	defer unlock()
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("the socket: %w", err)
	case info.Mode().Type() != fs.ModeSocket:
		return nil, cli.Hint(fmt.Errorf("%s is there and is no socket", path), "choose another path with --socket")
	default:
		if err := removeStale(path); err != nil {
			return nil, err
		}
	}
	var l net.Listener
	mask := 0o177 // 0600 is left of what the system gives a socket
	if others {
		mask = 0o111 // 0666: to connect takes the right to write
	}
	err = withUmask(mask, func() error {
		l, err = net.Listen("unix", path)
		return err
	})
	if err != nil {
		return nil, cli.Hint(fmt.Errorf("the socket: %w", err), "choose another path with --socket")
	}
	return l, nil
}

// removeStale removes a socket that nobody listens on.
func removeStale(path string) error {
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		conn.Close()
		return cli.Hint(fmt.Errorf("another server listens on %s", path), "it serves this file already, or another one: then choose another path with --socket")
	}
	if !ConnRefused(err) {
		return cli.Hint(fmt.Errorf("%s is there, and whether somebody listens on it can't be told: %w", path, err),
			"choose another path with --socket, or remove it if you know that it is left over")
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing the socket of a server that is gone: %w", err)
	}
	return nil
}

// ConnRefused says that nobody listens on the socket that was dialled.
func ConnRefused(err error) bool {
	const wsaeconnrefused = syscall.Errno(10061) // what Windows has for it
	return errors.Is(err, syscall.ECONNREFUSED) || runtime.GOOS == "windows" && errors.Is(err, wsaeconnrefused)
}
