package capycoin

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/accounts"
	"github.com/capycoin/capycoin/internal/boltfile"
	"github.com/capycoin/capycoin/internal/chain"
	"github.com/capycoin/capycoin/internal/journal"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/internal/wire"
	"github.com/capycoin/capycoin/store"
)

// journalPage is a part of the journal that was read.
type journalPage struct {
	from    uint64
	records []record.Record // those that can't be read have kind 0
	keys    int64           // of the records,
	keySum  keySum          // and their sum
	faults  []AuditFault
	err     error
}

// replayTo brings the model up to a position of the journal. While it works
// through a page, the keys of the next one are summed, and one is read.
func (a *auditor) replayTo(ctx context.Context, upTo uint64) error {
	ctx, cancel := context.WithCancel(ctx)
	free, read, full := make(chan *journalPage, 3), make(chan *journalPage), make(chan *journalPage)
	var readers sync.WaitGroup
	from := a.books.Position + 1
	readers.Go(func() { a.l.readPages(ctx, from, upTo, free, read) })
	readers.Go(func() { sumPages(ctx, read, full, a.keySum.seed) })
	defer readers.Wait()
	defer cancel()
	for range cap(free) {
		free <- &journalPage{records: make([]record.Record, auditPage)}
	}
	for a.books.Position < upTo {
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
				pairs := hintParties(a.accounts, some, &hints)
				a.warmth += a.accounts.WarmAll(pairs) + a.warmRows(pairs)
			}
			if r := &p.records[i]; r.Kind != 0 {
				a.record(ctx, r, hints[i%accounts.ReadAhead])
			}
		}
		a.checkSignatures()
		a.report.Keys += p.keys
		if p.from <= a.liveBooks.Position {
			a.keySum.merge(p.keySum)
		}
		a.books.Position = p.from + uint64(len(p.records)) - 1
		a.report.Records += uint64(len(p.records))
		free <- p
		if err := a.progress(ctx, "journal", a.books.Position, upTo); err != nil {
			return err
		}
	}
	return nil
}

// aheadFrom is for how many records the file is read ahead: fewer are few pages.
const aheadFrom = 1 << 16

