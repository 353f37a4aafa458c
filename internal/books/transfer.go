package books

import (
	"context"
	"fmt"
	"math"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/accounts"
	"github.com/capycoin/capycoin/internal/journal"
	"github.com/capycoin/capycoin/internal/keyindex"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/internal/sign"
	"github.com/capycoin/capycoin/store"
)

// Order asks to move coins. It is a copy of what its caller asked for: what was verified
// is what is judged.
type Order struct {
	Sender, Receiver uuid.UUID
	Amount           int64
	MaxFee           int64
	Key              string // idempotency key; empty: none
	Signed           int32  // where its signature is in [Transfers.Signed]; -1: it has none
	HasMax           bool   // MaxFee counts
}

// Signed is what an order has beside it when it is signed.
type Signed struct {
	NotAfter  int64 // µs since 1970
	Signature [64]byte
	Malformed error // it has not what is signed: see [CheckSignedForm]

	// The verdict, by [State.Verify].
	version uint32 // of the key that its sender had; 0: none, or nothing was verified
	good    bool   // the signature is by it
}

// Outcome is what became of an order. Refusal nil: it is in the journal, at Position.
type Outcome struct {
	Position uint64
	Time     int64
	Fee      int64 // what the sender pays beside the amount; also of one that was too high
	Funds    int64 // of the sender: afterwards, or what was not enough
	Replayed bool  // the transfer was made earlier, under the same key
	Refusal  error
}

// Size bounds the record of an order, in bytes.
func (o *Order) Size() int {
	n := record.MaxTransferLen + min(len(o.Key), record.MaxKeyLen)
	if o.Signed >= 0 {
		n += record.MaxSignedLen
	}
	return n
}

// Transfers makes transfers in their order, later ones on top of earlier ones, in one
// commit.
type Transfers struct {
	Orders   []Order
	Signed   []Signed
	Outcomes []Outcome // one for each order, which it fills in
	Bytes    int       // the sum of their sizes
	// Atomic makes all of them or none: then Refused is the index of the first that was
	// refused, or -1, and the others have no outcome.
	Atomic  bool
	Refused int

	hints [][2]uint32 // where their accounts most likely are; or empty
}

// Size implements the engine's operation.
func (t *Transfers) Size() (records, bytes int) { return len(t.Orders), t.Bytes }

// Judge implements the engine's operation.
func (t *Transfers) Judge(ctx context.Context, s *State) error {
	t.Refused = -1
	if t.Atomic {
		s.overlay.savepoint()
		defer s.overlay.release()
	}
	for i := range t.Orders {
		out := &t.Outcomes[i]
		*out = Outcome{}
		hints := [2]uint32{accounts.NoSlot, accounts.NoSlot}
		if i < len(t.hints) {
			if i%accounts.ReadAhead == 0 {
				for _, h := range t.hints[i:min(i+accounts.ReadAhead, len(t.hints))] {
					s.warmth += s.cache.Warm(h[0]) + s.cache.Warm(h[1])
				}
			}
			hints = t.hints[i]
		}
		order := &t.Orders[i]
		var signed *Signed
		if order.Signed >= 0 {
			signed = &t.Signed[order.Signed]
		}
		if err := s.judgeTransfer(ctx, order, signed, hints, out); err != nil {
			return err
		}
		if out.Refusal != nil && t.Atomic {
			s.overlay.rollback()
			t.Refused = i
			return nil
		}
	}
	return nil
}

// Recheck implements the engine's operation: another ledger may have opened an account, or
// changed a key, that a signature here is by.
func (t *Transfers) Recheck(ctx context.Context, s *State) error {
	for i := range t.Orders {
		order := &t.Orders[i]
		if order.Signed < 0 {
			continue
		}
		if err := s.verifyAgain(ctx, order, &t.Signed[order.Signed]); err != nil {
			return err
		}
	}
	return nil
}

// Hint looks for the accounts of a batch on its caller's goroutine. Among a
// million accounts that is to wait for the memory most of the time; the writer
// finds them close by then.
func (s *State) Hint(t *Transfers) {
	const atOnce = 256 // the writer may wait for the lock
	t.hints = t.hints[:0]
	for first := 0; first < len(t.Orders); first += atOnce {
		s.mu.RLock()
		if !s.cache.IsFar() {
			s.mu.RUnlock()
			return
		}
		for i := first; i < min(first+atOnce, len(t.Orders)); i++ {
			o := &t.Orders[i]
			t.hints = append(t.hints, [2]uint32{s.cache.Hint(&o.Sender), s.cache.Hint(&o.Receiver)})
		}
		s.mu.RUnlock()
	}
}

