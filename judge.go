package capycoin

import (
	"context"
	"fmt"
	"math"

	"github.com/google/uuid"
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
	}
	if o.mode == Atomic {
		l.overlay.savepoint()
		defer l.overlay.release()
	}
	for i := range o.transfers {
		res := &o.results[i]
		*res = Result{}
		refusal, err := l.judgeTransfer(ctx, &o.transfers[i], &res.Receipt)
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

// find returns an account as the overlay has it, nil if there is none: the
// overlay's copy, or else the committed one.
func (l *Ledger) find(ctx context.Context, id uuid.UUID) (*touched, *account, error) {
	if t := l.overlay.opened[id]; t != nil {
		return t, nil, nil
	}
	a, err := l.load(ctx, id)
	if err != nil || a == nil {
		return nil, nil, err
	}
	if a.epoch == l.overlay.epoch && a.touched != nil {
		return a.touched, nil, nil
	}
	return nil, a, nil
}

// judgeTransfer makes the checks in the order that [Ledger.Transfer] lists.
func (l *Ledger) judgeTransfer(ctx context.Context, t *Transfer, rcpt *Receipt) (refusal, err error) {
	o := l.overlay
	var h keyHash
	if t.Key != "" {
		if !ValidKey(t.Key) {
			return ErrBadKey, nil
		}
		h = hashKey(t.Sender, t.Key)
		if done, refusal, err := l.replayKey(ctx, h, t, rcpt); done || err != nil {
			return refusal, err
		}
	}
	switch {
	case t.Amount == 0:
		return ErrAmountIsZero, nil
	case t.Amount < 0:
		return ErrAmountIsNegative, nil
	case t.Sender == t.Receiver:
		return ErrSameAccount, nil
	}
	from, fromBase, err := l.find(ctx, t.Sender)
	if err != nil {
		return nil, err
	}
	if from == nil && fromBase == nil {
		return ErrSenderNotFound, nil
	}
	to, toBase, err := l.find(ctx, t.Receiver)
	if err != nil {
		return nil, err
	}
	if to == nil && toBase == nil {
		return ErrReceiverNotFound, nil
	}
	funds := Coins(0)
	if from != nil {
		funds = from.funds
	} else {
		funds = fromBase.funds
	}
	const fee = 0
	if funds < t.Amount {
		return &InsufficientFundsError{Funds: funds, Required: t.Amount + fee}, nil
	}
	// Nothing below can be refused: now the overlay may change.
	if from == nil {
		from = o.touch(fromBase)
	}
	if to == nil {
		to = o.touch(toBase)
	}
	o.keep(from)
	o.keep(to)
	r := &l.scratch
	o.next(r, kindTransfer)
	from.funds -= t.Amount + fee
	to.funds += t.Amount
	r.transfer = transferRecord{
		sender: t.Sender, receiver: t.Receiver, amount: t.Amount, fee: fee,
		from: from.moved(r.position), to: to.moved(r.position), key: t.Key,
	}
	o.append(r)
	o.books.transactions++
	if t.Key != "" {
		o.keys[h] = r.position
		o.keyLog = append(o.keyLog, h)
	}
	*rcpt = receiptOf(r)
	return nil, nil
}

// replayKey answers a transfer whose key its sender has used; done is false if
// it has not.
func (l *Ledger) replayKey(ctx context.Context, h keyHash, t *Transfer, rcpt *Receipt) (done bool, refusal, err error) {
	position, ok := l.overlay.keys[h]
	if ok {
		err = decodeRecord(&l.scratch, position, l.overlay.record(position))
	} else {
		if position, err = l.keyPosition(ctx, h); err != nil || position == 0 {
			return false, nil, err
		}
		err = l.readRecord(ctx, position, &l.scratch)
	}
	if err != nil {
		return false, nil, err
	}
	r := &l.scratch
	if r.kind != kindTransfer {
		return false, nil, fmt.Errorf("%w: a key's row names record %d, which is no transfer", ErrCorrupt, position)
	}
	was := &r.transfer
	if was.sender != t.Sender || was.key != t.Key || was.receiver != t.Receiver || was.amount != t.Amount {
		return true, ErrKeyReused, nil
	}
	*rcpt = receiptOf(r)
	rcpt.Replayed = true
	return true, nil, nil
}

func receiptOf(r *record) Receipt {
	t := &r.transfer
	return Receipt{
		TransactionID: r.id(), Position: r.position, Timestamp: timeOf(r.time),
		Sender: t.sender, Receiver: t.receiver, Amount: t.amount, Fee: t.fee, SenderFunds: t.from.funds,
	}
}

func (l *Ledger) judgeAccount(ctx context.Context, o *op) error {
	t, a, err := l.find(ctx, o.account.id)
	if err != nil {
		return err
	}
	if t != nil || a != nil {
		o.err = errIDTaken
		return nil
	}
	ov := l.overlay
	if o.withToken {
		// Both or nothing: what could refuse the token is looked at first.
		refusal, err := l.refuseToken(ctx, &o.token)
		if err != nil || refusal != nil {
			o.err = refusal
			return err
		}
	}
	r := &l.scratch
	ov.next(r, kindAccount)
	r.account.id = o.account.id
	r.account.link, ov.books.opened = pushRoot(ov.books.opened, ov.books.accounts, r.position)
	ov.append(r)
	ov.books.accounts++
	n := ov.newTouched()
	n.id, n.created, n.asOf, n.funds, n.count = o.account.id, r.time, r.position, 0, 0
	n.roots, n.tokens = n.roots[:0], nil
	ov.opened[n.id] = n
	o.account.Account = n.view()
	if o.withToken {
		o.token.account = n.id
		l.issue(n, &o.token)
	}
	return nil
}

// refuseToken says why a token can't be issued, leaving its account aside.
func (l *Ledger) refuseToken(ctx context.Context, t *tokenRecord) (refusal, err error) {
	if t.expires <= l.overlay.books.time || t.expires > maxTime {
		return ErrBadExpiry, nil
	}
	row, ok := l.overlay.tokens[t.selector]
	if !ok {
		if row, err = l.tokenRow(ctx, t.selector); err != nil {
			return nil, err
		}
	}
	if row.position != 0 {
		return errSelectorTaken, nil
	}
	return nil, nil
}

func (l *Ledger) judgeToken(ctx context.Context, o *op) error {
	t, a, err := l.find(ctx, o.token.account)
	if err != nil {
		return err
	}
	if t == nil && a == nil {
		o.err = ErrAccountNotFound
		return nil
	}
	if o.token.account == l.genesis.seed {
		o.err = ErrSeedToken
		return nil
	}
	if t == nil {
		t = l.overlay.touch(a)
	}
	live := 0
	for i := range t.tokens {
		if t.tokens[i].expires > l.overlay.books.time {
			live++
		}
	}
	if live >= MaxTokens {
		o.err = ErrTooManyTokens
		return nil
	}
	refusal, err := l.refuseToken(ctx, &o.token)
	if err != nil || refusal != nil {
		o.err = refusal
		return err
	}
	l.issue(t, &o.token)
	return nil
}

// issue appends the record of a token that nothing speaks against.
func (l *Ledger) issue(t *touched, tok *tokenRecord) {
	ov, r := l.overlay, &l.scratch
	ov.next(r, kindToken)
	tok.position, tok.time = r.position, r.time
	r.token = *tok
	ov.append(r)
	for _, ref := range t.issued(tok) {
		ov.tokens[ref.selector] = tokenRow{}
	}
	ov.tokens[tok.selector] = tokenRow{tok.position, tok.expires}
}

func (l *Ledger) judgeRevoke(ctx context.Context, o *op) error {
	o.err = ErrTokenNotFound
	micros, position, ok := positionOf(o.revoke.token)
	if !ok || position > math.MaxInt64 {
		return nil
	}
	t, a, err := l.find(ctx, o.revoke.account)
	if err != nil || (t == nil && a == nil) {
		return err
	}
	if t == nil {
		t = l.overlay.touch(a)
	}
	live := false
	for i := range t.tokens {
		live = live || (t.tokens[i].position == position && t.tokens[i].expires > l.overlay.books.time)
	}
	if !live {
		return nil
	}
	ov, r := l.overlay, &l.scratch
	if position >= ov.first {
		err = decodeRecord(r, position, ov.record(position))
	} else {
		err = l.readRecord(ctx, position, r)
	}
	if err != nil || r.kind != kindToken || r.time != micros {
		return err
	}
	ov.next(r, kindRevocation)
	r.revocation = revocationRecord{account: t.id, token: position}
	ref, _ := t.revoked(position, r.position)
	ov.append(r)
	ov.tokens[ref.selector] = tokenRow{}
	o.err = nil
	return nil
}
