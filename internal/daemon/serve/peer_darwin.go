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
	var cred *unix.Xucred
	pid := 0
	if raw.Control(func(fd uintptr) {
		if cred, err = unix.GetsockoptXucred(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERCRED); err == nil {
			pid, err = unix.GetsockoptInt(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERPID)
		}
	}) != nil || err != nil {
		return ctx
	}
	return httpapi.WithPeer(ctx, httpapi.Peer{UID: int(cred.Uid), PID: pid})
}
