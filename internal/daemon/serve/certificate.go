package serve

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
)

// Certificate is what the public API shows, as its files had it when they were
// last read. Any goroutine may use it.
type Certificate struct {
	certFile, keyFile string
	current           atomic.Pointer[tls.Certificate]
}

// LoadCertificate reads a certificate chain and its private key, PEM files.
func LoadCertificate(certFile, keyFile string) (*Certificate, error) {
	c := &Certificate{certFile: certFile, keyFile: keyFile}
	if err := c.read(); err != nil {
		return nil, err
	}
	return c, nil
}

// read reads the files. What they had before is kept if they are no pair.
func (c *Certificate) read() error {
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("%s and %s: %w", c.certFile, c.keyFile, err)
	}
	c.current.Store(&pair)
	return nil
}

// listen returns a listener that shows the certificate of the moment. Only new
// connections see another one.
func (c *Certificate) listen(l net.Listener) net.Listener {
	return tls.NewListener(l, &tls.Config{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current.Load(), nil },
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"http/1.1"},
	})
}

// reread reads the files of a certificate, nil if there is none, again.
func (c *Certificate) reread(logger *slog.Logger) {
	if c == nil {
		logger.Info("nothing to reread: there is no TLS")
		return
	}
	if err := c.read(); err != nil {
		logger.Error("the certificate could not be reread; the old one stays", "cert", c.certFile, "key", c.keyFile, "cause", err)
		return
	}
	leaf := c.current.Load().Leaf
	logger.Info("certificate reread", "cert", c.certFile, "key", c.keyFile, "names", leaf.DNSNames, "not_after", leaf.NotAfter)
}

// warnPlain tells that tokens can be read on their way, where they may be.
func warnPlain(addr net.Addr, logger *slog.Logger) {
	if tcp, ok := addr.(*net.TCPAddr); !ok || !tcp.IP.IsLoopback() {
		logger.Warn("plain HTTP on an address that is not this machine's own: tokens can be read on their way",
			"address", addr.String(), "hint", "use --tls-cert and --tls-key, or --listen on localhost and a proxy with TLS in front")
	}
}
