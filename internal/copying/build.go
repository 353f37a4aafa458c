package copying

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/capycoin/capycoin/internal/audit"
	"github.com/capycoin/capycoin/internal/boltfile"
	"github.com/capycoin/capycoin/internal/books"
	"github.com/capycoin/capycoin/internal/engine"
	"github.com/capycoin/capycoin/internal/journal"
	"github.com/capycoin/capycoin/internal/osfile"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/internal/witness"
	"github.com/capycoin/capycoin/store"
)

// Options are the settings of what makes a file.
type Options struct {
	// Progress is told how far it is: the stages are "copying" and "folding", which count
	// records, and those of an audit. May be nil.
	Progress func(audit.Progress)
	// Background rests after each page for as long as that took.
	Background bool
	// Witness is the path of the file's witness, which is made last. Empty: none is.
	Witness string
}

// Report says what is in a file that was made.
type Report struct {
	Genesis record.Genesis
	Whole   books.Whole
	Audit   audit.Report
	Resumed uint64 // up to this record it was there, from an attempt that was broken off
}

// Build makes a file of the records of a journal. It goes on with what an attempt that was
// broken off has left, if that is of the same journal, and leaves what it has when it is
// broken off.
func Build(ctx context.Context, path string, from journal.Source, o Options) (Report, error) {
	return build(ctx, path, from, true, o)
}

// build makes a file. One that resumes goes on with what it finds, and leaves
// what it has when it is broken off.
func build(ctx context.Context, path string, from journal.Source, resumes bool, opts Options) (rep Report, err error) {
	if err := osfile.CheckFree(path); err != nil {
		return rep, fmt.Errorf("making %s: %w", path, err)
	}
	if opts.Witness != "" {
		// What is replaced in the end is a witness, and nothing else.
		err := witness.Replaceable(opts.Witness)
		if err == nil && osfile.SameName(opts.Witness, path) {
			err = &witness.FileError{Path: opts.Witness, Err: errors.New("it is the ledger's file")}
		}
		if err != nil {
			return rep, err
		}
	}
	first, err := from(ctx, 0)
	if err != nil {
		return rep, err
	}
	if len(first.Records) == 0 {
		return rep, fmt.Errorf("%w: the journal is empty", store.ErrCorrupt)
	}
	b, err := newBuilder(path, opts)
	if err != nil {
		return rep, fmt.Errorf("making %s: %w", path, err)
	}
	defer func() {
		// What is wrong with the records would be so the next time, too.
		if err != nil && (!resumes || errors.Is(err, store.ErrCorrupt) || errors.Is(err, store.ErrNewerFormat)) {
			err = errors.Join(err, b.discard())
		}
		err = errors.Join(err, b.close())
	}()
	same := false
	if resumes {
		if same, err = b.follows(ctx, first, from); err != nil {
			return rep, err
		}
	}
	if !same && b.position > 0 {
		if err := b.restart(); err != nil {
			return rep, fmt.Errorf("making %s: %w", path, err)
		}
	}
	resumed := b.position
	if err := b.copy(ctx, first, from); err != nil {
		return rep, err
	}
	rep, err = b.finish(ctx)
	rep.Resumed = resumed
	return rep, err
}

// builder makes a file from records: first add for each of them, then finish.
// discard and close end it before that; close leaves the file to be gone on
// with.
type builder struct {
	path, temp string
	file       *boltfile.File // nil: ended
	position   uint64         // of the last record added

	batch   [][]byte // added and not in the file yet
	size    int      // of batch, in bytes
	scratch record.Record
	opts    Options
	stage   string    // of which progress was last told,
	shown   time.Time // and when
}

// buildBytes is how much a builder commits at once: enough that the syncs do
// not matter, and not so much that those of a server beside it wait for long.
const buildBytes = 512 << 10

func newBuilder(path string, opts Options) (*builder, error) {
	b := &builder{path: path, temp: boltfile.PartialName(path), opts: opts}
	var err error
	b.file, b.position, err = boltfile.OpenPartial(b.temp)
	return b, osfile.MarkFull(err)
}

// follows says whether the records that are there are those of a journal, going
// by the first and the last of them; first is the journal's first page.
func (b *builder) follows(ctx context.Context, first journal.Page, from journal.Source) (bool, error) {
	if b.position == 0 {
		return true, nil
	}
	last, err := from(ctx, b.position-1)
	if err != nil || len(last.Records) == 0 {
		return false, err
	}
	same := false
	err = b.file.View(ctx, func(r store.LogReader) error {
		begin, err := r.Record(1)
		if err != nil {
			return err
		}
		same = bytes.Equal(begin, first.Records[0].Data)
		end, err := r.Record(b.position)
		same = same && bytes.Equal(end, last.Records[0].Data)
		return err
	})
	if errors.Is(err, store.ErrCorrupt) {
		return false, nil
	}
	return same, err
}

