package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
)

// AuditLine is a line of the answer to POST /audit, and has one of its
// members; the last line has Report or Error.
type AuditLine struct {
	Progress *AuditProgress `json:"progress,omitempty"`
	Fault    *AuditFault    `json:"fault,omitempty"`
	Report   *AuditReport   `json:"report,omitempty"`
	Error    string         `json:"error,omitempty"` // why the audit did not get to the end
}

// AuditProgress is [capycoin.AuditProgress] as JSON.
type AuditProgress struct {
	Stage string `json:"stage"`
	Done  uint64 `json:"done"`
	Total uint64 `json:"total"`
}

// AuditFault is [capycoin.AuditFault] as JSON.
type AuditFault struct {
	Position uint64 `json:"position,omitempty"`
	Account  string `json:"account_id,omitempty"`
	Kind     string `json:"kind"`
	Detail   string `json:"detail"`
}

// AuditReport is [capycoin.AuditReport] as JSON, without the faults, which
// have lines of their own.
type AuditReport struct {
	Position     uint64  `json:"position"`
	Records      uint64  `json:"records"`
	Accounts     int64   `json:"accounts"`
	Transactions int64   `json:"transactions"`
	Keys         int64   `json:"keys"`
	Tokens       int64   `json:"tokens"`
	Invites      int64   `json:"invites"`
	Signatures   int64   `json:"signatures"`
	Fees         int64   `json:"fees"`
	Stipends     int64   `json:"stipends"`
	Supply       int64   `json:"supply"`
	FaultCount   int     `json:"fault_count"`
	Seconds      float64 `json:"seconds"`
}

// Audit audits a ledger and calls line with what POST /audit would answer, but
// for its errors, which it returns.
func Audit(ctx context.Context, led *capycoin.Ledger, line func(AuditLine)) error {
	r, err := led.Audit(ctx, &capycoin.AuditOptions{
		Progress: func(p capycoin.AuditProgress) { line(AuditLine{Progress: &AuditProgress{p.Stage, p.Done, p.Total}}) },
		OnFault: func(f capycoin.AuditFault) {
			fault := AuditFault{Position: f.Position, Kind: f.Kind, Detail: f.Detail}
			if f.Account != (uuid.UUID{}) {
				fault.Account = f.Account.String()
			}
			line(AuditLine{Fault: &fault})
		},
	})
	if err != nil {
		return err
	}
	line(AuditLine{Report: &AuditReport{
		Position: r.Position, Records: r.Records, Accounts: r.Accounts, Transactions: r.Transactions,
		Keys: r.Keys, Tokens: r.Tokens, Invites: r.Invites, Signatures: r.Signatures, Fees: int64(r.Fees), Stipends: r.Stipends, Supply: int64(r.Supply), FaultCount: r.FaultCount, Seconds: r.Elapsed.Seconds(),
	}})
	return nil
}

// auditWrite is how long a line of an audit may take to be read. A reader that
// is slower ends the audit.
const auditWrite = 30 * time.Second

func serveAudit(x *exchange) error {
	if err := x.led.Err(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(x.r.Context())
	defer cancel()
	rc := http.NewResponseController(x.w)
	write := func(line AuditLine) {
		if x.w.status == 0 {
			x.w.Header().Set("Content-Type", "application/x-ndjson")
			x.w.WriteHeader(http.StatusOK)
		}
		b, err := json.Marshal(line)
		if err != nil {
			panic(err) // such a line always has a form
		}
		rc.SetWriteDeadline(time.Now().Add(auditWrite)) // where there is one to set
		_, err = x.w.Write(append(b, '\n'))
		if err == nil {
			err = rc.Flush()
		}
		if err != nil && !errors.Is(err, http.ErrNotSupported) {
			cancel() // nobody reads on
		}
	}
	err := Audit(ctx, x.led, write)
	if err != nil && x.w.status != 0 {
		p := problemOf(err)
		write(AuditLine{Error: p.detail})
	}
	return err
}
