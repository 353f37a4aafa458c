package accounts

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

// Folder makes the rows that hold accounts. It is no more than room that is used again.
type Folder struct {
	entries []byte // of the row in the making,
	ends    []int  // and where its entries end
}

// Fold makes the rows anew that hold accounts of a cache, which are given in order of
// their ids, and adds them to a batch.
func (f *Folder) Fold(ctx context.Context, c *Cache, folds store.Folds, list []uint32, b *wire.Batch) error {
	for len(list) > 0 {
		rest, err := f.some(ctx, c, folds, list, b)
		if err != nil {
			return err
		}
		list = rest
	}
	return nil
}

// some puts accounts, in order of their ids, into the rows that hold
// them, until the next of these is far away. It returns the accounts left.
func (f *Folder) some(ctx context.Context, c *Cache, folds store.Folds, list []uint32, b *wire.Batch) ([]uint32, error) {
	var bad error
	over := 0
	first := c.At(list[0]).ID
	err := folds.Scan(ctx, store.TableAccounts, first[:], func(key, value []byte) bool {
		n := 0
		for n < len(list) && wire.CompareIDs(&c.At(list[n]).ID, (*uuid.UUID)(key)) <= 0 {
			n++
		}
		if n == 0 {
			over++
			return over < scanOver
		}
		over = 0
		bad = f.merge(c, b, key, value, list[:n])
		list = list[n:]
		return bad == nil && len(list) > 0
	})
	if bad != nil || err != nil {
		return nil, errors.Join(bad, err)
	}
	if len(list) > 0 && c.At(list[0]).ID == first {
		return nil, f.merge(c, b, LastKey[:], nil, list) // there is no row yet
	}
	return list, nil
}

// merge makes a row anew with changed accounts in it, and further rows
// before it where it would become too long.
func (f *Folder) merge(c *Cache, b *wire.Batch, key, value []byte, list []uint32) error {
	entries, ends := f.entries[:0], f.ends[:0]
	add := func() {
		entries = c.AppendAccount(entries, list[0])
		ends = append(ends, len(entries))
		list = list[1:]
	}
	if value != nil {
		err := InRow(key, value, func(id uuid.UUID, entry, _ []byte) bool {
			for len(list) > 0 && wire.CompareIDs(&c.At(list[0]).ID, &id) < 0 {
				add()
			}
			if len(list) > 0 && c.At(list[0]).ID == id {
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
		b.Put(store.TableAccounts, rowKey, entries[start:end])
		start = end
	}
	return nil
}
