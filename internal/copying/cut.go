package copying

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/accounts"
	"github.com/capycoin/capycoin/internal/books"
	"github.com/capycoin/capycoin/internal/osfile"
	"github.com/capycoin/capycoin/internal/record"
)

// cutOff writes the records after a position that can be read to a file, and
// says what has become of their accounts. The new ledger is in the file temp.
func (r *repairer) cutOff(ctx context.Context, end uint64, temp string, info fs.FileInfo) error {
	s := r.salvage
	if end == s.End && s.Beyond.First == 0 {
		return nil
	}
	funds, err := r.writeCut(ctx, end, info)
	if err != nil {
		return err
	}
	err = accountRows(ctx, s, func(a *accounts.Account) {
		if f, ok := funds[a.ID]; a.AsOf > end && (!ok || a.AsOf > f.asOf) {
			funds[a.ID] = cutFunds{a.Funds, a.AsOf}
		}
	})
	if err != nil {
		return err
	}
	e, err := openPath(ctx, temp)
	if err != nil {
		return err
	}
	for id, f := range funds {
		c := CutAccount{Account: id, Before: f.funds}
		acct, err := e.Books().Account(ctx, id)
		if c.After, c.Gone = acct.Funds, errors.Is(err, books.ErrAccountNotFound); err != nil && !c.Gone {
			return errors.Join(err, e.Close())
		}
		r.rep.Accounts = append(r.rep.Accounts, c)
	}
	slices.SortFunc(r.rep.Accounts, func(a, b CutAccount) int { return bytes.Compare(a.Account[:], b.Account[:]) })
	return e.Close()
}

// cutFunds is what an account had as of a record.
type cutFunds struct {
	funds int64
	asOf  uint64
}

// writeCut writes the file. What it returns are the accounts in it.
func (r *repairer) writeCut(ctx context.Context, end uint64, info fs.FileInfo) (map[uuid.UUID]cutFunds, error) {
	funds := make(map[uuid.UUID]cutFunds)
	name := r.path + ".cut-" + r.stamp + ".jsonl"
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, osfile.NotWritable(err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	line := func(rec *record.Record) {
		r.rep.CutRecords++
		w.Write(record.AppendLine(nil, rec)) // Flush says if that failed
		switch rec.Kind {
		case record.KindAccount:
			funds[rec.Body.(*record.Account).ID] = cutFunds{0, rec.Position}
		case record.KindTransfer:
			t := &rec.Transfer
			funds[t.Sender] = cutFunds{t.From.Funds, rec.Position}
			funds[t.Receiver] = cutFunds{t.To.Funds, rec.Position}
			if t.Fee > 0 {
				funds[record.FeeAccount] = cutFunds{t.Pool.Funds, rec.Position}
			}
		}
	}
	err = r.salvage.After(ctx, end, line)
	if err == nil {
		err = r.salvage.Unsure(ctx, line)
	}
	if err == nil {
		err = errors.Join(w.Flush(), f.Sync(), osfile.SameOwner(name, info))
	}
	if err = errors.Join(err, f.Close()); err == nil && r.rep.CutRecords > 0 {
		r.rep.CutFile = name
		return funds, osfile.SyncDir(filepath.Dir(name))
	}
	return funds, errors.Join(err, os.Remove(name))
}
