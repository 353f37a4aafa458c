package capycoin

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/accounts"
	"github.com/capycoin/capycoin/internal/boltfile"
	"github.com/capycoin/capycoin/internal/keyindex"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/internal/tune"
	"github.com/capycoin/capycoin/internal/wire"
	"github.com/capycoin/capycoin/internal/witness"
)

// Ledger is a currency: its accounts, their funds and every transaction there
// ever was. Its methods may be called from any number of goroutines.
//
// Every method can return [ErrClosed], [ErrStopped] and, when its store can't
// be read, the store's error; the methods that change something can return
// [ErrOutcomeUnknown] and [ErrNotWritten] too. A context that ends before the
// writer has picked the operation up gives the context's error, and nothing
// was applied; afterwards it is ignored: the caller gets the true outcome.
type Ledger struct {
	log     Log
	folds   Folds
	bolt    *boltfile.File // set if it is the store, for Stats
	owned   bool           // Close closes it
	clock   func() time.Time
	newID   func() (uuid.UUID, error)
	logger  *slog.Logger
	genesis record.Genesis
	tail    uint64 // the position of the journal's last record when it was opened

	queue    chan *op
	closing  chan struct{} // closed by Close
	finished chan struct{} // closed when the writer has ended
	stopped  chan struct{} // closed by stop
	once     sync.Once     // for closing
	closeErr error
	witness  *witness.Keeper // nil: there is none
	kept     chan struct{}   // closed when its goroutine has ended

	// Whoever commits holds writing: the writer, or a caller that is alone.
	writing sync.Mutex
	alone   atomic.Bool // the last commit was of one operation

	// They belong to it.
	overlay    *overlay
	folder     folder
	batch      []*op
	judged     int // of the batch, while it was gathered; -1: it can't be
	linger     linger
	recordList [][]byte
	scratch    record.Record
	work       accounts.Account
	found      []uint64 // positions under a key's hash
	poolSlot   uint32   // where the account of the fees most likely is
	warmth     uint64   // of [cache.warm], or the compiler would leave the reads out

	// mu guards the committed state. Only the writer changes it, so only
	// other goroutines need the lock to read it.
	mu          sync.RWMutex
	books       books
	cache       *accounts.Cache
	keys        keyindex.Index
	freshTokens freshTokens
	commits     Histogram
	commitTime  Histogram
	unwritten   unwritten
	cause       error // why it stopped

	verifying  chan struct{}    // has room for those that verify batches at once
	paying     chan struct{}    // has room for one that pays the stipend,
	planning   chan struct{}    // and one that plans it
	signatures [2]atomic.Uint64 // how many were verified: invalid ones, valid ones
}

// Open opens the ledger in a file, and makes it if the path names nothing.
// The file is locked: a second Open, from here or from another process, waits
// for Options.LockTimeout and returns [ErrLocked].
//
// Checks, in this order, each with an error of its own and the file untouched:
// [ErrBadOption], [ErrIsDirectory], [ErrEmptyFile], [ErrNotWritable],
// [ErrLocked], [ErrNotLedger], [ErrCorrupt], [ErrNewerFormat],
// [ErrSupplyMismatch], [ErrSeedMismatch], [ErrSeedKeyMismatch], [ErrWitness], [ErrRolledBack]. Where
// the file has to be made, or converted from an older format, and there is no
// room for that: [ErrDiskFull], with no file there, or the ledger as it was.
func Open(path string, opts *Options) (*Ledger, error) {
	o, err := checkOptions(opts)
	if err != nil {
		return nil, err
	}
	if o.Witness == "" && !o.NoWitness {
		o.Witness = path + ".witness"
	}
	if o.Witness != "" {
		if err := witness.CheckMissing(path, o.Witness); err != nil {
			return nil, fmt.Errorf("opening %s: %w", path, outward(err))
		}
	}
	begin := func(log Log) error { return writeGenesis(context.Background(), log, o) }
	store, err := boltfile.Open(path, boltfile.Options{LockTimeout: o.LockTimeout, Begin: begin})
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	led, err := openStore(context.Background(), store, store, o)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, errors.Join(outward(err), store.Close()))
	}
	led.owned = true
	return led, nil
}

