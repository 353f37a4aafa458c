package main

import (
	"io"
	"net"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestManyConnections gives the server few files and opens many connections,
// which do nothing, or send half a header: others are served, on both sides, and
// it logs no lack of files.
func TestManyConnections(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the system has no limit on open files")
	}
	p := newProcess(t)
	acct := p.open(5)
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	p.end()
	p.public.CloseIdleConnections()
	p.run(exec.Command("sh", "-c", `ulimit -n 150 && exec capycoind --log-level warn --listen "$0"`, p.addr))
	for i := range 600 {
		conn, err := net.Dial("tcp", p.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if i%2 == 0 {
			io.WriteString(conn, "GET /supply HTTP/1.1\r\nHost: x\r\nX: ")
		}
		if i%20 > 0 {
			continue
		}
		start := time.Now()
		p.ask("GET", "/account/"+acct.ID, acct.Token, "", "", nil)
		p.ask("GET", "/supply", "", "", "", nil)
		p.socket.CloseIdleConnections()
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("beside %d connections others waited %v", i, took)
		}
	}
	p.auditClean()
	if log := p.log.String(); strings.Contains(log, "too many open files") || !strings.Contains(log, "all connections are taken") {
		t.Errorf("the log has\n%s", log)
	}
}
