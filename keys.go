package capycoin

import (
	"context"
	"fmt"

	"github.com/capycoin/capycoin/internal/books"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/internal/wire"
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
	return l.openAccount(ctx, key, nil, nil)
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
		if err := l.eng.CatchUp(ctx); err != nil {
			return Account{}, err
		}
		if err := l.refuseChange(ctx, &c); err != nil {
			return Account{}, err
		}
	}
	o := &books.ChangeKey{Change: record.KeyChange{
		Account: c.Account, Ends: c.Version, Key: c.NewKey, Old: c.OldSignature, New: c.NewSignature,
	}}
	if err := l.perform(ctx, o); err != nil {
		return Account{}, err
	}
	return publicAccount(&o.Account), nil
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
