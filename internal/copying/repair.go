package copying

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/audit"
	"github.com/capycoin/capycoin/internal/boltfile"
	"github.com/capycoin/capycoin/internal/osfile"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/internal/salvage"
	"github.com/capycoin/capycoin/internal/witness"
	"github.com/capycoin/capycoin/store"
)

// RepairOptions are the settings of [Repair].
type RepairOptions struct {
	Cut            bool   // end the ledger before the first record that is lost
	AcceptRollback bool   // take a ledger that may have lost its last commit as it is
	Witness        string // its path
	Progress       func(audit.Progress)
}

// RepairReport says what was found and what was done.
type RepairReport struct {
	Healthy                 bool   // nothing is wrong, and the file stays as it is
	Damage                  string // what was found first
	Repaired                bool   // another file is in its place now,
	KeptAs                  string // and the damaged one here
	Audit                   audit.Report
	Journal                 uint64 // the last record that the journal had
	Lost                    []LostRecords
	Seen                    uint64 // the last record that the witness saw, where that is after Journal
	RolledBack              bool   // it may not be the newest
	UnsureFirst, UnsureLast uint64 // found after the end of the journal; 0: none
	CutFile                 string // where the records are that were cut off,
	CutRecords              uint64 // and how many
	Accounts                []CutAccount
	Witness                 string // which was made anew
}

// Repair makes a whole ledger of a damaged file, which nobody may have open and whose
// path is not that of a link: a new file is
// made of its journal, and put in its place. Errors, with which the file is as it was:
// [store.ErrCorrupt] if records are lost, a [*witness.BehindError] or [store.ErrRolledBack]
// if it may not be the newest.
func Repair(ctx context.Context, path string, o RepairOptions) (rep RepairReport, err error) {
	r := &repairer{path: path, witness: o.Witness, rep: &rep, opts: o}
	damage, err := r.look(ctx)
	if err != nil {
		return rep, err
	}
	if damage == nil {
		rep.Healthy = true
		return rep, nil
	}
	rep.Damage = damage.Error()
	return rep, r.repair(ctx)
}

// repairer is the state of a repair.
type repairer struct {
	path, witness string
	opts          RepairOptions
	rep           *RepairReport
	shown         time.Time
	file          *os.File // the damaged one, locked
	salvage       *salvage.Salvage
	stamp         string // of the names of what is kept
}

// look audits the file. Damage is what is wrong with it; an error is that it is
// not for a repair.
func (r *repairer) look(ctx context.Context) (damage, err error) {
	if _, err := os.Stat(r.path); err != nil {
		return nil, err
	}
	e, err := openPath(ctx, r.path)
	if err != nil {
		if errors.Is(err, store.ErrCorrupt) || errors.Is(err, store.ErrNotLedger) && !errors.Is(err, boltfile.ErrUnfinished) {
			return err, nil
		}
		return nil, err
	}
	r.rep.Audit, err = audit.Run(ctx, e.Books(), auditOptions(e, r.progress))
	if damage = err; err == nil {
		damage = r.rep.Audit.Err()
	}
	if err := ctx.Err(); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	if damage != nil {
		e.Stop(damage) // so that nothing more is folded into it
		e.Close()
		return damage, nil
	}
	return nil, errors.Join(r.lookAtWitness(ctx, e.Books().Log(), e.Books().Position()), e.Close())
}

// lookAtWitness compares a whole ledger with its witness, and makes that anew if
// it is told to.
func (r *repairer) lookAtWitness(ctx context.Context, log store.Log, tail uint64) error {
	w, err := witness.Read(r.witness, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, witness.ErrDamaged) {
		return nil // Open makes one
	}
	if err == nil {
		err = w.Compare(ctx, log, tail, r.witness)
	}
	if !errors.Is(err, store.ErrRolledBack) || !r.opts.AcceptRollback {
		return err
	}
	info, err := os.Stat(r.path)
	if err != nil {
		return err
	}
	r.rep.Witness = r.witness
	return errors.Join(witness.Accept(ctx, log, r.witness), osfile.SameOwner(r.witness, info))
}

// repair makes a whole file of a damaged one.
func (r *repairer) repair(ctx context.Context) error {
	f, err := os.OpenFile(r.path, os.O_RDWR, 0)
	if err != nil {
		return osfile.NotWritable(err)
	}
	defer f.Close()
	if err := osfile.LockNamed(f, r.path, time.Second); err != nil {
		return err
	}
	r.file, r.stamp = f, time.Now().UTC().Format("20060102T150405.000000Z")
	r.salvage, err = salvage.Open(ctx, f, func(done, total uint64) { r.progress(audit.Progress{Stage: "reading", Done: done, Total: total}) })
	if err != nil {
		return err
	}
	s := r.salvage
	if w, ok := r.seenBeyond(ctx); ok {
		if r.rep.Seen = w.Position; s.Take(w.Position, w.Sum) {
			r.rep.Seen = 0
		}
	}
	r.rep.Journal, r.rep.UnsureFirst, r.rep.UnsureLast = s.End, s.Beyond.First, s.Beyond.Last
	r.rep.RolledBack = s.Lost != nil || r.rep.Seen > 0
	end := s.End
	var lost error
	if len(s.Gaps) > 0 {
		first := s.Gaps[0].First
		end = first - 1
		lost = fmt.Errorf("%w: %d records of the journal can't be read, the first is record %d", store.ErrCorrupt, s.Missing(), first)
		if r.rep.Lost, err = testimony(ctx, s); err != nil {
			return err
		}
	}
	switch {
	case end == 0:
		return fmt.Errorf("%w: record 1, the genesis, is lost: nothing can be built on the others", store.ErrCorrupt)
	case lost != nil && !r.opts.Cut:
		return lost
	case s.Lost != nil && !r.opts.AcceptRollback:
		return s.Lost
	}
	if err := r.checkWitness(ctx, end); err != nil {
		return err
	}
	return r.replace(ctx, end)
}

