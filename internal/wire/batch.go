package wire

import "github.com/capycoin/capycoin/store"

// Batch collects rows for Folds, with copies of their keys and values.
type Batch struct {
	Rows  []store.Row
	arena []byte
}

// Put adds a row; its value is sealed.
func (b *Batch) Put(table store.Table, key, value []byte) {
	start := len(b.arena)
	b.arena = append(b.arena, key...)
	end := len(b.arena)
	b.arena = AppendRow(b.arena, b.arena[start:end], value)
	b.Rows = append(b.Rows, store.Row{Table: table, Key: b.arena[start:end:end], Value: b.arena[end:len(b.arena):len(b.arena)]})
}

// Delete adds the deletion of a row.
func (b *Batch) Delete(table store.Table, key []byte) {
	start := len(b.arena)
	b.arena = append(b.arena, key...)
	b.Rows = append(b.Rows, store.Row{Table: table, Key: b.arena[start:len(b.arena):len(b.arena)]})
}

// Cut leaves the first n rows.
func (b *Batch) Cut(n int) {
	clear(b.Rows[n:])
	b.Rows = b.Rows[:n]
}

// Reset empties it and keeps its room.
func (b *Batch) Reset() {
	b.Cut(0)
	b.arena = b.arena[:0]
}
