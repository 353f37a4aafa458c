package capycoin

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/accounts"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/internal/wire"
	"github.com/capycoin/capycoin/store"
)

// What public keys are to a ledger. The writer compares versions, which costs
// nothing; signatures are verified before, by those who ask, beside each other.

// OpenKeyedAccount opens an account without funds whose transfers need a signature
// by a key (see [SignTransfer]). Whoever loses the private key loses the coins: there
// is no other way to them, for the operator neither. The error is [ErrBadPublicKey]
// for what can't be a key.
func (l *Ledger) OpenKeyedAccount(ctx context.Context, key PublicKey) (Account, error) {
	if err := key.Check(); err != nil {
		return Account{}, err
	}
	acct, _, err := l.openAccount(ctx, key, nil, nil)
	return acct, err
}

// ChangeKey gives an account another public key and returns the account with it.
// Signatures by the old one are worth nothing from then on. Checks, first failure
// wins: [ErrBadPublicKey], [ErrAccountNotFound], [ErrNoKey], [ErrKeyVersion], and
// [ErrInvalidSignature], which says of which key.
func (l *Ledger) ChangeKey(ctx context.Context, c KeyChange) (Account, error) {
	if err := c.NewKey.Check(); err != nil {
		return Account{}, err
	}
	if err := l.refuseChange(ctx, &c); err != nil {
		// Or so it was here: another ledger may have written what makes it right.
		if err := l.catchUpNow(ctx); err != nil {
			return Account{}, err
		}
		if err := l.refuseChange(ctx, &c); err != nil {
			return Account{}, err
		}
	}
	o := &op{kind: opKey, change: &c, records: 1, bytes: record.MaxOtherLen, done: make(chan struct{}, 1)}
	if _, err := l.submit(ctx, o); err != nil {
		return Account{}, err
	}
	return o.account.Account, nil
}

// refuseChange says what is wrong with a change of a key, as things are.
func (l *Ledger) refuseChange(ctx context.Context, c *KeyChange) error {
	acct, err := l.Account(ctx, c.Account)
	switch {
	case err != nil:
		return err
	case acct.KeyVersion == 0:
		return ErrNoKey
	case acct.KeyVersion != c.Version || c.Version == wire.MaxVersion:
		return fmt.Errorf("%w: it is %d, not %d", ErrKeyVersion, acct.KeyVersion, c.Version)
	}
	return VerifyKeyChange(l.genesis.Ledger, *c, acct.PublicKey)
}

// judgeKey appends the record of a change whose signatures were verified with the
// key of the version that it names: the writer makes sure that this is still the
// account's.
func (l *Ledger) judgeKey(ctx context.Context, o *op) error {
	t, slot, ok, err := l.find(ctx, o.change.Account, accounts.NoSlot)
	if err != nil {
		return err
	}
	if !ok {
		o.err = ErrAccountNotFound
		return nil
	}
	if key := l.keyOf(t, slot); key == nil || key.Version != o.change.Version {
		o.err = fmt.Errorf("%w: it was changed meanwhile", ErrKeyVersion)
		return nil
	}
	if t == nil {
		t = l.overlay.touch(slot)
	}
	ov, r := l.overlay, &l.scratch
	ov.next(r, record.KindKeyChange)
	r.Body = &record.KeyChange{
		Account: t.ID, Ends: o.change.Version, Key: o.change.NewKey,
		Old: o.change.OldSignature, New: o.change.NewSignature,
	}
	ov.append(r)
	t.ChangeKey(o.change.Version, o.change.NewKey, r.Position)
	o.account.Account = viewOf(&t.State, t.Key)
	return nil
}

// applyKey brings a change of a key into the committed state.
func (l *Ledger) applyKey(ctx context.Context, r *record.Record) error {
	k := r.Body.(*record.KeyChange)
	slot, err := l.party(ctx, r, k.Account, accounts.NoSlot)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.count(r); err != nil {
		return err
	}
	return l.change(slot, r, func(a *accounts.Account) error {
		if a.Key == nil || a.Key.Version != k.Ends {
			return fmt.Errorf("%w: record %d changes version %d of the key of account %s, which has not that", store.ErrCorrupt,
				r.Position, k.Ends, a.ID)
		}
		a.ChangeKey(k.Ends, k.Key, r.Position)
		return nil
	})
}

