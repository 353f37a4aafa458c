package capycoin

import (
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/accounts"
	"github.com/capycoin/capycoin/internal/journal"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/internal/wire"
	"github.com/capycoin/capycoin/store"
)

// copyCached copies the committed states of accounts that are in memory, and
// says of which.
func (l *Ledger) copyCached(ids []uuid.UUID, states *[accounts.ReadAhead]accounts.Account, found *[accounts.ReadAhead]bool) (warmth uint64) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	var hints [accounts.ReadAhead]uint32
	for i := range ids {
		hints[i] = l.cache.Hint(&ids[i])
	}
	for _, hint := range hints[:len(ids)] {
		warmth += l.cache.Warm(hint)
	}
	for i := range ids {
		slot, ok := l.cache.Look(&ids[i])
		if found[i] = ok; ok {
			l.cache.Copy(slot, &states[i])
		}
	}
	return warmth
}

// copyRows is that for those that are not, and whose rows can be read; the ids
// are in order.
func (l *Ledger) copyRows(ctx context.Context, ids []uuid.UUID, states *[accounts.ReadAhead]accounts.Account, found *[accounts.ReadAhead]bool) {
	n := 0
	// What can't be read is left to whoever reads it alone.
	_ = l.folds.Scan(ctx, store.TableAccounts, ids[0][:], func(key, value []byte) bool {
		err := accounts.InRow(key, value, func(id uuid.UUID, _, encoded []byte) bool {
			for n < len(ids) && wire.CompareIDs(&ids[n], &id) < 0 {
				n++
			}
			if n < len(ids) && ids[n] == id && !found[n] {
				if row, err := accounts.Decode(id, encoded); err == nil {
					states[n], found[n] = *row, true
				}
			}
			return n < len(ids)
		})
		return err == nil && n < len(ids) && string(key) < string(ids[len(ids)-1][:])
	})
}

// checkAccounts compares every account of the model with what the ledger
// answers for it.
func (a *auditor) checkAccounts(ctx context.Context) error {
	list := make([]uint32, 0, len(a.rows))
	for i := range uint32(len(a.rows)) {
		if a.accounts.At(i).AsOf != 0 { // or else it has only a row
			list = append(list, i)
		}
	}
	a.accounts.SortByID(list)
	var states [accounts.ReadAhead]accounts.Account
	var found [accounts.ReadAhead]bool
	ids := make([]uuid.UUID, 0, accounts.ReadAhead)
	want := &a.work
	for i, slot := range list {
		if i%auditPage == 0 {
			if err := a.progress(ctx, "accounts", uint64(i), uint64(len(list))); err != nil {
				return err
			}
		}
		if i%accounts.ReadAhead == 0 {
			ids = ids[:0]
			for _, slot := range list[i:min(i+accounts.ReadAhead, len(list))] {
				ids = append(ids, a.accounts.At(slot).ID)
			}
			a.warmth += a.l.copyCached(ids, &states, &found)
			if slices.Contains(found[:len(ids)], false) {
				a.l.copyRows(ctx, ids, &states, &found)
			}
		}
		a.accounts.Copy(slot, want)
		got, err := &states[i%accounts.ReadAhead], error(nil)
		if !found[i%accounts.ReadAhead] {
			got, err = accounts.Read(ctx, a.l.folds, want.ID)
		}
		switch {
		case errors.Is(err, store.ErrCorrupt):
			a.fault(0, want.ID, FaultAccount, "%v", err)
		case err != nil:
			return err
		case got == nil:
			a.fault(want.AsOf, want.ID, FaultAccount, "the ledger does not know it")
		case got.AsOf < want.AsOf:
			a.fault(want.AsOf, want.ID, FaultAccount, "the ledger has it as of record %d", got.AsOf)
		case got.AsOf == want.AsOf:
			a.compare(got, want)
		default:
			later := &accounts.Account{State: got.State, Long: slices.Clone(got.Long), Tokens: got.Tokens, Key: got.Key}
			a.waiting[got.ID] = append(a.waiting[got.ID], later)
		}
	}
	return a.progress(ctx, "accounts", uint64(len(list)), uint64(len(list)))
}

