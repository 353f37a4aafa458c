package audit

import (
	"crypto/sha256"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/accounts"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/internal/wire"
)

// begins notes the days that records are of.
func (a *auditor) begins(r *record.Record) {
	if day := record.DayOf(r.Time); day > a.day {
		a.day, a.before = day, r.Position-1
	}
}

// sentDays is when an account sent a transaction: the last day, with 1970-01-01 as
// day 1, and the last one before that. Zero: never.
type sentDays struct{ last, before int32 }

func (s *sentDays) note(day int64) {
	if d := int32(day + 1); d > s.last {
		s.last, s.before = d, s.last
	}
}

// within says whether there was one in so many days before a day.
func (s *sentDays) within(day int64, window int) bool {
	last := int64(s.last)
	if last > day {
		last = int64(s.before)
	}
	return last > 0 && last > day-int64(window)
}

// stipend makes sure that a stipend is for those who were active.
func (a *auditor) stipend(r *record.Record) (slot uint32) {
	s, b := r.Body.(*record.Stipend), &a.model
	bad := func(format string, args ...any) {
		a.fault(r.Position, uuid.UUID{}, FaultStipend, format, args...)
	}
	if b.unpaid() > 0 {
		bad("it begins before %d of the stipend of record %d are paid", b.unpaid(), b.StipendAt)
	}
	if b.stipend != nil && b.stipend.Day >= s.Day {
		bad("the stipend of %s was begun by record %d", wire.TimeOf(s.Day*record.MicrosPerDay).Format("2006-01-02"), b.StipendAt)
	}
	if s.Before != a.before {
		bad("it is as of record %d, the last one before its day is %d", s.Before, a.before)
	}
	if s.Rules.Cap > a.began.Supply {
		bad("its cap is %d, the supply is %d", s.Rules.Cap, a.began.Supply)
	}
	if pool, ok := a.accounts.Find(&record.FeeAccount); !ok || a.accounts.At(pool).Funds != s.Funds {
		bad("it is of %d coins, which is not what the fee account has", s.Funds)
	}
	begin := s.Day * record.MicrosPerDay
	h := record.NewPayeeHash()
	payees := a.payees[:0]
	for _, slot := range a.opened {
		acct := a.accounts.At(slot)
		if acct.Created <= begin-int64(s.Rules.MinAge)*record.MicrosPerDay && a.rows[slot].sent.within(s.Day, s.Rules.Window) &&
			acct.ID != a.began.Seed {
			payees = append(payees, slot)
			h.Write(acct.ID[:])
		}
	}
	a.payees = payees
	if int64(len(payees)) != s.Payees || [sha256.Size]byte(h.Sum(nil)) != s.Hash {
		bad("it is for %d accounts, by the journal it is for %d others", s.Payees, len(payees))
	}
	if share := shareOf(s); s.Share != share {
		bad("each gets %d, by its rules it is %d", s.Share, share)
	}
	last := *s
	b.stipend, b.StipendAt, b.Paid = &last, r.Position, 0
	a.report.Stipends++
	return accounts.NoSlot
}

// payment makes sure that a transfer from the account of the fees is the next one of
// the stipend.
func (a *auditor) payment(r *record.Record, to uint32) {
	b := &a.model
	switch {
	case b.unpaid() == 0:
		a.fault(r.Position, record.FeeAccount, FaultStipend, "it pays though no stipend is due")
		return
	case b.Paid >= int64(len(a.payees)) || a.payees[b.Paid] != to || r.Transfer.Amount != b.stipend.Share || r.Transfer.Key != "":
		a.fault(r.Position, record.FeeAccount, FaultStipend, "it pays %d to account %s, which is not payment %d of the stipend of record %d",
			r.Transfer.Amount, r.Transfer.Receiver, b.Paid+1, b.StipendAt)
	}
	b.Paid++
}

// shareOf is what each payee of a stipend gets: as many whole coins as there are for all,
// but no more than the cap.
func shareOf(s *record.Stipend) int64 {
	switch {
	case s.Payees == 0:
		return 0
	case s.Rules.Cap > 0 && s.Rules.Cap <= s.Funds/s.Payees:
		return s.Rules.Cap
	}
	return s.Funds / s.Payees
}
