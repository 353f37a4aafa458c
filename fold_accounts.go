package capycoin

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/wire"
	"github.com/capycoin/capycoin/store"
)

// scanOver is how many rows that stay as they are it takes to make looking for
// the next one cheaper than going through them.
const scanOver = 8

// stageAccounts takes up to about n changed accounts of the sweep and makes
// the rows that hold them anew.
func (l *Ledger) stageAccounts(ctx context.Context, n int) error {
	f := &l.folder
	if len(f.staged) == 0 { // or else their rows could not be read the last time
		l.mu.Lock()
		for len(f.staged) < n && f.part < foldParts {
			var more bool
			if f.staged, more = l.cache.take(f.part, n-len(f.staged), f.staged); !more {
				f.part++
			}
		}
		l.mu.Unlock()
	}
	// The writer may be bringing accounts into the cache.
	l.mu.RLock()
	defer l.mu.RUnlock()
	for list := f.staged; len(list) > 0; {
		rest, err := l.foldAccounts(ctx, list)
		if err != nil {
			f.batch.Reset()
			return err
		}
		list = rest
	}
	return nil
}

// foldAccounts puts accounts, in order of their ids, into the rows that hold
// them, until the next of these is far away. It returns the accounts left.
func (l *Ledger) foldAccounts(ctx context.Context, list []uint32) ([]uint32, error) {
	var bad error
	over := 0
	first := l.cache.at(list[0]).id
	err := l.folds.Scan(ctx, store.TableAccounts, first[:], func(key, value []byte) bool {
		n := 0
		for n < len(list) && wire.CompareIDs(&l.cache.at(list[n]).id, (*uuid.UUID)(key)) <= 0 {
			n++
		}
		if n == 0 {
			over++
			return over < scanOver
		}
		over = 0
		bad = l.mergeAccounts(key, value, list[:n])
		list = list[n:]
		return bad == nil && len(list) > 0
	})
	if bad != nil || err != nil {
		return nil, errors.Join(bad, err)
	}
	if len(list) > 0 && l.cache.at(list[0]).id == first {
		return nil, l.mergeAccounts(lastAccount[:], nil, list) // there is no row yet
	}
	return list, nil
}

// mergeAccounts makes a row anew with changed accounts in it, and further rows
// before it where it would become too long.
func (l *Ledger) mergeAccounts(key, value []byte, list []uint32) error {
	f := &l.folder
	entries, ends := f.entries[:0], f.ends[:0]
	add := func() {
		entries = l.cache.appendAccount(entries, list[0])
		ends = append(ends, len(entries))
		list = list[1:]
	}
	if value != nil {
		err := accountsIn(key, value, func(id uuid.UUID, entry, _ []byte) bool {
			for len(list) > 0 && wire.CompareIDs(&l.cache.at(list[0]).id, &id) < 0 {
				add()
			}
			if len(list) > 0 && l.cache.at(list[0]).id == id {
				add()
			} else {
				entries = append(entries, entry...)
				ends = append(ends, len(entries))
			}
			return true
		})
		if err != nil {
			return err
		}
	}
	for len(list) > 0 {
		add()
	}
	f.entries, f.ends = entries, ends
	// Parts of about the same size, so that each has room to grow.
	parts := 1 + len(entries)/accountRowSize
	start := 0
	for i, end := range ends {
		last := i == len(ends)-1
		if !last && (end-start)*parts < len(entries) {
			continue
		}
		rowKey := key
		if !last {
			at := 0
			if i > 0 {
				at = ends[i-1]
			}
			rowKey = entries[at : at+16]
		}
		f.batch.Put(store.TableAccounts, rowKey, entries[start:end])
		start = end
	}
	return nil
}
