package audit

import (
	"context"
	"hash/maphash"
	"math"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/accounts"
	"github.com/capycoin/capycoin/internal/wire"
	"github.com/capycoin/capycoin/store"
)

// rowMark is what an audit keeps of an account's row: as of which record it is,
// and a sum of what it says. The sum is made with a seed drawn for each audit;
// two states have the same one once in 2^64.
type rowMark struct {
	asOf uint64 // 0: there is none; rowTold: a fault of it has been told
	sum  uint64
	sent sentDays
}

const rowTold = math.MaxUint64

// readRows lists the accounts that have a row, in order of their ids, before the
// journal is replayed: so each row is compared when the model is as old as it.
func (a *auditor) readRows(ctx context.Context) error {
	last := uuid.UUID{}
	err := a.scan(ctx, "rows", store.TableAccounts, uint64(a.seen.Accounts/8), func(key, value []byte) error {
		err := accounts.InRow(key, value, func(id uuid.UUID, entry, encoded []byte) bool {
			row, err := accounts.Decode(id, encoded)
			mark := rowMark{asOf: rowTold}
			switch {
			case wire.CompareIDs(&last, &id) >= 0:
				a.fault(0, id, FaultAccount, "it is in the row %x, which is not its own", key)
				return true
			case err != nil:
				a.fault(0, id, FaultAccount, "%v", err)
			default:
				mark = rowMark{asOf: row.AsOf, sum: maphash.Bytes(a.seed, entry)}
			}
			a.list(&accounts.Account{State: accounts.State{ID: id}}, mark)
			return true
		})
		if err != nil {
			a.fault(0, uuid.UUID{}, FaultAccount, "%v", err)
		}
		copy(last[:], key)
		return nil
	})
	if err == nil && last != accounts.LastKey && last != (uuid.UUID{}) {
		a.fault(0, uuid.UUID{}, FaultAccount, "the last row of accounts is missing, they end with row %s", last)
	}
	a.checked = make([]bool, len(a.rows))
	return err
}

// warmRows is [accounts.Cache.WarmAll] for what is known of rows.
func (a *auditor) warmRows(hints [][2]uint32) (sum uint64) {
	for _, pair := range hints {
		for _, slot := range pair {
			if slot != accounts.NoSlot {
				sum += a.rows[slot].asOf
			}
		}
	}
	return sum
}

// passRow is told that a record changed an account of the model. A row may be
// ahead of the fold position, not behind it.
func (a *auditor) passRow(ctx context.Context, slot uint32, position uint64) {
	row := &a.rows[slot]
	switch {
	case position == row.asOf:
		a.checked[slot] = true
		a.checkRow(ctx, slot, row.sum)
	case position <= a.folded && position > row.asOf:
		if id := a.accounts.At(slot).ID; row.asOf == 0 {
			a.fault(position, id, FaultAccount, "its row is missing")
		} else {
			a.fault(position, id, FaultAccount, "its row is as of record %d, all up to record %d are said to be folded", row.asOf, a.folded)
		}
		row.asOf = rowTold
	}
}

// checkRow compares an account of the model with its row, which was as of the
// same record.
func (a *auditor) checkRow(ctx context.Context, slot uint32, sum uint64) {
	a.entry = a.accounts.AppendAccount(a.entry[:0], slot)
	if maphash.Bytes(a.seed, a.entry) == sum {
		return
	}
	want := &a.work
	a.accounts.Copy(slot, want)
	told := a.report.FaultCount
	// What it is about is still in the row, if that was not written anew.
	if got, err := accounts.Read(ctx, a.folds, want.ID); err == nil && got != nil && got.AsOf == want.AsOf {
		a.compare(got, want)
	}
	if a.report.FaultCount == told {
		a.fault(want.AsOf, want.ID, FaultAccount, "its row was not as the journal makes it")
	}
}

// settleRows is about rows as of a record that has not come.
func (a *auditor) settleRows() {
	for slot, checked := range a.checked {
		if row := &a.rows[slot]; !checked && row.asOf != rowTold {
			a.fault(0, a.accounts.At(uint32(slot)).ID, FaultAccount, "its row is as of record %d, where the journal has none of it", row.asOf)
		}
	}
}
