// Package sign has what is signed, byte by byte, and says what is a key: the messages of
// transfers and of changes of a key, and Ed25519 (RFC 8032) over them.
//
// It knows nothing of ledgers or stores: whose key it is, and whether a version or a time
// is still good, is for its callers, which are the judge, the audit and the library's own
// functions for clients. It has no state and no locks.
package sign

import (
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/google/uuid"
)

// What is signed is a byte string that no other transfer or change of a key has.
// All integers are big-endian, ids are the 16 bytes of a UUID; docs/signing.md has
// examples in hexadecimal.
//
//	transfer    "capycoin/transfer/v1\n" · ledger id 16 · key version 4 ·
//	            sender 16 · receiver 16 · amount 8 · max fee 8 ·
//	            not after 8 (µs since 1970) · key length 1 · idempotency key
//	key change  "capycoin/key/v1\n" · ledger id 16 · account 16 ·
//	            current key version 4 · new public key 32
//
// The first line names what is signed and its form; neither is the beginning of the
// other, so a signature of one kind is none of the other. The ledger id keeps a
// signature from being used in another ledger, and the key version from being used
// once the key was changed, even if an earlier key comes back. In a transfer
// everything has a fixed length up to the key, which has its length before it.
const (
	TransferDomain  = "capycoin/transfer/v1\n"
	KeyChangeDomain = "capycoin/key/v1\n"

	maxKeyLen = 255 // of an idempotency key

	// MaxTransferLen is the length of what is signed for a transfer with the
	// longest key.
	MaxTransferLen = len(TransferDomain) + 16 + 4 + 16 + 16 + 8 + 8 + 8 + 1 + maxKeyLen
	KeyChangeLen   = len(KeyChangeDomain) + 16 + 16 + 4 + ed25519.PublicKeySize
)

// ErrInvalidSignature: it is not what the key signs.
var ErrInvalidSignature = errors.New("capycoin: invalid signature")

// AppendTransfer appends what is signed for a transfer. The key has at most
// 255 bytes; the numbers are written in two's complement, so that whatever
// they are, no two transfers have the same string.
func AppendTransfer(b []byte, ledger uuid.UUID, version uint32, sender, receiver uuid.UUID, amount, maxFee int64, notAfter int64, key string) []byte {
	b = append(b, TransferDomain...)
	b = append(b, ledger[:]...)
	b = binary.BigEndian.AppendUint32(b, version)
	b = append(b, sender[:]...)
	b = append(b, receiver[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(amount))
	b = binary.BigEndian.AppendUint64(b, uint64(maxFee))
	b = binary.BigEndian.AppendUint64(b, uint64(notAfter))
	b = append(b, byte(len(key)))
	return append(b, key...)
}

// TransferIsBy says whether a signature is a key's for a transfer.
func TransferIsBy(key *[ed25519.PublicKeySize]byte, signature *[ed25519.SignatureSize]byte, ledger uuid.UUID, version uint32,
	sender, receiver uuid.UUID, amount, maxFee int64, notAfter int64, idempotencyKey string) bool {
	var buf [MaxTransferLen]byte // on the stack
	m := AppendTransfer(buf[:0], ledger, version, sender, receiver, amount, maxFee, notAfter, idempotencyKey)
	return ed25519.Verify(key[:], m, signature[:])
}

// AppendKeyChange appends what both keys sign for a change of the key.
func AppendKeyChange(b []byte, ledger, account uuid.UUID, version uint32, newKey [ed25519.PublicKeySize]byte) []byte {
	b = append(b, KeyChangeDomain...)
	b = append(b, ledger[:]...)
	b = append(b, account[:]...)
	b = binary.BigEndian.AppendUint32(b, version)
	return append(b, newKey[:]...)
}

// CheckKeyChange returns nil if both keys have signed a change, and otherwise
// an [ErrInvalidSignature] that says which has not.
func CheckKeyChange(old, new *[ed25519.SignatureSize]byte, oldKey, newKey [ed25519.PublicKeySize]byte,
	ledger, account uuid.UUID, version uint32) error {
	var buf [KeyChangeLen]byte
	m := AppendKeyChange(buf[:0], ledger, account, version, newKey)
	if !ed25519.Verify(oldKey[:], m, old[:]) {
		return fmt.Errorf("the old key: %w", ErrInvalidSignature)
	}
	if !ed25519.Verify(newKey[:], m, new[:]) {
		return fmt.Errorf("the new key: %w", ErrInvalidSignature)
	}
	return nil
}
