package capycoin_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/capycoin/capycoin"
)

// drawTime draws a time: one of a transaction, right beside one, or far off.
func (m *machine) drawTime(t *rapid.T, label string) time.Time {
	us := m.time
	if len(m.txs) > 0 {
		us = m.txs[rapid.IntRange(0, len(m.txs)-1).Draw(t, label)].time
	}
	return rapid.SampledFrom([]time.Time{
		{}, micros(us), micros(us), micros(us + 1), micros(us - 1), micros(us).Add(999 * time.Nanosecond),
		micros(us).In(time.FixedZone("somewhere", 5*3600)), micros(us).Truncate(24 * time.Hour),
		m.clock.now(), m.clock.micros(), micros(m.time + 1), micros(us).AddDate(0, 0, 30), time.Unix(-1, 0),
		time.Unix(0, 0), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), time.Date(1, 1, 1, 0, 0, 1, 0, time.UTC),
	}).Draw(t, label)
}

func (m *machine) drawKnown(t *rapid.T) uuid.UUID {
	if rapid.Bool().Draw(t, "one of the first") {
		return m.order[rapid.IntRange(0, min(3, len(m.order)-1)).Draw(t, "account")]
	}
	return rapid.SampledFrom(m.order).Draw(t, "account")
}

// compareAccounts compares some accounts, also ones that there are not, and a
// listing of all.
func (m *machine) compareAccounts(t *rapid.T) {
	for range 3 {
		id := m.drawAccount(t, "account")
		var want capycoin.Account
		var wantErr error = capycoin.ErrAccountNotFound
		if m.model.accounts[id] != nil {
			want, wantErr = m.model.account(id), nil
		}
		for _, s := range m.subjects {
			got, err := s.led.Account(ctx, id)
			compare(t, s, "Account", got, err, want, wantErr)
		}
	}
	limit := rapid.SampledFrom([]int{0, 1, 2, 7, 20, 1000}).Draw(t, "limit")
	for _, s := range m.subjects {
		m.compareAccountPages(t, s, limit)
		for _, bad := range []int{-1, 1001} {
			page, err := s.led.AccountPage(ctx, "", bad)
			compare(t, s, fmt.Sprintf("AccountPage with limit %d", bad), len(page.Accounts), err, 0, capycoin.ErrBadRange)
		}
		page, err := s.led.AccountPage(ctx, "no cursor", limit)
		compare(t, s, "AccountPage with a wrong cursor", len(page.Accounts), err, 0, capycoin.ErrBadCursor)
	}
}

func (m *machine) compareAccountPages(t *rapid.T, s *subject, limit int) {
	t.Helper()
	size := limit
	if size == 0 {
		size = capycoin.DefaultPage
	}
	cursor := ""
	for seen := 0; ; {
		page, err := s.led.AccountPage(ctx, cursor, limit)
		want := m.order[seen:min(seen+size, len(m.order))]
		if err != nil || len(page.Accounts) != len(want) {
			t.Fatalf("%s: AccountPage with limit %d after %d: got %d accounts, error %v; want %d",
				s.name, limit, seen, len(page.Accounts), err, len(want))
		}
		for i, id := range want {
			compare(t, s, fmt.Sprintf("account %d", seen+i), page.Accounts[i], nil, m.model.account(id), nil)
		}
		seen += len(want)
		if last := seen == len(m.order); last != (page.Next == "") {
			t.Fatalf("%s: AccountPage after %d of %d accounts: got the cursor %q", s.name, seen, len(m.order), page.Next)
		}
		if cursor = page.Next; cursor == "" {
			return
		}
	}
}

func (m *machine) drawRange(t *rapid.T) capycoin.Range {
	r := capycoin.Range{
		Order: rapid.SampledFrom([]capycoin.Order{capycoin.DefaultOrder, capycoin.OldestFirst, capycoin.NewestFirst}).Draw(t, "order"),
		Limit: rapid.SampledFrom([]int{0, 1, 2, 3, 10, 50, 1000}).Draw(t, "limit"),
	}
	if rapid.IntRange(0, 2).Draw(t, "bounds") > 0 {
		r.Start, r.End = m.drawTime(t, "start"), m.drawTime(t, "end")
	}
	if r.Start.UnixMicro() > r.End.UnixMicro() && !r.Start.IsZero() && !r.End.IsZero() {
		r.Start, r.End = r.End, r.Start
	}
	if r.Start.UnixMicro() == r.End.UnixMicro() {
		r.End = r.Start // The parts of a microsecond don't count.
	}
	return r
}

