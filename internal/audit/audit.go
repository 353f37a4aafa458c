// Package audit goes through the books of a ledger: it replays the whole journal from its
// first record, on a model of its own, and compares with that what the ledger holds, on the
// disk and in memory.
//
// It knows nothing of how operations are judged, of queues, files or clocks: what a record
// may do it says by rules of its own, so that a rule that is wrong in the one room is found
// by the other. What it looks at is a [View]; whoever has one may call it.
//
// Locks: none. It reads in pages, and never waits for a writer, nor a writer for it. All
// callbacks are called by the goroutine that called [Run], and not while it reads the store;
// one that reads the journal, one that sums keys and those that verify signatures end before
// it returns.
package audit

import (
	"context"
	"fmt"
	"hash/maphash"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/accounts"
	"github.com/capycoin/capycoin/internal/keyindex"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/store"
)

// The kinds of faults.
const (
	FaultRecord  = "record"
	FaultChain   = "chain"
	FaultFunds   = "funds"
	FaultAccount = "account"
	FaultKey     = "key"
	FaultToken   = "token"
	FaultInvite  = "invite"
	FaultBooks   = "books"

	FaultSignature = "signature"
	FaultFee       = "fee"
	FaultStipend   = "stipend"
)

// Fault is something that is not as the journal says, or a record that does not follow
// from those before it.
type Fault struct {
	Position uint64    // of the record, 0 where none is meant
	Account  uuid.UUID // zero where none is meant
	Kind     string
	Detail   string
}

func (f Fault) String() string {
	s := f.Kind + ": " + f.Detail
	if f.Account != (uuid.UUID{}) {
		s = fmt.Sprintf("account %s: %s", f.Account, s)
	}
	if f.Position != 0 {
		s = fmt.Sprintf("record %d: %s", f.Position, s)
	}
	return s
}

// Report is what an audit looked at and found.
type Report struct {
	Position     uint64 // of the last record it went up to
	Records      uint64 // of the journal
	Accounts     int64
	Transactions int64
	Keys         int64 // idempotency keys used
	Signatures   int64 // of transfers and changes of keys, all of them verified
	Fees         int64 // that were paid, by all transactions together
	Stipends     int64 // days on which one was begun
	Tokens       int64 // neither revoked nor expired
	Invites      int64 // neither used, revoked nor expired
	Supply       int64 // the sum of the funds of all accounts
	FaultCount   int
	Faults       []Fault // the first of them
	Elapsed      time.Duration
}

// Err returns nil if no fault was found, and otherwise a [store.ErrCorrupt] that says how
// many there are and which came first.
func (r *Report) Err() error {
	switch {
	case r.FaultCount == 0:
		return nil
	case len(r.Faults) == 0:
		return fmt.Errorf("%w: %d faults", store.ErrCorrupt, r.FaultCount)
	case r.FaultCount == 1:
		return fmt.Errorf("%w: %s", store.ErrCorrupt, r.Faults[0])
	}
	return fmt.Errorf("%w: %d faults, the first: %s", store.ErrCorrupt, r.FaultCount, r.Faults[0])
}

// Progress says how far an audit is: the stages are "rows" (of accounts), "journal",
// "accounts", "keys" and "tokens", in this order.
type Progress struct {
	Stage       string
	Done, Total uint64 // of what the stage is about
}

// Options are the settings of [Run].
type Options struct {
	Now       func() int64   // the time of the ledger, µs since 1970
	Err       func() error   // not nil: the ledger serves no more
	Progress  func(Progress) // called about ten times a second; may be nil
	OnFault   func(Fault)    // called with each fault as it is found; may be nil
	MaxFaults int            // how many the report keeps; all are counted
}

