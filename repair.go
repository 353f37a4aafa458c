package capycoin

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/copying"
)

// RepairOptions are the settings of [Repair]. Nil is the same as zero.
type RepairOptions struct {
	// Cut is for a journal that has lost records: the ledger ends before the first
	// of them. Those after it that can be read are written to a file beside it.
	Cut bool
	// AcceptRollback is for a ledger that may have lost its last commit, or that
	// is behind its witness: it is taken as it is.
	AcceptRollback bool
	// Witness is the path of the ledger's witness, as in [Options].
	Witness string
	// Progress is called about ten times a second, and at the end of each stage,
	// by the goroutine that called. The stages are those of an audit, "reading",
	// which counts pages, and those of [BuildProgress]. May be nil.
	Progress func(BuildProgress)
}

// RepairReport says what was found and what was done.
type RepairReport struct {
	// Healthy says that nothing is wrong with the file, which stays as it is.
	Healthy bool
	// Damage is what was found first.
	Damage string
	// Repaired says that another file is in its place now, KeptAs the path where
	// the damaged one is.
	Repaired bool
	KeptAs   string
	// Audit is that of the ledger as it is now, if it is whole.
	Audit AuditReport
	// Journal is the position of the last record that the journal had, and Lost
	// which of its records can't be read.
	Journal uint64
	Lost    []LostRecords
	// Seen is the position of the last record that the witness saw, where that is
	// after Journal: nothing else is known of the records between them. 0: it is not.
	Seen uint64
	// RolledBack says that the file may not be the newest, so that it takes
	// AcceptRollback to go on with it.
	RolledBack bool
	// UnsureFirst and UnsureLast are the records that were found after the end of
	// the journal where its last commit may be lost. 0: none.
	UnsureFirst, UnsureLast uint64
	// CutFile is the path of the file with the records that were cut off, and
	// CutRecords is how many those are.
	CutFile    string
	CutRecords uint64
	// Accounts are those that had transactions in what was cut off.
	Accounts []CutAccount
	// Witness is the path of the witness that was made anew.
	Witness string
}

// LostRecords are consecutive records of the journal that can't be read.
type LostRecords struct {
	First, Last uint64
	// Accounts are those that the records are known to have touched, and those
	// that they may have.
	Accounts []LostAccount
}

// LostAccount is an account that a lost record has touched.
type LostAccount struct {
	Account  uuid.UUID
	Position uint64 // of the lost record
	By       string // how that is known
	Guess    bool   // going by what is left of the record, which may be wrong
}

// CutAccount is an account that had transactions in what was cut off.
type CutAccount struct {
	Account uuid.UUID
	// Before is what it had after the last record of it that can be read.
	Before Coins
	// After is what it has now.
	After Coins
	// Gone says that it was opened by one of the records that were cut off.
	Gone bool
}

// Repair makes a whole ledger of a damaged file. Nobody may have it open.
//
// Only the journal counts: a new file is made of its records, as [Build] does,
// audited, and put in the place of the damaged one, which is kept under another
// name. Whatever is broken off, at any moment, leaves the one file or the other
// there. What a file needs that is not damaged is nothing.
//
// A journal that has lost records, and a ledger that may have been rolled back,
// stay as they are unless the options say otherwise. The errors are those of
// [Open]: [ErrCorrupt] for the one, with what is lost in the report, and
// [ErrRolledBack] for the other.
func Repair(ctx context.Context, path string, opts *RepairOptions) (RepairReport, error) {
	o := orZero(opts)
	if o.Witness == "" {
		o.Witness = path + ".witness"
	}
	file, err := filepath.EvalSymlinks(path)
	if err != nil {
		return RepairReport{}, err
	}
	r, err := copying.Repair(ctx, file, copying.RepairOptions{
		Cut: o.Cut, AcceptRollback: o.AcceptRollback, Witness: o.Witness, Progress: toldAs(o.Progress),
	})
	rep := RepairReport{
		Healthy: r.Healthy, Damage: r.Damage, Repaired: r.Repaired, KeptAs: r.KeptAs, Audit: auditReport(r.Audit), Journal: r.Journal,
		Seen: r.Seen, RolledBack: r.RolledBack, UnsureFirst: r.UnsureFirst, UnsureLast: r.UnsureLast,
		CutFile: r.CutFile, CutRecords: r.CutRecords, Witness: r.Witness,
	}
	for _, g := range r.Lost {
		lost := LostRecords{First: g.First, Last: g.Last}
		for _, a := range g.Accounts {
			lost.Accounts = append(lost.Accounts, LostAccount(a))
		}
		rep.Lost = append(rep.Lost, lost)
	}
	for _, a := range r.Accounts {
		rep.Accounts = append(rep.Accounts, CutAccount{Account: a.Account, Before: Coins(a.Before), After: Coins(a.After), Gone: a.Gone})
	}
	if err != nil {
		err = fmt.Errorf("repairing %s: %w", path, outward(err))
	}
	return rep, err
}
