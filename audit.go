package capycoin

import (
	"context"
	"fmt"
	"hash/maphash"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/accounts"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/store"
)

// AuditOptions are the settings of [Ledger.Audit]. Nil is the same as zero.
type AuditOptions struct {
	// Progress is called about ten times a second, and at the end of each
	// stage, by the goroutine that called Audit. May be nil.
	Progress func(AuditProgress)
	// OnFault is called with each fault as it is found. May be nil.
	OnFault func(AuditFault)
	// MaxFaults is how many faults the report keeps, 1 or more; all are
	// counted. Zero: 1,000.
	MaxFaults int
}

// AuditProgress says how far an audit is. The stages are "rows" (of accounts),
// "journal", "accounts", "keys" and "tokens", in this order; Done and Total
// count what the stage is about.
type AuditProgress struct {
	Stage string
	Done  uint64
	Total uint64
}

// AuditFault is something that is not as the journal says, or a record that
// does not follow from those before it.
type AuditFault struct {
	Position uint64    // of the record, 0 where none is meant
	Account  uuid.UUID // zero where none is meant
	Kind     string    // one of the Fault constants
	Detail   string
}

// The kinds of faults.
const (
	FaultRecord  = "record"  // a record is missing, damaged, or out of order
	FaultChain   = "chain"   // a record is not linked to the one before it
	FaultFunds   = "funds"   // a transfer that the funds do not allow, or wrong funds after it
	FaultAccount = "account" // an account is not as its records make it
	FaultKey     = "key"     // an idempotency key does not lead to its transfer
	FaultToken   = "token"   // a token is not as its records make it
	FaultInvite  = "invite"  // an invite is not as its records make it, or opened an account though it could not
	FaultBooks   = "books"   // a count, the time or the supply is wrong

	FaultSignature = "signature" // a transfer or a change of a key is not signed as it has to be
	FaultFee       = "fee"       // a fee is not what the policy in force says, or a policy is out of range
	FaultStipend   = "stipend"   // a stipend is not for the accounts that were active, or a payment not one of it
)

func (f AuditFault) String() string {
	s := f.Kind + ": " + f.Detail
	if f.Account != (uuid.UUID{}) {
		s = fmt.Sprintf("account %s: %s", f.Account, s)
	}
	if f.Position != 0 {
		s = fmt.Sprintf("record %d: %s", f.Position, s)
	}
	return s
}

// AuditReport is what an audit looked at and found.
type AuditReport struct {
	Position     uint64 // of the last record it went up to
	Records      uint64 // of the journal
	Accounts     int64
	Transactions int64
	Keys         int64 // idempotency keys used
	Signatures   int64 // of transfers and changes of keys, all of them verified
	Fees         Coins // that were paid, by all transactions together
	Stipends     int64 // days on which one was begun
	Tokens       int64 // tokens neither revoked nor expired
	Invites      int64 // invites neither used, revoked nor expired
	Supply       Coins // the sum of the funds of all accounts
	FaultCount   int
	Faults       []AuditFault // the first of them
	Elapsed      time.Duration
}