// View is what an audit looks at: a log, folds, and what is newer than those in memory.
// Any goroutine may call its methods.
type View interface {
	Log() store.Log
	Folds() store.Folds
	Genesis() record.Genesis
	Position() uint64
	// Totals are the numbers about the whole, and up to which record rows have all effects.
	Totals() (totals accounts.Totals, folded uint64)
	// TokenRow is the row of a selector, zero if there is none.
	TokenRow(context.Context, [record.SelectorLen]byte) (accounts.TokenRow, error)
	// CopyCached copies the states of up to [accounts.ReadAhead] accounts that are in
	// memory, and says of which.
	CopyCached(ids []uuid.UUID, states *[accounts.ReadAhead]accounts.Account, found *[accounts.ReadAhead]bool) (warmth uint64)
	// KeyRuns are the runs of keys, and how often keys have moved: an odd number while they
	// do.
	KeyRuns() (runs []*keyindex.Run, moves uint64)
	// KeysInMemory are the positions under a hash that are in no run yet, beside KeyRuns.
	KeysInMemory(keyindex.Hash) (positions []uint64, runs []*keyindex.Run, moves uint64)
	// FreshKeys appends the keys of some parts that are in no run yet.
	FreshKeys(first, parts int, list []keyindex.Entry) []keyindex.Entry
}

// What a store may have for an audit beside a log and folds.
type (
	// strictScanner scans rows that have to be found by a search, too.
	strictScanner interface {
		ScanStrictly(ctx context.Context, table store.Table, from []byte, fn func(key, value []byte) bool) error
	}
	// strictReader finds each record of a scan by a search, too.
	strictReader interface{ Strict() }
	// readsAhead reads ahead of whoever tells it how much of the journal is done.
	readsAhead interface {
		ReadAhead(done, total uint64) func(ctx context.Context, done, total uint64)
	}
)

// Run audits the books. Faults are in the report and do not make it fail; an error means
// that it did not get to the end.
func Run(ctx context.Context, v View, o Options) (Report, error) {
	start := time.Now()
	a := newAuditor(v, o)
	err := a.run(ctx)
	a.report.Elapsed = time.Since(start)
	return a.report, err
}

// DefaultMaxFaults is how many faults the report of somebody keeps who has not said.
const DefaultMaxFaults = 1000

// pageLen is how many records, accounts or rows are read at once.
const pageLen = 1024

// numbers are those about the whole of the model, and the rules in force.
type numbers struct {
	accounts.Totals
	policy  *record.FeePolicy // nil: there never was one
	stipend *record.Stipend   // the last one; nil: there was none
}

// unpaid is how many payments of the last stipend have not been made.
func (n *numbers) unpaid() int64 {
	if n.stipend == nil {
		return 0
	}
	return n.stipend.Payees - n.Paid
}

// auditor is the state of an audit: a model of the ledger, made of nothing but
// the journal, and what was seen of the ledger that the model has to reach
// first.
type auditor struct {
	view   View
	log    store.Log
	folds  store.Folds
	strict strictScanner // nil: the folds are none
	began  record.Genesis
	opts   Options
	report Report
	shown  time.Time // when progress was last told

	// The model.
	model    numbers
	folded   uint64          // the fold position when the audit began
	accounts *accounts.Cache // all of them; AsOf is 0 until it is opened
	rows     []rowMark       // of a slot
	checked  []bool          // of a slot that has a row: it has been compared
	newest   uint32          // the slot of the account opened last
	seed     maphash.Seed
	entry    []byte
	work     accounts.Account
	checks   signatureChecks
	day      int64    // of the last record, since 1970,
	before   uint64   // and the position of the last record before that day
	opened   []uint32 // slots in order of opening
	payees   []uint32 // of the last stipend
	poolAt   uint64   // where the account of the fees was opened
	poolSlot uint32   // and where it is, most likely
	warmth   uint64
	live     map[[record.SelectorLen]byte]accounts.TokenRow // tokens and invites that are neither ended nor dropped
	invites  map[uint64][record.SelectorLen]byte            // selectors of those invites, by position
	keySum   keySum                                         // of the keys up to what was seen
	stuckAt  uint64                                         // the moves at which it waited in vain for keys on their way
	twice    map[uint64]bool                                // records whose key another one has had, by position

	// What the ledger had that the model is not up to yet.
	seen    accounts.Totals
	waiting map[uuid.UUID][]*accounts.Account
	doubts  map[[record.SelectorLen]byte]accounts.TokenRow // rows of tokens and invites
	missing [][record.SelectorLen]byte                     // those without a row
}

