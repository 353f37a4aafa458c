package audit

import (
	"github.com/capycoin/capycoin/internal/accounts"
	"github.com/capycoin/capycoin/internal/chain"
	"github.com/capycoin/capycoin/internal/record"
)

func (a *auditor) account(r *record.Record) (slot uint32) {
	o := r.Body.(*record.Account)
	acct := accounts.Account{State: accounts.State{ID: o.ID, Created: r.Time}, Key: accounts.FirstKey(o.Key)}
	return a.open(r, &acct, o.Link)
}

// open opens an account with a link in the order of opening.
func (a *auditor) open(r *record.Record, acct *accounts.Account, l chain.Link) (slot uint32) {
	b := &a.model
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
