package audit

import (
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/accounts"
	"github.com/capycoin/capycoin/internal/wire"
	"github.com/capycoin/capycoin/store"
)

// copyRows copies the states of accounts that [View.CopyCached] has not found, and whose
// rows can be read; the ids are in order.
func (a *auditor) copyRows(ctx context.Context, ids []uuid.UUID, states *[accounts.ReadAhead]accounts.Account, found *[accounts.ReadAhead]bool) {
	n := 0
	// What can't be read is left to whoever reads it alone.
	_ = a.folds.Scan(ctx, store.TableAccounts, ids[0][:], func(key, value []byte) bool {
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
		if i%pageLen == 0 {
			if err := a.progress(ctx, "accounts", uint64(i), uint64(len(list))); err != nil {
				return err
			}
		}
		if i%accounts.ReadAhead == 0 {
			ids = ids[:0]
			for _, slot := range list[i:min(i+accounts.ReadAhead, len(list))] {
				ids = append(ids, a.accounts.At(slot).ID)
			}
			a.warmth += a.view.CopyCached(ids, &states, &found)
			if slices.Contains(found[:len(ids)], false) {
				a.copyRows(ctx, ids, &states, &found)
			}
		}
		a.accounts.Copy(slot, want)
		got, err := &states[i%accounts.ReadAhead], error(nil)
		if !found[i%accounts.ReadAhead] {
			got, err = accounts.Read(ctx, a.folds, want.ID)
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

func (a *auditor) compareTotals() {
	got, want := &a.seen, &a.model.Totals
	if got.Time != want.Time || got.Accounts != want.Accounts || got.Transactions != want.Transactions ||
		!slices.Equal(got.Opened, want.Opened) || got.PolicyAt != want.PolicyAt || got.StipendAt != want.StipendAt || got.Paid != want.Paid {
		a.fault(want.Position, uuid.UUID{}, FaultBooks, "the ledger has %s, the journal says %s", got, want)
	}
}

// scan calls fn with the rows of a table, a page in one read.
func (a *auditor) scan(ctx context.Context, stage string, table store.Table, total uint64, fn func(key, value []byte) error) error {
	type row struct{ key, value []byte }
	page := make([]row, 0, pageLen)
	done := uint64(0)
	for from, more := []byte{}, true; more; {
		page, more = page[:0], false
		scan := a.folds.Scan
		if a.strict != nil {
			scan = a.strict.ScanStrictly
		}
		err := scan(ctx, table, from, func(key, value []byte) bool {
			if more = len(page) == pageLen; !more {
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