// accountKey returns the committed key of an account, nil if it has none or there
// is no such account.
func (l *Ledger) accountKey(ctx context.Context, id uuid.UUID) (*accounts.Key, error) {
	l.mu.RLock()
	if i, ok := l.cache.Find(&id); ok {
		key := l.cache.Key(i)
		l.mu.RUnlock()
		return key, nil
	}
	l.mu.RUnlock()
	a, err := accounts.Read(ctx, l.folds, id)
	if err != nil || a == nil {
		return nil, l.failed(err)
	}
	return a.Key, nil
}

// verdict is what was found of a transfer's signature.
type verdict struct {
	version uint32 // of the key that its sender had; 0: none, or nothing was verified
	good    bool   // the signature is by it
}

// verify verifies a transfer's signature with its sender's key. Whether it is in
// form, the writer says.
func (l *Ledger) verify(ctx context.Context, t *Transfer) (v verdict, err error) {
	if t.Signature == nil || checkSignedForm(t) != nil {
		return v, nil
	}
	key, err := l.accountKey(ctx, t.Sender)
	if err != nil || key == nil {
		return v, err
	}
	return l.verifyBy(key, t), nil
}

func (l *Ledger) verifyBy(key *accounts.Key, t *Transfer) verdict {
	good := verifyTransfer(l.genesis.Ledger, key.Version, t, (*PublicKey)(&key.Public))
	if good {
		l.signatures[1].Add(1)
	} else {
		l.signatures[0].Add(1)
	}
	return verdict{key.Version, good}
}

// verifyAgain is for a commit to which another ledger was quicker: it may have
// opened an account, or changed a key, that a signature here is by.
func (l *Ledger) verifyAgain(ctx context.Context, batch []*op) error {
	for _, o := range batch {
		for i := range o.verified {
			t := &o.transfers[i]
			if t.Signature == nil || checkSignedForm(t) != nil {
				continue
			}
			key, err := l.accountKey(ctx, t.Sender)
			if err != nil {
				return err
			}
			if key != nil && key.Version != o.verified[i].version {
				o.verified[i] = l.verifyBy(key, t)
			}
		}
	}
	return nil
}

// verifySome is verify for a part of a batch.
func (l *Ledger) verifySome(ctx context.Context, transfers []Transfer, verdicts []verdict) (err error) {
	for i := range transfers {
		if verdicts[i], err = l.verify(ctx, &transfers[i]); err != nil {
			return err
		}
	}
	return nil
}

// verifyAll is verify for the transfers of a batch, on all processors; nil if none
// is signed. Batches of several callers take turns: if each of them had a goroutine
// for each processor, the writer, and who waits for it, would come last.
func (l *Ledger) verifyAll(ctx context.Context, transfers []Transfer) (verdicts []verdict, err error) {
	signed := 0
	for i := range transfers {
		if transfers[i].Signature != nil {
			signed++
		}
	}
	if signed == 0 {
		return nil, nil
	}
	verdicts = make([]verdict, len(transfers))
	const atOnce = 16 // about a millisecond
	var next atomic.Int64
	var failed sync.Once
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), (signed+atOnce-1)/atOnce) {
		workers.Go(func() {
			for {
				end := int(next.Add(atOnce))
				first, end := end-atOnce, min(end, len(transfers))
				if first >= end {
					return
				}
				if await(ctx, l.verifying) != nil {
					return
				}
				bad := l.verifySome(ctx, transfers[first:end], verdicts[first:end])
				<-l.verifying
				if bad != nil {
					failed.Do(func() { err = bad })
					return
				}
				runtime.Gosched()
			}
		})
	}
	workers.Wait()
	return verdicts, cmp.Or(err, ctx.Err())
}
