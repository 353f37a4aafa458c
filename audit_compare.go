package capycoin

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
)

// copyAccount returns the committed state of an account as readers get it, nil
// if there is none.
func (l *Ledger) copyAccount(ctx context.Context, id uuid.UUID) (*account, error) {
	l.mu.RLock()
	if i, ok := l.cache.index.find(&id, &l.cache.slots); ok {
		a := new(account)
		l.cache.account(i, a)
		l.mu.RUnlock()
		return a, nil
	}
	l.mu.RUnlock()
	return l.accountRow(ctx, id)
}

// sortByID sorts slots by the ids in them.
func (c *cache) sortByID(list []uint32) {
	// By the first half, which nearly always tells, without a look at the slots.
	type item struct {
		half uint64
		slot uint32
	}
	items := make([]item, len(list))
	for n, i := range list {
		items[n] = item{binary.BigEndian.Uint64(c.at(i).id[:]), i}
	}
	slices.SortFunc(items, func(x, y item) int {
		if c := cmp.Compare(x.half, y.half); c != 0 {
			return c
		}
		return compareIDs(&c.at(x.slot).id, &c.at(y.slot).id)
	})
	for n := range items {
		list[n] = items[n].slot
	}
}

// checkAccounts compares every account of the model with what the ledger
// answers for it.
func (a *auditor) checkAccounts(ctx context.Context) error {
	list := make([]uint32, 0, a.accounts.index.n)
	for i := range uint32(len(a.atFold)) {
		list = append(list, i)
	}
	a.accounts.sortByID(list)
	var want account
	for i, slot := range list {
		if i%auditPage == 0 {
			if err := a.progress(ctx, "accounts", uint64(i), uint64(len(list))); err != nil {
				return err
			}
		}
		a.accounts.account(slot, &want)
		got, err := a.l.copyAccount(ctx, want.id)
		switch {
		case errors.Is(err, ErrCorrupt):
			a.fault(0, want.id, FaultAccount, "%v", err)
		case err != nil:
			return err
		case got == nil:
			a.fault(want.asOf, want.id, FaultAccount, "the ledger does not know it")
		case got.asOf < want.asOf:
			a.fault(want.asOf, want.id, FaultAccount, "the ledger has it as of record %d", got.asOf)
		default:
			a.compareOrWait(got, &want)
		}
	}
	return a.progress(ctx, "accounts", uint64(len(list)), uint64(len(list)))
}

// compareOrWait compares a copy with the model's account, later if it is newer.
func (a *auditor) compareOrWait(got, want *account) {
	if got.asOf == want.asOf {
		a.compare(got, want)
		return
	}
	a.waiting[got.id] = append(a.waiting[got.id], got)
}

// compare reports the first difference between two states of an account as of
// one record.
func (a *auditor) compare(got, want *account) {
	diff := func(what string, g, w any) {
		a.fault(want.asOf, want.id, FaultAccount, "its %s: the ledger has %v, by the journal it is %v", what, g, w)
	}
	switch {
	case got.funds != want.funds:
		diff("funds", got.funds, want.funds)
	case got.count != want.count:
		diff("number of transactions", got.count, want.count)
	case got.created != want.created:
		diff("time of opening", timeOf(got.created), timeOf(want.created))
	case !slices.Equal(got.packedRoots(), want.packedRoots()):
		diff("chain", got.roots(), want.roots())
	case !slices.Equal(got.tokens, want.tokens):
		diff("tokens", got.tokens, want.tokens)
	}
}

// scan calls fn with the rows of a table, a page in one read.
func (a *auditor) scan(ctx context.Context, stage string, table Table, total uint64, fn func(key, value []byte) error) error {
	type row struct{ key, value []byte }
	page := make([]row, 0, auditPage)
	done := uint64(0)
	for from, more := []byte{}, true; more; {
		page, more = page[:0], false
		err := a.l.folds.Scan(ctx, table, from, func(key, value []byte) bool {
			if more = len(page) == auditPage; !more {
				page = append(page, row{slices.Clone(key), slices.Clone(value)})
			}
			return !more
		})
		if errors.Is(err, ErrCorrupt) {
			// Where it goes on can't be told.
			a.fault(0, uuid.UUID{}, FaultAccount, "table %s from %x on: %v", table, from, err)
			more = false
		} else if err != nil {
			return err
		}
		for _, r := range page {
			if err := fn(r.key, r.value); err != nil {
				return err
			}
		}
		done += uint64(len(page))
		if err := a.progress(ctx, stage, done, max(total, done)); err != nil {
			return err
		}
		if more {
			// Not at the row that comes next: it may be split meanwhile.
			from = append(page[len(page)-1].key, 0)
		}
	}
	return nil
}

