package capycoin

import (
	"context"
	"fmt"
	"math"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/accounts"
	"github.com/capycoin/capycoin/internal/chain"
	"github.com/capycoin/capycoin/internal/journal"
	"github.com/capycoin/capycoin/internal/keyindex"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/internal/sign"
	"github.com/capycoin/capycoin/internal/wire"
	"github.com/capycoin/capycoin/store"
)

// accountState is what an opAccount asks for and gets.
type accountState struct {
	id uuid.UUID
	Account
}

// revocation is what an opRevoke asks for.
type revocation struct{ account, token uuid.UUID }

// judge decides an operation on the overlay: its records and effects go there,
// its answer into o. An error says that the state could not be read.
func (l *Ledger) judge(ctx context.Context, o *op) error {
	o.err = nil
	switch o.kind {
	case opAccount:
		return l.judgeAccount(ctx, o)
	case opToken:
		return l.judgeToken(ctx, o)
	case opRevoke:
		return l.judgeRevoke(ctx, o)
	case opInvite:
		return l.judgeInvite(ctx, o)
	case opRevokeInvite:
		return l.judgeRevokeInvite(ctx, o)
	case opKey:
		return l.judgeKey(ctx, o)
	case opFeePolicy:
		return l.judgeFeePolicy(ctx, o)
	case opStipend:
		return l.judgeStipend(ctx, o)
	case opPayees:
		return l.judgePayees(ctx, o)
	}
	if o.mode == Atomic {
		l.overlay.savepoint()
		defer l.overlay.release()
	}
	for i := range o.transfers {
		res := &o.results[i]
		*res = Result{}
		hints := [2]uint32{accounts.NoSlot, accounts.NoSlot}
		if i < len(o.hints) {
			if i%accounts.ReadAhead == 0 {
				for _, h := range o.hints[i:min(i+accounts.ReadAhead, len(o.hints))] {
					l.warmth += l.cache.Warm(h[0]) + l.cache.Warm(h[1])
				}
			}
			hints = o.hints[i]
		}
		var v verdict
		if i < len(o.verified) {
			v = o.verified[i]
		}
		refusal, err := l.judgeTransfer(ctx, &o.transfers[i], v, hints, &res.Receipt)
		if err != nil {
			return err
		}
		res.Err = refusal
		if refusal != nil && o.mode == Atomic {
			l.overlay.rollback()
			o.err = &BatchError{Index: i, Err: refusal}
			return nil
		}
	}
	return nil
}

// find returns an account as the overlay has it, or else where the committed
// one is; ok is false if there is none.
func (l *Ledger) find(ctx context.Context, id uuid.UUID, hint uint32) (t *touched, slot uint32, ok bool, err error) {
	if len(l.overlay.opened) > 0 {
		if t := l.overlay.opened[id]; t != nil {
			return t, 0, true, nil
		}
	}
	slot, ok, err = l.load(ctx, id, hint)
	if !ok || err != nil {
		return nil, 0, false, err
	}
	return l.overlay.copied(slot), slot, true, nil
}

// judgeTransfer makes the checks in the order that [Ledger.Transfer] lists.
// The verdict is on its signature.
func (l *Ledger) judgeTransfer(ctx context.Context, t *Transfer, v verdict, hints [2]uint32, rcpt *Receipt) (refusal, err error) {
	o := l.overlay
	if t.Signature != nil {
		if malformed := checkSignedForm(t); malformed != nil {
			return malformed, nil
		}
	}
	var h keyindex.Hash
	if t.Key != "" {
		if !ValidKey(t.Key) {
			return ErrBadKey, nil
		}
		h = keyindex.HashOf(t.Sender, t.Key)
		if used, err := l.findKey(ctx, h, t); used || err != nil {
			return l.replayKey(t, rcpt), err
		}
	}
	from, fromSlot, isSender, err := l.find(ctx, t.Sender, hints[0])
	if err != nil {
		return nil, err
	}
	if isSender {
		if refusal := o.refuseSignature(t, v, l.keyOf(from, fromSlot)); refusal != nil {
			return refusal, nil
		}
	}
	switch {
	case t.Amount == 0:
		return ErrAmountIsZero, nil
	case t.Amount < 0:
		return ErrAmountIsNegative, nil
	case t.Sender == t.Receiver:
		return ErrSameAccount, nil
	case !isSender:
		return ErrSenderNotFound, nil
	case t.Sender == record.FeeAccount:
		return ErrFeeAccount, nil
	}
	to, toSlot, ok, err := l.find(ctx, t.Receiver, hints[1])
	if err != nil {
		return nil, err
	}
	if !ok {
		return ErrReceiverNotFound, nil
	}
	amount := int64(t.Amount)
	fee := o.books.policy.fee(&t.Sender, &t.Receiver, amount, &l.genesis.Seed)
	if t.MaxFee != nil && fee > int64(*t.MaxFee) {
		return &FeeTooHighError{Fee: Coins(fee), MaxFee: *t.MaxFee}, nil
	}
	funds := l.fundsOf(from, fromSlot)
	if required := amount + min(fee, math.MaxInt64-amount); funds < required {
		return &InsufficientFundsError{Funds: Coins(funds), Required: Coins(required)}, nil
	}
	var pool *touched
	if fee > 0 {
		if pool, err = l.pool(ctx); err != nil {
			return nil, err
		}
	}
	// Nothing below can be refused: now the overlay may change.
	if from == nil {
		from = o.touch(fromSlot)
	}
	if to == nil {
		to = o.touch(toSlot)
	}
	r := &l.scratch
	o.next(r, record.KindTransfer)
	r.Transfer = record.Transfer{Sender: t.Sender, Receiver: t.Receiver, Amount: int64(t.Amount), Fee: fee, Key: t.Key}
	if s := t.Signature; s != nil {
		r.Transfer.Signed = record.Signed{Version: v.version, MaxFee: int64(*t.MaxFee), NotAfter: s.NotAfter.UnixMicro(), Signature: s.Bytes}
	}
	o.move(r, from, to, pool)
	if t.Key != "" {
		used := keyindex.Entry{Hash: h, Position: r.Position}
		o.keys.Put(used)
		o.keyLog = append(o.keyLog, used)
	}
	*rcpt = receiptOf(r)
	return nil, nil
}

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
	o.books.Transactions++
}