// compare reports the first difference between two states of an account as of
// one record.
func (a *auditor) compare(got, want *accounts.Account) {
	diff := func(what string, g, w any) {
		a.fault(want.AsOf, want.ID, FaultAccount, "its %s: the ledger has %v, by the journal it is %v", what, g, w)
	}
	switch {
	case got.Funds != want.Funds:
		diff("funds", got.Funds, want.Funds)
	case got.Count != want.Count:
		diff("number of transactions", got.Count, want.Count)
	case got.Created != want.Created:
		diff("time of opening", wire.TimeOf(got.Created), wire.TimeOf(want.Created))
	case !slices.Equal(got.PackedRoots(), want.PackedRoots()):
		diff("chain", got.Roots(), want.Roots())
	case (got.Key == nil) != (want.Key == nil) || got.Key != nil && *got.Key != *want.Key:
		diff("public key", got.Key, want.Key)
	case !slices.Equal(got.Tokens, want.Tokens):
		diff("tokens", got.Tokens, want.Tokens)
	}
}

// scan calls fn with the rows of a table, a page in one read.
func (a *auditor) scan(ctx context.Context, stage string, table store.Table, total uint64, fn func(key, value []byte) error) error {
	type row struct{ key, value []byte }
	page := make([]row, 0, auditPage)
	done := uint64(0)
	for from, more := []byte{}, true; more; {
		page, more = page[:0], false
		scan := a.l.folds.Scan
		if s := a.l.bolt; s != nil {
			scan = s.ScanStrictly
		}
		err := scan(ctx, table, from, func(key, value []byte) bool {
			if more = len(page) == auditPage; !more {
				page = append(page, row{slices.Clone(key), slices.Clone(value)})
			}
			return !more
		})
		if errors.Is(err, store.ErrCorrupt) {
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
		if done += uint64(len(page)); !more {
			total = done
		}
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

// checkTokens looks up every live token and invite of the model.
func (a *auditor) checkTokens(ctx context.Context) error {
	n := 0
	for selector, want := range a.live {
		got, err := a.l.tokenRow(ctx, selector)
		switch {
		case errors.Is(err, store.ErrCorrupt):
			a.fault(want.Position, uuid.UUID{}, faultKind(want), "%v", err)
		case err != nil:
			return err
		case got != want && got.Position != 0:
			a.doubts[selector] = got
		case got != want && want.Expires > a.l.Time().UnixMicro():
			// Ended since, or lost.
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

// checkTokenRows makes sure that each row of a token or an invite leads to its
// record.
func (a *auditor) checkTokenRows(ctx context.Context) error {
	var r record.Record
	return a.scan(ctx, "tokens", store.TableTokens, uint64(len(a.live)), func(key, value []byte) error {
		row, err := accounts.DecodeToken(key, value)
		if err == nil && len(key) != 16 {
			err = wire.BadRow(store.TableTokens, key)
		}
		if err == nil {
			err = journal.Read(ctx, a.l.log, row.Position, &r)
		}
		switch {
		case errors.Is(err, store.ErrCorrupt), errors.Is(err, store.ErrNewerFormat):
			a.fault(row.Position, uuid.UUID{}, faultKind(row), "row %x: %v", key, err)
			return nil
		case err != nil:
			return err
		case !leadsTo(row, key, &r):
			a.fault(row.Position, uuid.UUID{}, faultKind(row), "row %x leads to it, which is not that %[2]s", key, faultKind(row))
			return nil
		}
		// Ended or dropped already, if a newer row says so in memory.
		selector := [record.SelectorLen]byte(key)
		if got, err := a.l.tokenRow(ctx, selector); err != nil {
			return err
		} else if got == row && a.live[selector] != row {
			a.doubts[selector] = row
		}
		return nil
	})
}