// readPages reads a part of the journal into pages that are free, and passes
// them on, until the context ends or one can't be read.
func (l *Ledger) readPages(ctx context.Context, from, upTo uint64, free, read chan *journalPage) {
	var ahead *boltfile.Ahead
	if l.bolt != nil && upTo-from > aheadFrom {
		ahead = l.bolt.Ahead(from-1, upTo)
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
		ahead.To(ctx, from, upTo)
		p.err = l.readJournal(ctx, p)
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
			if e, ok := keyEntryOf(&p.records[i]); ok {
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
func (l *Ledger) readJournal(ctx context.Context, p *journalPage) error {
	n := 0
	err := l.log.View(ctx, func(r store.LogReader) error {
		if b, ok := r.(*boltfile.Reader); ok {
			b.Strict()
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
		err := journal.Read(ctx, l.log, position, &p.records[n])
		switch {
		case errors.Is(err, store.ErrCorrupt), errors.Is(err, store.ErrNewerFormat):
			p.faults = append(p.faults, AuditFault{Position: position, Kind: FaultRecord, Detail: err.Error()})
			p.records[n].Kind = 0
		case err != nil:
			return err
		}
	}
	return nil
}

// record checks a record against the model and applies it there.
func (a *auditor) record(ctx context.Context, r *record.Record, hints [2]uint32) {
	b := &a.books
	a.begins(r)
	if r.Time < b.Time {
		a.fault(r.Position, uuid.UUID{}, FaultRecord, "its time %s is before the last record's %s", wire.TimeOf(r.Time), wire.TimeOf(b.Time))
	}
	b.Time = max(b.Time, r.Time)
	b.Position = r.Position
	touched := [3]uint32{accounts.NoSlot, accounts.NoSlot, accounts.NoSlot}
	switch r.Kind {
	case record.KindGenesis:
		g := r.Body.(*record.Genesis)
		seed := accounts.Account{State: accounts.State{ID: a.l.genesis.Seed, Created: record.SeedCreated, Funds: g.Supply}, Key: accounts.FirstKey(g.Key)}
		touched[0] = a.open(r, &seed, chain.Link{Ordinal: 1})
		if *g != a.l.genesis {
			a.fault(r.Position, uuid.UUID{}, FaultBooks, "the genesis is not the one the ledger was opened with")
		}
	case record.KindAccount:
		o := r.Body.(*record.Account)
		acct := accounts.Account{State: accounts.State{ID: o.ID, Created: r.Time}, Key: accounts.FirstKey(o.Key)}
		touched[0] = a.open(r, &acct, o.Link)
	case record.KindTransfer:
		touched = a.transfer(r, hints)
	case record.KindToken:
		touched[0] = a.token(r)
	case record.KindRevocation:
		touched[0] = a.revocation(r)
	case record.KindInvite:
		a.invite(r)
	case record.KindInviteEnd:
		a.inviteEnd(r)
	case record.KindKeyChange:
		touched[0] = a.key(r)
	case record.KindFeePolicy:
		a.feePolicy(r)
	case record.KindStipend:
		a.stipend(r)
	}
	for _, slot := range touched {
		if slot == accounts.NoSlot {
			continue
		}
		a.passRow(ctx, slot, r.Position)
		if len(a.waiting) > 0 {
			a.arrived(slot)
		}
	}
	if r.Position == a.liveBooks.Position {
		a.compareBooks()
	}
}

// arrived compares an account with the copies that were as of this record.
func (a *auditor) arrived(slot uint32) {
	acct := &a.work
	a.accounts.Copy(slot, acct)
	copies := slices.DeleteFunc(a.waiting[acct.ID], func(c *accounts.Account) bool {
		if c.AsOf == acct.AsOf {
			a.compare(c, acct)
		}
		return c.AsOf == acct.AsOf
	})
	if len(copies) > 0 {
		a.waiting[acct.ID] = copies
	} else {
		delete(a.waiting, acct.ID)
	}
}

func (a *auditor) compareBooks() {
	got, want := &a.liveBooks, &a.books
	if got.Time != want.Time || got.Accounts != want.Accounts || got.Transactions != want.Transactions ||
		!slices.Equal(got.Opened, want.Opened) || got.PolicyAt != want.PolicyAt || got.StipendAt != want.StipendAt || got.Paid != want.Paid {
		a.fault(want.Position, uuid.UUID{}, FaultBooks, "the ledger has %s, the journal says %s", got, want)
	}
}

func (a *auditor) open(r *record.Record, acct *accounts.Account, l chain.Link) (slot uint32) {
	b := &a.books
	slot, listed := a.accounts.Find(&acct.ID)
	if listed && a.accounts.At(slot).AsOf != 0 {
		a.fault(r.Position, acct.ID, FaultAccount, "it is opened again")
		return accounts.NoSlot
	}
	var want chain.Link
	want, b.Opened = chain.Push(b.Opened, b.Accounts, r.Position)
	b.Accounts++
	if l != want {
		a.fault(r.Position, acct.ID, FaultChain, "it is linked by %s in the order of opening, should be by %s", l, want)
	}
	acct.AsOf = r.Position
	if acct.Key != nil {
		a.checkKey(r, acct.ID, &acct.Key.Public)
	}
	if listed {
		a.accounts.Set(slot, acct)
	} else {
		slot = a.list(acct, rowMark{})
	}
	a.newest = slot
	a.opened = append(a.opened, slot)
	if acct.ID == record.FeeAccount {
		a.poolAt = r.Position
	}
	return slot
}

// list takes in an account.
func (a *auditor) list(acct *accounts.Account, row rowMark) (slot uint32) {
	slot = a.accounts.Add(acct) // one after the other, as none goes
	a.rows = append(a.rows, row)
	return slot
}

// party returns an account that a record names.
func (a *auditor) party(r *record.Record, id uuid.UUID, hint uint32) (slot uint32, ok bool) {
	if slot, ok = a.accounts.FindAt(hint, &id); !ok || a.accounts.At(slot).AsOf == 0 {
		a.fault(r.Position, id, FaultAccount, "it was never opened")
		return accounts.NoSlot, false
	}
	return slot, true
}

// partyState is party with a copy of what the account is, to be changed and set.
func (a *auditor) partyState(r *record.Record, id uuid.UUID) (acct *accounts.Account, slot uint32, ok bool) {
	if slot, ok = a.party(r, id, accounts.NoSlot); ok {
		acct = &a.work
		a.accounts.Copy(slot, acct)
	}
	return acct, slot, ok
}

func (a *auditor) transfer(r *record.Record, hints [2]uint32) (touched [3]uint32) {
	t := &r.Transfer
	from, isFrom := a.party(r, t.Sender, hints[0])
	to, isTo := a.party(r, t.Receiver, hints[1])
	a.books.Transactions++
	pool := a.fee(r)
	if isFrom {
		if t.Sender == record.FeeAccount {
			a.payment(r, to)
		} else {
			a.rows[from].sent.note(a.day)
		}
		a.signed(r, from)
		if funds := a.accounts.At(from).Funds; funds < t.Amount+t.Fee {
			a.fault(r.Position, t.Sender, FaultFunds, "it pays %d out of %d", t.Amount+t.Fee, funds)
		}
		a.moved(r, from, &t.From, -t.Amount-t.Fee)
	}
	if isTo {
		a.moved(r, to, &t.To, t.Amount)
	}
	return [3]uint32{from, to, pool}
}

// moved applies a transfer to one of its accounts. Where the record has other
// funds, the model goes on with the record's: it is one fault, not one for
// each transfer after it, and the supply tells in the end.
func (a *auditor) moved(r *record.Record, slot uint32, p *record.Party, change int64) {
	s := a.accounts.At(slot)
	if funds := s.Funds + change; p.Funds != funds {
		a.fault(r.Position, s.ID, FaultFunds, "it has %d after it, should have %d", p.Funds, funds)
	}
	s.Funds = p.Funds
	if want := a.accounts.Push(slot, r.Position); p.Link != want {
		a.fault(r.Position, s.ID, FaultChain, "it is linked by %s, should be by %s", p.Link, want)
	}
}

func (a *auditor) token(r *record.Record) (slot uint32) {
	t := r.Body.(*record.Token)
	acct, slot, ok := a.partyState(r, t.Account)
	if !ok {
		return slot
	}
	for _, ref := range acct.Issue(refOf(t), t.Time) {
		delete(a.live, ref.Selector)
	}
	a.accounts.Set(slot, acct)
	switch {
	case t.Account == a.l.genesis.Seed:
		a.fault(r.Position, t.Account, FaultToken, "the seed account is given a token")
	case t.Account == record.FeeAccount:
		a.fault(r.Position, t.Account, FaultToken, "the fee account is given a token")
	case len(acct.Tokens) > MaxTokens:
		a.fault(r.Position, t.Account, FaultToken, "it has %d live tokens", len(acct.Tokens))
	}
	if was, ok := a.live[t.Selector]; ok && was.Expires > r.Time {
		a.fault(r.Position, t.Account, FaultToken, "its selector is that of record %d", was.Position)
	}
	a.live[t.Selector] = accounts.TokenRow{Position: t.Position, Expires: t.Expires}
	return slot
}

func (a *auditor) invite(r *record.Record) {
	i := r.Body.(*record.Invite)
	selector := i.Selector()
	if was, ok := a.live[selector]; ok && was.Expires > r.Time {
		a.fault(r.Position, uuid.UUID{}, FaultInvite, "its selector is that of record %d", was.Position)
	}
	a.live[selector] = accounts.TokenRow{Position: r.Position, Expires: i.Expires, Invite: true}
	a.invites[r.Position] = selector
}

func (a *auditor) inviteEnd(r *record.Record) {
	e := r.Body.(*record.InviteEnd)
	selector, ok := a.invites[e.Invite]
	switch row := a.live[selector]; {
	case !ok:
		a.fault(r.Position, e.Account, FaultInvite, "it ends record %d, which is no invite or had ended before", e.Invite)
	case row.Expires <= r.Time:
		a.fault(r.Position, e.Account, FaultInvite, "it ends the invite of record %d, which had expired", e.Invite)
	}
	if ok {
		delete(a.live, selector)
		delete(a.invites, e.Invite)
	}
	if e.Account == (uuid.UUID{}) {
		return
	}
	// The records of the account and its token are the two before.
	slot, ok := a.party(r, e.Account, accounts.NoSlot)
	if ok && (slot != a.newest || a.books.Opened[len(a.books.Opened)-1] != r.Position-2 || a.accounts.At(slot).AsOf != r.Position-1) {
		a.fault(r.Position, e.Account, FaultInvite, "the account is not the one opened right before it")
	}
}

func (a *auditor) revocation(r *record.Record) (slot uint32) {
	v := r.Body.(*record.Revocation)
	acct, slot, ok := a.partyState(r, v.Account)
	if !ok {
		return slot
	}
	ref, ok := acct.Revoke(v.Token, r.Position)
	if !ok || ref.Expires <= r.Time {
		a.fault(r.Position, acct.ID, FaultToken, "it revokes record %d, which is no live token of it", v.Token)
	}
	acct.AsOf = r.Position
	a.accounts.Set(slot, acct)
	if ok {
		delete(a.live, ref.Selector)
	}
	return slot
}
