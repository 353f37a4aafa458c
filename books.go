package capycoin

import (
	"context"
	"fmt"

	"github.com/capycoin/capycoin/internal/accounts"
	"github.com/capycoin/capycoin/internal/journal"
	"github.com/capycoin/capycoin/internal/keyindex"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/store"
)

// books are the numbers about the whole ledger, and the rules in force.
type books struct {
	accounts.Totals
	policy  *feePolicyAt // in force; nil: there never was one
	stipend *stipendAt   // the last one; nil: there was none
}

// setPolicy puts the policy of a record in force.
func (b *books) setPolicy(r *record.Record) {
	b.policy, b.PolicyAt = feePolicyOf(r), r.Position
}

// setStipend makes the stipend of a record the last one.
func (b *books) setStipend(r *record.Record) {
	b.stipend, b.StipendAt, b.Paid = stipendOf(r), r.Position, 0
}

// leadsTo says whether a row is that of a record.
func leadsTo(t accounts.TokenRow, key []byte, r *record.Record) bool {
	switch b := r.Body.(type) {
	case *record.Token:
		return !t.Invite && string(key) == string(b.Selector[:]) && t.Expires == b.Expires
	case *record.Invite:
		selector := b.Selector()
		return t.Invite && string(key) == string(selector[:]) && t.Expires == b.Expires
	}
	return false
}

// readRules reads the records that the state row names.
func (l *Ledger) readRules(ctx context.Context) error {
	b, r := &l.books, &l.scratch
	if b.PolicyAt == 0 {
		return nil
	}
	if err := journal.Read(ctx, l.log, b.PolicyAt, r); err != nil {
		return err
	}
	if r.Kind != record.KindFeePolicy {
		return fmt.Errorf("%w: the rows name record %d, which is no fee policy", store.ErrCorrupt, r.Position)
	}
	b.setPolicy(r)
	if b.StipendAt == 0 {
		return nil
	}
	if err := journal.Read(ctx, l.log, b.StipendAt, r); err != nil {
		return err
	}
	if r.Kind != record.KindStipend || b.Paid > r.Body.(*record.Stipend).Payees {
		return fmt.Errorf("%w: the rows name record %d with %d payments, which is no such stipend", store.ErrCorrupt, r.Position, b.Paid)
	}
	b.stipend = stipendOf(r)
	return nil
}

// keyEntryOf returns that of a transfer with a key; ok is false of any other record.
func keyEntryOf(r *record.Record) (e keyindex.Entry, ok bool) {
	if r.Kind != record.KindTransfer || r.Transfer.Key == "" {
		return keyindex.Entry{}, false
	}
	return keyindex.Entry{Hash: keyindex.HashOf(r.Transfer.Sender, r.Transfer.Key), Position: r.Position}, true
}
