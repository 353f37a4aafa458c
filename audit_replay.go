package capycoin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/google/uuid"
)

// journalPage is a part of the journal that was read.
type journalPage struct {
	from    uint64
	records []record // those that can't be read have kind 0
	faults  []AuditFault
	err     error
}

// replayTo brings the model up to a position of the journal. While it works
// through a page, the next one is read and decoded.
func (a *auditor) replayTo(ctx context.Context, upTo uint64) error {
	ctx, cancel := context.WithCancel(ctx)
	free, full := make(chan *journalPage, 2), make(chan *journalPage)
	var reader sync.WaitGroup
	reader.Go(func() { a.l.readPages(ctx, a.books.position+1, upTo, free, full) })
	defer reader.Wait()
	defer cancel()
	for range cap(free) {
		free <- &journalPage{records: make([]record, auditPage)}
	}
	for a.books.position < upTo {
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
		a.warmth += a.accounts.prefetch(p.records)
		for i := range p.records {
			if r := &p.records[i]; r.kind != 0 {
				a.record(r)
			}
		}
		a.books.position = p.from + uint64(len(p.records)) - 1
		a.report.Records += uint64(len(p.records))
		free <- p
		if err := a.progress(ctx, "journal", a.books.position, upTo); err != nil {
			return err
		}
	}
	return nil
}

// readPages reads a part of the journal into pages that are free, and passes
// them on, until the context ends or one can't be read.
func (l *Ledger) readPages(ctx context.Context, from, upTo uint64, free, full chan *journalPage) {
	for from <= upTo {
		var p *journalPage
		select {
		case p = <-free:
		case <-ctx.Done():
			return
		}
		p.from, p.faults = from, p.faults[:0]
		p.records = p.records[:min(uint64(cap(p.records)), upTo-from+1)]
		p.err = l.readJournal(ctx, p)
		from += uint64(len(p.records))
		select {
		case full <- p:
		case <-ctx.Done():
			return
		}
		if p.err != nil {
			return
		}
	}
}

// readJournal fills a page. Records that can't be read are faults.
func (l *Ledger) readJournal(ctx context.Context, p *journalPage) error {
	n := 0
	err := l.log.View(ctx, func(r LogReader) error {
		return r.Scan(p.from, func(position uint64, b []byte) bool {
			if position != p.from+uint64(n) || decodeRecord(&p.records[n], position, b) != nil {
				return false // read again, one by one
			}
			n++
			return n < len(p.records)
		})
	})
	if n == len(p.records) || err != nil && !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrNewerFormat) {
		return err
	}
	for ; n < len(p.records); n++ {
		position := p.from + uint64(n)
		err := l.readRecord(ctx, position, &p.records[n])
		switch {
		case errors.Is(err, ErrCorrupt), errors.Is(err, ErrNewerFormat):
			p.faults = append(p.faults, AuditFault{Position: position, Kind: FaultRecord, Detail: err.Error()})
			p.records[n].kind = 0
		case err != nil:
			return err
		}
	}
	return nil
}

// record checks a record against the model and applies it there.
func (a *auditor) record(r *record) {
	b := &a.books
	if r.time < b.time {
		a.fault(r.position, uuid.UUID{}, FaultRecord, "its time %s is before the last record's %s", timeOf(r.time), timeOf(b.time))
	}
	b.time = max(b.time, r.time)
	b.position = r.position
	touched := [2]uint32{noSlot, noSlot}
	switch r.kind {
	case kindGenesis:
		touched[0] = a.open(r, state{id: a.l.genesis.seed, created: seedCreated, funds: r.genesis.supply}, link{ordinal: 1})
		if r.genesis != a.l.genesis {
			a.fault(r.position, uuid.UUID{}, FaultBooks, "the genesis is not the one the ledger was opened with")
		}
	case kindAccount:
		touched[0] = a.open(r, state{id: r.account.id, created: r.time}, r.account.link)
	case kindTransfer:
		a.transfer(r, &touched)
	case kindToken:
		touched[0] = a.token(r)
	case kindRevocation:
		touched[0] = a.revocation(r)
	}
	for _, slot := range touched {
		if slot == noSlot {
			continue
		}
		if r.position <= a.folded {
			a.atFold[slot] = r.position
		}
		if len(a.waiting) > 0 {
			a.arrived(slot)
		}
	}
	if r.position == a.liveBooks.position {
		a.compareBooks()
	}
}

// arrived compares an account with the copies that were as of this record.
func (a *auditor) arrived(slot uint32) {
	acct := &a.work
	a.accounts.account(slot, acct)
	copies := slices.DeleteFunc(a.waiting[acct.id], func(c *account) bool {
		if c.asOf == acct.asOf {
			a.compare(c, acct)
		}
		return c.asOf == acct.asOf
	})
	if len(copies) > 0 {
		a.waiting[acct.id] = copies
	} else {
		delete(a.waiting, acct.id)
	}
}

