package capycoin

import (
	"crypto/ed25519"
	"crypto/sha256"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/accounts"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/internal/sign"
	"github.com/capycoin/capycoin/internal/wire"
)

// What an audit makes sure of beside the sums: that coins were moved by those who
// may, for the fee that was in force, and the stipend paid to those who were active.

// signatureCheck is a signature that is to be verified.
type signatureCheck struct {
	position  uint64
	account   uuid.UUID
	key       [ed25519.PublicKeySize]byte
	message   [2]int // where it is in the arena
	signature [ed25519.SignatureSize]byte
	what      string
	bad       bool
}

// signatureChecks are those of a page of the journal, which are made at once, on all
// processors.
type signatureChecks struct {
	list  []signatureCheck
	arena []byte
}

// add notes a signature, of the part of the arena from a byte on.
func (c *signatureChecks) add(r *record.Record, account uuid.UUID, key *[ed25519.PublicKeySize]byte, from int, signature *[ed25519.SignatureSize]byte, what string) {
	c.list = append(c.list, signatureCheck{
		position: r.Position, account: account, key: *key, message: [2]int{from, len(c.arena)}, signature: *signature, what: what,
	})
}

// checkSignatures verifies what was noted.
func (a *auditor) checkSignatures() {
	c := &a.checks
	if len(c.list) == 0 {
		return
	}
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(c.list)) {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(c.list); i = int(next.Add(1)) - 1 {
				s := &c.list[i]
				s.bad = !ed25519.Verify(s.key[:], c.arena[s.message[0]:s.message[1]], s.signature[:])
			}
		})
	}
	workers.Wait()
	for i := range c.list {
		if s := &c.list[i]; s.bad {
			a.fault(s.position, s.account, FaultSignature, "%s is not signed by its key", s.what)
		}
	}
	a.report.Signatures += int64(len(c.list))
	c.list, c.arena = c.list[:0], c.arena[:0]
}

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
	case s.NotAfter < r.Time || s.NotAfter > r.Time+MaxSignatureLife.Microseconds():
		a.fault(r.Position, t.Sender, FaultSignature, "the transfer of %s was to be made until %s, and within a day of that", wire.TimeOf(r.Time), wire.TimeOf(s.NotAfter))
	}
	c := &a.checks
	start := len(c.arena)
	c.arena = sign.AppendTransfer(c.arena, a.l.genesis.Ledger, s.Version, t.Sender, t.Receiver, int64(t.Amount), int64(s.MaxFee), s.NotAfter, t.Key)
	c.add(r, t.Sender, &key.Public, start, &s.Signature, "the transfer")
}

// key applies a change of a key.
func (a *auditor) key(r *record.Record) (slot uint32) {
	k := r.Body.(*record.KeyChange)
	acct, slot, ok := a.partyState(r, k.Account)
	if !ok {
		return slot
	}
	switch old := acct.Key; {
	case old == nil:
		a.fault(r.Position, k.Account, FaultSignature, "its key is changed, and it has none")
	case old.Version != k.Ends:
		a.fault(r.Position, k.Account, FaultSignature, "version %d of its key is changed, it has version %d", k.Ends, old.Version)
	default:
		c := &a.checks
		start := len(c.arena)
		c.arena = sign.AppendKeyChange(c.arena, a.l.genesis.Ledger, k.Account, k.Ends, k.Key)
		c.add(r, k.Account, &old.Public, start, &k.Old, "the change of its key, by the old one,")
		c.add(r, k.Account, &k.Key, start, &k.New, "the change of its key, by the new one,")
	}
	a.checkKey(r, k.Account, &k.Key)
	acct.ChangeKey(k.Ends, k.Key, r.Position)
	a.accounts.Set(slot, acct)
	return slot
}

// checkKey makes sure that a key is one.
func (a *auditor) checkKey(r *record.Record, account uuid.UUID, key *[ed25519.PublicKeySize]byte) {
	if *key == record.NoKey {
		return
	}
	if err := sign.CheckKey(*key); err != nil {
		a.fault(r.Position, account, FaultSignature, "its key: %v", err)
	}
}