// pages lists an account's transactions: one page, which may be gone on with
// later, or all of them.
func (m *machine) pages(t *rapid.T) {
	l := &listing{account: m.drawKnown(t), r: m.drawRange(t)}
	if n := len(m.listings); n > 0 {
		l.number = m.listings[n-1].number + 1
	}
	all := m.list(l.account, l.r, 0)
	for _, s := range m.subjects {
		var got []capycoin.Transaction
		for tx, err := range s.led.Transactions(ctx, l.account, l.r) {
			if err != nil {
				t.Fatalf("%s: Transactions in %+v: got error %v, want none", s.name, l.r, err)
			}
			got = append(got, tx)
		}
		m.compareList(t, s, fmt.Sprintf("Transactions in %+v", l.r), got, all)
	}
	m.listings = append(m.listings, l)
	m.page(t, l, l.r)
}

// page reads the next page of a listing, asking for it with r.
func (m *machine) page(t *rapid.T, l *listing, r capycoin.Range) {
	t.Helper()
	size := r.Limit
	if size == 0 {
		size = capycoin.DefaultPage
	}
	rest := m.list(l.account, l.r, l.after)
	want := rest[:min(size, len(rest))]
	ended := false
	for _, s := range m.subjects {
		r.Cursor = s.cursor[l.number]
		page, err := s.led.TransactionPage(ctx, l.account, r)
		what := fmt.Sprintf("TransactionPage in %+v after %d", r, l.after)
		if err != nil {
			t.Fatalf("%s: %s: got error %v, want none", s.name, what, err)
		}
		m.compareList(t, s, what, page.Transactions, want)
		ended = page.Next == ""
		if last := len(want) == len(rest); last != ended {
			t.Fatalf("%s: %s: got %d of %d and the cursor %q", s.name, what, len(want), len(rest), page.Next)
		}
		s.cursor[l.number] = page.Next
	}
	if len(want) > 0 {
		l.after = want[len(want)-1].Position
	}
	if ended {
		m.listings = slices.DeleteFunc(m.listings, func(other *listing) bool { return other == l })
	}
}

func (m *machine) compareList(t *rapid.T, s *subject, what string, got, want []capycoin.Transaction) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %s: got %d transactions, want %d", s.name, what, len(got), len(want))
	}
	for i := range want {
		compare(t, s, fmt.Sprintf("%s, number %d", what, i), got[i], nil, want[i], nil)
	}
}

// goOn reads on in a listing that was begun earlier, with nothing but the
// cursor or with all that it was begun with.
func (m *machine) goOn(t *rapid.T) {
	if len(m.listings) == 0 {
		return
	}
	l := rapid.SampledFrom(m.listings).Draw(t, "listing")
	r := capycoin.Range{Limit: rapid.SampledFrom([]int{0, 1, 5, 1000}).Draw(t, "limit")}
	if rapid.Bool().Draw(t, "name the range again") {
		r.Order, r.Start, r.End = l.r.Order, l.r.Start, l.r.End
	}
	m.page(t, l, r)
}

// wrongPages asks for what there is not.
func (m *machine) wrongPages(t *rapid.T) {
	bad := []struct {
		account uuid.UUID
		r       capycoin.Range
		want    error
	}{
		{m.unknown, capycoin.Range{}, capycoin.ErrAccountNotFound},
		{m.seed, capycoin.Range{Limit: -1}, capycoin.ErrBadRange},
		{m.seed, capycoin.Range{Limit: 1001}, capycoin.ErrBadRange},
		{m.seed, capycoin.Range{Order: -1}, capycoin.ErrBadRange},
		{m.seed, capycoin.Range{Order: 3}, capycoin.ErrBadRange},
		{m.seed, capycoin.Range{Start: micros(m.time + 1), End: micros(m.time)}, capycoin.ErrBadRange},
		{m.seed, capycoin.Range{Cursor: "x"}, capycoin.ErrBadCursor},
		{m.seed, capycoin.Range{Cursor: strings.Repeat("A", 5000)}, capycoin.ErrBadCursor},
	}
	for _, s := range m.subjects {
		tests := bad
		for _, l := range m.listings {
			cursor := s.cursor[l.number]
			other := m.order[(slices.Index(m.order, l.account)+1)%len(m.order)]
			order := capycoin.NewestFirst
			if l.r.Order == order {
				order = capycoin.OldestFirst
			}
			later := time.Date(5000, 1, 1, 0, 0, 0, 0, time.UTC)
			cut := rapid.IntRange(0, len(cursor)-1).Draw(t, "cut")
			tests = append(tests, []struct {
				account uuid.UUID
				r       capycoin.Range
				want    error
			}{
				{l.account, capycoin.Range{Cursor: cursor, Order: order}, capycoin.ErrBadCursor},
				{l.account, capycoin.Range{Cursor: cursor, End: later}, capycoin.ErrBadCursor},
				{l.account, capycoin.Range{Cursor: cursor, Start: time.Unix(1, 1000)}, capycoin.ErrBadCursor},
			}...)
			if cut > 0 {
				tests = append(tests, tests[len(tests)-1])
				tests[len(tests)-1].r = capycoin.Range{Cursor: cursor[:cut]}
			}
			if other != l.account {
				tests = append(tests, tests[len(tests)-1])
				tests[len(tests)-1].account, tests[len(tests)-1].r = other, capycoin.Range{Cursor: cursor}
			}
			break // One listing is enough for each call.
		}
		for _, test := range tests {
			page, err := s.led.TransactionPage(ctx, test.account, test.r)
			compare(t, s, fmt.Sprintf("TransactionPage in %+v", test.r), len(page.Transactions), err, 0, test.want)
		}
	}
}