// OpenStore opens the ledger in a log, and makes it if the log is empty.
// Closing the ledger does not close the log or the folds. The context bounds
// the opening only.
func OpenStore(ctx context.Context, log Log, folds Folds, opts *Options) (*Ledger, error) {
	o, err := checkOptions(opts)
	if err != nil {
		return nil, err
	}
	led, err := openStore(ctx, log, folds, o)
	return led, outward(err)
}

func openStore(ctx context.Context, log Log, folds Folds, o Options) (*Ledger, error) {
	tuned := tune.From(ctx)
	l := &Ledger{
		log: log, folds: folds, clock: o.Clock, newID: o.NewID, logger: o.Logger,
		queue:     make(chan *op, o.QueueSize),
		closing:   make(chan struct{}),
		finished:  make(chan struct{}),
		stopped:   make(chan struct{}),
		verifying: make(chan struct{}, runtime.GOMAXPROCS(0)),
		paying:    make(chan struct{}, 1),
		planning:  make(chan struct{}, 1),
		folder:    folder{lag: defaultFoldLag, slice: defaultFoldSlice, ahead: defaultFoldAhead},
		cache:     accounts.New(o.AccountCache),
		poolSlot:  accounts.NoSlot,
		keys:      keyindex.New(folds),
	}
	if o.Witness != "" {
		l.witness = witness.NewKeeper(o.Witness, log, o.Logger, tuned.WitnessEvery)
	}
	l.overlay = newOverlay(l.cache)
	l.linger.timer = time.NewTimer(maxLinger)
	l.bolt, _ = log.(*boltfile.File)
	if tuned.FoldLag > 0 {
		l.folder.lag, l.folder.slice, l.folder.ahead = tuned.FoldLag, tuned.FoldSlice, tuned.FoldAhead
	}
	l.freshTokens.cur = make(map[[16]byte]accounts.TokenRow)
	if err := l.recover(ctx, o); err != nil {
		return nil, err
	}
	if behind := wire.TimeOf(l.books.Time).Sub(l.clock()); behind > time.Hour {
		l.logger.Warn("the clock is behind the ledger", "by", behind, "ledger_time", wire.TimeOf(l.books.Time))
	}
	go l.run()
	if l.witness != nil {
		l.kept = make(chan struct{})
		go func() {
			defer close(l.kept)
			l.witness.Run(l.finished, l.position, func(err error) { l.failed(err) })
		}()
	}
	return l, nil
}

// orZero returns a copy of options, which are zero where there are none.
func orZero[T any](opts *T) (o T) {
	if opts != nil {
		o = *opts
	}
	return o
}

