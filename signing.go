package capycoin

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/sign"
	"github.com/capycoin/capycoin/internal/wire"
)

// SignTransfer signs a transfer with the sender's private key, for one ledger
// ([Supply] has its id) and for the version that the key has there ([Account] has
// it); the receiver of the signature checks both. The transfer has a Key and a
// MaxFee; its own Signature is not looked at. NotAfter is the last microsecond at
// which the ledger makes the transfer, by its own time, in the years 1970 to 9999,
// and is cut to microseconds; [MaxSignatureLife] bounds how far ahead it can be.
//
// The same arguments give the same signature (Ed25519, RFC 8032). The error is an
// [ErrMalformedSignature] that says which argument is not in form. Whether the
// transfer is possible at all is not looked at.
func SignTransfer(ledger uuid.UUID, version uint32, t Transfer, notAfter time.Time, key ed25519.PrivateKey) (*Signature, error) {
	s := &Signature{NotAfter: notAfter}
	t.Signature = s
	micros, err := signedForm(&t)
	if err != nil {
		return nil, err
	}
	if err := checkPrivateKey(key); err != nil {
		return nil, err
	}
	s.NotAfter = wire.TimeOf(micros)
	m := sign.AppendTransfer(nil, ledger, version, t.Sender, t.Receiver, int64(t.Amount), int64(*t.MaxFee), micros, t.Key)
	copy(s.Bytes[:], ed25519.Sign(key, m))
	return s, nil
}

// VerifyTransfer returns nil if the transfer's Signature is what [SignTransfer]
// makes of these arguments and the private key that belongs to this public one.
// The ledger does this before it makes a transfer, and judges the time besides.
//
// Errors, in the order of the checks: [ErrSignatureRequired], there is no signature;
// [ErrMalformedSignature], [ErrBadPublicKey], [ErrInvalidSignature].
//
// The equation is RFC 8032's without the cofactor, as in crypto/ed25519; a signature
// whose S is not below the order of the group is refused, so nobody can make another
// signature from a given one.
func VerifyTransfer(ledger uuid.UUID, version uint32, t Transfer, key PublicKey) error {
	if t.Signature == nil {
		return ErrSignatureRequired
	}
	notAfter, err := signedForm(&t)
	if err != nil {
		return err
	}
	if err := key.Check(); err != nil {
		return err
	}
	if !sign.TransferIsBy((*[32]byte)(&key), &t.Signature.Bytes, ledger, version, t.Sender, t.Receiver, int64(t.Amount), int64(*t.MaxFee), notAfter, t.Key) {
		return sign.ErrInvalidSignature
	}
	return nil
}

// signedForm says whether a transfer that has a signature has what is signed, and until
// when it may be made.
func signedForm(t *Transfer) (notAfter int64, err error) {
	_, signed := orderOf(t, nil)
	return signed[0].NotAfter, signed[0].Malformed
}

// KeyChange asks to give an account another public key. Both keys sign it: the old
// one because it decides what becomes of the coins, the new one to show that
// somebody has its private key.
type KeyChange struct {
	Account uuid.UUID
	// Version is that of the key the account has, and which the change ends: the new
	// key gets the next one. A change that is sent again names a version that is no
	// longer current, and so is told from one that has yet to be made.
	Version uint32
	// NewKey may be the old one again: all signatures given so far are void then.
	NewKey PublicKey
	// OldSignature and NewSignature are what [SignKeyChange] makes with the private
	// keys of the old and of the new one.
	OldSignature, NewSignature [ed25519.SignatureSize]byte
}

// SignKeyChange signs a change of an account's public key; it is called twice, with
// the old and with the new private key, and all else the same. Version is that of
// the old key, as in [Account].
//
// Errors: [ErrBadPublicKey], the new key is none; [ErrMalformedSignature], the
// private key is not in form.
func SignKeyChange(ledger, account uuid.UUID, version uint32, newKey PublicKey, key ed25519.PrivateKey) ([ed25519.SignatureSize]byte, error) {
	var s [ed25519.SignatureSize]byte
	if err := newKey.Check(); err != nil {
		return s, err
	}
	if err := checkPrivateKey(key); err != nil {
		return s, err
	}
	copy(s[:], ed25519.Sign(key, sign.AppendKeyChange(nil, ledger, account, version, newKey)))
	return s, nil
}

// VerifyKeyChange returns nil if both keys have signed the change for this ledger.
// Whether Version is the account's present one is for the ledger to say.
//
// Errors, in the order of the checks: [ErrBadPublicKey] of the new key, then of the
// old one; [ErrInvalidSignature] of the old key, then of the new one.
func VerifyKeyChange(ledger uuid.UUID, c KeyChange, oldKey PublicKey) error {
	if err := c.NewKey.Check(); err != nil {
		return fmt.Errorf("the new key: %w", err)
	}
	if err := oldKey.Check(); err != nil {
		return fmt.Errorf("the old key: %w", err)
	}
	return sign.CheckKeyChange(&c.OldSignature, &c.NewSignature, oldKey, c.NewKey, ledger, c.Account, c.Version)
}

// checkPrivateKey returns an ErrMalformedSignature if the key is not a seed and the
// public key that belongs to it. Package ed25519 does not look at the second half,
// and whoever gets a message signed with a right and a wrong one can compute the
// private key from that.
func checkPrivateKey(key ed25519.PrivateKey) error {
	if len(key) != ed25519.PrivateKeySize {
		return fmt.Errorf("%w: the private key has %d bytes, not %d", ErrMalformedSignature, len(key), ed25519.PrivateKeySize)
	}
	if !bytes.Equal(ed25519.NewKeyFromSeed(key.Seed()), key) {
		return fmt.Errorf("%w: the private key has another's public key in it", ErrMalformedSignature)
	}
	return nil
}
