package capycoin

import (
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/books"
	"github.com/capycoin/capycoin/internal/copying"
	"github.com/capycoin/capycoin/internal/engine"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/internal/secret"
	"github.com/capycoin/capycoin/internal/sign"
	"github.com/capycoin/capycoin/internal/wire"
	"github.com/capycoin/capycoin/internal/witness"
	"github.com/capycoin/capycoin/store"
)

// Returned by Open and OpenStore. Nothing was changed.
var (
	// ErrBadOption: a field of the options is out of range; see [OptionError].
	ErrBadOption = errors.New("capycoin: bad option")
	// ErrSupplyMismatch: the ledger has another supply than was asked for.
	ErrSupplyMismatch = books.ErrSupplyMismatch
	// ErrSeedMismatch: the ledger has another seed account than was asked for.
	ErrSeedMismatch = books.ErrSeedMismatch
	// ErrSeedKeyMismatch: the ledger was made with another public key of the seed
	// account than was asked for, or with none.
	ErrSeedKeyMismatch = books.ErrSeedKeyMismatch
	// ErrNotLedger: the file is something else.
	ErrNotLedger = store.ErrNotLedger
	// ErrEmptyFile: the file has no bytes at all. A ledger never has; it may
	// be what a full disk or a failed copy left.
	ErrEmptyFile = store.ErrEmptyFile
	// ErrIsDirectory: the path is a directory.
	ErrIsDirectory = store.ErrIsDirectory
	// ErrNotWritable: the file, or for a new one its folder, can't be written.
	ErrNotWritable = store.ErrNotWritable
	// ErrNewerFormat: the ledger was written by a later version.
	ErrNewerFormat = store.ErrNewerFormat
	// ErrLocked: another process has the file open.
	ErrLocked = store.ErrLocked
	// ErrRolledBack: the ledger is not all that it was, or may not be: it lacks
	// what its witness saw (see [RolledBackError]), or the last commit may be
	// missing. It can be accepted as it is, see docs/operating.md.
	ErrRolledBack = store.ErrRolledBack
	// ErrWitness: the witness can't be read or written, or is another file.
	ErrWitness = witness.ErrWitness
)

// Returned by every method of a Ledger, at any time.
var (
	// ErrCorrupt: what was read is not what was written. Open returns it with
	// the file untouched; found while running, it stops the ledger.
	ErrCorrupt = store.ErrCorrupt
	// ErrClosed: Close was called. Nothing was applied.
	ErrClosed = store.ErrClosed
	// ErrStopped: an earlier fault stopped the ledger, and it wraps the cause.
	// Nothing was applied. Reopen the ledger.
	ErrStopped = engine.ErrStopped
	// ErrOutcomeUnknown: the disk failed during the commit: the change is
	// either wholly there or not at all, and only reopening the ledger tells.
	// Repeat the transfer with the same key then, or look it up.
	ErrOutcomeUnknown = engine.ErrOutcomeUnknown
	// ErrNotWritten: the store refused the commit. Nothing was applied.
	ErrNotWritten = store.ErrNotWritten
	// ErrDiskFull: there is no room for the commit. It is an [ErrNotWritten]:
	// nothing was applied. Reads go on, a key that was used is answered, and
	// changes are made again as soon as there is room. Open returns it where the
	// file has to be made or converted and there is no room for that.
	ErrDiskFull = store.ErrDiskFull
	// ErrFenced is for authors of a [Log]: someone else appended first. The
	// ledger handles it; no method returns it.
	ErrFenced = store.ErrFenced
)

