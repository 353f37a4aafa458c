package storetest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/capycoin/capycoin"
)

// memoryMaxAppend is the MaxAppend of a new Memory: room for a batch of
// [capycoin.MaxBatch] transfers with long keys.
const memoryMaxAppend = 16 << 20

// Memory is a store in memory, a [capycoin.Log] and [capycoin.Folds] at once.
// It is safe for concurrent use and as strict as the contracts allow, so that
// a ledger that leans on more than they promise fails on it:
//
//   - bytes that View, Scan and the reader hand out are overwritten when their
//     time is over;
//   - the rows of a Put are kept as they were given, not copied, and are seen
//     only after the next Append or Flush;
//   - rows survive [Memory.Reopen] only once they were flushed, though the
//     records of an Append always do;
//   - two calls of Append, Put or Flush at once on one handle panic.
//
// Several handles can share one journal, see [Memory.Handle].
type Memory struct {
	journal *journal // shared by all handles

	// writing is held by Append, Put and Flush, only to notice two at once.
	writing sync.Mutex

	mu        sync.RWMutex
	tables    map[capycoin.Table]*memoryTable // what Get and Scan see
	pending   []capycoin.Row                  // put since the last Append or Flush, the caller's bytes
	unflushed []capycoin.Row                  // in tables, not yet in durable
	durable   map[capycoin.Table]map[string][]byte
}

// journal is the records of a ledger in memory. The slices in records are
// never changed once they are in, only replaced.
type journal struct {
	mu        sync.RWMutex
	records   [][]byte // the record at position p is records[p-1]
	maxAppend int
}

// memoryTable is the rows of one table. The values are never changed.
type memoryTable struct {
	rows   map[string][]byte
	sorted []memoryRow // the same in key order; nil when rows has changed since
}

type memoryRow struct {
	key   string
	value []byte
}

var (
	_ capycoin.Log   = (*Memory)(nil)
	_ capycoin.Folds = (*Memory)(nil)
)

// NewMemory returns an empty store.
func NewMemory() *Memory {
	return newMemory(&journal{maxAppend: memoryMaxAppend})
}

func newMemory(j *journal) *Memory {
	return &Memory{
		journal: j,
		tables:  make(map[capycoin.Table]*memoryTable),
		durable: make(map[capycoin.Table]map[string][]byte),
	}
}

// NewFolds returns empty folds in memory to use beside a Log that is no
// [Memory]: a Put is seen at once, as no Append of that Log comes by here.
func NewFolds() capycoin.Folds { return eagerFolds{NewMemory()} }

// eagerFolds are the folds of a Memory, each Put shown when it is made.
type eagerFolds struct{ *Memory }

// Put implements [capycoin.Folds].
func (f eagerFolds) Put(ctx context.Context, rows []capycoin.Row) error {
	if err := f.Memory.Put(ctx, rows); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.show()
	return nil
}

// Handle returns one more handle on the same journal, with empty folds of its
// own: what a second process would have. An append through one of them fences
// the others.
func (m *Memory) Handle() *Memory { return newMemory(m.journal) }

// Reopen returns a handle on the same journal with those folds of m that were
// flushed: what is left when the process ends without warning. m itself stays
// usable.
func (m *Memory) Reopen() *Memory {
	n := newMemory(m.journal)
	m.mu.RLock()
	defer m.mu.RUnlock()
	for name, rows := range m.durable {
		for key, value := range rows {
			n.apply(capycoin.Row{Table: name, Key: []byte(key), Value: value})
		}
	}
	n.settle()
	return n
}

// SetMaxAppend changes what MaxAppend returns, for every handle of the
// journal. An Append of more bytes is [capycoin.ErrNotWritten].
func (m *Memory) SetMaxAppend(size int) {
	m.journal.mu.Lock()
	defer m.journal.mu.Unlock()
	m.journal.maxAppend = size
}

// SetRecord puts a copy of record in the place of the one at pos, as a damaged
// disk may, and tells whether there was one. The bytes that were there stay as
// they are for the readers that have them.
func (m *Memory) SetRecord(pos uint64, record []byte) bool {
	m.journal.mu.Lock()
	defer m.journal.mu.Unlock()
	if pos == 0 || pos > uint64(len(m.journal.records)) {
		return false
	}
	// Readers look at the old slice without a lock: leave it alone.
	m.journal.records = slices.Clone(m.journal.records)
	m.journal.records[pos-1] = bytes.Clone(record)
	return true
}

// Tail implements [capycoin.Log].
func (m *Memory) Tail(ctx context.Context) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	return uint64(len(m.journal.snapshot())), nil
}

// snapshot returns the records by now.
func (j *journal) snapshot() [][]byte {
	j.mu.RLock()
	defer j.mu.RUnlock()
	return j.records[:len(j.records):len(j.records)]
}

// View implements [capycoin.Log].
func (m *Memory) View(ctx context.Context, fn func(capycoin.LogReader) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r := &memoryReader{records: m.journal.snapshot()}
	defer r.lent.spoil()
	return fn(r)
}

// Append implements [capycoin.Log].
func (m *Memory) Append(ctx context.Context, after uint64, records [][]byte) error {
	defer m.alone("Append")()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", capycoin.ErrNotWritten, err)
	}
	if err := m.journal.append(after, records); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.show()
	return nil
}

