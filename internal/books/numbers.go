package books

import (
	"context"
	"fmt"

	"github.com/capycoin/capycoin/internal/accounts"
	"github.com/capycoin/capycoin/internal/journal"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/store"
)

// numbers are those about the whole ledger, and the rules in force.
type numbers struct {
	accounts.Totals
	policy  *policyAt  // in force; nil: there never was one
	stipend *stipendAt // the last one; nil: there was none
}

// policyAt is a fee policy and where it was set.
type policyAt struct {
	time int64
	record.FeePolicy
}

// stipendAt is the record of a stipend and where it is.
type stipendAt struct {
	position uint64
	record.Stipend
}

// setPolicy puts the policy of a record in force.
func (n *numbers) setPolicy(r *record.Record) {
	n.policy, n.PolicyAt = &policyAt{r.Time, *r.Body.(*record.FeePolicy)}, r.Position
}

// setStipend makes the stipend of a record the last one.
func (n *numbers) setStipend(r *record.Record) {
	n.stipend, n.StipendAt, n.Paid = &stipendAt{r.Position, *r.Body.(*record.Stipend)}, r.Position, 0
}

// unpaid is how many payments of the last stipend have not been made.
func (n *numbers) unpaid() int64 {
	if n.stipend == nil {
		return 0
	}
	return n.stipend.Payees - n.Paid
}

// readRules reads the records that the state row names.
func (s *State) readRules(ctx context.Context) error {
	n, r := &s.numbers, &s.scratch
	if n.PolicyAt == 0 {
		return nil
	}
	if err := journal.Read(ctx, s.log, n.PolicyAt, r); err != nil {
		return err
	}
	if r.Kind != record.KindFeePolicy {
		return fmt.Errorf("%w: the rows name record %d, which is no fee policy", store.ErrCorrupt, r.Position)
	}
	n.setPolicy(r)
	if n.StipendAt == 0 {
		return nil
	}
	if err := journal.Read(ctx, s.log, n.StipendAt, r); err != nil {
		return err
	}
	if r.Kind != record.KindStipend || n.Paid > r.Body.(*record.Stipend).Payees {
		return fmt.Errorf("%w: the rows name record %d with %d payments, which is no such stipend", store.ErrCorrupt, r.Position, n.Paid)
	}
	n.stipend = &stipendAt{r.Position, *r.Body.(*record.Stipend)}
	return nil
}