// begins notes the days that records are of.
func (a *auditor) begins(r *record.Record) {
	if day := record.DayOf(r.Time); day > a.day {
		a.day, a.before = day, r.Position-1
	}
}

// feePolicy applies a policy.
func (a *auditor) feePolicy(r *record.Record) {
	p := r.Body.(*record.FeePolicy)
	if err := p.Check(a.l.genesis.Supply); err != nil {
		a.fault(r.Position, uuid.UUID{}, FaultFee, "%v", err)
	}
	for _, id := range p.Exempt {
		if id == a.l.genesis.Seed || id == record.FeeAccount {
			a.fault(r.Position, id, FaultFee, "it is listed as exempt, which it always is")
		}
		a.party(r, id, accounts.NoSlot)
	}
	if a.books.policy == nil && a.poolAt != r.Position-1 {
		a.fault(r.Position, record.FeeAccount, FaultFee, "it is not opened right before the first fee policy")
	}
	a.books.setPolicy(r)
}

// fee checks the fee of a transfer and applies it to the account of the fees.
func (a *auditor) fee(r *record.Record) (slot uint32) {
	t := &r.Transfer
	want := a.books.policy.fee(&t.Sender, &t.Receiver, t.Amount, &a.l.genesis.Seed)
	if t.Fee != want {
		a.fault(r.Position, t.Sender, FaultFee, "it pays a fee of %d, by the policy in force it is %d", t.Fee, want)
	}
	if t.Fee == 0 {
		return accounts.NoSlot
	}
	slot, ok := a.party(r, record.FeeAccount, a.poolSlot)
	if ok {
		a.poolSlot = slot
		a.report.Fees += Coins(t.Fee)
		a.moved(r, slot, &t.Pool, t.Fee)
	}
	return slot
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
func (a *auditor) stipend(r *record.Record) {
	s, b := r.Body.(*record.Stipend), &a.books
	bad := func(format string, args ...any) {
		a.fault(r.Position, uuid.UUID{}, FaultStipend, format, args...)
	}
	if b.unpaid() > 0 {
		bad("it begins before %d of the stipend of record %d are paid", b.unpaid(), b.stipend.position)
	}
	if b.stipend != nil && b.stipend.Day >= s.Day {
		bad("the stipend of %s was begun by record %d", dayStart(s.Day).Format("2006-01-02"), b.stipend.position)
	}
	if s.Before != a.before {
		bad("it is as of record %d, the last one before its day is %d", s.Before, a.before)
	}
	if s.Rules.Cap > a.l.genesis.Supply {
		bad("its cap is %d, the supply is %d", s.Rules.Cap, a.l.genesis.Supply)
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
			acct.ID != a.l.genesis.Seed {
			payees = append(payees, slot)
			h.Write(acct.ID[:])
		}
	}
	a.payees = payees
	if int64(len(payees)) != s.Payees || [sha256.Size]byte(h.Sum(nil)) != s.Hash {
		bad("it is for %d accounts, by the journal it is for %d others", s.Payees, len(payees))
	}
	b.setStipend(r)
	a.report.Stipends++
}

// payment makes sure that a transfer from the account of the fees is the next one of
// the stipend.
func (a *auditor) payment(r *record.Record, to uint32) {
	b := &a.books
	switch {
	case b.unpaid() == 0:
		a.fault(r.Position, record.FeeAccount, FaultStipend, "it pays though no stipend is due")
		return
	case b.Paid >= int64(len(a.payees)) || a.payees[b.Paid] != to || r.Transfer.Amount != b.stipend.Share || r.Transfer.Key != "":
		a.fault(r.Position, record.FeeAccount, FaultStipend, "it pays %d to account %s, which is not payment %d of the stipend of record %d",
			r.Transfer.Amount, r.Transfer.Receiver, b.Paid+1, b.stipend.position)
	}
	b.Paid++
}
