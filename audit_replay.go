package capycoin

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
)

// replayTo brings the model up to a position of the journal.
func (a *auditor) replayTo(ctx context.Context, upTo uint64) error {
	for a.books.position < upTo {
		from := a.books.position + 1
		n, err := a.readJournal(ctx, from, upTo)
		if err != nil {
			return err
		}
		for i := range a.page[:n] {
			if r := &a.page[i]; r.kind != 0 {
				a.record(r)
			}
		}
		a.books.position = from + uint64(n) - 1
		a.report.Records += uint64(n)
		if err := a.progress(ctx, "journal", a.books.position, upTo); err != nil {
			return err
		}
	}
	return nil
}

// readJournal fills the page with the records from a position on. Those that
// can't be read are faults and have kind 0.
func (a *auditor) readJournal(ctx context.Context, from, upTo uint64) (n int, err error) {
	size := int(min(uint64(len(a.page)), upTo-from+1))
	err = a.l.log.View(ctx, func(r LogReader) error {
		return r.Scan(from, func(position uint64, b []byte) bool {
			if position != from+uint64(n) || decodeRecord(&a.page[n], position, b) != nil {
				return false // read again, one by one
			}
			n++
			return n < size
		})
	})
	if n == size || err != nil && !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrNewerFormat) {
		return n, err
	}
	for ; n < size; n++ {
		position := from + uint64(n)
		err := a.l.readRecord(ctx, position, &a.page[n])
		switch {
		case errors.Is(err, ErrCorrupt), errors.Is(err, ErrNewerFormat):
			a.fault(position, uuid.UUID{}, FaultRecord, "%v", err)
			a.page[n].kind = 0
		case err != nil:
			return n, err
		}
	}
	return n, nil
}

// record checks a record against the model and applies it there.
func (a *auditor) record(r *record) {
	b := &a.books
	if r.time < b.time {
		a.fault(r.position, uuid.UUID{}, FaultRecord, "its time %s is before the last record's %s", timeOf(r.time), timeOf(b.time))
	}
	b.time = max(b.time, r.time)
	b.position = r.position
	var touched [2]*audited
	switch r.kind {
	case kindGenesis:
		touched[0] = a.open(r, a.l.genesis.seed, link{ordinal: 1})
		if r.genesis != a.l.genesis {
			a.fault(r.position, uuid.UUID{}, FaultBooks, "the genesis is not the one the ledger was opened with")
		}
		if touched[0] != nil {
			touched[0].created, touched[0].funds = seedCreated, r.genesis.supply
		}
	case kindAccount:
		touched[0] = a.open(r, r.account.id, r.account.link)
	case kindTransfer:
		a.transfer(r, &touched)
	case kindToken:
		touched[0] = a.token(r)
	case kindRevocation:
		touched[0] = a.revocation(r)
	}
	for _, acct := range touched {
		if acct == nil {
			continue
		}
		acct.asOf = r.position
		if r.position <= a.folded {
			acct.atFold = r.position
		}
		a.arrived(acct)
	}
	if r.position == a.liveBooks.position {
		a.compareBooks()
	}
}

// arrived compares an account with the copies that were as of this record.
func (a *auditor) arrived(acct *audited) {
	copies := a.waiting[acct.id]
	if len(copies) == 0 {
		return
	}
	copies = slices.DeleteFunc(copies, func(c *account) bool {
		if c.asOf == acct.asOf {
			a.compare(c, &acct.account)
		}
		return c.asOf == acct.asOf
	})
	if a.waiting[acct.id] = copies; len(copies) == 0 {
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

func (a *auditor) open(r *record, id uuid.UUID, l link) *audited {
	b := &a.books
	if a.accounts[id] != nil {
		a.fault(r.position, id, FaultAccount, "it is opened again")
		return nil
	}
	var want link
	want, b.opened = pushRoot(b.opened, b.accounts, r.position)
	b.accounts++
	if l != want {
		a.fault(r.position, id, FaultChain, "it is linked by %s in the order of opening, should be by %s", l, want)
	}
	acct := &audited{account: account{id: id, created: r.time}}
	a.accounts[id] = acct
	return acct
}

// party returns an account that a record names.
func (a *auditor) party(r *record, id uuid.UUID) *audited {
	acct := a.accounts[id]
	if acct == nil {
		a.fault(r.position, id, FaultAccount, "it was never opened")
	}
	return acct
}

func (a *auditor) transfer(r *record, touched *[2]*audited) {
	t := &r.transfer
	a.books.transactions++
	if t.fee != 0 {
		a.fault(r.position, t.sender, FaultFunds, "it pays a fee of %d to nobody", t.fee)
	}
	if from := a.party(r, t.sender); from != nil {
		if from.funds < t.amount+t.fee {
			a.fault(r.position, t.sender, FaultFunds, "it pays %d out of %d", t.amount+t.fee, from.funds)
		}
		a.moved(r, from, &t.from, -t.amount-t.fee)
		touched[0] = from
	}
	if to := a.party(r, t.receiver); to != nil {
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
func (a *auditor) moved(r *record, acct *audited, p *party, change Coins) {
	if funds := acct.funds + change; p.funds != funds {
		a.fault(r.position, acct.id, FaultFunds, "it has %d after it, should have %d", p.funds, funds)
	}
	acct.funds = p.funds
	var want link
	want, acct.roots = pushRoot(acct.roots, acct.count, r.position)
	acct.count++
	if p.link != want {
		a.fault(r.position, acct.id, FaultChain, "it is linked by %s, should be by %s", p.link, want)
	}
}

func (a *auditor) token(r *record) *audited {
	t := &r.token
	acct := a.party(r, t.account)
	if acct == nil {
		return nil
	}
	for _, ref := range acct.issued(t) {
		delete(a.live, ref.selector)
	}
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
	return acct
}

func (a *auditor) revocation(r *record) *audited {
	acct := a.party(r, r.revocation.account)
	if acct == nil {
		return nil
	}
	ref, ok := acct.revoked(r.revocation.token, r.position)
	if !ok || ref.expires <= r.time {
		a.fault(r.position, acct.id, FaultToken, "it revokes record %d, which is no live token of it", r.revocation.token)
	}
	if ok {
		delete(a.live, ref.selector)
	}
	return acct
}

func (l link) String() string {
	return fmt.Sprintf("record %d and %d as its %d-th", l.prev, l.jump, l.ordinal)
}
