package capycoin

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/books"
	"github.com/capycoin/capycoin/internal/journal"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/internal/wire"
	"github.com/capycoin/capycoin/store"
)

// The transactions of an account are a chain through the journal: each record
// names, for either party, the position of the account's record before it and
// of one further back, the jump pointer. They make a skew-binary random-access
// list (Eugene W. Myers, "An applicative random-access stack", Information
// Processing Letters 17, 1983): any of n records is O(log n) reads away from
// the last one, and adding one takes no read at all. The records that open
// accounts are chained the same way.

// Transaction returns a transaction as an account sees it, or
// [ErrTransactionNotFound] if there is none with this id or the account, which
// may be unknown, is no party to it.
func (l *Ledger) Transaction(ctx context.Context, account, id uuid.UUID) (Transaction, error) {
	r, err := l.transferByID(ctx, id)
	if err != nil {
		return Transaction{}, err
	}
	if r.Transfer.Of(account) == nil {
		return Transaction{}, ErrTransactionNotFound
	}
	return transactionOf(r, account), nil
}

// TransactionByID returns a transaction as its sender sees it, or
// [ErrTransactionNotFound].
func (l *Ledger) TransactionByID(ctx context.Context, id uuid.UUID) (Transaction, error) {
	r, err := l.transferByID(ctx, id)
	if err != nil {
		return Transaction{}, err
	}
	return transactionOf(r, r.Transfer.Sender), nil
}

func (l *Ledger) transferByID(ctx context.Context, id uuid.UUID) (*record.Record, error) {
	if err := l.serves(ctx); err != nil {
		return nil, err
	}
	micros, position, ok := record.PositionOf(id)
	if !ok || position > l.books.Position() {
		return nil, ErrTransactionNotFound
	}
	r := new(record.Record)
	if err := journal.Read(ctx, l.books.Log(), position, r); err != nil {
		return nil, l.eng.Failed(err)
	}
	if r.Kind != record.KindTransfer || r.Time != micros {
		return nil, ErrTransactionNotFound
	}
	return r, nil
}

// transactionOf returns a transfer's record as one of its accounts sees it.
func transactionOf(r *record.Record, account uuid.UUID) (tx Transaction) {
	setTransaction(&tx, r, account)
	return tx
}

// setTransaction is transactionOf in place.
func setTransaction(tx *Transaction, r *record.Record, account uuid.UUID) {
	t := &r.Transfer
	p := t.Of(account)
	*tx = Transaction{
		ID: r.ID(), Position: r.Position, Timestamp: wire.TimeOf(r.Time),
		Sender: t.Sender, Receiver: t.Receiver, Amount: Coins(t.Amount), Fee: Coins(t.Fee), Key: t.Key,
		Account: account, Ordinal: p.Ordinal, FundsAfter: Coins(p.Funds),
	}
}

// FundsAt returns what an account had after all its transactions with a
// timestamp at or before t. Before the first one, and before it was opened,
// that is nothing, for the seed account the supply. The error is
// [ErrAccountNotFound] if there is no such account.
func (l *Ledger) FundsAt(ctx context.Context, account uuid.UUID, t time.Time) (Coins, error) {
	s, err := l.account(ctx, account)
	if err != nil {
		return 0, err
	}
	var funds Coins
	if account == l.genesis.Seed {
		funds = Coins(l.genesis.Supply)
	}
	err = l.books.Log().View(ctx, func(lr store.LogReader) error {
		r := journal.Chain{Log: lr, ID: account}
		n, err := r.Since(s.Head, s.Transactions, boundMicros(t)+1)
		if err != nil || n == 1 {
			return err
		}
		_, err = r.Seek(s.Head, s.Transactions, n-1)
		funds = transactionOf(&r.Record, account).FundsAfter
		return err
	})
	return funds, l.eng.Failed(err)
}

// boundMicros turns a bound into ledger time; what is beyond all records stays
// just so.
func boundMicros(t time.Time) int64 {
	switch {
	case t.Before(time.Unix(0, 0)):
		return -1
	case t.After(wire.TimeOf(wire.MaxTime)):
		return wire.MaxTime + 1
	}
	return t.UnixMicro()
}

// listing is a Range made definite, and where it goes on.
type listing struct {
	account    uuid.UUID
	order      Order
	start, end int64 // µs since 1970, start <= t < end
	next       int64 // the ordinal of the next transaction; 0: not begun
}