func (l *Ledger) fundsOf(t *touched, slot uint32) int64 {
	if t != nil {
		return t.Funds
	}
	return l.cache.At(slot).Funds
}

func (l *Ledger) keyOf(t *touched, slot uint32) *accounts.Key {
	if t != nil {
		return t.Key
	}
	return l.cache.Key(slot)
}

// refuseSignature says what is wrong with the signature of a transfer from an
// account with a key, or nil.
func (o *overlay) refuseSignature(t *Transfer, v verdict, key *accounts.Key) error {
	s := t.Signature
	switch {
	case key == nil && s == nil:
		return nil
	case s == nil:
		return ErrSignatureRequired
	case key == nil || !v.good || v.version != key.Version:
		return sign.ErrInvalidSignature
	case s.NotAfter.UnixMicro() < o.now:
		return ErrSignatureExpired
	case s.NotAfter.UnixMicro() > o.now+MaxSignatureLife.Microseconds():
		return ErrSignatureTooLong
	}
	return nil
}

// pool returns the account of the fees, to be changed. There is a policy, so it
// has to be there.
func (l *Ledger) pool(ctx context.Context) (*touched, error) {
	t, slot, ok, err := l.find(ctx, record.FeeAccount, l.poolSlot)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fmt.Errorf("%w: there is a fee policy, and no account %s", store.ErrCorrupt, record.FeeAccount)
	}
	if t == nil {
		l.poolSlot = slot
		t = l.overlay.touch(slot)
	}
	return t, nil
}

// findKey says whether a transfer's key has been used by its sender, and if so
// leaves the record in l.scratch.
func (l *Ledger) findKey(ctx context.Context, h keyindex.Hash, t *Transfer) (used bool, err error) {
	l.found = l.overlay.keys.Find(h, l.found[:0])
	inCommit := len(l.found)
	if l.found, err = l.keys.Find(ctx, h, l.found); err != nil {
		return false, err
	}
	r := &l.scratch
	for i, position := range l.found {
		if i < inCommit {
			err = record.Decode(r, position, l.overlay.record(position))
		} else {
			err = journal.Read(ctx, l.log, position, r)
		}
		if err != nil {
			return false, err
		}
		if e, ok := keyEntryOf(r); !ok || e.Hash != h {
			return false, fmt.Errorf("%w: the index of keys names record %d, which has not that key", store.ErrCorrupt, position)
		}
		if r.Transfer.Sender == t.Sender && r.Transfer.Key == t.Key {
			return true, nil
		}
	}
	return false, nil
}

// replayKey answers a transfer whose key its sender has used.
func (l *Ledger) replayKey(t *Transfer, rcpt *Receipt) (refusal error) {
	was := &l.scratch.Transfer
	if was.Receiver != t.Receiver || was.Amount != int64(t.Amount) {
		return ErrKeyReused
	}
	*rcpt = receiptOf(&l.scratch)
	rcpt.Replayed = true
	return nil
}

func receiptOf(r *record.Record) Receipt {
	t := &r.Transfer
	return Receipt{
		TransactionID: r.ID(), Position: r.Position, Timestamp: wire.TimeOf(r.Time),
		Sender: t.Sender, Receiver: t.Receiver, Amount: Coins(t.Amount), Fee: Coins(t.Fee), SenderFunds: Coins(t.From.Funds),
	}
}

