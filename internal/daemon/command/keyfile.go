package command

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/cli"
)

// A key file has one Ed25519 private key, as openssl genpkey -algorithm ed25519
// writes it: PKCS #8 in PEM (RFC 8410, section 7), not encrypted.

const (
	keyBlock = "PRIVATE KEY"
	// maxKeyFile is far more than the 119 bytes of such a file: some have a text
	// before the key.
	maxKeyFile = 64 << 10
	// othersMode are the bits of a mode that let others at a file.
	othersMode fs.FileMode = 0o077
)

// makeKeyFile makes a key and a file with it, which is on the disk when this
// returns. A file that is there stays: it may be the only way to some coins.
func makeKeyFile(path string) (key capycoin.PublicKey, err error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return key, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return key, err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	switch {
	case errors.Is(err, fs.ErrExist):
		return key, cli.Hint(fmt.Errorf("%s is there already", path), "no file is ever replaced: name another, or see what key it has with: capycoind keygen --public %s", path)
	case errors.Is(err, fs.ErrNotExist):
		return key, cli.Hint(err, "make the folder first")
	case err != nil:
		return key, err
	}
	err = pem.Encode(f, &pem.Block{Type: keyBlock, Bytes: der})
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = syncFolder(filepath.Dir(path))
	}
	if err != nil {
		return key, errors.Join(fmt.Errorf("writing %s: %w", path, err), os.Remove(path))
	}
	return publicKeyOf(private), nil
}

// syncFolder makes the name of a new file in it durable, where a folder can be
// synced.
func syncFolder(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func publicKeyOf(private ed25519.PrivateKey) capycoin.PublicKey {
	return capycoin.PublicKey(private.Public().(ed25519.PublicKey))
}

// readKeyFile reads the private key in a file that nobody else can read.
func readKeyFile(path string) (ed25519.PrivateKey, error) {
	if path == "" {
		return nil, cli.Hint(errors.New("the name of the key file is empty"), "name a file that capycoind keygen made")
	}
	// The mode is that of what was opened, whatever has the name by now.
	f, err := os.Open(path)
	if err != nil {
		return nil, cli.Hint(fmt.Errorf("the key file: %w", err), "name a file that capycoind keygen made, and that this user can read")
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("the key file: %w", err)
	}
	if info.IsDir() {
		return nil, cli.Hint(fmt.Errorf("the key file %s is a folder", path), "name a file that capycoind keygen made")
	}
	text, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return nil, fmt.Errorf("reading the key file: %w", err)
	}
	key, err := parseKeyFile(text)
	if err != nil {
		return nil, cli.Hint(fmt.Errorf("the key file %s: %w", path, err), "it has to be one that capycoind keygen made, or another Ed25519 private key, PKCS #8 in PEM")
	}
	// Only now: the mode of another file is nobody's to change for this.
	if mode := info.Mode().Perm(); mode&othersMode != 0 && runtime.GOOS != "windows" {
		return nil, cli.Hint(fmt.Errorf("the key file %s has the mode %04o, so others can get at it", path, mode), "run: chmod 600 %s; and if others had it, change the key with capycoind rekey", path)
	}
	return key, nil
}

func parseKeyFile(text []byte) (ed25519.PrivateKey, error) {
	if len(text) > maxKeyFile {
		return nil, fmt.Errorf("it has more than %d bytes", maxKeyFile)
	}
	block, rest := pem.Decode(text)
	switch {
	case block == nil:
		return nil, errors.New("it has no key in PEM")
	case block.Type == "ENCRYPTED "+keyBlock || block.Headers["DEK-Info"] != "":
		return nil, errors.New("its key is encrypted")
	case block.Type != keyBlock:
		return nil, fmt.Errorf("it has %q, not %q", block.Type, keyBlock)
	case strings.Contains(string(rest), "-----BEGIN "):
		return nil, errors.New("it has more than one key")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	private, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("its key is of the kind %s, not for Ed25519", strings.TrimPrefix(fmt.Sprintf("%T", key), "*"))
	}
	return private, nil
}
