package copying

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/accounts"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/internal/salvage"
	"github.com/capycoin/capycoin/store"
)

// LostRecords are consecutive records of the journal that can't be read.
type LostRecords struct {
	First, Last uint64
	// Accounts are those that the records are known to have touched, and those
	// that they may have.
	Accounts []LostAccount
}

// LostAccount is an account that a lost record has touched.
type LostAccount struct {
	Account  uuid.UUID
	Position uint64 // of the lost record
	By       string // how that is known
	Guess    bool   // going by what is left of the record, which may be wrong
}

// CutAccount is an account that had transactions in what was cut off.
type CutAccount struct {
	Account uuid.UUID
	// Before is what it had after the last record of it that can be read.
	Before int64
	// After is what it has now.
	After int64
	// Gone says that it was opened by one of the records that were cut off.
	Gone bool
}

// maxLostAccounts is how many accounts are named for a gap: a few pages are lost,
// or a disk is.
const maxLostAccounts = 10_000

// testimony finds out which accounts the lost records touched, from what can be
// read: later records are linked to them, rows of accounts lead to them, and
// something may be left of themselves.
func testimony(ctx context.Context, s *salvage.Salvage) ([]LostRecords, error) {
	lost := make([]LostRecords, len(s.Gaps))
	for i, g := range s.Gaps {
		lost[i].First, lost[i].Last = g.First, g.Last
	}
	known := make(map[LostAccount]bool) // without By
	tell := func(position uint64, account uuid.UUID, guess bool, format string, args ...any) {
		i := s.GapOf(position)
		key := LostAccount{Account: account, Position: position}
		if i < 0 || known[key] || len(lost[i].Accounts) == maxLostAccounts {
			return
		}
		known[key] = true
		lost[i].Accounts = append(lost[i].Accounts, LostAccount{account, position, fmt.Sprintf(format, args...), guess})
	}
	err := s.After(ctx, s.Gaps[0].Last, func(r *record.Record) {
		switch r.Kind {
		case record.KindTransfer:
			t := &r.Transfer
			parties := map[uuid.UUID]*record.Party{t.Sender: &t.From, t.Receiver: &t.To}
			if t.Fee > 0 {
				parties[record.FeeAccount] = &t.Pool
			}
			for id, l := range parties {
				tell(l.Prev, id, false, "record %d is the account's next transaction", r.Position)
				tell(l.Jump, id, false, "record %d leads back to it", r.Position)
			}
		case record.KindRevocation:
			v := r.Body.(*record.Revocation)
			tell(v.Token, v.Account, false, "record %d revokes it, a token", r.Position)
		}
	})
	if err != nil {
		return nil, err
	}
	err = accountRows(ctx, s, func(a *accounts.Account) {
		for _, position := range a.Roots() {
			tell(position, a.ID, false, "the account's row leads to it")
		}
		for _, t := range a.Tokens {
			tell(t.Position, a.ID, false, "the account's row has it as a token")
		}
		tell(a.AsOf, a.ID, false, "the account's row is as of it")
	})
	if err != nil {
		return nil, err
	}
	for position, b := range s.Broken {
		for _, id := range record.LeadingAccounts(b) {
			tell(position, id, true, "its damaged bytes name it")
		}
	}
	for i := range lost {
		slices.SortFunc(lost[i].Accounts, func(a, b LostAccount) int {
			return cmp.Or(cmp.Compare(a.Position, b.Position), bytes.Compare(a.Account[:], b.Account[:]))
		})
	}
	return lost, nil
}

// accountRows calls fn with the accounts of all rows in a file whose checksum is right,
// old ones too.
func accountRows(ctx context.Context, s *salvage.Salvage, fn func(*accounts.Account)) error {
	return s.Rows(ctx, store.TableAccounts, func(key, value []byte) {
		if len(key) != 16 || len(value) < 40 {
			return
		}
		// What is no row of accounts has another form, or another checksum.
		_ = accounts.InRow(key, value, func(id uuid.UUID, _, state []byte) bool {
			a, err := accounts.Decode(id, state)
			if err == nil {
				fn(a)
			}
			return err == nil
		})
	})
}