// compareTransactions looks up some transactions by id, from the view of
// parties and others, and ids that are almost right.
func (m *machine) compareTransactions(t *rapid.T) {
	if len(m.txs) == 0 {
		return
	}
	tx := rapid.SampledFrom(m.txs).Draw(t, "transaction")
	bit := rapid.IntRange(0, 127).Draw(t, "bit")
	wrong := tx.id
	wrong[bit/8] ^= 1 << (bit % 8)
	for _, other := range m.model.txs {
		if other.id == wrong { // a neighbour of the same microsecond
			wrong = m.unknown
		}
	}
	viewer := m.drawAccount(t, "viewer")
	view := func(account uuid.UUID) (capycoin.Transaction, error) {
		if a := m.model.accounts[account]; a != nil {
			for n := range a.history {
				if got := m.transaction(a, n); got.ID == tx.id {
					return got, nil
				}
			}
		}
		return capycoin.Transaction{}, capycoin.ErrTransactionNotFound
	}
	bySender, _ := view(tx.Sender)
	if bySender.Ordinal != tx.senderNo {
		t.Fatalf("the model has transaction %v as number %d and %d of its sender", tx.id, bySender.Ordinal, tx.senderNo)
	}
	for _, s := range m.subjects {
		got, err := s.led.TransactionByID(ctx, tx.id)
		compare(t, s, "TransactionByID", got, err, bySender, nil)
		for _, account := range []uuid.UUID{tx.Sender, tx.Receiver, viewer} {
			got, err = s.led.Transaction(ctx, account, tx.id)
			want, wantErr := view(account)
			compare(t, s, "Transaction", got, err, want, wantErr)
		}
		for _, id := range []uuid.UUID{wrong, m.unknown, {}, tx.Sender, modelID(m.time, m.pos+1), modelID(m.time, 1)} {
			got, err = s.led.TransactionByID(ctx, id)
			compare(t, s, fmt.Sprintf("TransactionByID(%v)", id), got, err, capycoin.Transaction{}, capycoin.ErrTransactionNotFound)
			got, err = s.led.Transaction(ctx, tx.Sender, id)
			compare(t, s, fmt.Sprintf("Transaction(%v)", id), got, err, capycoin.Transaction{}, capycoin.ErrTransactionNotFound)
		}
	}
}

func (m *machine) fundsAt(t *rapid.T) {
	for range 3 {
		account, at := m.drawKnown(t), m.drawTime(t, "time")
		for _, s := range m.subjects {
			got, err := s.led.FundsAt(ctx, account, at)
			compare(t, s, fmt.Sprintf("FundsAt %v", at), got, err, m.model.fundsAt(account, at), nil)
		}
	}
	for _, s := range m.subjects {
		got, err := s.led.FundsAt(ctx, m.unknown, m.clock.now())
		compare(t, s, "FundsAt of no account", got, err, 0, capycoin.ErrAccountNotFound)
	}
}

// compareAll compares every account, every history and every token.
func (m *machine) compareAll(t *rapid.T) {
	for _, s := range m.subjects {
		n := 0
		for account, err := range s.led.Accounts(ctx) {
			if n >= len(m.order) {
				t.Fatalf("%s: Accounts: got more than %d", s.name, n)
			}
			compare(t, s, fmt.Sprintf("account %d of all", n), account, err, m.model.account(m.order[n]), nil)
			n++
		}
		if n != len(m.order) {
			t.Fatalf("%s: Accounts: got %d, want %d", s.name, n, len(m.order))
		}
		for _, order := range []capycoin.Order{capycoin.OldestFirst, capycoin.NewestFirst} {
			for _, id := range m.order {
				var got []capycoin.Transaction
				for tx, err := range s.led.Transactions(ctx, id, capycoin.Range{Order: order}) {
					if err != nil {
						t.Fatalf("%s: Transactions: got error %v, want none", s.name, err)
					}
					got = append(got, tx)
				}
				m.compareList(t, s, "all Transactions", got, m.list(id, capycoin.Range{Order: order}, 0))
			}
		}
		for _, token := range m.tokens {
			m.compareVerify(t, s, token)
		}
	}
}
