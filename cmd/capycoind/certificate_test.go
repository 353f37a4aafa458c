package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptrace"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// pairFiles is where a certificate and its key are.
type pairFiles struct{ cert, key string }

func newPairFiles(t *testing.T) pairFiles {
	dir := t.TempDir()
	return pairFiles{filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")}
}

// write makes a new pair with a serial number, and lets clients trust it.
func (f pairFiles) write(t *testing.T, serial int64, roots *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	roots.AppendCertsFromPEM(certPEM)
	if err := errors.Join(os.WriteFile(f.cert, certPEM, 0o600),
		os.WriteFile(f.key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600)); err != nil {
		t.Fatal(err)
	}
}

// tlsClient asks with connections of its own.
func tlsClient(t *testing.T, roots *x509.CertPool, most uint16) *http.Client {
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS10, MaxVersion: most}}}
	t.Cleanup(client.CloseIdleConnections)
	return client
}

// serialOf asks a server something and returns the serial number of the
// certificate that it showed, and whether it was asked on an open connection.
func serialOf(t *testing.T, client *http.Client, addr string) (serial int64, reused bool) {
	t.Helper()
	trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { reused = info.Reused }}
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), "GET", "https://"+addr+"/healthz", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := new(bytes.Buffer).ReadFrom(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("got %d, %v, want 200", resp.StatusCode, err)
	}
	return resp.TLS.PeerCertificates[0].SerialNumber.Int64(), reused
}

// TestTLS serves with a certificate. Without one, what leaves the machine is warned of.
func TestTLS(t *testing.T) {
	files, roots := newPairFiles(t), x509.NewCertPool()
	files.write(t, 1, roots)
	p := newProcess(t, "--tls-cert", files.cert, "--tls-key", files.key)
	if serial, _ := serialOf(t, tlsClient(t, roots, 0), p.addr); serial != 1 {
		t.Errorf("got certificate %d, want 1", serial)
	}
	serialOf(t, tlsClient(t, roots, tls.VersionTLS12), p.addr)
	if _, err := tlsClient(t, roots, tls.VersionTLS11).Get("https://" + p.addr + "/healthz"); err == nil || !strings.Contains(err.Error(), "protocol version") {
		t.Errorf("with TLS 1.1: %v, want that the version is refused", err)
	}
	db := filepath.Join(t.TempDir(), "x.db")
	out, err := exec.Command("capycoind", "--tls-cert", files.key, "--tls-key", files.cert, "--db", db).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "--tls-cert and --tls-key: "+files.key) {
		t.Errorf("with the files swapped: %v %s", err, out)
	}
	if strings.Contains(p.log.String(), "plain HTTP") {
		t.Errorf("the log warns of plain HTTP:\n%s", p.log)
	}
	newProcess(t, "--listen", "0.0.0.0:0").logs(`level=WARN msg="plain HTTP`)
	if p := newProcess(t); strings.Contains(p.log.String(), "plain HTTP") {
		t.Errorf("on localhost the log warns of plain HTTP:\n%s", p.log)
	}
}

// TestReread renews the certificate of a server that goes on serving: new
// connections see the new one, old ones go on. What is no pair changes nothing.
func TestReread(t *testing.T) {
	needSignals(t)
	files, roots := newPairFiles(t), x509.NewCertPool()
	files.write(t, 1, roots)
	p := newProcess(t, "--tls-cert", files.cert, "--tls-key", files.key, "--log-level", "info")
	old := tlsClient(t, roots, 0)
	check := func(serial int64) {
		t.Helper()
		if got, reused := serialOf(t, old, p.addr); got != 1 || !reused {
			t.Errorf("on the old connection: certificate %d, reused %t; want 1, true", got, reused)
		}
		if got, reused := serialOf(t, tlsClient(t, roots, 0), p.addr); got != serial || reused {
			t.Errorf("on a new connection: certificate %d, reused %t; want %d, false", got, reused, serial)
		}
	}
	serialOf(t, old, p.addr)
	check(1)
	files.write(t, 2, roots)
	check(1) // until it is told
	p.hangup()
	p.logs(`level=INFO msg="certificate reread" cert=\S+ key=\S+ names=\[localhost\] not_after=2`)
	check(2)

	goodCert, err := os.ReadFile(files.cert)
	if err != nil {
		t.Fatal(err)
	}
	for what, spoil := range map[string]func() error{
		"no certificate":       func() error { return os.WriteFile(files.cert, []byte("x"), 0o600) },
		"none at all":          func() error { return os.Remove(files.cert) },
		"another one's key":    func() error { files.write(t, 3, roots); return os.WriteFile(files.cert, goodCert, 0o600) },
		"a key that is cut":    func() error { return os.Truncate(files.key, 50) },
		"an empty certificate": func() error { return os.Truncate(files.cert, 0) },
	} {
		files.write(t, 9, x509.NewCertPool()) // another that would be found out
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		seen := strings.Count(p.log.String(), "could not be reread")
		p.hangup()
		for deadline := time.Now().Add(5 * time.Second); strings.Count(p.log.String(), "could not be reread") == seen; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s: the log does not say so:\n%s", what, p.log)
			}
		}
		check(2)
	}
	p.logs(`level=ERROR msg="the certificate could not be reread; the old one stays" cert=` + files.cert + ` key=` + files.key + ` cause=`)
	files.write(t, 4, roots)
	p.hangup()
	for deadline := time.Now().Add(5 * time.Second); strings.Count(p.log.String(), "certificate reread") < 2 && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	check(4)
	p.auditClean()
}

// hangup sends SIGHUP.
func (p *process) hangup() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		p.t.Fatal(err)
	}
}

// TestHangupWithoutTLS: a terminal that is closed ends no server.
func TestHangupWithoutTLS(t *testing.T) {
	needSignals(t)
	p := newProcess(t, "--log-level", "info")
	for range 20 {
		p.hangup()
	}
	p.logs("nothing to reread")
	p.auditClean()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.end(); err != nil {
		t.Errorf("the server ended with %v\n%s", err, p.log)
	}
}
