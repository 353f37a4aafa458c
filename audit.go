package capycoin

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/audit"
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

func (f AuditFault) String() string { return audit.Fault(f).String() }

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
	inside := audit.Report{FaultCount: r.FaultCount}
	if len(r.Faults) > 0 {
		inside.Faults = []audit.Fault{audit.Fault(r.Faults[0])}
	}
	return inside.Err()
}

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
	o := orZero(opts)
	if o.MaxFaults <= 0 {
		o.MaxFaults = audit.DefaultMaxFaults
	}
	inside := audit.Options{Now: l.eng.Time, Err: l.Err, MaxFaults: o.MaxFaults, Progress: toldAs(o.Progress)}
	if o.OnFault != nil {
		inside.OnFault = func(f audit.Fault) { o.OnFault(AuditFault(f)) }
	}
	r, err := audit.Run(ctx, l.books, inside)
	return auditReport(r), err
}

// auditReport is a report as the public API has it.
func auditReport(r audit.Report) AuditReport {
	rep := AuditReport{
		Position: r.Position, Records: r.Records, Accounts: r.Accounts, Transactions: r.Transactions,
		Keys: r.Keys, Signatures: r.Signatures, Fees: Coins(r.Fees), Stipends: r.Stipends,
		Tokens: r.Tokens, Invites: r.Invites, Supply: Coins(r.Supply), FaultCount: r.FaultCount, Elapsed: r.Elapsed,
	}
	for _, f := range r.Faults {
		rep.Faults = append(rep.Faults, AuditFault(f))
	}
	return rep
}