// seenBeyond returns the ledger's witness if there is one that saw a record after
// the end of the journal.
func (r *repairer) seenBeyond(ctx context.Context) (witness.Witness, bool) {
	w, err := witness.Read(r.witness, os.O_RDONLY)
	if err != nil || w.Position <= r.salvage.End {
		return w, false
	}
	page, err := r.salvage.Source(1)(ctx, 0)
	var first record.Record
	if err == nil && len(page.Records) > 0 && record.Decode(&first, 1, page.Records[0].Data) == nil && ledgerOf(&first) != w.Ledger {
		return w, false
	}
	return w, true
}

// ledgerOf returns the id of the ledger whose first record this is, zero if it is no
// genesis.
func ledgerOf(first *record.Record) (id uuid.UUID) {
	if g, ok := first.Body.(*record.Genesis); ok {
		id = g.Ledger
	}
	return id
}

// checkWitness makes sure that what the witness saw is there, unless it need not
// be.
func (r *repairer) checkWitness(ctx context.Context, end uint64) error {
	w, err := witness.Read(r.witness, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, witness.ErrDamaged) {
		return nil
	}
	if err != nil {
		return err
	}
	source := r.salvage.Source(end)
	var first, last record.Record
	for _, at := range []struct {
		position uint64
		r        *record.Record
	}{{1, &first}, {end, &last}, {w.Position, nil}} {
		if at.position > end {
			continue
		}
		page, err := source(ctx, at.position-1)
		if err == nil && len(page.Records) == 0 {
			err = fmt.Errorf("%w: record %d can't be read", store.ErrCorrupt, at.position)
		}
		if err != nil {
			return err
		}
		data := page.Records[0].Data
		if at.r == nil {
			if w.Ledger == ledgerOf(&first) && w.Sum == sha256.Sum256(data) {
				return nil
			}
		} else if err := record.Decode(at.r, at.position, data); err != nil {
			return err
		}
	}
	// What was cut off is missing now, what the journal never had was missing before.
	cut := r.opts.Cut && w.Ledger == ledgerOf(&first) && w.Position > end && w.Position <= r.salvage.End
	if r.rep.Witness = r.witness; r.opts.AcceptRollback || cut {
		return nil
	}
	r.rep.Witness, r.rep.RolledBack = "", true
	return &witness.BehindError{Ledger: ledgerOf(&first), Position: end, Time: last.Time, Path: r.witness, Saw: w}
}

// replace puts a new file with the records up to a position in the place of the
// damaged one. Each step can be the last one: then the damaged file is there
// still, and so is all that the next attempt needs.
func (r *repairer) replace(ctx context.Context, end uint64) error {
	info, err := r.file.Stat()
	if err != nil {
		return err
	}
	temp := filepath.Join(filepath.Dir(r.path), "."+filepath.Base(r.path)+".repaired")
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) { // of an attempt that was broken off
		return err
	}
	built, err := build(ctx, temp, r.salvage.Source(end), false, Options{Progress: r.progress})
	if err != nil {
		return err
	}
	placed := false
	defer func() {
		if !placed {
			os.Remove(temp)
		}
	}()
	r.rep.Audit = built.Audit
	if err := errors.Join(os.Chmod(temp, info.Mode().Perm()), osfile.SameOwner(temp, info)); err != nil {
		return err
	}
	if err := r.cutOff(ctx, end, temp, info); err != nil {
		return err
	}
	if r.rep.KeptAs, err = r.keep(info); err != nil {
		return err
	}
	if r.rep.Witness != "" {
		// Before the file: else it would be behind it, were this broken off here.
		if err := errors.Join(witnessOf(ctx, temp, r.witness), osfile.SameOwner(r.witness, info)); err != nil {
			return err
		}
	}
	if runtime.GOOS == "windows" { // it does not give up a name in use
		r.file.Close()
	}
	if err := os.Rename(temp, r.path); err != nil {
		return err
	}
	placed, r.rep.Repaired = true, true
	return osfile.SyncDir(filepath.Dir(r.path))
}

// witnessOf makes the witness of a file.
func witnessOf(ctx context.Context, path, saw string) error {
	file, err := boltfile.OpenReadOnly(path)
	if err != nil {
		return fmt.Errorf("opening %s: %w", path, err)
	}
	return errors.Join(witness.Accept(ctx, file, saw), file.Close())
}

// keep gives the damaged file a second name, unless an attempt that was broken
// off has.
func (r *repairer) keep(info fs.FileInfo) (string, error) {
	entries, err := os.ReadDir(filepath.Dir(r.path))
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		name := filepath.Join(filepath.Dir(r.path), e.Name())
		if !strings.HasPrefix(e.Name(), filepath.Base(r.path)+".damaged-") {
			continue
		}
		if other, err := os.Stat(name); err == nil && os.SameFile(info, other) {
			return name, nil
		}
	}
	name := r.path + ".damaged-" + r.stamp
	if err := os.Link(r.path, name); err != nil {
		return "", err
	}
	return name, osfile.SyncDir(filepath.Dir(r.path))
}

// progress tells how far it is: of what comes often, only some.
func (r *repairer) progress(p audit.Progress) {
	if r.opts.Progress != nil && (p.Done == p.Total || time.Since(r.shown) >= 100*time.Millisecond) {
		r.shown = time.Now()
		r.opts.Progress(p)
	}
}