// restart begins with no records.
func (b *builder) restart() error {
	if err := b.discard(); err != nil {
		return err
	}
	var err error
	b.file, b.position, err = boltfile.OpenPartial(b.temp)
	return err
}

// copy adds what a journal has after the position, up to where it ended when its
// first page was read, or a little further.
func (b *builder) copy(ctx context.Context, first journal.Page, from journal.Source) (err error) {
	for page := first; ; {
		began := time.Now()
		if b.position > 0 {
			if page, err = from(ctx, b.position); err != nil {
				return err
			}
			if len(page.Records) == 0 && b.position < first.End {
				return fmt.Errorf("%w: record %d is missing, the journal ends at %d", store.ErrCorrupt, b.position+1, first.End)
			}
		}
		for _, r := range page.Records {
			if err := b.add(r.Data); err != nil {
				return err
			}
		}
		b.progress(audit.Progress{Stage: "copying", Done: b.position, Total: max(b.position, first.End)})
		if b.position >= first.End {
			return nil
		}
		if b.opts.Background {
			if err := journal.Pause(ctx, time.Since(began)); err != nil {
				return err
			}
		}
	}
}

// add appends a record, which must not change any more.
func (b *builder) add(data []byte) error {
	if err := record.Decode(&b.scratch, b.position+1, data); err != nil {
		return err
	}
	if b.size+len(data) > buildBytes {
		if err := b.flush(); err != nil {
			return err
		}
	}
	b.batch = append(b.batch, data)
	b.size += len(data)
	b.position++
	return nil
}

func (b *builder) flush() error {
	if len(b.batch) == 0 {
		return nil
	}
	err := b.file.Append(context.Background(), b.position-uint64(len(b.batch)), b.batch)
	if err != nil {
		return fmt.Errorf("writing %s: %w", b.temp, err)
	}
	clear(b.batch)
	b.batch, b.size = b.batch[:0], 0
	return nil
}

// finish folds and audits what is there, and gives it its name.
func (b *builder) finish(ctx context.Context) (rep Report, err error) {
	if err := b.flush(); err != nil {
		return rep, err
	}
	b.progress(audit.Progress{Stage: "folding", Total: b.position})
	if err := b.open(ctx, func(*engine.Engine) error { return nil }); err != nil {
		return rep, err
	}
	b.progress(audit.Progress{Stage: "folding", Done: b.position, Total: b.position})
	err = b.open(ctx, func(e *engine.Engine) (err error) {
		if rep.Audit, err = audit.Run(ctx, e.Books(), auditOptions(e, b.progress)); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		rep.Genesis = e.Books().Genesis()
		if rep.Whole, err = e.Books().Whole(ctx); err != nil {
			return err
		}
		return rep.Audit.Err()
	})
	if err != nil {
		return rep, err
	}
	w, err := witness.At(ctx, b.file, b.position)
	if err != nil {
		return rep, err
	}
	err = osfile.MarkFull(b.file.Publish(b.temp, b.path))
	b.file = nil
	if err == nil && b.opts.Witness != "" {
		// Once more: two names may be one file, and now that is a ledger.
		if err = witness.Replaceable(b.opts.Witness); err == nil {
			err = witness.Replace(b.opts.Witness, w)
		}
		if err != nil {
			err = fmt.Errorf("%s is made, but not its witness: %w", b.path, err)
		}
	}
	return rep, err
}

// open opens the file as a ledger, and closes that: it folds at either. Rows for
// which there was no room are made again by the next one.
func (b *builder) open(ctx context.Context, fn func(*engine.Engine) error) error {
	e, err := openEngine(ctx, b.file, nil)
	if err != nil {
		return err
	}
	err = errors.Join(fn(e), e.Close())
	b.file.DropPending()
	return err
}

// discard ends it and removes the file.
func (b *builder) discard() error {
	if b.file == nil {
		return nil
	}
	err := b.file.Remove(b.temp)
	b.file = nil
	return err
}

// close ends it and leaves the file, with what was added.
func (b *builder) close() error {
	if b.file == nil {
		return nil
	}
	err := errors.Join(b.flush(), b.file.Close())
	b.file = nil
	return err
}

// progress tells how far it is: the first and the last of a stage, and some of
// what comes between.
func (b *builder) progress(p audit.Progress) {
	if b.opts.Progress != nil && (p.Stage != b.stage || p.Done == p.Total || time.Since(b.shown) >= 100*time.Millisecond) {
		b.stage, b.shown = p.Stage, time.Now()
		b.opts.Progress(p)
	}
}
