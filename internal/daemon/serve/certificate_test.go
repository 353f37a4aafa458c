package serve

import (
	"bytes"
	"log/slog"
	"net"
	"strings"
	"testing"
)

// TestPlainWarning: tokens that leave the machine in the clear are warned of. That a
// server does so is seen in TestTLS.
func TestPlainWarning(t *testing.T) {
	for addr, want := range map[string]bool{"127.0.0.1:0": false, "localhost:0": false, "127.9.9.9:0": false, "[::1]:0": false, ":0": true, "0.0.0.0:0": true, "[::]:0": true} {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Logf("%s: %v", addr, err) // there may be no IPv6
			continue
		}
		var log bytes.Buffer
		warnPlain(l.Addr(), slog.New(slog.NewTextHandler(&log, nil)))
		l.Close()
		got := strings.Contains(log.String(), "level=WARN") && strings.Contains(log.String(), "--tls-cert and --tls-key")
		if got != want || !want && log.Len() > 0 {
			t.Errorf("%s: got %q, want a warning: %t", addr, log.String(), want)
		}
	}
}
