package serve

import (
	"context"
	"net"

	"golang.org/x/sys/unix"

	"github.com/capycoin/capycoin/httpapi"
)

// KnowsPeers: the system tells who is at the other end of a Unix socket.
const KnowsPeers = true

// withPeer notes who is at the other end of a Unix socket.
func withPeer(ctx context.Context, c net.Conn) context.Context {
	conn, ok := c.(*net.UnixConn)
	if !ok {
		return ctx
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return ctx
	}
	var cred *unix.Ucred
	if raw.Control(func(fd uintptr) { cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }) != nil || err != nil {
		return ctx
	}
	return httpapi.WithPeer(ctx, httpapi.Peer{UID: int(cred.Uid), PID: int(cred.Pid)})
}