func (l *Ledger) judgeAccount(ctx context.Context, o *op) error {
	_, _, taken, err := l.find(ctx, o.account.id, accounts.NoSlot)
	if err != nil {
		return err
	}
	if taken || o.account.id == record.FeeAccount {
		o.err = errIDTaken
		return nil
	}
	if o.invite != nil {
		live, err := l.inviteLives(ctx, o.invite)
		if err != nil || !live {
			o.err = ErrInvalidInvite
			return err
		}
	}
	if o.withToken {
		// Both or nothing: what could refuse the token is looked at first.
		refusal, err := l.refuseSecret(ctx, o.token.Selector, o.token.Expires)
		if err != nil || refusal != nil {
			o.err = refusal
			return err
		}
	}
	n := l.open(o.account.id, o.account.PublicKey)
	o.account.Account = viewOf(&n.State, n.Key)
	if o.withToken {
		o.token.Account = n.ID
		l.issue(n, &o.token)
	}
	if o.invite != nil {
		l.endInvite(o.invite, n.ID)
	}
	return nil
}

// open appends the record of a new account, with a key or the zero one.
func (l *Ledger) open(id uuid.UUID, key PublicKey) *touched {
	ov, r := l.overlay, &l.scratch
	ov.next(r, record.KindAccount)
	a := &record.Account{ID: id, Key: key}
	a.Link, ov.books.Opened = chain.Push(ov.books.Opened, ov.books.Accounts, r.Position)
	r.Body = a
	ov.append(r)
	ov.books.Accounts++
	n := ov.newTouched()
	n.slot = accounts.NoSlot
	n.Account = accounts.Account{State: accounts.State{ID: id, Created: r.Time, AsOf: r.Position}, Key: accounts.FirstKey(key)}
	ov.opened[id] = n
	return n
}

// findToken returns the row of a selector as the overlay has it.
func (l *Ledger) findToken(ctx context.Context, selector [record.SelectorLen]byte) (accounts.TokenRow, error) {
	if row, ok := l.overlay.tokens[selector]; ok {
		return row, nil
	}
	return l.tokenRow(ctx, selector)
}

// refuseSecret says why a token or an invite can't be made.
func (l *Ledger) refuseSecret(ctx context.Context, selector [record.SelectorLen]byte, expires int64) (refusal, err error) {
	if expires <= l.overlay.now || expires > wire.MaxTime {
		return ErrBadExpiry, nil
	}
	row, err := l.findToken(ctx, selector)
	if err == nil && row.Position != 0 {
		refusal = errSelectorTaken
	}
	return refusal, err
}

func (l *Ledger) judgeToken(ctx context.Context, o *op) error {
	t, slot, ok, err := l.find(ctx, o.token.Account, accounts.NoSlot)
	if err != nil {
		return err
	}
	if !ok {
		o.err = ErrAccountNotFound
		return nil
	}
	if o.token.Account == l.genesis.Seed {
		o.err = ErrSeedToken
		return nil
	}
	if o.token.Account == record.FeeAccount {
		o.err = ErrFeeToken
		return nil
	}
	if t == nil {
		t = l.overlay.touch(slot)
	}
	live := 0
	for i := range t.Tokens {
		if t.Tokens[i].Expires > l.overlay.now {
			live++
		}
	}
	if live >= MaxTokens {
		o.err = ErrTooManyTokens
		return nil
	}
	refusal, err := l.refuseSecret(ctx, o.token.Selector, o.token.Expires)
	if err != nil || refusal != nil {
		o.err = refusal
		return err
	}
	l.issue(t, &o.token)
	return nil
}

// issue appends the record of a token that nothing speaks against.
func (l *Ledger) issue(t *touched, tok *record.Token) {
	ov, r := l.overlay, &l.scratch
	ov.next(r, record.KindToken)
	tok.Position, tok.Time = r.Position, r.Time
	issued := *tok
	r.Body = &issued
	ov.append(r)
	for _, ref := range t.Issue(refOf(tok), tok.Time) {
		ov.tokens[ref.Selector] = accounts.TokenRow{}
	}
	ov.tokens[tok.Selector] = accounts.TokenRow{Position: tok.Position, Expires: tok.Expires}
}

func (l *Ledger) judgeRevoke(ctx context.Context, o *op) error {
	o.err = ErrTokenNotFound
	micros, position, ok := record.PositionOf(o.revoke.token)
	if !ok || position > math.MaxInt64 {
		return nil
	}
	t, slot, ok, err := l.find(ctx, o.revoke.account, accounts.NoSlot)
	if err != nil || !ok {
		return err
	}
	if t == nil {
		t = l.overlay.touch(slot)
	}
	live := false
	for i := range t.Tokens {
		live = live || (t.Tokens[i].Position == position && t.Tokens[i].Expires > l.overlay.now)
	}
	if !live {
		return nil
	}
	ov, r := l.overlay, &l.scratch
	if position >= ov.first {
		err = record.Decode(r, position, ov.record(position))
	} else {
		err = journal.Read(ctx, l.log, position, r)
	}
	if err != nil || r.Kind != record.KindToken || r.Time != micros {
		return err
	}
	ov.next(r, record.KindRevocation)
	r.Body = &record.Revocation{Account: t.ID, Token: position}
	ref, _ := t.Revoke(position, r.Position)
	ov.append(r)
	ov.tokens[ref.Selector] = accounts.TokenRow{}
	o.err = nil
	return nil
}
