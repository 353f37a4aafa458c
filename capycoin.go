// Package capycoin is a closed-circulation currency in a file: a fixed supply
// of whole coins, made once in a seed account, that only ever move from account
// to account. It is double-entry bookkeeping for a program that needs points,
// game coins, hours, credits or school money, without a database server.
//
// # Basics
//
// [Open] opens the ledger in a file, or makes a new one with all coins in the
// seed account, [DefaultSeedAccount]. [Ledger.OpenAccount] opens an account,
// without funds. [Ledger.Transfer] moves coins, [Ledger.TransferBatch] many
// times at once. [Ledger.Account] and [Ledger.Supply] say what there is now,
// [Ledger.Transactions] and [Ledger.TransactionPage] what there was, and
// [Ledger.FundsAt] what an account had at a time. [Ledger.Audit] replays the
// books and compares everything with them.
//
// An account that was opened with a public key, by [Ledger.OpenKeyedAccount], pays
// only what its owner has signed: see [SignTransfer]. [Ledger.SetFeePolicy] puts a fee
// on transfers, and [Ledger.PayStipend] pays what was collected to those who were
// active, once a day.
//
// A [TokenIssuer] gives the owners of accounts bearer tokens and verifies them.
// Package httpapi, beside this one, makes an HTTP API of a Ledger and a
// TokenIssuer; the command capycoind is a server with it.
//
// The methods of a Ledger may be called from any goroutine. A ledger's file is
// open in one process at a time; another one gets [ErrLocked].
//
// # Guarantees
//
// The funds of all accounts are the supply, always, and no account is below
// zero.
//
// When a method that changes the books returns without an error the change is on
// the disk, synced. After a crash everything that was acknowledged is there;
// what was in flight is there as a whole or not at all.
//
// All changes are in one order, that of their positions in the journal, and each
// is judged on the state that the one before it left. Readers see what is
// committed, nothing else, and a caller sees its own writes. A refused transfer
// changes nothing, and does not touch others that are committed with it.
//
// A transfer with a [Transfer] Key happens once for its sender, however often it
// is asked for, and whenever: concurrently, in one batch, after a crash, years
// later.
//
// From an account with a public key nothing is taken without a signature by its
// present key, and an audit verifies each of them again. The fee of a transfer is what
// the policy in force says, and no more than its MaxFee. A day's stipend is paid once.
//
// A context that ends before the writer takes an operation up means that it was
// certainly not applied, and its error is returned. Afterwards the call returns
// the true outcome, though the context has ended.
//
// If the disk fails in the middle of a commit nobody can say whether it
// happened. Those who wait for it get [ErrOutcomeUnknown], later callers
// [ErrStopped], until the ledger is opened again: what is found then is what
// happened. Repeat a transfer with the same key, or look it up.
//
// A small file beside the ledger, its witness, says how far it has come. A file
// that lacks what the witness saw, as an old copy does that was put back, is
// refused with [ErrRolledBack].
//
// The ledger's time, [Ledger.Time], never goes back, though the clock may.
//
// # Errors
//
// Errors are sentinels for errors.Is, in blocks by the phase that returns them.
// Where numbers matter a struct wraps one: [InsufficientFundsError],
// [FeeTooHighError], [BatchError], [OptionError], [RolledBackError]. The checks of a
// transfer come in a fixed order, that of [Ledger.Transfer], and the first failure wins.
//
// # Storage
//
// Every change is a record, appended to a journal; balances, histories, keys and
// tokens are folded from it and can be made again. Open keeps journal and folds
// in one bbolt file. [OpenStore] takes them from anywhere else: see [Log] and
// [Folds], and package storetest for whoever implements them.
//
// [Ledger.Backup] copies a ledger that is in use to a new file, [Restore] makes a
// ledger of such a copy, [Export] and [Import] do the same with text. What all of
// them copy is the journal, record by record; the rest is folded anew, and audited.
//
// # Compatibility
//
// A ledger written by this version can be opened by every later one. A file in a
// later format is refused with [ErrNewerFormat], untouched. The format is in
// docs/format.md.
//
// Until version 1.0 the Go API may still change; NEWS.md says what did. Text of
// errors, cursors and the form of log lines may change at any time. The
// interfaces Log and Folds may get further methods before version 1.0.
package capycoin

import (
	"crypto/ed25519"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/books"
	"github.com/capycoin/capycoin/internal/record"
)

// Coins is an amount of money: a whole number of coins. An amount to transfer
// is 1 to [MaxSupply]; the funds of an account are 0 to the ledger's supply.
type Coins int64