func (j *journal) append(after uint64, records [][]byte) error {
	size := 0
	for _, record := range records {
		size += len(record)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if tail := uint64(len(j.records)); tail != after {
		return fmt.Errorf("%w: the last record is at %d, not at %d", capycoin.ErrFenced, tail, after)
	}
	if size > j.maxAppend {
		return fmt.Errorf("%w: an append of %d bytes, allowed are %d", capycoin.ErrNotWritten, size, j.maxAppend)
	}
	for _, record := range records {
		j.records = append(j.records, append([]byte{}, record...))
	}
	return nil
}

// MaxAppend implements [capycoin.Log].
func (m *Memory) MaxAppend() int {
	m.journal.mu.RLock()
	defer m.journal.mu.RUnlock()
	return m.journal.maxAppend
}

// Get implements [capycoin.Folds].
func (m *Memory) Get(ctx context.Context, table capycoin.Table, key []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	t := m.tables[table]
	if t == nil {
		return nil, nil
	}
	return bytes.Clone(t.rows[string(key)]), nil
}

// Scan implements [capycoin.Folds]. It reads the rows as they were when it was
// called, and holds no lock while fn runs.
func (m *Memory) Scan(ctx context.Context, table capycoin.Table, from []byte, fn func(key, value []byte) bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	rows := m.sorted(table)
	first, _ := slices.BinarySearchFunc(rows, string(from), func(r memoryRow, key string) int {
		return strings.Compare(r.key, key)
	})
	var lent lending
	defer lent.spoil()
	for _, row := range rows[first:] {
		if !fn(lent.copy([]byte(row.key)), lent.copy(row.value)) {
			return nil
		}
	}
	return nil
}

// sorted returns the rows of a table in key order. The slice is never changed.
func (m *Memory) sorted(table capycoin.Table) []memoryRow {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.tables[table]
	if t == nil {
		return nil
	}
	if t.sorted == nil {
		t.sorted = make([]memoryRow, 0, len(t.rows))
		for key, value := range t.rows {
			t.sorted = append(t.sorted, memoryRow{key, value})
		}
		slices.SortFunc(t.sorted, func(a, b memoryRow) int { return strings.Compare(a.key, b.key) })
	}
	return t.sorted
}

// Put implements [capycoin.Folds].
func (m *Memory) Put(ctx context.Context, rows []capycoin.Row) error {
	defer m.alone("Put")()
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pending = append(m.pending, rows...)
	return nil
}

// Flush implements [capycoin.Folds].
func (m *Memory) Flush(ctx context.Context) error {
	defer m.alone("Flush")()
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.show()
	m.settle()
	return nil
}

// alone panics when another writing call is under way. The function that it
// returns ends the call.
func (m *Memory) alone(call string) func() {
	if !m.writing.TryLock() {
		panic("storetest: " + call + " during another Append, Put or Flush of the same handle")
	}
	return m.writing.Unlock
}

// show lets Get and Scan see what was put. The caller holds mu.
func (m *Memory) show() {
	for _, row := range m.pending {
		m.apply(capycoin.Row{Table: row.Table, Key: bytes.Clone(row.Key), Value: bytes.Clone(row.Value)})
	}
	clear(m.pending) // The rows are the caller's again: keep no hold on them.
	m.pending = m.pending[:0]
}

// apply puts one row, whose bytes are the store's own, into its table. The
// caller holds mu.
func (m *Memory) apply(row capycoin.Row) {
	t := m.tables[row.Table]
	if t == nil {
		t = &memoryTable{rows: make(map[string][]byte)}
		m.tables[row.Table] = t
	}
	t.sorted = nil
	if row.Value == nil {
		delete(t.rows, string(row.Key))
	} else {
		t.rows[string(row.Key)] = row.Value
	}
	m.unflushed = append(m.unflushed, row)
}

// settle makes durable what can be seen. The caller holds mu.
func (m *Memory) settle() {
	for _, row := range m.unflushed {
		rows := m.durable[row.Table]
		if rows == nil {
			rows = make(map[string][]byte)
			m.durable[row.Table] = rows
		}
		if row.Value == nil {
			delete(rows, string(row.Key))
		} else {
			rows[string(row.Key)] = row.Value
		}
	}
	m.unflushed = nil
}

// memoryReader reads the records as they were at one moment.
type memoryReader struct {
	records [][]byte
	lent    lending
}

// Record implements [capycoin.LogReader].
func (r *memoryReader) Record(pos uint64) ([]byte, error) {
	if pos == 0 || pos > uint64(len(r.records)) {
		return nil, nil
	}
	return r.lent.copy(r.records[pos-1]), nil
}

// Scan implements [capycoin.LogReader].
func (r *memoryReader) Scan(from uint64, fn func(pos uint64, record []byte) bool) error {
	for pos := max(from, 1); pos <= uint64(len(r.records)); pos++ {
		if !fn(pos, r.lent.copy(r.records[pos-1])) {
			return nil
		}
	}
	return nil
}

// lending hands out copies of bytes for a time.
type lending struct {
	mu     sync.Mutex // a reader may be used by several goroutines
	chunks [][]byte
	rest   []byte // what is free of the last chunk
}

const lendingChunk = 16 << 10

// copy returns a copy of b that lasts until spoil.
func (l *lending) copy(b []byte) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.rest) < len(b) {
		l.rest = make([]byte, max(len(b), lendingChunk))
		l.chunks = append(l.chunks, l.rest)
	}
	c := l.rest[:len(b):len(b)]
	l.rest = l.rest[len(b):]
	copy(c, b)
	return c
}

// spoil overwrites all copies, so that who kept one notices.
func (l *lending) spoil() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, chunk := range l.chunks {
		for i := range chunk {
			chunk[i] = 0xDB
		}
	}
}
