package command

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
)

// TestParseKeyFile: a key file has one Ed25519 key that is not encrypted, whoever
// wrote it.
func TestParseKeyFile(t *testing.T) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(kind string, key any) string {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	good := encode(keyBlock, private)
	for name, tt := range map[string]struct{ text, want string }{
		"good":          {good, ""},
		"a text before": {"Our seed key.\n" + good, ""},
		"a text behind": {good + "\nDo not lose it.\n", ""},
		"line ends":     {strings.ReplaceAll(good, "\n", "\r\n"), ""},
		"nothing":       {"", "no key in PEM"},
		"cut off":       {good[:len(good)/2], "no key in PEM"},
		"encrypted":     {encode("ENCRYPTED PRIVATE KEY", private), "is encrypted"},
		"a certificate": {encode("CERTIFICATE", private), `it has "CERTIFICATE", not "PRIVATE KEY"`},
		"of OpenSSH":    {encode("OPENSSH PRIVATE KEY", private), `"OPENSSH PRIVATE KEY"`},
		"two":           {good + good, "more than one key"},
		"another kind":  {encode(keyBlock, other), "its key is of the kind ecdsa.PrivateKey, not for Ed25519"},
		"no key in it":  {string(pem.EncodeToMemory(&pem.Block{Type: keyBlock, Bytes: []byte("hello")})), "asn1"},
		"too long":      {strings.Repeat(" ", maxKeyFile) + good, "more than 65536 bytes"},
	} {
		key, err := parseKeyFile([]byte(tt.text))
		if tt.want == "" && (err != nil || !key.Equal(private)) || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}