// listing checks a Range and its cursor.
func (r Range) listing(account uuid.UUID) (listing, error) {
	if r.Limit < 0 || r.Limit > MaxPage {
		return listing{}, fmt.Errorf("%w: the limit is %d, allowed is 1 to %d", ErrBadRange, r.Limit, MaxPage)
	}
	if r.Order < DefaultOrder || r.Order > NewestFirst {
		return listing{}, fmt.Errorf("%w: order %d", ErrBadRange, r.Order)
	}
	li := listing{account: account, order: r.Order, start: -1, end: wire.MaxTime + 1}
	if !r.Start.IsZero() {
		li.start = boundMicros(r.Start)
	}
	if !r.End.IsZero() {
		li.end = boundMicros(r.End)
	}
	if li.start > li.end {
		return listing{}, fmt.Errorf("%w: the start is after the end", ErrBadRange)
	}
	if r.Cursor == "" {
		if li.order == DefaultOrder {
			li.order = OldestFirst
		}
		return li, nil
	}
	was, err := parseCursor(r.Cursor)
	if err != nil {
		return listing{}, err
	}
	switch {
	case was.account != account:
		return listing{}, fmt.Errorf("%w: it is another account's", ErrBadCursor)
	case r.Order != DefaultOrder && r.Order != was.order:
		return listing{}, fmt.Errorf("%w: it has another order", ErrBadCursor)
	case !r.Start.IsZero() && li.start != was.start:
		return listing{}, fmt.Errorf("%w: it has another start", ErrBadCursor)
	case !r.End.IsZero() && li.end != was.end:
		return listing{}, fmt.Errorf("%w: it has another end", ErrBadCursor)
	}
	return was, nil
}

// TransactionPage returns a page of an account's transactions. It stays exact
// while transactions are made: each is listed once, none is left out. Errors:
// [ErrBadRange], [ErrBadCursor], [ErrAccountNotFound].
func (l *Ledger) TransactionPage(ctx context.Context, account uuid.UUID, r Range) (TransactionPage, error) {
	li, err := r.listing(account)
	if err != nil {
		return TransactionPage{}, err
	}
	s, err := l.account(ctx, account)
	if err != nil {
		return TransactionPage{}, err
	}
	if s.Transactions == 0 {
		return TransactionPage{}, nil
	}
	limit := r.Limit
	if limit == 0 {
		limit = DefaultPage
	}
	txs, err := l.list(ctx, &s, &li, limit+1)
	if err != nil {
		return TransactionPage{}, l.eng.Failed(err)
	}
	page := TransactionPage{Transactions: txs}
	if len(txs) > limit {
		li.next = txs[limit].Ordinal
		page = TransactionPage{Transactions: txs[:limit], Next: li.cursor()}
	}
	return page, nil
}

// list returns the next n transactions of a listing. Chains lead back only, so
// one that goes forward is entered at its end.
func (l *Ledger) list(ctx context.Context, s *books.Account, li *listing, n int) (txs []Transaction, err error) {
	first, last := int64(1), li.next // the ordinals between which they are
	var from uint64
	err = l.books.Log().View(ctx, func(lr store.LogReader) (err error) {
		r := journal.Chain{Log: lr, ID: li.account}
		if li.order == OldestFirst {
			if first = li.next; first == 0 {
				first = 1
				if li.start >= 0 {
					first, err = r.Since(s.Head, s.Transactions, li.start)
				}
			}
			last = min(s.Transactions, first+int64(n)-1)
		} else if last == 0 {
			last, err = r.Since(s.Head, s.Transactions, li.end)
			last--
		}
		if err != nil || first > last || last > s.Transactions {
			return err
		}
		_, err = r.Seek(s.Head, s.Transactions, last)
		from = r.Record.Position
		if err == nil && li.order == NewestFirst && r.Record.Time >= li.end {
			// Nobody was given this cursor. From it to the end of the range may be a
			// whole history.
			err = fmt.Errorf("%w: what it goes on with is not before its end", ErrBadCursor)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if last >= first {
		txs = make([]Transaction, 0, min(int64(n), last-first+1))
	}
	err = journal.Walk(ctx, l.books.Log(), li.account, from, last, func(r *record.Record, ordinal int64) bool {
		if r.Time < li.start {
			return false
		}
		if r.Time < li.end {
			txs = append(txs, Transaction{})
			setTransaction(&txs[len(txs)-1], r, li.account)
		}
		return ordinal > first && len(txs) < n
	})
	if li.order == OldestFirst {
		slices.Reverse(txs)
	}
	return txs, err
}

// Transactions lists an account's transactions, reading a page at a time. An
// error ends the listing; errors are those of [Ledger.TransactionPage].
func (l *Ledger) Transactions(ctx context.Context, account uuid.UUID, r Range) iter.Seq2[Transaction, error] {
	return func(yield func(Transaction, error) bool) {
		for r := r; ; {
			page, err := l.TransactionPage(ctx, account, r)
			if err != nil {
				yield(Transaction{}, err)
				return
			}
			for _, tx := range page.Transactions {
				if !yield(tx, nil) {
					return
				}
			}
			if page.Next == "" {
				return
			}
			r.Cursor = page.Next
		}
	}
}