func newAuditor(v View, o Options) *auditor {
	a := &auditor{
		view: v, log: v.Log(), folds: v.Folds(), began: v.Genesis(), opts: o,
		accounts: accounts.New(0),
		poolSlot: accounts.NoSlot,
		live:     make(map[[record.SelectorLen]byte]accounts.TokenRow),
		invites:  make(map[uint64][record.SelectorLen]byte),
		waiting:  make(map[uuid.UUID][]*accounts.Account),
		doubts:   make(map[[record.SelectorLen]byte]accounts.TokenRow),
		keySum:   newKeySum(),
		twice:    make(map[uint64]bool),
		seed:     maphash.MakeSeed(),
	}
	a.strict, _ = a.folds.(strictScanner)
	return a
}

func (a *auditor) run(ctx context.Context) error {
	if err := a.opts.Err(); err != nil {
		return err
	}
	a.seen, a.folded = a.view.Totals()
	stages := []func(context.Context) error{
		a.readRows,
		func(ctx context.Context) error { return a.replayTo(ctx, a.seen.Position) },
		a.checkAccounts, a.checkKeys, a.checkTokens, a.checkTokenRows,
		// What was newer than the model can be compared once that is as new.
		func(ctx context.Context) error { return a.replayTo(ctx, a.view.Position()) },
	}
	for _, stage := range stages {
		if err := stage(ctx); err != nil {
			return err
		}
	}
	a.settle()
	a.settleRows()
	a.report.Position = a.model.Position
	a.report.Accounts, a.report.Transactions = a.model.Accounts, a.model.Transactions
	for i := range uint32(len(a.rows)) {
		a.report.Supply += a.accounts.At(i).Funds
	}
	if a.report.Supply != a.began.Supply {
		a.fault(0, uuid.UUID{}, FaultBooks, "the funds add up to %d, the supply is %d", a.report.Supply, a.began.Supply)
	}
	return nil
}

// settle is about what has not turned out right by the end of the journal.
func (a *auditor) settle() {
	if a.poolAt > 0 && a.model.policy == nil {
		a.fault(a.poolAt, record.FeeAccount, FaultFee, "it is opened without a first fee policy")
	}
	for id, copies := range a.waiting {
		for _, c := range copies {
			a.fault(0, id, FaultAccount, "it is as of record %d, where the journal has none of it", c.AsOf)
		}
	}
	now := a.opts.Now()
	for _, row := range a.live {
		switch {
		case row.Expires <= now:
		case row.Invite:
			a.report.Invites++
		default:
			a.report.Tokens++
		}
	}
	for _, selector := range a.missing {
		if want, ok := a.live[selector]; ok && want.Expires > now {
			a.fault(want.Position, uuid.UUID{}, faultKind(want), "its selector %x leads nowhere", selector)
		}
	}
	for selector, row := range a.doubts {
		if want := a.live[selector]; want != row && row.Expires > now {
			a.fault(row.Position, uuid.UUID{}, faultKind(row), "selector %x leads to record %d, by the journal to %d (0 is none)",
				selector, row.Position, want.Position)
		}
	}
}

// fault notes a fault.
func (a *auditor) fault(position uint64, account uuid.UUID, kind, format string, args ...any) {
	f := Fault{Position: position, Account: account, Kind: kind, Detail: fmt.Sprintf(format, args...)}
	a.report.FaultCount++
	if len(a.report.Faults) < a.opts.MaxFaults {
		a.report.Faults = append(a.report.Faults, f)
	}
	if a.opts.OnFault != nil {
		a.opts.OnFault(f)
	}
}

// progress tells how far a stage is, and whether to go on.
func (a *auditor) progress(ctx context.Context, stage string, done, total uint64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := a.opts.Err(); err != nil {
		return err
	}
	if a.opts.Progress != nil && (done == total || time.Since(a.shown) >= 100*time.Millisecond) {
		a.shown = time.Now()
		a.opts.Progress(Progress{Stage: stage, Done: done, Total: total})
	}
	return nil
}
