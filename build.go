package capycoin

import (
	"context"
	"errors"
	"io"

	"github.com/capycoin/capycoin/internal/audit"
	"github.com/capycoin/capycoin/internal/copying"
)

// BuildOptions are the settings of [Build] and of what is made of it. Nil is
// the same as zero.
type BuildOptions struct {
	// Progress is called about ten times a second, and at the beginning and the
	// end of each stage, by the goroutine that called. May be nil.
	Progress func(BuildProgress)
	// Background leaves a program beside it at least half of the time of the disk
	// and of the processors while it copies: after each page it rests for as long
	// as that page took. [Ledger.Backup] always does.
	Background bool
	// Witness is the path of the file's witness (see [Options]), which is made
	// last, in the place of one that is there; another file there is [ErrWitness].
	// Zero: for Build and Backup none, as a copy that is kept needs none; for
	// [Restore] and [Import] the path of the file and ".witness".
	Witness string
}

// BuildProgress says how far the making of a file is. The stages are "copying"
// and "folding", which count records, and then those of an audit.
type BuildProgress AuditProgress

// BuildReport says what is in a file that was made.
type BuildReport struct {
	Supply  Supply // with the position and the time of its last record
	Audit   AuditReport
	Resumed uint64 // up to this record it was there, from an attempt that was broken off
}

// Build makes the file of a ledger from the records of its journal: the same
// records byte for byte, up to where the journal ends at the first look, or
// further. All else in the file is folded from them anew. Each record is
// checked on the way, the file is audited, and only one without a fault,
// synced, gets the name that was asked for. What has that name already is left
// alone: then the error is [io/fs.ErrExist].
//
// Until then the file is called .NAME.partial, in the same folder. One that an
// attempt which was broken off has left is gone on with, if its first and last
// record are the journal's too, and otherwise made anew. Before it is whole it
// is no ledger ([ErrNotLedger]). Two cannot make a file at once: the other one
// gets [ErrLocked].
func Build(ctx context.Context, path string, from JournalSource, opts *BuildOptions) (BuildReport, error) {
	return buildReport(copying.Build(ctx, path, from.raw(), opts.inside()))
}

// inside returns the options as the room for copies has them.
func (o *BuildOptions) inside() copying.Options {
	if o == nil {
		return copying.Options{}
	}
	return copying.Options{Progress: toldAs(o.Progress), Background: o.Background, Witness: o.Witness}
}

// toldAs returns what tells progress, as the rooms below have it.
func toldAs[P ~struct {
	Stage string
	Done  uint64
	Total uint64
}](tell func(P)) func(audit.Progress) {
	if tell == nil {
		return nil
	}
	return func(p audit.Progress) { tell(P(p)) }
}

// buildReport is a report as the public API has it.
func buildReport(r copying.Report, err error) (BuildReport, error) {
	rep := BuildReport{Audit: auditReport(r.Audit), Resumed: r.Resumed}
	if r.Whole.Position > 0 {
		rep.Supply = supplyOf(&r.Genesis, &r.Whole)
	}
	return rep, err
}

// Backup makes a copy of the ledger in a new file, in the background: see [Build].
// The ledger goes on meanwhile, and shares its processors and its disk with that: a
// program of its own with a low priority, such as capycoind backup, leaves transfers
// more of them.
func (l *Ledger) Backup(ctx context.Context, path string, opts *BuildOptions) (BuildReport, error) {
	o := opts.inside()
	o.Background = true
	return buildReport(copying.Build(ctx, path, JournalSource(l.JournalPage).raw(), o))
}

// Restore makes the file of a ledger from a copy, of which only the journal
// counts and nothing is changed: see [Build]. Nobody may have the copy open. The
// file's witness is made anew: what it was told of another file is forgotten.
func Restore(ctx context.Context, backup, path string, opts *BuildOptions) (rep BuildReport, err error) {
	journal, err := OpenJournal(backup)
	if err != nil {
		return rep, err
	}
	defer func() { err = errors.Join(err, journal.Close()) }()
	return buildReport(copying.Build(ctx, path, JournalSource(journal.Page).raw(), opts.withWitness(path)))
}

// withWitness returns the options as the room for copies has them, with a witness.
func (o *BuildOptions) withWitness(path string) copying.Options {
	inside := o.inside()
	if inside.Witness == "" {
		inside.Witness = path + ".witness"
	}
	return inside
}

// Export writes a journal as lines of JSON: all that it has when it is first
// asked. [Import] makes the same journal of them.
func Export(ctx context.Context, w io.Writer, from JournalSource) error {
	return copying.Export(ctx, w, from.raw())
}

// Import makes the file of a ledger from what [Export] wrote, as [Restore] makes
// it from a backup: see [Build]. What is not as Export writes it, or cut off, is
// [ErrBadExport], which names the line. It begins anew each time.
func Import(ctx context.Context, r io.Reader, path string, opts *BuildOptions) (BuildReport, error) {
	return buildReport(copying.Import(ctx, r, path, opts.withWitness(path)))
}