// Err returns nil if no fault was found, and otherwise an error that says how
// many there are and which came first. errors.Is finds [ErrCorrupt] in it.
func (r AuditReport) Err() error {
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

// auditPage is how many records, accounts or rows are read at once.
const auditPage = 1024

// Audit goes through the books: it replays the whole journal from its first
// record and compares with that what the ledger holds, on the disk and in
// memory. It checks the records' checksums and order, the chains, funds after
// each transfer, every row, every idempotency key and token, and that the
// funds of all accounts add up to the supply.
//
// The ledger goes on meanwhile: an audit reads in pages and never waits for
// the writer, nor the writer for it. It holds an account in about 200 bytes of
// memory. Faults are in the report (see [AuditReport.Err]) and do not make
// Audit fail; an error means that it did not get to the end.
func (l *Ledger) Audit(ctx context.Context, opts *AuditOptions) (AuditReport, error) {
	a := newAuditor(l, opts)
	start := time.Now()
	err := a.run(ctx)
	a.report.Elapsed = time.Since(start)
	return a.report, err
}

// auditor is the state of an audit: a model of the ledger, made of nothing but
// the journal, and what was seen of the ledger that the model has to reach
// first.
type auditor struct {
	l      *Ledger
	opts   AuditOptions
	report AuditReport
	shown  time.Time // when progress was last told

	// The model.
	books    books
	folded   uint64          // the fold position when the audit began
	accounts *accounts.Cache // all of them; asOf is 0 until it is opened
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
	live     map[[16]byte]accounts.TokenRow // tokens and invites that are neither ended nor dropped
	invites  map[uint64][16]byte            // selectors of those invites, by position
	keySum   keySum                         // of the keys up to liveBooks
	stuckAt  uint64                         // the moves at which it waited in vain for keys on their way
	twice    map[uint64]bool                // records whose key another one has had, by position

	// What the ledger had that the model is not up to yet.
	liveBooks books
	waiting   map[uuid.UUID][]*accounts.Account
	doubts    map[[16]byte]accounts.TokenRow // rows of tokens and invites, by selector
	missing   [][16]byte                     // selectors of those without a row
}

func newAuditor(l *Ledger, opts *AuditOptions) *auditor {
	a := &auditor{
		l:        l,
		accounts: accounts.New(0),
		poolSlot: accounts.NoSlot,
		live:     make(map[[16]byte]accounts.TokenRow),
		invites:  make(map[uint64][16]byte),
		waiting:  make(map[uuid.UUID][]*accounts.Account),
		doubts:   make(map[[16]byte]accounts.TokenRow),
		keySum:   newKeySum(),
		twice:    make(map[uint64]bool),
		seed:     maphash.MakeSeed(),
		opts:     orZero(opts),
	}
	if a.opts.MaxFaults <= 0 {
		a.opts.MaxFaults = 1000
	}
	return a
}

func (a *auditor) run(ctx context.Context) error {
	l := a.l
	if err := l.Err(); err != nil {
		return err
	}
	l.mu.RLock()
	a.liveBooks, a.folded = l.books, l.folder.folded
	a.liveBooks.Opened = append([]uint64(nil), l.books.Opened...)
	l.mu.RUnlock()
	stages := []func(context.Context) error{
		a.readRows,
		func(ctx context.Context) error { return a.replayTo(ctx, a.liveBooks.Position) },
		a.checkAccounts, a.checkKeys, a.checkTokens, a.checkTokenRows,
		// What was newer than the model can be compared once that is as new.
		func(ctx context.Context) error { return a.replayTo(ctx, l.position()) },
	}
	for _, stage := range stages {
		if err := stage(ctx); err != nil {
			return err
		}
	}
	a.settle()
	a.settleRows()
	a.report.Position = a.books.Position
	a.report.Accounts, a.report.Transactions = a.books.Accounts, a.books.Transactions
	for i := range uint32(len(a.rows)) {
		a.report.Supply += Coins(a.accounts.At(i).Funds)
	}
	if a.report.Supply != Coins(l.genesis.Supply) {
		a.fault(0, uuid.UUID{}, FaultBooks, "the funds add up to %d, the supply is %d", a.report.Supply, l.genesis.Supply)
	}
	return nil
}

// settle is about what has not turned out right by the end of the journal.
func (a *auditor) settle() {
	if a.poolAt > 0 && a.books.policy == nil {
		a.fault(a.poolAt, record.FeeAccount, FaultFee, "it is opened without a first fee policy")
	}
	for id, copies := range a.waiting {
		for _, c := range copies {
			a.fault(0, id, FaultAccount, "it is as of record %d, where the journal has none of it", c.AsOf)
		}
	}
	now := a.l.Time().UnixMicro()
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

// faultKind is the kind of a fault of a row.
func faultKind(t accounts.TokenRow) string {
	if t.Invite {
		return FaultInvite
	}
	return FaultToken
}

// fault notes a fault.
func (a *auditor) fault(position uint64, account uuid.UUID, kind, format string, args ...any) {
	f := AuditFault{Position: position, Account: account, Kind: kind, Detail: fmt.Sprintf(format, args...)}
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
	if err := a.l.Err(); err != nil {
		return err
	}
	if a.opts.Progress != nil && (done == total || time.Since(a.shown) >= 100*time.Millisecond) {
		a.shown = time.Now()
		a.opts.Progress(AuditProgress{Stage: stage, Done: done, Total: total})
	}
	return nil
}