const (
	// MaxSupply is the largest supply a ledger can have, 2^53-1 coins: every
	// JSON reader holds such a number exactly (RFC 8259, section 6).
	MaxSupply Coins = 1<<53 - 1
	// DefaultSupply is the supply of a new ledger whose Options name none.
	DefaultSupply Coins = 100_000
	// MaxBatch is the largest number of transfers in one [Ledger.TransferBatch].
	MaxBatch = 10_000
	// MaxKeyLen is the longest idempotency key, in bytes.
	MaxKeyLen = 255
	// MaxPage is the largest Limit of a page of transactions or accounts.
	MaxPage = 1_000
	// DefaultPage is the number of entries of a page whose Limit is zero.
	DefaultPage = 100
)

// DefaultSeedAccount is the id of the seed account of a new ledger whose
// Options name none: 4e9b616a-f11e-48b6-8c2f-9534d482e48e.
func DefaultSeedAccount() uuid.UUID {
	return uuid.UUID{0x4e, 0x9b, 0x61, 0x6a, 0xf1, 0x1e, 0x48, 0xb6, 0x8c, 0x2f, 0x95, 0x34, 0xd4, 0x82, 0xe4, 0x8e}
}

// Options are the settings of [Open] and [OpenStore]. A nil *Options is the
// same as a zero one; the zero value of each field is a sensible default.
// Open copies what it needs; a value out of range is an [*OptionError].
type Options struct {
	// Supply is the number of coins the ledger must have, 1 to [MaxSupply].
	// Zero: what an existing file has, [DefaultSupply] for a new one. A file
	// with another supply is refused with [ErrSupplyMismatch].
	Supply Coins
	// SeedAccount is the id of the account that holds the whole supply at the
	// start. Zero: what an existing file has, [DefaultSeedAccount] for a new
	// one. A file with another one is refused with [ErrSeedMismatch].
	SeedAccount uuid.UUID
	// SeedKey is the public key that the seed account of a new ledger is opened
	// with, so that only who has the private key can spend from it. Zero: what an
	// existing file has, none for a new one. A file whose seed account was opened
	// with another one, or without, is refused with [ErrSeedKeyMismatch], whatever
	// key it was changed to later.
	SeedKey PublicKey
	// Clock tells the time. Nil: [time.Now]. It may step back: the time of the
	// ledger does not. It must stay within the years 1970 to 9999. It is asked while
	// an operation is made, so it must not ask the ledger for one, for the time, or to
	// close.
	Clock func() time.Time
	// NewID makes the ids of new accounts, random version-4 UUIDs. Nil:
	// [uuid.NewRandom]. An id already in use is asked for again, four times.
	NewID func() (uuid.UUID, error)
	// Logger gets what an operator should know. It may ask the ledger anything, but
	// must not wait for Close or PayStipend, which may be waiting for it. Nil: nothing
	// is logged.
	Logger *slog.Logger
	// LockTimeout is how long Open waits for another process to let go of the
	// file, 1 ms to 1 h. Zero: one second.
	LockTimeout time.Duration
	// AccountCache is how many accounts are kept in memory, 16 to 100,000,000
	// (about 150 bytes each). Zero: 1,048,576. Accounts that changed since they
	// were last folded are always kept, and may be more than that for a while.
	AccountCache int
	// QueueSize is how many calls may wait for the writer before further ones
	// wait for room, 1 to 1,000,000. Zero: 4,096.
	QueueSize int
	// Witness is the path of a small file that says how far the ledger has come
	// (docs/format.md), so that an old copy in its place is refused with
	// [ErrRolledBack]. It is written every ten seconds, if something was
	// committed, and by Close. Put it on another disk, and it is not restored
	// with this one. Zero: the path of the ledger's file and ".witness"; none for
	// [OpenStore].
	Witness string
	// NoWitness is for a ledger that has no witness: one that is looked at, or
	// whose loss would not matter.
	NoWitness bool
}

// Account is an account as it stood when it was asked for.
type Account struct {
	ID           uuid.UUID
	Created      time.Time
	Funds        Coins
	Transactions int64 // how many transactions it was party to
	// PublicKey is whose signature its transfers need, and KeyVersion how many it
	// has had, this one included. Zero: it has none.
	PublicKey  PublicKey
	KeyVersion uint32
}

