package audit

import (
	"github.com/capycoin/capycoin/internal/accounts"
	"github.com/capycoin/capycoin/internal/record"
)

// maxTokens is how many live tokens an account can have.
const maxTokens = 10

func (a *auditor) token(r *record.Record) (slot uint32) {
	t := r.Body.(*record.Token)
	acct, slot, ok := a.partyState(r, t.Account)
	if !ok {
		return slot
	}
	for _, ref := range acct.Issue(accounts.TokenRef{Position: t.Position, Expires: t.Expires, Selector: t.Selector}, t.Time) {
		delete(a.live, ref.Selector)
	}
	a.accounts.Set(slot, acct)
	switch {
	case t.Account == a.began.Seed:
		a.fault(r.Position, t.Account, FaultToken, "the seed account is given a token")
	case t.Account == record.FeeAccount:
		a.fault(r.Position, t.Account, FaultToken, "the fee account is given a token")
	case len(acct.Tokens) > maxTokens:
		a.fault(r.Position, t.Account, FaultToken, "it has %d live tokens", len(acct.Tokens))
	}
	if was, ok := a.live[t.Selector]; ok && was.Expires > r.Time {
		a.fault(r.Position, t.Account, FaultToken, "its selector is that of record %d", was.Position)
	}
	a.live[t.Selector] = accounts.TokenRow{Position: t.Position, Expires: t.Expires}
	return slot
}