// checkAccountRows compares the rows of accounts: they may lag behind the
// model, though not behind the fold position, and be ahead of it.
func (a *auditor) checkAccountRows(ctx context.Context) error {
	last := uuid.UUID{}
	err := a.scan(ctx, "accounts", TableAccounts, uint64(a.accounts.index.n/8), func(key, value []byte) error {
		var rows []*account
		err := accountsIn(key, value, func(id uuid.UUID, _, state []byte) bool {
			row, err := decodeAccount(id, state)
			switch {
			case err != nil:
				a.fault(0, id, FaultAccount, "%v", err)
			case compareIDs(&last, &id) >= 0:
				a.fault(0, id, FaultAccount, "it is in the row %x, which is not its own", key)
			default:
				rows = append(rows, row)
			}
			return true
		})
		if err != nil {
			a.fault(0, uuid.UUID{}, FaultAccount, "%v", err)
		}
		copy(last[:], key)
		for _, row := range rows {
			if err := a.checkAccountRow(ctx, row); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && last != lastAccount && last != (uuid.UUID{}) {
		a.fault(0, uuid.UUID{}, FaultAccount, "the last row of accounts is missing, they end with row %s", last)
	}
	if err != nil {
		return err
	}
	for slot, atFold := range a.atFold {
		if atFold != 0 && !a.rows[slot] {
			a.fault(atFold, a.accounts.at(uint32(slot)).id, FaultAccount, "its row is missing")
		}
	}
	return nil
}

func (a *auditor) checkAccountRow(ctx context.Context, row *account) error {
	slot, ok := a.accounts.find(&row.id)
	if !ok {
		// Opened since, or it is there for no reason.
		a.waiting[row.id] = append(a.waiting[row.id], row)
		return nil
	}
	acct := &a.work
	a.accounts.account(slot, acct)
	a.rows[slot] = true
	switch atFold := a.atFold[slot]; {
	case row.asOf < atFold:
		a.fault(atFold, row.id, FaultAccount, "its row is as of record %d, all up to record %d are said to be folded", row.asOf, a.folded)
	case row.asOf < acct.asOf:
		return a.checkOldRow(ctx, row)
	default:
		a.compareOrWait(row, acct)
	}
	return nil
}

// checkOldRow checks a row that the model has left behind against the records
// that it names.
func (a *auditor) checkOldRow(ctx context.Context, row *account) error {
	err := a.l.log.View(ctx, func(lr LogReader) error {
		r := reader{log: lr, id: row.id}
		ordinal, roots := row.count, row.roots()
		for i := len(roots) - 1; i >= 0; i-- {
			l, err := r.step(roots[i], ordinal)
			if err != nil {
				return err
			}
			if funds := transactionOf(&r.rec, row.id).FundsAfter; i == len(roots)-1 && funds != row.funds {
				return fmt.Errorf("%w: its row has funds %d, record %d says %d", ErrCorrupt, row.funds, roots[i], funds)
			}
			if i > 0 && l.jump != roots[i-1] {
				return fmt.Errorf("%w: its row has record %d in its chain, record %d says %d", ErrCorrupt, roots[i-1], roots[i], l.jump)
			}
			ordinal -= treeSize(ordinal)
		}
		for _, ref := range row.tokens {
			if err := recordAt(lr, ref.position, &r.rec); err != nil {
				return err
			}
			if t := &r.rec.token; r.rec.kind != kindToken || t.account != row.id || t.selector != ref.selector || t.expires != ref.expires {
				return fmt.Errorf("%w: its row names record %d as its token", ErrCorrupt, ref.position)
			}
		}
		return nil
	})
	if errors.Is(err, ErrCorrupt) {
		a.fault(row.asOf, row.id, FaultAccount, "%v", err)
		return nil
	}
	return err
}

// checkTokens looks up every live token of the model.
func (a *auditor) checkTokens(ctx context.Context) error {
	n := 0
	for selector, want := range a.live {
		got, err := a.l.tokenRow(ctx, selector)
		switch {
		case errors.Is(err, ErrCorrupt):
			a.fault(want.position, uuid.UUID{}, FaultToken, "%v", err)
		case err != nil:
			return err
		case got != want && got.position != 0:
			a.doubts[selector] = got
		case got != want && want.expires > a.l.Time().UnixMicro():
			// Revoked since, or lost.
			a.missing = append(a.missing, selector)
		}
		if n++; n%auditPage == 0 {
			if err := a.progress(ctx, "tokens", uint64(n), uint64(len(a.live))); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkTokenRows makes sure that each token's row leads to its record.
func (a *auditor) checkTokenRows(ctx context.Context) error {
	var r record
	return a.scan(ctx, "tokens", TableTokens, uint64(len(a.live)), func(key, value []byte) error {
		row, err := decodeTokenRow(key, value)
		if err == nil && len(key) != 16 {
			err = badRow(TableTokens, key)
		}
		if err == nil {
			err = a.l.readRecord(ctx, row.position, &r)
		}
		switch {
		case errors.Is(err, ErrCorrupt), errors.Is(err, ErrNewerFormat):
			a.fault(row.position, uuid.UUID{}, FaultToken, "row %x: %v", key, err)
			return nil
		case err != nil:
			return err
		case r.kind != kindToken || string(key) != string(r.token.selector[:]) || row.expires != r.token.expires:
			a.fault(row.position, uuid.UUID{}, FaultToken, "row %x leads to it, which is not that token", key)
			return nil
		}
		// Revoked or dropped already, if a newer row says so in memory.
		if got, err := a.l.tokenRow(ctx, r.token.selector); err != nil {
			return err
		} else if got == row && a.live[r.token.selector] != row {
			a.doubts[r.token.selector] = row
		}
		return nil
	})
}
