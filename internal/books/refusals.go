package books

import (
	"errors"
	"fmt"

	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/internal/wire"
)

// Returned by [Open].
var (
	// ErrSupplyMismatch: the ledger has another supply than was asked for.
	ErrSupplyMismatch = errors.New("capycoin: the ledger has another supply")
	// ErrSeedMismatch: the ledger has another seed account than was asked for.
	ErrSeedMismatch = errors.New("capycoin: the ledger has another seed account")
	// ErrSeedKeyMismatch: the ledger was made with another public key of the seed
	// account than was asked for, or with none.
	ErrSeedKeyMismatch = errors.New("capycoin: the seed account was opened with another public key")
)

// Why a transfer is refused, in the order of the checks.
var (
	ErrMalformedSignature = errors.New("capycoin: a signed transfer has a key, a fee of 0 or more at most, and a time that it is not after")
	ErrBadKey             = errors.New(`capycoin: a key is 1 to 255 bytes 0x21 to 0x7e without '"' and '\'`)
	ErrKeyReused          = errors.New("capycoin: the key was used for another transfer")
	ErrSignatureRequired  = errors.New("capycoin: the sender's signature is missing")
	ErrSignatureExpired   = errors.New("capycoin: the signature has expired")
	ErrSignatureTooLong   = errors.New("capycoin: the signature is good for more than 24 hours")
	ErrAmountIsZero       = errors.New("capycoin: the amount is zero")
	ErrAmountIsNegative   = errors.New("capycoin: the amount is negative")
	ErrSameAccount        = errors.New("capycoin: the sender is the receiver")
	ErrSenderNotFound     = errors.New("capycoin: no such sender")
	ErrFeeAccount         = errors.New("capycoin: only stipends take coins from the fee account")
	ErrReceiverNotFound   = errors.New("capycoin: no such receiver")
	ErrFeeTooHigh         = errors.New("capycoin: the fee is too high")
	ErrInsufficientFunds  = errors.New("capycoin: not enough funds")
)

// Why other operations are refused.
var (
	ErrAccountNotFound = errors.New("capycoin: no such account")
	ErrIDTaken         = errors.New("capycoin: the source of account ids gave one that is in use")
	ErrKeyVersion      = errors.New("capycoin: the key has another version")
	ErrTokenNotFound   = errors.New("capycoin: no such token")
	ErrTooManyTokens   = errors.New("capycoin: an account has at most 10 live tokens")
	ErrBadExpiry       = errors.New("capycoin: bad expiry")
	ErrSeedToken       = errors.New("capycoin: the seed account has no tokens")
	ErrFeeToken        = errors.New("capycoin: the fee account has no tokens")
	ErrInvalidInvite   = errors.New("capycoin: invalid invite")
	ErrInviteNotFound  = errors.New("capycoin: no such invite")
	// ErrSelectorTaken: another token or invite, live or not, has the selector.
	ErrSelectorTaken = errors.New("capycoin: the selector is taken")
)

// MaxSignatureLife is how long before its last moment a signature can be used, in
// microseconds: 24 hours.
const MaxSignatureLife = 24 * 60 * 60 * 1_000_000

// CheckSignedForm says whether a transfer that has a signature has what is signed: it is
// an [ErrMalformedSignature] if not. The time is in microseconds since 1970, and what is
// out of its range just so.
func CheckSignedForm(key string, maxFee int64, hasMax bool, notAfter int64) error {
	switch {
	case key == "":
		return fmt.Errorf("%w: the key is missing", ErrMalformedSignature)
	case !record.ValidKey(key):
		return fmt.Errorf("%w: %w", ErrMalformedSignature, ErrBadKey)
	case !hasMax:
		return fmt.Errorf("%w: the highest fee is missing", ErrMalformedSignature)
	case maxFee < 0 || maxFee > wire.MaxCoins:
		return fmt.Errorf("%w: the highest fee is %d", ErrMalformedSignature, maxFee)
	case notAfter < 0 || notAfter > wire.MaxTime:
		return fmt.Errorf("%w: the time is not 1970 to 9999", ErrMalformedSignature)
	}
	return nil
}