// judgeTransfer makes the checks in the order that Ledger.Transfer lists.
func (s *State) judgeTransfer(ctx context.Context, t *Order, signed *Signed, hints [2]uint32, out *Outcome) error {
	o := s.overlay
	if signed != nil && signed.Malformed != nil {
		out.Refusal = signed.Malformed
		return nil
	}
	var h keyindex.Hash
	if t.Key != "" {
		if !record.ValidKey(t.Key) {
			out.Refusal = ErrBadKey
			return nil
		}
		h = keyindex.HashOf(t.Sender, t.Key)
		used, err := s.findKey(ctx, h, t)
		if err != nil {
			return err
		}
		if used {
			s.replayKey(t, out)
			return nil
		}
	}
	from, fromSlot, isSender, err := s.find(ctx, t.Sender, hints[0])
	if err != nil {
		return err
	}
	if isSender {
		if out.Refusal = o.refuseSignature(signed, s.keyOf(from, fromSlot)); out.Refusal != nil {
			return nil
		}
	}
	switch {
	case t.Amount == 0:
		out.Refusal = ErrAmountIsZero
	case t.Amount < 0:
		out.Refusal = ErrAmountIsNegative
	case t.Sender == t.Receiver:
		out.Refusal = ErrSameAccount
	case !isSender:
		out.Refusal = ErrSenderNotFound
	case t.Sender == record.FeeAccount:
		out.Refusal = ErrFeeAccount
	}
	if out.Refusal != nil {
		return nil
	}
	to, toSlot, ok, err := s.find(ctx, t.Receiver, hints[1])
	if err != nil {
		return err
	}
	if !ok {
		out.Refusal = ErrReceiverNotFound
		return nil
	}
	fee := o.numbers.policy.fee(t, &s.genesis.Seed)
	out.Fee = fee
	if t.HasMax && fee > t.MaxFee {
		out.Refusal = ErrFeeTooHigh
		return nil
	}
	out.Funds = s.fundsOf(from, fromSlot)
	if out.Funds < Required(t.Amount, fee) {
		out.Refusal = ErrInsufficientFunds
		return nil
	}
	var pool *touched
	if fee > 0 {
		if pool, err = s.pool(ctx); err != nil {
			return err
		}
	}
	// Nothing below can be refused: now the overlay may change.
	if from == nil {
		from = o.touch(fromSlot)
	}
	if to == nil {
		to = o.touch(toSlot)
	}
	r := &s.scratch
	o.next(r, record.KindTransfer)
	r.Transfer = record.Transfer{Sender: t.Sender, Receiver: t.Receiver, Amount: t.Amount, Fee: fee, Key: t.Key}
	if signed != nil {
		r.Transfer.Signed = record.Signed{Version: signed.version, MaxFee: t.MaxFee, NotAfter: signed.NotAfter, Signature: signed.Signature}
	}
	o.move(r, from, to, pool)
	if t.Key != "" {
		used := keyindex.Entry{Hash: h, Position: r.Position}
		o.keys.Put(used)
		o.keyLog = append(o.keyLog, used)
	}
	out.Position, out.Time, out.Funds = r.Position, r.Time, r.Transfer.From.Funds
	return nil
}

// Required is what a sender needs for an amount and a fee, which may be more than there
// is of anything.
func Required(amount, fee int64) int64 { return amount + min(fee, math.MaxInt64-amount) }

// move appends a transfer's record, with its effects on its accounts; pool is nil
// if there is no fee.
func (o *overlay) move(r *record.Record, from, to, pool *touched) {
	t := &r.Transfer
	o.keep(from)
	o.keep(to)
	from.Funds -= t.Amount + t.Fee
	to.Funds += t.Amount
	t.From, t.To = from.moved(r.Position), to.moved(r.Position)
	if pool != nil {
		o.keep(pool)
		pool.Funds += t.Fee
		t.Pool = pool.moved(r.Position)
	}
	o.append(r)
	o.numbers.Transactions++
}

func (s *State) fundsOf(t *touched, slot uint32) int64 {
	if t != nil {
		return t.Funds
	}
	return s.cache.At(slot).Funds
}

func (s *State) keyOf(t *touched, slot uint32) *accounts.Key {
	if t != nil {
		return t.Key
	}
	return s.cache.Key(slot)
}

// refuseSignature says what is wrong with the signature of a transfer, nil for none, from
// an account with a key, nil for none.
func (o *overlay) refuseSignature(v *Signed, key *accounts.Key) error {
	switch {
	case key == nil && v == nil:
		return nil
	case v == nil:
		return ErrSignatureRequired
	case key == nil || !v.good || v.version != key.Version:
		return sign.ErrInvalidSignature
	case v.NotAfter < o.now:
		return ErrSignatureExpired
	case v.NotAfter > o.now+MaxSignatureLife:
		return ErrSignatureTooLong
	}
	return nil
}