// Returned by Transfer and TransferBatch, in the order of the checks.
var (
	// ErrBatchSize: the batch has no transfer or more than [MaxBatch].
	ErrBatchSize = errors.New("capycoin: a batch has 1 to 10000 transfers")
	// ErrBatchTooLarge: an atomic batch that does not fit into one commit.
	ErrBatchTooLarge = engine.ErrTooLarge
	// ErrMalformedSignature: a signed transfer without a key, with a MaxFee that is
	// missing or not 0 to [MaxSupply], or a NotAfter that is not 1970 to 9999.
	ErrMalformedSignature = books.ErrMalformedSignature
	// ErrBadKey: an idempotency key that is too long or has a byte that is not
	// allowed.
	ErrBadKey = books.ErrBadKey
	// ErrKeyReused: the sender used the key for another receiver or amount.
	ErrKeyReused = books.ErrKeyReused
	// ErrSignatureRequired: the sender has a public key, and the transfer is not
	// signed.
	ErrSignatureRequired = books.ErrSignatureRequired
	// ErrInvalidSignature: it is not what the sender's present key signs for this
	// transfer in this ledger, or the sender has no key.
	ErrInvalidSignature = sign.ErrInvalidSignature
	// ErrSignatureExpired: the ledger's time is after the signature's NotAfter.
	ErrSignatureExpired = books.ErrSignatureExpired
	// ErrSignatureTooLong: its NotAfter is more than [MaxSignatureLife] after the
	// ledger's time.
	ErrSignatureTooLong = books.ErrSignatureTooLong
	// ErrAmountIsZero: the amount is 0.
	ErrAmountIsZero = books.ErrAmountIsZero
	// ErrAmountIsNegative: the amount is below 0.
	ErrAmountIsNegative = books.ErrAmountIsNegative
	// ErrSameAccount: the sender is the receiver.
	ErrSameAccount = books.ErrSameAccount
	// ErrSenderNotFound: there is no such sender.
	ErrSenderNotFound = books.ErrSenderNotFound
	// ErrFeeAccount: the sender is the account of the fees, from which only
	// stipends take coins.
	ErrFeeAccount = books.ErrFeeAccount
	// ErrReceiverNotFound: there is no such receiver.
	ErrReceiverNotFound = books.ErrReceiverNotFound
	// ErrFeeTooHigh: the fee is higher than the transfer's MaxFee; see
	// [FeeTooHighError].
	ErrFeeTooHigh = books.ErrFeeTooHigh
	// ErrInsufficientFunds: the sender has less than it takes; see
	// [InsufficientFundsError].
	ErrInsufficientFunds = books.ErrInsufficientFunds
)

// Returned by what sets a public key, and by what makes and verifies signatures beside
// those above.
var (
	// ErrBadPublicKey: it is not the encoding of a point of the curve, or not its
	// only one, or the point's order is small; see [PublicKey.Check].
	ErrBadPublicKey = sign.ErrBadPublicKey
	// ErrNoKey: the account was opened without a public key, and stays so.
	ErrNoKey = errors.New("capycoin: the account has no public key")
	// ErrKeyVersion: the change names a version that is not the key's.
	ErrKeyVersion = books.ErrKeyVersion
)

// Returned by the methods that read.
var (
	// ErrAccountNotFound: there is no such account.
	ErrAccountNotFound = books.ErrAccountNotFound
	// ErrTransactionNotFound: there is no such transaction, or the account is
	// no party to it.
	ErrTransactionNotFound = errors.New("capycoin: no such transaction")
	// ErrBadRange: Start is after End, or Limit or Order is out of range.
	ErrBadRange = errors.New("capycoin: bad range")
	// ErrBadCursor: not a cursor of this listing.
	ErrBadCursor = errors.New("capycoin: bad cursor")
)

// Returned by a TokenIssuer.
var (
	// ErrInvalidToken: the token is malformed, unknown, wrong, expired or
	// revoked. Which of these is not told.
	ErrInvalidToken = secret.ErrInvalidToken
	// ErrTokenNotFound: the account has no such live token.
	ErrTokenNotFound = books.ErrTokenNotFound
	// ErrTooManyTokens: the account has [MaxTokens] live ones.
	ErrTooManyTokens = books.ErrTooManyTokens
	// ErrBadLabel: the label is not UTF-8, has a control character, or more
	// than 64 characters.
	ErrBadLabel = record.ErrBadLabel
	// ErrBadExpiry: the expiry is not after now, or further off than a token's
	// life or [MaxInviteLife].
	ErrBadExpiry = books.ErrBadExpiry
	// ErrSeedToken: the seed account can't have a token.
	ErrSeedToken = books.ErrSeedToken
	// ErrFeeToken: nor can the account of the fees.
	ErrFeeToken = books.ErrFeeToken
	// ErrInvalidInvite: the invite is malformed, unknown, used, revoked or
	// expired. Which of these is not told.
	ErrInvalidInvite = books.ErrInvalidInvite
	// ErrInviteNotFound: there is no such live invite.
	ErrInviteNotFound = books.ErrInviteNotFound
	// ErrBusy: too many tokens are being hashed, and the context ended before
	// this one's turn. Nothing was applied. It wraps the context's error.
	ErrBusy = secret.ErrBusy
)

