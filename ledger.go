package capycoin

import (
	"context"
	"log/slog"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/semaphore"

	"github.com/capycoin/capycoin/internal/books"
	"github.com/capycoin/capycoin/internal/engine"
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
	eng     *engine.Engine
	books   *books.State
	genesis record.Genesis
	newID   func() (uuid.UUID, error)

	transfers sync.Pool           // of *transferOp
	paying    *semaphore.Weighted // for one that pays the stipend,
	planning  *semaphore.Weighted // and one that plans it
}

// OpenStore opens the ledger in a log, and makes it if the log is empty.
// Closing the ledger does not close the log or the folds. The context bounds
// the opening only.
func OpenStore(ctx context.Context, log Log, folds Folds, opts *Options) (*Ledger, error) {
	o, err := checkOptions(opts)
	if err != nil {
		return nil, err
	}
	led, err := openStore(ctx, log, folds, o, nil)
	return led, outward(err)
}

// openStore opens the ledger in a log. Closing it calls closeStore, if that is not nil.
func openStore(ctx context.Context, log Log, folds Folds, o Options, closeStore func() error) (*Ledger, error) {
	tuned := tune.From(ctx)
	eng, err := engine.Open(ctx, log, folds, engine.Options{
		Books: books.Options{
			New:          o.genesis(),
			Want:         record.Genesis{Supply: int64(o.Supply), Seed: o.SeedAccount, Key: o.SeedKey},
			AccountCache: o.AccountCache,
			FoldLag:      tuned.FoldLag, FoldSlice: tuned.FoldSlice, FoldAhead: tuned.FoldAhead,
			Verifying: runtime.GOMAXPROCS(0),
		},
		Clock: o.Clock, Logger: o.Logger, QueueSize: o.QueueSize,
		Witness: o.Witness, WitnessEvery: tuned.WitnessEvery, Close: closeStore,
	})
	if err != nil {
		return nil, err
	}
	return &Ledger{
		eng: eng, books: eng.Books(), genesis: eng.Books().Genesis(), newID: o.NewID,
		transfers: sync.Pool{New: func() any { return newTransferOp() }},
		paying:    semaphore.NewWeighted(1),
		planning:  semaphore.NewWeighted(1),
	}, nil
}

// genesis is that of a new ledger, which has no id yet.
func (o *Options) genesis() record.Genesis {
	g := record.Genesis{Supply: int64(o.Supply), Seed: o.SeedAccount, Key: o.SeedKey}
	if g.Supply == 0 {
		g.Supply = int64(DefaultSupply)
	}
	if g.Seed == (uuid.UUID{}) {
		g.Seed = DefaultSeedAccount()
	}
	return g
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
func (l *Ledger) Close() error { return l.eng.Close() }

// Err returns nil while the ledger serves, an error that wraps [ErrStopped]
// and the cause after a fault stopped it, [ErrClosed] after Close.
func (l *Ledger) Err() error { return l.eng.Err() }

// Stopped returns a channel that is closed when a fault stops the ledger.
// Closing the ledger does not close it.
func (l *Ledger) Stopped() <-chan struct{} { return l.eng.Stopped() }

// Time returns the time of the ledger, UTC, to the microsecond: the clock's,
// but never before the last record's. All that depends on time goes by it.
func (l *Ledger) Time() time.Time { return wire.TimeOf(l.eng.Time()) }

// serves returns nil if the context has not ended and the ledger serves.
func (l *Ledger) serves(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return l.eng.Err()
}

// submit has an operation judged and committed, or says why it was not.
func (l *Ledger) submit(ctx context.Context, op engine.Op) error {
	_, err := l.eng.Submit(ctx, op)
	return err
}

// perform has an operation done, or says why it was not, or was refused.
func (l *Ledger) perform(ctx context.Context, op interface {
	engine.Op
	Refused() error
}) error {
	if err := l.submit(ctx, op); err != nil {
		return err
	}
	return op.Refused()
}

// CheckWitness compares the ledger with the witness in a file, which stays as it
// is. It returns nil if the ledger has all that the witness saw,
// [ErrRolledBack] if not, and [ErrWitness] if the file can't be read or is no
// witness; [io/fs.ErrNotExist] is in that if there is none.
func (l *Ledger) CheckWitness(ctx context.Context, path string) error {
	w, err := witness.Read(path, os.O_RDONLY)
	if err != nil {
		return err
	}
	if err := l.Err(); err != nil {
		return err
	}
	return outward(l.eng.Failed(w.Compare(ctx, l.books.Log(), l.books.Position(), path)))
}

// Supply returns the state of the whole currency at one moment.
func (l *Ledger) Supply(ctx context.Context) (Supply, error) {
	if err := l.serves(ctx); err != nil {
		return Supply{}, err
	}
	w, err := l.books.Whole(ctx)
	if err != nil {
		return Supply{}, l.eng.Failed(err)
	}
	return supplyOf(&l.genesis, &w), nil
}

// supplyOf is what the API tells of a whole currency.
func supplyOf(g *record.Genesis, w *books.Whole) Supply {
	return Supply{
		LedgerID: g.Ledger, SeedAccount: g.Seed, Supply: Coins(g.Supply),
		SeedFunds: Coins(w.SeedFunds), Circulating: Coins(g.Supply - w.SeedFunds),
		Accounts: w.Accounts, Transactions: w.Transactions, Position: w.Position, Time: wire.TimeOf(w.Time),
	}
}
