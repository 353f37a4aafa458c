package capycoin

import (
	"context"
	"time"

	"github.com/google/uuid"
)

func (l *Ledger) Audit(ctx context.Context, opts *AuditOptions) (AuditReport, error) { panic("stub") }

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
