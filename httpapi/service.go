package httpapi

import (
	"context"
	_ "embed"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
)

//go:embed index.html
var index []byte

func serveIndex(x *exchange) error {
	x.send(http.StatusOK, "text/html; charset=utf-8", index)
	return nil
}

func serveHealth(x *exchange) error {
	x.send(http.StatusOK, "text/plain; charset=utf-8", []byte("ok\n"))
	return nil
}

// serveReady asks the ledger something, so that it says no when that would.
func serveReady(x *exchange) error {
	if _, err := x.led.Supply(x.r.Context()); err != nil {
		return err
	}
	return serveHealth(x)
}

func serveOpenAPI(x *exchange) error {
	x.send(http.StatusOK, "application/yaml", openAPI)
	return nil
}

func serveSupply(x *exchange) error {
	s, err := x.led.Supply(x.r.Context())
	if err != nil {
		return err
	}
	b := appendID([]byte(`{"ledger_id":"`), s.LedgerID)
	b = append(b, '"')
	for _, m := range []struct {
		name string
		n    int64
	}{
		{"supply", int64(s.Supply)}, {"seed_account_funds", int64(s.SeedFunds)}, {"circulating", int64(s.Circulating)},
		{"accounts", s.Accounts}, {"transactions", s.Transactions},
	} {
		b = append(b, `,"`...)
		b = append(b, m.name...)
		b = append(b, `":`...)
		b = strconv.AppendInt(b, m.n, 10)
	}
	return x.sendJSON(append(b, '}'))
}

// auditLine is a line of an audit's answer: one of its members.
type auditLine struct {
	Progress *auditProgress `json:"progress,omitempty"`
	Fault    *auditFault    `json:"fault,omitempty"`
	Report   *auditReport   `json:"report,omitempty"`
	Error    string         `json:"error,omitempty"`
}

type auditProgress struct {
	Stage string `json:"stage"`
	Done  uint64 `json:"done"`
	Total uint64 `json:"total"`
}

type auditFault struct {
	Position uint64 `json:"position,omitempty"`
	Account  string `json:"account_id,omitempty"`
	Kind     string `json:"kind"`
	Detail   string `json:"detail"`
}

type auditReport struct {
	Position     uint64  `json:"position"`
	Records      uint64  `json:"records"`
	Accounts     int64   `json:"accounts"`
	Transactions int64   `json:"transactions"`
	Keys         int64   `json:"keys"`
	Tokens       int64   `json:"tokens"`
	Supply       int64   `json:"supply"`
	FaultCount   int     `json:"fault_count"`
	Seconds      float64 `json:"seconds"`
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
	write := func(line auditLine) {
		if x.w.status == 0 {
			x.w.Header().Set("Content-Type", "application/x-ndjson")
			x.w.WriteHeader(http.StatusOK)
		}
		b, err := json.Marshal(line)
		if err != nil {
			panic(err) // such a line always has a form
		}
		rc.SetWriteDeadline(time.Now().Add(auditWrite)) // where there is one to set
		if _, err := x.w.Write(append(b, '\n')); err != nil || rc.Flush() != nil {
			cancel() // nobody reads on
		}
	}
	report, err := x.led.Audit(ctx, &capycoin.AuditOptions{
		Progress: func(p capycoin.AuditProgress) {
			write(auditLine{Progress: &auditProgress{p.Stage, p.Done, p.Total}})
		},
		OnFault: func(f capycoin.AuditFault) {
			line := auditFault{Position: f.Position, Kind: f.Kind, Detail: f.Detail}
			if f.Account != (uuid.UUID{}) {
				line.Account = f.Account.String()
			}
			write(auditLine{Fault: &line})
		},
	})
	if err != nil && x.w.status == 0 {
		return err
	}
	if err != nil {
		p := problemOf(err)
		write(auditLine{Error: p.detail})
		return err
	}
	write(auditLine{Report: &auditReport{
		Position: report.Position, Records: report.Records, Accounts: report.Accounts, Transactions: report.Transactions,
		Keys: report.Keys, Tokens: report.Tokens, Supply: int64(report.Supply), FaultCount: report.FaultCount,
		Seconds: report.Elapsed.Seconds(),
	}})
	return nil
}
