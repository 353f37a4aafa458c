package audit

import (
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/internal/sign"
	"github.com/capycoin/capycoin/internal/wire"
)

func (a *auditor) transfer(r *record.Record, hints [2]uint32) (touched [3]uint32) {
	t := &r.Transfer
	from, isFrom := a.party(r, t.Sender, hints[0])
	to, isTo := a.party(r, t.Receiver, hints[1])
	a.model.Transactions++
	pool := a.fee(r)
	if isFrom {
		if t.Sender == record.FeeAccount {
			a.payment(r, to)
		} else {
			a.rows[from].sent.note(a.day)
		}
		a.signed(r, from)
		if funds := a.accounts.At(from).Funds; funds < t.Amount+t.Fee {
			a.fault(r.Position, t.Sender, FaultFunds, "it pays %d out of %d", t.Amount+t.Fee, funds)
		}
		a.moved(r, from, &t.From, -t.Amount-t.Fee)
	}
	if isTo {
		a.moved(r, to, &t.To, t.Amount)
	}
	return [3]uint32{from, to, pool}
}

// moved applies a transfer to one of its accounts. Where the record has other
// funds, the model goes on with the record's: it is one fault, not one for
// each transfer after it, and the supply tells in the end.
func (a *auditor) moved(r *record.Record, slot uint32, p *record.Party, change int64) {
	s := a.accounts.At(slot)
	if funds := s.Funds + change; p.Funds != funds {
		a.fault(r.Position, s.ID, FaultFunds, "it has %d after it, should have %d", p.Funds, funds)
	}
	s.Funds = p.Funds
	if want := a.accounts.Push(slot, r.Position); p.Link != want {
		a.fault(r.Position, s.ID, FaultChain, "it is linked by %s, should be by %s", p.Link, want)
	}
}

// maxSignatureLife is how long before its last moment a signature can be used, in
// microseconds: 24 hours.
const maxSignatureLife = 24 * 60 * 60 * 1_000_000

// signed checks what a transfer says of its sender's consent.
func (a *auditor) signed(r *record.Record, from uint32) {
	t, key := &r.Transfer, a.accounts.Key(from)
	s := &t.Signed
	switch {
	case key == nil && s.Version == 0:
		return
	case key == nil:
		a.fault(r.Position, t.Sender, FaultSignature, "it has no key, and a transfer that is said to be signed")
		return
	case s.Version != key.Version:
		a.fault(r.Position, t.Sender, FaultSignature, "the transfer is by version %d of its key (0: not signed), it has version %d", s.Version, key.Version)
		return
	case s.NotAfter < r.Time || s.NotAfter > r.Time+maxSignatureLife:
		a.fault(r.Position, t.Sender, FaultSignature, "the transfer of %s was to be made until %s, and within a day of that", wire.TimeOf(r.Time), wire.TimeOf(s.NotAfter))
	}
	c := &a.checks
	start := len(c.arena)
	c.arena = sign.AppendTransfer(c.arena, a.began.Ledger, s.Version, t.Sender, t.Receiver, t.Amount, s.MaxFee, s.NotAfter, t.Key)
	c.add(r, t.Sender, &key.Public, start, &s.Signature, "the transfer")
}