// pool returns the account of the fees, to be changed. There is a policy, so it
// has to be there.
func (s *State) pool(ctx context.Context) (*touched, error) {
	t, slot, ok, err := s.find(ctx, record.FeeAccount, s.poolSlot)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fmt.Errorf("%w: there is a fee policy, and no account %s", store.ErrCorrupt, record.FeeAccount)
	}
	if t == nil {
		s.poolSlot = slot
		t = s.overlay.touch(slot)
	}
	return t, nil
}

// findKey says whether a transfer's key has been used by its sender, and if so
// leaves the record in s.scratch.
func (s *State) findKey(ctx context.Context, h keyindex.Hash, t *Order) (used bool, err error) {
	s.found = s.overlay.keys.Find(h, s.found[:0])
	inCommit := len(s.found)
	if s.found, err = s.keys.Find(ctx, h, s.found); err != nil {
		return false, err
	}
	r := &s.scratch
	for i, position := range s.found {
		if i < inCommit {
			err = record.Decode(r, position, s.overlay.record(position))
		} else {
			err = journal.Read(ctx, s.log, position, r)
		}
		if err != nil {
			return false, err
		}
		if e, ok := keyOfRecord(r); !ok || e.Hash != h {
			return false, fmt.Errorf("%w: the index of keys names record %d, which has not that key", store.ErrCorrupt, position)
		}
		if r.Transfer.Sender == t.Sender && r.Transfer.Key == t.Key {
			return true, nil
		}
	}
	return false, nil
}

// keyOfRecord returns the idempotency key of a transfer's record; ok is false of any
// other.
func keyOfRecord(r *record.Record) (e keyindex.Entry, ok bool) {
	if r.Kind != record.KindTransfer || r.Transfer.Key == "" {
		return keyindex.Entry{}, false
	}
	return keyindex.Entry{Hash: keyindex.HashOf(r.Transfer.Sender, r.Transfer.Key), Position: r.Position}, true
}

// replayKey answers a transfer whose key its sender has used.
func (s *State) replayKey(t *Order, out *Outcome) {
	r := &s.scratch
	was := &r.Transfer
	if was.Receiver != t.Receiver || was.Amount != t.Amount {
		out.Refusal = ErrKeyReused
		return
	}
	*out = Outcome{Position: r.Position, Time: r.Time, Fee: was.Fee, Funds: was.From.Funds, Replayed: true}
}

// applyTransfer brings a transfer of the journal into the committed state.
func (s *State) applyTransfer(ctx context.Context, r *record.Record, hints [2]uint32) error {
	t := &r.Transfer
	from, err := s.party(ctx, r, t.Sender, hints[0])
	if err != nil {
		return err
	}
	to, err := s.party(ctx, r, t.Receiver, hints[1])
	if err != nil {
		return err
	}
	pool := accounts.NoSlot
	if t.Fee > 0 {
		if pool, err = s.party(ctx, r, record.FeeAccount, s.poolSlot); err != nil {
			return err
		}
		s.poolSlot = pool
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.count(r); err != nil {
		return err
	}
	if err := s.follow(from, r, &t.From, -t.Amount-t.Fee); err != nil {
		return err
	}
	if err := s.follow(to, r, &t.To, t.Amount); err != nil {
		return err
	}
	if t.Fee > 0 {
		if err := s.follow(pool, r, &t.Pool, t.Fee); err != nil {
			return err
		}
	}
	if e, ok := keyOfRecord(r); ok {
		s.keys.Put(e)
	}
	return nil
}

// follow applies to an account what a transfer's record did to it.
func (s *State) follow(slot uint32, r *record.Record, p *record.Party, change int64) error {
	if s.cache.At(slot).AsOf >= r.Position {
		return nil
	}
	a := &s.work
	s.cache.Copy(slot, a)
	funds := a.Funds + change
	want := a.Push(r.Position)
	if p.Link != want || p.Funds != funds {
		return fmt.Errorf("%w: record %d leaves account %s with %v, it follows %v", store.ErrCorrupt,
			r.Position, a.ID, *p, record.Party{Link: want, Funds: funds})
	}
	a.Funds = funds
	s.cache.Set(slot, a)
	s.cache.Changed(slot)
	return nil
}

// countTransfer brings a transfer into the numbers.
func (n *numbers) countTransfer(r *record.Record) error {
	if r.Transfer.Sender == record.FeeAccount {
		if n.unpaid() == 0 || r.Transfer.Amount != n.stipend.Share {
			return fmt.Errorf("%w: record %d takes coins from the fee account, and is no payment of a stipend", store.ErrCorrupt, r.Position)
		}
		n.Paid++
	}
	n.Transactions++
	return nil
}
