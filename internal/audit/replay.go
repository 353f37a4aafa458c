package audit

import (
	"context"
	"errors"
	"sync"

	"github.com/capycoin/capycoin/internal/accounts"
	"github.com/capycoin/capycoin/internal/journal"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/store"
)

// journalPage is a part of the journal that was read.
type journalPage struct {
	from    uint64
	records []record.Record // those that can't be read have kind 0
	keys    int64           // of the records,
	keySum  keySum          // and their sum
	faults  []Fault
	err     error
}

// replayTo brings the model up to a position of the journal. While it works
// through a page, the keys of the next one are summed, and one is read.
func (a *auditor) replayTo(ctx context.Context, upTo uint64) error {
	ctx, cancel := context.WithCancel(ctx)
	free, read, full := make(chan *journalPage, 3), make(chan *journalPage), make(chan *journalPage)
	var readers sync.WaitGroup
	from := a.model.Position + 1
	readers.Go(func() { a.readPages(ctx, from, upTo, free, read) })
	readers.Go(func() { sumPages(ctx, read, full, a.keySum.seed) })
	defer readers.Wait()
	defer cancel()
	for range cap(free) {
		free <- &journalPage{records: make([]record.Record, pageLen)}
	}
	for a.model.Position < upTo {
		var p *journalPage
		select {
		case p = <-full:
		case <-ctx.Done():
			return ctx.Err()
		}
		for _, f := range p.faults {
			a.fault(f.Position, f.Account, f.Kind, "%s", f.Detail)
		}
		if p.err != nil {
			return p.err
		}
		var hints [accounts.ReadAhead][2]uint32
		for i := range p.records {
			if i%accounts.ReadAhead == 0 {
				some := p.records[i:min(i+accounts.ReadAhead, len(p.records))]
				for j := range some {
					hints[j] = a.hint(&some[j])
				}
				pairs := hints[:len(some)]
				a.warmth += a.accounts.WarmAll(pairs) + a.warmRows(pairs)
			}
			if r := &p.records[i]; r.Kind != 0 {
				a.record(ctx, r, hints[i%accounts.ReadAhead])
			}
		}
		a.checkSignatures()
		a.report.Keys += p.keys
		if p.from <= a.seen.Position {
			a.keySum.merge(p.keySum)
		}
		a.model.Position = p.from + uint64(len(p.records)) - 1
		a.report.Records += uint64(len(p.records))
		free <- p
		if err := a.progress(ctx, "journal", a.model.Position, upTo); err != nil {
			return err
		}
	}
	return nil
}

// hint says where the parties of a record most likely are.
func (a *auditor) hint(r *record.Record) [2]uint32 {
	if r.Kind != record.KindTransfer {
		return [2]uint32{accounts.NoSlot, accounts.NoSlot}
	}
	return [2]uint32{a.accounts.Hint(&r.Transfer.Sender), a.accounts.Hint(&r.Transfer.Receiver)}
}

// aheadFrom is for how many records the file is read ahead: fewer are few pages.
const aheadFrom = 1 << 16

// readPages reads a part of the journal into pages that are free, and passes
// them on, until the context ends or one can't be read.
func (a *auditor) readPages(ctx context.Context, from, upTo uint64, free, read chan *journalPage) {
	ahead := func(context.Context, uint64, uint64) {}
	if s, ok := a.log.(readsAhead); ok && upTo-from > aheadFrom {
		ahead = s.ReadAhead(from-1, upTo)
	}
	for from <= upTo {
		var p *journalPage
		select {
		case p = <-free:
		case <-ctx.Done():
			return
		}
		p.from, p.faults = from, p.faults[:0]
		p.records = p.records[:min(uint64(cap(p.records)), upTo-from+1)]
		ahead(ctx, from, upTo)
		p.err = a.readJournal(ctx, p)
		from += uint64(len(p.records))
		select {
		case read <- p:
		case <-ctx.Done():
			return
		}
		if p.err != nil {
			return
		}
	}
}

// sumPages sums the keys of pages that were read, and passes the pages on, until
// the context ends.
func sumPages(ctx context.Context, read, full chan *journalPage, seed [2]uint64) {
	for {
		var p *journalPage
		select {
		case p = <-read:
		case <-ctx.Done():
			return
		}
		p.keys, p.keySum = 0, keySum{seed: seed}
		for i := range p.records {
			if e, ok := keyOf(&p.records[i]); ok {
				p.keys++
				p.keySum.add(e)
			}
		}
		select {
		case full <- p:
		case <-ctx.Done():
			return
		}
	}
}

// readJournal fills a page. Records that can't be read are faults.
func (a *auditor) readJournal(ctx context.Context, p *journalPage) error {
	n := 0
	err := a.log.View(ctx, func(r store.LogReader) error {
		if s, ok := r.(strictReader); ok {
			s.Strict()
		}
		return r.Scan(p.from, func(position uint64, b []byte) bool {
			if position != p.from+uint64(n) || record.Decode(&p.records[n], position, b) != nil {
				return false // read again, one by one
			}
			n++
			return n < len(p.records)
		})
	})
	if n == len(p.records) || err != nil && !errors.Is(err, store.ErrCorrupt) && !errors.Is(err, store.ErrNewerFormat) {
		return err
	}
	for ; n < len(p.records); n++ {
		position := p.from + uint64(n)
		err := journal.Read(ctx, a.log, position, &p.records[n])
		switch {
		case errors.Is(err, store.ErrCorrupt), errors.Is(err, store.ErrNewerFormat):
			p.faults = append(p.faults, Fault{Position: position, Kind: FaultRecord, Detail: err.Error()})
			p.records[n].Kind = 0
		case err != nil:
			return err
		}
	}
	return nil
}