// Transfer asks to move Amount coins from Sender to Receiver.
type Transfer struct {
	Sender   uuid.UUID
	Receiver uuid.UUID
	Amount   Coins
	// Key makes the transfer happen once, however often it is asked for: the
	// same sender, key, receiver and amount get the first receipt again. It is
	// 1 to [MaxKeyLen] bytes 0x21 to 0x7E without '"' and '\'. Empty: no key,
	// and every call is a new transfer. Keys never expire.
	Key string
	// MaxFee is the most that the sender pays as a fee: where it is higher the
	// transfer is refused with [ErrFeeTooHigh]. Nil: whatever it is.
	MaxFee *Coins
	// Signature is what [SignTransfer] made. A sender with a public key has to
	// give one, with a Key and a MaxFee, which are signed, too; nobody else may.
	Signature *Signature
}

// Signature is an account's consent to a transfer, given with its private key.
// docs/signing.md says what is signed.
type Signature struct {
	// NotAfter is the last microsecond at which the transfer may be made, by the
	// time of the ledger, and at most [MaxSignatureLife] after that.
	NotAfter time.Time
	// Bytes is the signature itself: Ed25519, RFC 8032.
	Bytes [ed25519.SignatureSize]byte
}

// MaxSignatureLife is how long before a [Signature]'s NotAfter the transfer can be
// made, at most.
const MaxSignatureLife = books.MaxSignatureLife * time.Microsecond // 24 hours

// ValidKey says whether a string can be a [Transfer]'s Key.
func ValidKey(key string) bool { return record.ValidKey(key) }

// Receipt says that a transfer is on the disk.
type Receipt struct {
	TransactionID uuid.UUID
	Position      uint64 // of its record in the journal
	Timestamp     time.Time
	Sender        uuid.UUID
	Receiver      uuid.UUID
	Amount        Coins
	Fee           Coins // what the sender paid beside the amount
	SenderFunds   Coins // the sender's funds right after this transfer
	Replayed      bool  // the transfer was made earlier, under the same key
}

// BatchMode says what a refused transfer does to the rest of its batch.
type BatchMode int

const (
	// EachAlone judges each transfer by itself: a refused one does not touch
	// the others.
	EachAlone BatchMode = iota
	// Atomic makes all transfers of the batch or none.
	Atomic
)

// Result is what became of one transfer of a batch: a receipt, or the error
// that [Ledger.Transfer] would have returned.
type Result struct {
	Receipt Receipt
	Err     error
}

// Transaction is a transfer in the history of an account.
type Transaction struct {
	ID        uuid.UUID
	Position  uint64 // of its record in the journal
	Timestamp time.Time
	Sender    uuid.UUID
	Receiver  uuid.UUID
	Amount    Coins
	Fee       Coins
	Key       string // the idempotency key it was made with, if any
	// Account is whose history this was read from; Ordinal says that it is
	// that account's n-th transaction (from 1), FundsAfter what it had then.
	// [Ledger.TransactionByID] takes the sender's view.
	Account    uuid.UUID
	Ordinal    int64
	FundsAfter Coins
}

// Order is the direction of a listing.
type Order int

const (
	// DefaultOrder is the order of the Cursor, [OldestFirst] without one.
	DefaultOrder Order = iota
	// OldestFirst lists in order of position.
	OldestFirst
	// NewestFirst lists against the order of position.
	NewestFirst
)

// Range chooses transactions of an account. The zero Range is all of them,
// oldest first.
type Range struct {
	// Start and End bound the timestamps, Start <= t < End. Zero: no bound.
	// They are cut to microseconds. Start after End is [ErrBadRange].
	Start, End time.Time
	Order      Order
	// Limit is the most transactions of a page, 1 to [MaxPage]. Zero:
	// [DefaultPage]. [Ledger.Transactions] reads pages of this size, to the end.
	Limit int
	// Cursor goes on where an earlier page ended: its Next. It binds the
	// account, the order and the bounds; where these are given beside it they
	// must be the same, or it is [ErrBadCursor].
	Cursor string
}

// TransactionPage is a page of an account's transactions.
type TransactionPage struct {
	Transactions []Transaction
	Next         string // the cursor of the next page; empty on the last one
}

// AccountPage is a page of accounts, in order of opening.
type AccountPage struct {
	Accounts []Account
	Next     string // the cursor of the next page; empty on the last one
}

// Supply is the whole currency at one moment.
type Supply struct {
	LedgerID     uuid.UUID // random, made with the ledger
	SeedAccount  uuid.UUID
	Supply       Coins
	SeedFunds    Coins // what the seed account has
	Circulating  Coins // Supply - SeedFunds
	Accounts     int64 // the seed account counts
	Transactions int64
	Position     uint64    // of the last record in the journal
	Time         time.Time // the time of the ledger: of its last record
}
