package capycoin

import (
	"context"
	"fmt"
	"iter"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/books"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/internal/wire"
)

// publicAccount is what the API tells of an account.
func publicAccount(a *books.Account) Account {
	acct := Account{ID: a.ID, Created: wire.TimeOf(a.Created), Funds: Coins(a.Funds), Transactions: a.Transactions}
	if a.Key != nil {
		acct.PublicKey, acct.KeyVersion = a.Key.Public, a.Key.Version
	}
	return acct
}

// OpenAccount opens an account without funds.
func (l *Ledger) OpenAccount(ctx context.Context) (Account, error) {
	return l.openAccount(ctx, PublicKey{}, nil, nil)
}

// openAccount opens an account, with a key, its first token and by an invite if
// they are given. An id that is taken means that the source of ids repeats itself; it
// is asked again a few times.
func (l *Ledger) openAccount(ctx context.Context, key PublicKey, tok *record.Token, inv *record.Invite) (Account, error) {
	for try := 0; ; try++ {
		id, err := l.newID()
		if err != nil {
			return Account{}, fmt.Errorf("making an account id: %w", err)
		}
		if id.Version() != 4 || id.Variant() != uuid.RFC4122 {
			return Account{}, fmt.Errorf("making an account id: %s is not a version-4 UUID", id)
		}
		o := &books.OpenAccount{ID: id, Key: key, Invite: inv}
		if tok != nil {
			asked := *tok
			o.Token = &asked
		}
		if err := l.submit(ctx, o); err != nil {
			return Account{}, err
		}
		if o.Refusal == books.ErrIDTaken && try < 4 {
			continue
		}
		if o.Refusal != nil {
			return Account{}, o.Refusal
		}
		if tok != nil {
			*tok = *o.Token
		}
		return publicAccount(&o.Account), nil
	}
}

// Account returns an account as it stands, or [ErrAccountNotFound].
func (l *Ledger) Account(ctx context.Context, id uuid.UUID) (Account, error) {
	a, err := l.account(ctx, id)
	if err != nil {
		return Account{}, err
	}
	return publicAccount(&a), nil
}

// account returns an account as it stands, and where its chain ends.
func (l *Ledger) account(ctx context.Context, id uuid.UUID) (books.Account, error) {
	if err := l.serves(ctx); err != nil {
		return books.Account{}, err
	}
	a, err := l.books.Account(ctx, id)
	return a, l.eng.Failed(err)
}

// AccountPage returns up to limit accounts in order of opening, the seed
// account first. An empty cursor begins at the start; limit is 1 to [MaxPage],
// 0 for [DefaultPage]. Errors: [ErrBadRange], [ErrBadCursor].
func (l *Ledger) AccountPage(ctx context.Context, cursor string, limit int) (AccountPage, error) {
	if limit < 0 || limit > MaxPage {
		return AccountPage{}, fmt.Errorf("%w: the limit is %d, allowed is 1 to %d", ErrBadRange, limit, MaxPage)
	}
	if limit == 0 {
		limit = DefaultPage
	}
	first := int64(1)
	if cursor != "" {
		var err error
		if first, err = parseAccountCursor(cursor); err != nil {
			return AccountPage{}, err
		}
	}
	if err := l.Err(); err != nil {
		return AccountPage{}, err
	}
	ids, more, err := l.books.Opened(ctx, first, limit)
	if err != nil {
		return AccountPage{}, l.eng.Failed(err)
	}
	page := AccountPage{Accounts: make([]Account, len(ids))}
	for i, id := range ids {
		if page.Accounts[i], err = l.Account(ctx, id); err != nil {
			return AccountPage{}, err
		}
	}
	if more {
		page.Next = accountCursor(first + int64(limit))
	}
	return page, nil
}

// Accounts lists all accounts in order of opening, reading a page at a time.
// An error ends the listing.
func (l *Ledger) Accounts(ctx context.Context) iter.Seq2[Account, error] {
	return func(yield func(Account, error) bool) {
		for cursor, more := "", true; more; more = cursor != "" {
			page, err := l.AccountPage(ctx, cursor, MaxPage)
			if err != nil {
				yield(Account{}, err)
				return
			}
			for _, a := range page.Accounts {
				if !yield(a, nil) {
					return
				}
			}
			cursor = page.Next
		}
	}
}
