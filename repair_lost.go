package capycoin

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/accounts"
	"github.com/capycoin/capycoin/internal/chain"
	"github.com/capycoin/capycoin/internal/pages"
	"github.com/capycoin/capycoin/internal/record"
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
	Before Coins
	// After is what it has now.
	After Coins
	// Gone says that it was opened by one of the records that were cut off.
	Gone bool
}

// maxLostAccounts is how many accounts are named for a gap: a few pages are lost,
// or a disk is.
const maxLostAccounts = 10_000

// missing returns how many records can't be read.
func (s *salvage) missing() (n uint64) {
	for _, g := range s.gaps {
		n += g.last - g.first + 1
	}
	return n
}

// gapOf returns which gap a position is in, -1 if in none.
func (s *salvage) gapOf(position uint64) int {
	i := sort.Search(len(s.gaps), func(i int) bool { return s.gaps[i].last >= position })
	if i == len(s.gaps) || position < s.gaps[i].first {
		return -1
	}
	return i
}

// testimony finds out which accounts the lost records touched, from what can be
// read: later records are linked to them, rows of accounts lead to them, and
// something may be left of themselves.
func (s *salvage) testimony(ctx context.Context) ([]LostRecords, error) {
	lost := make([]LostRecords, len(s.gaps))
	for i, g := range s.gaps {
		lost[i].First, lost[i].Last = g.first, g.last
	}
	known := make(map[LostAccount]bool) // without By
	tell := func(position uint64, account uuid.UUID, guess bool, format string, args ...any) {
		i := s.gapOf(position)
		key := LostAccount{Account: account, Position: position}
		if i < 0 || known[key] || len(lost[i].Accounts) == maxLostAccounts {
			return
		}
		known[key] = true
		lost[i].Accounts = append(lost[i].Accounts, LostAccount{account, position, fmt.Sprintf(format, args...), guess})
	}
	err := s.after(ctx, s.gaps[0].last, func(r *record.Record) {
		switch r.Kind {
		case record.KindTransfer:
			t := &r.Transfer
			parties := map[uuid.UUID]chain.Link{t.Sender: t.From.Link, t.Receiver: t.To.Link}
			if t.Fee > 0 {
				parties[record.FeeAccount] = t.Pool.Link
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
	err = s.accountRows(ctx, func(a *accounts.Account) {
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
	for position, b := range s.broken {
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

// after calls fn with the records after a position that can be read.
func (s *salvage) after(ctx context.Context, position uint64, fn func(*record.Record)) error {
	var r record.Record
	for _, run := range s.plan {
		if run.last <= position {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		var bad error
		err := s.records(run, func(at uint64, data []byte) {
			if at > position && bad == nil {
				if bad = record.Decode(&r, at, data); bad == nil {
					fn(&r)
				}
			}
		})
		if err := errors.Join(err, bad); err != nil {
			return err
		}
	}
	return nil
}

// accountRows calls fn with the accounts of all rows in the file whose checksum
// is right, old ones too.
func (s *salvage) accountRows(ctx context.Context, fn func(*accounts.Account)) error {
	page := make([]byte, s.pageSize)
	for pgid := uint64(2); pgid < s.pages; pgid++ {
		if pgid%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if bit(s.free, pgid) {
			continue
		}
		if _, err := s.file.ReadAt(page, int64(pgid)*s.pageSize); err != nil && !errors.Is(err, io.EOF) {
			continue
		}
		b := page
		if more := binary.NativeEndian.Uint32(page[pages.OverflowAt:]); pages.Flags(page) == pages.FlagLeaf && more > 0 && more <= pages.MaxOverflow {
			b = make([]byte, int64(more+1)*s.pageSize)
			s.file.ReadAt(b, int64(pgid)*s.pageSize)
		}
		if pages.Flags(b) != pages.FlagLeaf {
			continue
		}
		rowsOn(b, fn)
	}
	return nil
}

// rowsOn calls fn with the accounts of the rows on a leaf. A small bucket lies
// in a leaf of the root, and is a page there.
func rowsOn(page []byte, fn func(*accounts.Account)) {
	pages.Elements(page, func(key, value []byte) {
		if bytes.Equal(key, boltTables[store.TableAccounts]) && len(value) > 16+pages.HeaderSize && binary.NativeEndian.Uint64(value) == 0 {
			rowsOn(value[16:], fn)
		}
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