func checkOptions(opts *Options) (Options, error) {
	o := orZero(opts)
	var bad error
	check := func(ok bool, field string, value any, allowed string) {
		if !ok && bad == nil {
			bad = &OptionError{Field: field, Value: value, Allowed: allowed}
		}
	}
	check(o.Supply >= 0 && o.Supply <= MaxSupply, "Supply", o.Supply, "1 to 9007199254740991, or 0 for the default")
	check(o.SeedAccount != record.FeeAccount, "SeedAccount", o.SeedAccount, "any but the fee account's")
	if !o.SeedKey.IsZero() {
		check(o.SeedKey.Check() == nil, "SeedKey", o.SeedKey, "an Ed25519 public key, see PublicKey.Check")
	}
	check(o.LockTimeout == 0 || o.LockTimeout >= time.Millisecond && o.LockTimeout <= time.Hour,
		"LockTimeout", o.LockTimeout, "1ms to 1h, or 0 for the default")
	check(o.AccountCache == 0 || o.AccountCache >= 16 && o.AccountCache <= 100_000_000,
		"AccountCache", o.AccountCache, "16 to 100000000, or 0 for the default")
	check(o.QueueSize >= 0 && o.QueueSize <= 1_000_000, "QueueSize", o.QueueSize, "1 to 1000000, or 0 for the default")
	check(o.Witness == "" || !o.NoWitness, "NoWitness", o.NoWitness, "false beside a Witness")
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.NewID == nil {
		o.NewID = uuid.NewRandom
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.LockTimeout == 0 {
		o.LockTimeout = time.Second
	}
	if o.AccountCache == 0 {
		o.AccountCache = 1 << 20
	}
	if o.QueueSize == 0 {
		o.QueueSize = 4096
	}
	return o, bad
}

// Close commits what is queued, then closes the ledger and its file. Calls
// that come later return [ErrClosed]. An error says what is wrong with the disk;
// nothing that was acknowledged is lost by it. It may be called more than once.
func (l *Ledger) Close() error {
	l.once.Do(func() {
		close(l.closing)
		<-l.finished
		if l.kept != nil {
			<-l.kept
		}
		if l.owned {
			l.closeErr = errors.Join(l.closeErr, l.bolt.Close())
		}
	})
	return l.closeErr
}

// Err returns nil while the ledger serves, an error that wraps [ErrStopped]
// and the cause after a fault stopped it, [ErrClosed] after Close.
func (l *Ledger) Err() error {
	if cause := l.stopCause(); cause != nil {
		return fmt.Errorf("%w: %w", ErrStopped, cause)
	}
	select {
	case <-l.closing:
		return ErrClosed
	default:
		return nil
	}
}

// Stopped returns a channel that is closed when a fault stops the ledger.
// Closing the ledger does not close it.
func (l *Ledger) Stopped() <-chan struct{} { return l.stopped }

func (l *Ledger) stopCause() error {
	select {
	case <-l.stopped:
		l.mu.RLock()
		defer l.mu.RUnlock()
		return l.cause
	default:
		return nil
	}
}

// stop ends the service because of a fault; the first one counts.
func (l *Ledger) stop(cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cause == nil {
		l.cause = cause
		close(l.stopped)
		l.logger.Error("the ledger stopped", "cause", cause)
	}
}

// failed passes on an error of reading; damage stops the ledger.
func (l *Ledger) failed(err error) error {
	if errors.Is(err, ErrCorrupt) || errors.Is(err, ErrNewerFormat) {
		l.stop(err)
	}
	return err
}

// now is the clock's time as ledger time.
func (l *Ledger) now() int64 { return clockMicros(l.clock) }

// clockMicros is a clock's time, kept in the range of ledger time.
func clockMicros(clock func() time.Time) int64 { return min(max(clock().UnixMicro(), 0), wire.MaxTime) }

// Time returns the time of the ledger, UTC, to the microsecond: the clock's,
// but never before the last record's. All that depends on time goes by it.
func (l *Ledger) Time() time.Time {
	now := l.now()
	l.mu.RLock()
	defer l.mu.RUnlock()
	return wire.TimeOf(max(now, l.books.Time))
}

// OpenAccount opens an account without funds.
func (l *Ledger) OpenAccount(ctx context.Context) (Account, error) {
	acct, _, err := l.openAccount(ctx, PublicKey{}, nil, nil)
	return acct, err
}

// openAccount opens an account, with a key, its first token and by an invite if
// they are given. An id that is taken means that the source of ids repeats itself; it
// is asked again a few times.
func (l *Ledger) openAccount(ctx context.Context, key PublicKey, tok *record.Token, inv *record.Invite) (Account, record.Token, error) {
	for try := 0; ; try++ {
		id, err := l.newID()
		if err != nil {
			return Account{}, record.Token{}, fmt.Errorf("making an account id: %w", err)
		}
		if id.Version() != 4 || id.Variant() != uuid.RFC4122 {
			return Account{}, record.Token{}, fmt.Errorf("making an account id: %s is not a version-4 UUID", id)
		}
		o := &op{kind: opAccount, invite: inv, done: make(chan struct{}, 1), records: 3, bytes: 3 * record.MaxOtherLen}
		o.account.id, o.account.PublicKey = id, key
		if tok != nil {
			o.withToken, o.token = true, *tok
		}
		_, err = l.submit(ctx, o)
		if err == nil {
			return o.account.Account, o.token, nil
		}
		if err != errIDTaken || try == 4 {
			return Account{}, record.Token{}, err
		}
	}
}

var errIDTaken = errors.New("capycoin: the source of account ids gave one that is in use")

// Transfer moves coins and returns once that is on the disk. Checks, first
// failure wins: [ErrMalformedSignature], [ErrBadKey], the key (used before: the
// first receipt again, marked as replayed, or [ErrKeyReused]),
// [ErrSignatureRequired] or [ErrInvalidSignature], [ErrSignatureExpired],
// [ErrSignatureTooLong], [ErrAmountIsZero], [ErrAmountIsNegative],
// [ErrSameAccount], [ErrSenderNotFound], [ErrFeeAccount], [ErrReceiverNotFound],
// [ErrFeeTooHigh], [ErrInsufficientFunds].
func (l *Ledger) Transfer(ctx context.Context, t Transfer) (Receipt, error) {
	o := opPool.Get().(*op)
	o.kind, o.mode, o.one[0] = opTransfers, EachAlone, t
	o.transfers, o.results, o.verified, o.hints = o.one[:], o.result[:], o.verdict[:], o.hints[:0]
	o.records, o.bytes = 1, t.size()
	var err error
	if o.verdict[0], err = l.verify(ctx, &o.one[0]); err != nil {
		opPool.Put(o)
		return Receipt{}, err
	}
	mine, err := l.submit(ctx, o)
	if !mine {
		return Receipt{}, err
	}
	res := o.result[0]
	opPool.Put(o)
	if err != nil {
		return Receipt{}, err
	}
	if res.Err != nil {
		return Receipt{}, res.Err
	}
	return res.Receipt, nil
}

// TransferBatch makes 1 to [MaxBatch] transfers in their order, later ones on
// top of earlier ones, in one commit. With [EachAlone] the results are those
// of the transfers, in the same order, and the error is nil. With [Atomic] the
// first refused transfer makes it a [*BatchError] and moves nothing; a batch
// that does not fit into one commit of the store is [ErrBatchTooLarge].
//
// An error means that no transfer was made, unless it is [ErrOutcomeUnknown].
// On a store whose commits are smaller than the batch, one with EachAlone is
// made in parts, and should a later part fail its results say so.
func (l *Ledger) TransferBatch(ctx context.Context, transfers []Transfer, mode BatchMode) ([]Result, error) {
	if len(transfers) == 0 || len(transfers) > MaxBatch {
		return nil, fmt.Errorf("%w, this one has %d", ErrBatchSize, len(transfers))
	}
	if mode != Atomic && mode != EachAlone {
		return nil, &OptionError{Field: "mode", Value: int(mode), Allowed: "EachAlone or Atomic"}
	}
	verified, err := l.verifyAll(ctx, transfers)
	if err != nil {
		return nil, err
	}
	results := make([]Result, len(transfers))
	for first := 0; first < len(transfers); {
		last, bytes := first, 0
		for ; last < len(transfers); last++ {
			size := transfers[last].size()
			// The parts of an atomic batch can't stand alone.
			if mode == EachAlone && last > first && bytes+size > l.log.MaxAppend() {
				break
			}
			bytes += size
		}
		o := opPool.Get().(*op)
		o.kind, o.mode = opTransfers, mode
		o.transfers, o.results = transfers[first:last], results[first:last]
		if o.verified = nil; verified != nil {
			o.verified = verified[first:last]
		}
		o.records, o.bytes = last-first, bytes
		l.hint(o)
		mine, err := l.submit(ctx, o)
		if mine {
			o.transfers, o.results, o.verified = nil, nil, nil // they are the caller's
			opPool.Put(o)
		}
		if err != nil {
			if first == 0 {
				return nil, err
			}
			if !mine {
				results = slices.Clone(results) // the queue may still look at o's
			}
			for i := first; i < len(results); i++ {
				results[i] = Result{Err: err}
			}
			break
		}
		first = last
	}
	return results, nil
}

// size bounds the record of a transfer, in bytes.
func (t *Transfer) size() int {
	n := record.MaxTransferLen + min(len(t.Key), MaxKeyLen)
	if t.Signature != nil {
		n += record.MaxSignedLen
	}
	return n
}

// Account returns an account as it stands, or [ErrAccountNotFound].
func (l *Ledger) Account(ctx context.Context, id uuid.UUID) (Account, error) {
	s, err := l.snapshot(ctx, id)
	return s.Account, err
}

// AccountPage returns up to limit accounts in order of opening, the seed
// account first. An empty cursor begins at the start; limit is 1 to [MaxPage],
// 0 for [DefaultPage]. Errors: [ErrBadRange], [ErrBadCursor].
func (l *Ledger) AccountPage(ctx context.Context, cursor string, limit int) (AccountPage, error) {
	if limit < 0 || limit > MaxPage {
		return AccountPage{}, fmt.Errorf("%w: the limit is %d, allowed is 1 to %d", ErrBadRange, limit, MaxPage)
	}
	if limit == 0 {
		limit = DefaultPage
	}
	first := int64(1)
	if cursor != "" {
		var err error
		if first, err = parseAccountCursor(cursor); err != nil {
			return AccountPage{}, err
		}
	}
	if err := l.Err(); err != nil {
		return AccountPage{}, err
	}
	ids, more, err := l.openedAccounts(ctx, first, limit)
	if err != nil {
		return AccountPage{}, l.failed(err)
	}
	page := AccountPage{Accounts: make([]Account, len(ids))}
	for i, id := range ids {
		if page.Accounts[i], err = l.Account(ctx, id); err != nil {
			return AccountPage{}, err
		}
	}
	if more {
		page.Next = accountCursor(first + int64(limit))
	}
	return page, nil
}

// Accounts lists all accounts in order of opening, reading a page at a time.
// An error ends the listing.
func (l *Ledger) Accounts(ctx context.Context) iter.Seq2[Account, error] {
	return func(yield func(Account, error) bool) {
		for cursor, more := "", true; more; more = cursor != "" {
			page, err := l.AccountPage(ctx, cursor, MaxPage)
			if err != nil {
				yield(Account{}, err)
				return
			}
			for _, a := range page.Accounts {
				if !yield(a, nil) {
					return
				}
			}
			cursor = page.Next
		}
	}
}

// Supply returns the state of the whole currency at one moment.
func (l *Ledger) Supply(ctx context.Context) (Supply, error) {
	if err := ctx.Err(); err != nil {
		return Supply{}, err
	}
	// The seed account may be out of memory; then its row is as it stands, if
	// nothing was committed meanwhile.
	for {
		l.mu.RLock()
		b := l.books
		seed, known := Coins(0), false
		if i, ok := l.cache.Find(&l.genesis.Seed); ok {
			seed, known = Coins(l.cache.At(i).Funds), true
		}
		l.mu.RUnlock()
		if err := l.Err(); err != nil {
			return Supply{}, err
		}
		if !known {
			s, err := l.snapshot(ctx, l.genesis.Seed)
			if err != nil {
				return Supply{}, err
			}
			if l.position() != b.Position {
				continue
			}
			seed = s.Funds
		}
		return Supply{
			LedgerID: l.genesis.Ledger, SeedAccount: l.genesis.Seed, Supply: Coins(l.genesis.Supply),
			SeedFunds: seed, Circulating: Coins(l.genesis.Supply) - seed,
			Accounts: b.Accounts, Transactions: b.Transactions, Position: b.Position, Time: wire.TimeOf(b.Time),
		}, nil
	}
}

// position returns the position of the last committed record.
func (l *Ledger) position() uint64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.books.Position
}
