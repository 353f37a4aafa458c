package capycoin

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/google/uuid"
)

type Ledger struct{}

func Open(path string, opts *Options) (*Ledger, error) { panic("stub") }
func OpenStore(ctx context.Context, log Log, folds Folds, opts *Options) (*Ledger, error) {
	panic("stub")
}
func (l *Ledger) Close() error                                              { panic("stub") }
func (l *Ledger) OpenAccount(ctx context.Context) (Account, error)          { panic("stub") }
func (l *Ledger) Transfer(ctx context.Context, t Transfer) (Receipt, error) { panic("stub") }
func (l *Ledger) TransferBatch(ctx context.Context, ts []Transfer, mode BatchMode) ([]Result, error) {
	panic("stub")
}
func (l *Ledger) Account(ctx context.Context, id uuid.UUID) (Account, error) { panic("stub") }
func (l *Ledger) AccountPage(ctx context.Context, cursor string, limit int) (AccountPage, error) {
	panic("stub")
}
func (l *Ledger) Accounts(ctx context.Context) iter.Seq2[Account, error] { panic("stub") }
func (l *Ledger) Transaction(ctx context.Context, account, id uuid.UUID) (Transaction, error) {
	panic("stub")
}
func (l *Ledger) TransactionByID(ctx context.Context, id uuid.UUID) (Transaction, error) {
	panic("stub")
}
func (l *Ledger) TransactionPage(ctx context.Context, account uuid.UUID, r Range) (TransactionPage, error) {
	panic("stub")
}
func (l *Ledger) Transactions(ctx context.Context, account uuid.UUID, r Range) iter.Seq2[Transaction, error] {
	panic("stub")
}
func (l *Ledger) FundsAt(ctx context.Context, account uuid.UUID, t time.Time) (Coins, error) {
	panic("stub")
}
func (l *Ledger) Supply(ctx context.Context) (Supply, error)                         { panic("stub") }
func (l *Ledger) Time() time.Time                                                    { panic("stub") }
func (l *Ledger) Stats() Stats                                                       { panic("stub") }
func (l *Ledger) Err() error                                                         { panic("stub") }
func (l *Ledger) Stopped() <-chan struct{}                                           { panic("stub") }
func (l *Ledger) Audit(ctx context.Context, opts *AuditOptions) (AuditReport, error) { panic("stub") }

type Histogram struct {
	Count, Sum uint64
	Buckets    [24]uint64
}
type Stats struct {
	Position, FoldPosition                   uint64
	Accounts, Transactions                   int64
	Commits, CommitTime                      Histogram
	SpillTime, WriteTime                     time.Duration
	QueueLength, QueueSize                   int
	CachedAccounts, DirtyAccounts, FreshKeys int
	FileSize                                 int64
	FreePages                                int
}
type AuditOptions struct {
	Progress  func(AuditProgress)
	OnFault   func(AuditFault)
	MaxFaults int
}
type AuditProgress struct {
	Stage       string
	Done, Total uint64
}
type AuditFault struct {
	Position uint64
	Account  uuid.UUID
	Kind     string
	Detail   string
}
type AuditReport struct {
	Position, Records                    uint64
	Accounts, Transactions, Keys, Tokens int64
	Supply                               Coins
	FaultCount                           int
	Faults                               []AuditFault
	Elapsed                              time.Duration
}

func (r AuditReport) Err() error { panic("stub") }

var errSelectorTaken = errors.New("capycoin: selector taken")

func (l *Ledger) openAccountWithToken(ctx context.Context, t tokenRecord) (Account, tokenRecord, error) {
	panic("stub")
}
func (l *Ledger) issueToken(ctx context.Context, t tokenRecord) (tokenRecord, error) { panic("stub") }
func (l *Ledger) revokeToken(ctx context.Context, account, id uuid.UUID) error       { panic("stub") }
func (l *Ledger) tokenBySelector(ctx context.Context, selector [16]byte) (tokenRecord, bool, error) {
	panic("stub")
}
func (l *Ledger) tokenAlive(ctx context.Context, selector [16]byte, position uint64) (bool, error) {
	panic("stub")
}
func (l *Ledger) liveTokens(ctx context.Context, account uuid.UUID) ([]tokenRecord, error) {
	panic("stub")
}
