package capycoin

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/record"
)

// TestStipendClockBack plans a stipend in the first moment of a day. Then the clock is
// set back and a record gets in before the day, or is set to another day: the writer
// does not begin what was planned.
func TestStipendClockBack(t *testing.T) {
	ctx := context.Background()
	midnight := time.Date(2026, 3, 9, 0, 0, 0, 0, time.UTC)
	now := midnight.Add(-48 * time.Hour)
	led, err := Open(filepath.Join(t.TempDir(), "coins.db"), &Options{Clock: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer led.Close()
	var ids [2]uuid.UUID
	err = led.SetFeePolicy(ctx, FeePolicy{Flat: 1})
	for i := range ids {
		acct, openErr := led.OpenAccount(ctx)
		ids[i] = acct.ID
		_, payErr := led.Transfer(ctx, Transfer{Sender: DefaultSeedAccount(), Receiver: acct.ID, Amount: 50})
		err = errors.Join(err, openErr, payErr)
	}
	pay := func(i int, at time.Time) {
		t.Helper()
		now = at
		if _, err := led.Transfer(ctx, Transfer{Sender: ids[i], Receiver: ids[1-i], Amount: 1}); err != nil {
			t.Fatal(err)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	pay(0, midnight.Add(-time.Hour))
	begin := func(planned Stipend, payees []uuid.UUID) *stipendOp {
		t.Helper()
		s := &stipendOp{record: record.Stipend{
			Day: record.DayOf(planned.Day.UnixMicro()), Before: planned.Before, Rules: planned.Rules.terms(), Payees: planned.Payees, Hash: record.HashPayees(payees),
		}}
		o := &op{kind: opStipend, stipend: s, records: 1, bytes: record.MaxOtherLen, done: make(chan struct{}, 1)}
		if _, err := led.submit(ctx, o); err != nil {
			t.Fatal(err)
		}
		return s
	}
	now = midnight
	rules, _ := StipendRules{}.withDefaults(Coins(led.genesis.Supply))
	planned, payees, err := led.planStipend(ctx, record.DayOf(now.UnixMicro()), rules)
	if err != nil || len(payees) != 1 {
		t.Fatalf("planned are %v, %v", payees, err)
	}
	now = midnight.Add(24 * time.Hour)
	if s := begin(planned, payees); s.begun || !s.moved {
		t.Errorf("a day later: %+v", s)
	}
	now = midnight.Add(-time.Second)
	if s := begin(planned, payees); s.begun || !s.moved {
		t.Errorf("a second before the day: %+v", s)
	}
	pay(1, midnight.Add(-time.Second))
	now = midnight
	if s := begin(planned, payees); s.begun || !s.moved {
		t.Errorf("with another record before the day: %+v", s)
	}
	s, err := led.PayStipend(ctx, StipendRules{})
	if err != nil || s.Payees != 2 || !s.Done() {
		t.Errorf("paid is %+v, %v", s, err)
	}
	if s := begin(planned, payees); s.begun || s.moved || s.last == 0 {
		t.Errorf("once it was begun: %+v", s)
	}
	rep, err := led.Audit(ctx, nil)
	if err := errors.Join(err, rep.Err()); err != nil {
		t.Error(err)
	}
}