func (a *auditor) compareBooks() {
	got, want := &a.liveBooks, &a.books
	if got.time != want.time || got.accounts != want.accounts || got.transactions != want.transactions ||
		!slices.Equal(got.opened, want.opened) {
		a.fault(want.position, uuid.UUID{}, FaultBooks, "the ledger has %+v, the journal says %+v", *got, *want)
	}
}

func (a *auditor) open(r *record, acct state, l link) (slot uint32) {
	b := &a.books
	if _, ok := a.accounts.find(&acct.id); ok {
		a.fault(r.position, acct.id, FaultAccount, "it is opened again")
		return noSlot
	}
	var want link
	want, b.opened = pushRoot(b.opened, b.accounts, r.position)
	b.accounts++
	if l != want {
		a.fault(r.position, acct.id, FaultChain, "it is linked by %s in the order of opening, should be by %s", l, want)
	}
	acct.asOf = r.position
	slot = a.accounts.add(&account{state: acct})
	for int(slot) >= len(a.atFold) {
		a.atFold, a.rows = append(a.atFold, 0), append(a.rows, false)
	}
	return slot
}

// party returns an account that a record names.
func (a *auditor) party(r *record, id uuid.UUID) (slot uint32, ok bool) {
	if slot, ok = a.accounts.find(&id); !ok {
		a.fault(r.position, id, FaultAccount, "it was never opened")
		return noSlot, false
	}
	return slot, true
}

func (a *auditor) transfer(r *record, touched *[2]uint32) {
	t := &r.transfer
	a.books.transactions++
	if t.fee != 0 {
		a.fault(r.position, t.sender, FaultFunds, "it pays a fee of %d to nobody", t.fee)
	}
	if from, ok := a.party(r, t.sender); ok {
		if funds := a.accounts.at(from).funds; funds < t.amount+t.fee {
			a.fault(r.position, t.sender, FaultFunds, "it pays %d out of %d", t.amount+t.fee, funds)
		}
		a.moved(r, from, &t.from, -t.amount-t.fee)
		touched[0] = from
	}
	if to, ok := a.party(r, t.receiver); ok {
		a.moved(r, to, &t.to, t.amount)
		touched[1] = to
	}
	if t.key == "" {
		return
	}
	a.report.Keys++
	if r.position <= a.liveBooks.position {
		a.keySum.add(keyEntry{hashKey(t.sender, t.key), r.position})
	}
}

// moved applies a transfer to one of its accounts. Where the record has other
// funds, the model goes on with the record's: it is one fault, not one for
// each transfer after it, and the supply tells in the end.
func (a *auditor) moved(r *record, slot uint32, p *party, change Coins) {
	acct := &a.work
	a.accounts.account(slot, acct)
	if funds := acct.funds + change; p.funds != funds {
		a.fault(r.position, acct.id, FaultFunds, "it has %d after it, should have %d", p.funds, funds)
	}
	acct.funds = p.funds
	want := acct.push(r.position)
	if p.link != want {
		a.fault(r.position, acct.id, FaultChain, "it is linked by %s, should be by %s", p.link, want)
	}
	a.accounts.set(slot, acct)
}

func (a *auditor) token(r *record) (slot uint32) {
	t := &r.token
	slot, ok := a.party(r, t.account)
	if !ok {
		return slot
	}
	acct := &a.work
	a.accounts.account(slot, acct)
	for _, ref := range acct.issued(t) {
		delete(a.live, ref.selector)
	}
	a.accounts.set(slot, acct)
	switch {
	case t.account == a.l.genesis.seed:
		a.fault(r.position, t.account, FaultToken, "the seed account is given a token")
	case len(acct.tokens) > MaxTokens:
		a.fault(r.position, t.account, FaultToken, "it has %d live tokens", len(acct.tokens))
	}
	if was, ok := a.live[t.selector]; ok && was.expires > r.time {
		a.fault(r.position, t.account, FaultToken, "its selector is that of record %d", was.position)
	}
	a.live[t.selector] = tokenRow{t.position, t.expires}
	return slot
}

func (a *auditor) revocation(r *record) (slot uint32) {
	slot, ok := a.party(r, r.revocation.account)
	if !ok {
		return slot
	}
	acct := &a.work
	a.accounts.account(slot, acct)
	ref, ok := acct.revoked(r.revocation.token, r.position)
	if !ok || ref.expires <= r.time {
		a.fault(r.position, acct.id, FaultToken, "it revokes record %d, which is no live token of it", r.revocation.token)
	}
	acct.asOf = r.position
	a.accounts.set(slot, acct)
	if ok {
		delete(a.live, ref.selector)
	}
	return slot
}

func (l link) String() string {
	return fmt.Sprintf("record %d and %d as its %d-th", l.prev, l.jump, l.ordinal)
}