// Returned by Import.
var (
	// ErrBadExport: a line is not as Export writes it, or the last ones are
	// missing. No file was made.
	ErrBadExport = copying.ErrBadExport
)

// OptionError names the option that is out of range. errors.Is finds
// [ErrBadOption] in it.
type OptionError struct {
	Field   string // the field of the options
	Value   any
	Allowed string // in words
}

func (e *OptionError) Error() string {
	return fmt.Sprintf("capycoin: option %s is %v, allowed is %s", e.Field, e.Value, e.Allowed)
}

// Unwrap returns [ErrBadOption].
func (e *OptionError) Unwrap() error { return ErrBadOption }

// RolledBackError says what a ledger is and what its witness saw. errors.Is
// finds [ErrRolledBack] in it.
type RolledBackError struct {
	Ledger   uuid.UUID
	Position uint64    // of its last record; 0: there is no file
	Time     time.Time // of that record

	Witness         string // its path
	WitnessLedger   uuid.UUID
	WitnessPosition uint64    // the ledger had a record there,
	WitnessTime     time.Time // of this time
}

func (e *RolledBackError) Error() string {
	inside := witness.BehindError{
		Ledger: e.Ledger, Position: e.Position, Path: e.Witness,
		Saw: witness.Witness{Ledger: e.WitnessLedger, Position: e.WitnessPosition, Time: e.WitnessTime.UnixMicro()},
	}
	if !e.Time.IsZero() {
		inside.Time = e.Time.UnixMicro()
	}
	return inside.Error()
}

// Unwrap returns [ErrRolledBack].
func (e *RolledBackError) Unwrap() error { return ErrRolledBack }

// InsufficientFundsError says what the sender had and what it needed.
// errors.Is finds [ErrInsufficientFunds] in it.
type InsufficientFundsError struct {
	Funds    Coins
	Required Coins // amount and fee
}

func (e *InsufficientFundsError) Error() string {
	return fmt.Sprintf("%v: has %d, needs %d", ErrInsufficientFunds, e.Funds, e.Required)
}

// Unwrap returns [ErrInsufficientFunds].
func (e *InsufficientFundsError) Unwrap() error { return ErrInsufficientFunds }

// FeeTooHighError says what the fee is and what was allowed. errors.Is finds
// [ErrFeeTooHigh] in it.
type FeeTooHighError struct {
	Fee    Coins
	MaxFee Coins
}

func (e *FeeTooHighError) Error() string {
	return fmt.Sprintf("%v: it is %d, allowed is %d", ErrFeeTooHigh, e.Fee, e.MaxFee)
}

// Unwrap returns [ErrFeeTooHigh].
func (e *FeeTooHighError) Unwrap() error { return ErrFeeTooHigh }

// BatchError says which transfer of an atomic batch was refused, and why.
// Nothing of the batch was applied.
type BatchError struct {
	Index int // from 0
	Err   error
}

func (e *BatchError) Error() string { return fmt.Sprintf("transfer %d: %v", e.Index, e.Err) }

// Unwrap returns the error of the refused transfer.
func (e *BatchError) Unwrap() error { return e.Err }

// outward makes the error of a room the one that the public API has for it: those with
// numbers have a type of their own in either. It looks into errors that were joined.
func outward(err error) error {
	out, _ := toOutward(err)
	return out
}

// toOutward says whether it is another error than it was.
func toOutward(err error) (out error, other bool) {
	switch e := err.(type) {
	case *witness.BehindError:
		back := &RolledBackError{
			Ledger: e.Ledger, Position: e.Position,
			Witness: e.Path, WitnessLedger: e.Saw.Ledger, WitnessPosition: e.Saw.Position, WitnessTime: wire.TimeOf(e.Saw.Time),
		}
		if e.Position > 0 {
			back.Time = wire.TimeOf(e.Time)
		}
		return back, true
	case interface{ Unwrap() []error }:
		var all []error
		for _, one := range e.Unwrap() {
			out, changed := toOutward(one)
			other = other || changed
			all = append(all, out)
		}
		if other {
			return errors.Join(all...), true
		}
	}
	return err, false
}
