package storetest

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/capycoin/capycoin"
)

// foldsChecks are the checks of Folds used by one goroutine.
func foldsChecks() []check {
	return []check{
		{"Folds/Empty", needNothing, checkEmptyFolds},
		{"Folds/PutAndGet", needNothing, checkPutAndGet},
		{"Folds/Scan", needNothing, checkFoldsScan},
		{"Folds/Delete", needNothing, checkDelete},
		{"Folds/OrderOfPuts", needNothing, checkOrderOfPuts},
		{"Folds/CallersBytes", needNothing, checkRowsReused},
		{"Folds/PutBeforeFencedAppend", needNothing, checkPutBeforeFencedAppend},
		{"Folds/ManyRows", needNothing, checkManyRows},
	}
}

// tables are the tables of a ledger.
func tables() []capycoin.Table {
	return []capycoin.Table{capycoin.TableAccounts, capycoin.TableKeys, capycoin.TableTokens, capycoin.TableState}
}

func row(table capycoin.Table, key, value string) capycoin.Row {
	return capycoin.Row{Table: table, Key: []byte(key), Value: []byte(value)}
}

func (e *env) mustPut(folds capycoin.Folds, rows ...capycoin.Row) {
	e.Helper()
	if err := folds.Put(ctx, rows); err != nil {
		e.Fatalf("Put of %d rows: got error %v, want none", len(rows), err)
	}
}

func (e *env) mustFlush(folds capycoin.Folds) {
	e.Helper()
	if err := folds.Flush(ctx); err != nil {
		e.Fatalf("Flush: got error %v, want none", err)
	}
}

// wantRow compares one row.
func (e *env) wantRow(folds capycoin.Folds, table capycoin.Table, key, want string) {
	e.Helper()
	got, err := folds.Get(ctx, table, []byte(key))
	if err != nil || got == nil || string(got) != want {
		e.Errorf("Get(%s, %q): got %q, error %v; want %q", table, key, got, err, want)
	}
}

// wantNoRow expects that there is no such row.
func (e *env) wantNoRow(folds capycoin.Folds, table capycoin.Table, key string) {
	e.Helper()
	got, err := folds.Get(ctx, table, []byte(key))
	if err != nil || got != nil {
		e.Errorf("Get(%s, %q): got %q, error %v; want no row", table, key, got, err)
	}
}

// wantRows scans a table from a key on, until limit rows were seen, and
// compares them with those of a map.
func (e *env) wantRows(folds capycoin.Folds, table capycoin.Table, from []byte, limit int, all map[string]string) {
	e.Helper()
	var want []string
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if key >= string(from) && len(want) < limit {
			want = append(want, fmt.Sprintf("%q=%q", key, all[key]))
		}
	}
	var got []string
	err := folds.Scan(ctx, table, from, func(key, value []byte) bool {
		if len(got) == limit {
			e.Errorf("Scan(%s, from %q): went on after its function returned false", table, from)
			return false
		}
		got = append(got, fmt.Sprintf("%q=%q", key, value))
		return len(got) < limit
	})
	if err != nil {
		e.Errorf("Scan(%s, from %q): got error %v, want none", table, from, err)
		return
	}
	if !slices.Equal(got, want) {
		e.Errorf("Scan(%s, from %q): got %d rows, want %d; they differ first in: %s",
			table, from, len(got), len(want), firstDifference(got, want))
	}
}

// firstDifference shows the first line in which two lists differ.
func firstDifference(got, want []string) string {
	for i := range max(len(got), len(want)) {
		g, w := "nothing", "nothing"
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			return fmt.Sprintf("line %d: got %s, want %s", i+1, g, w)
		}
	}
	return "nothing"
}

func checkEmptyFolds(e *env) {
	folds := e.store().Folds
	for _, table := range tables() {
		e.wantNoRow(folds, table, "a key")
		e.wantRows(folds, table, nil, 10, nil)
		e.wantRows(folds, table, []byte("a key"), 10, nil)
	}
	e.mustPut(folds)
	e.mustFlush(folds)
	e.wantRows(folds, capycoin.TableState, nil, 10, nil)
}

func checkPutAndGet(e *env) {
	s := e.store()
	// One key in every table: they are different rows.
	var rows []capycoin.Row
	for _, table := range tables() {
		rows = append(rows, row(table, "key", "value in "+string(table)))
	}
	e.mustPut(s.Folds, rows...)
	e.mustFlush(s.Folds)
	for _, table := range tables() {
		e.wantRow(s.Folds, table, "key", "value in "+string(table))
		e.wantRows(s.Folds, table, nil, 10, map[string]string{"key": "value in " + string(table)})
		e.wantNoRow(s.Folds, table, "ke")
		e.wantNoRow(s.Folds, table, "key ")
	}
	// An Append shows what was put as a Flush does, with and without records.
	e.mustPut(s.Folds, row(capycoin.TableState, "key", "as of record 2"))
	e.mustAppend(s.Log, 0, testRecords(0, 2))
	e.wantRow(s.Folds, capycoin.TableState, "key", "as of record 2")
	e.mustPut(s.Folds, row(capycoin.TableState, "key", "once more"))
	e.mustAppend(s.Log, 2, nil)
	e.wantRow(s.Folds, capycoin.TableState, "key", "once more")
	e.wantRow(s.Folds, capycoin.TableKeys, "key", "value in keys")
	e.wantLog(s.Log, 2)
	// What Get returns is the caller's.
	got, err := s.Folds.Get(ctx, capycoin.TableKeys, []byte("key"))
	if err != nil {
		e.Fatalf("Get: got error %v, want none", err)
	}
	clear(got)
	e.wantRow(s.Folds, capycoin.TableKeys, "key", "value in keys")
	got, err = s.Folds.Get(ctx, capycoin.TableKeys, []byte("key"))
	if err != nil {
		e.Fatalf("Get: got error %v, want none", err)
	}
	for i := range 50 {
		e.mustPut(s.Folds, row(capycoin.TableKeys, "key", fmt.Sprintf("later value %d", i)))
		e.mustFlush(s.Folds)
	}
	if want := "value in keys"; string(got) != want {
		e.Errorf("bytes that Get returned have become %q after further puts, were %q", got, want)
	}
}

// testKeys are keys of many lengths and bytes, some a prefix of others.
func testKeys(n int) []string {
	r := rand.New(rand.NewPCG(2, 3))
	keys := []string{"\x00", "\x00\x00", "\xff", "\xff\xff", "a", "a\x00", "aa", "ab", "b"}
	for len(keys) < n {
		key := make([]byte, 1+r.IntN(40))
		for i := range key {
			key[i] = "\x00\x01a\x7f\x80\xfe\xff"[r.IntN(7)]
		}
		if !slices.Contains(keys, string(key)) {
			keys = append(keys, string(key))
		}
	}
	return keys
}

func checkFoldsScan(e *env) {
	folds := e.store().Folds
	all := make(map[string]string)
	keys := testKeys(300)
	for i, key := range keys {
		all[key] = fmt.Sprintf("value %d", i)
		e.mustPut(folds, row(capycoin.TableKeys, key, all[key]),
			row(capycoin.TableAccounts, "other "+key, "a row of another table"))
		if i%50 == 0 {
			e.mustFlush(folds)
		}
	}
	e.mustFlush(folds)
	e.wantRows(folds, capycoin.TableKeys, nil, len(all)+1, all)
	e.wantRows(folds, capycoin.TableKeys, []byte{}, len(all)+1, all)
	e.wantRows(folds, capycoin.TableTokens, nil, 10, nil)
	for _, key := range keys[:100] {
		e.wantRow(folds, capycoin.TableKeys, key, all[key])
		// From the key itself, from right after it, and from before it.
		e.wantRows(folds, capycoin.TableKeys, []byte(key), 5, all)
		e.wantRows(folds, capycoin.TableKeys, append([]byte(key), 0), 5, all)
		e.wantRows(folds, capycoin.TableKeys, []byte(key[:len(key)-1]), 5, all)
		e.wantRows(folds, capycoin.TableKeys, []byte(key), 1, all)
	}
	e.wantRows(folds, capycoin.TableKeys, bytes.Repeat([]byte{0xff}, 60), 5, all)
}

func checkDelete(e *env) {
	folds := e.store().Folds
	table := capycoin.TableTokens
	deleted := func(key string) capycoin.Row { return capycoin.Row{Table: table, Key: []byte(key)} }
	e.mustPut(folds, row(table, "a", "1"), row(table, "b", "2"), row(table, "c", "3"),
		row(capycoin.TableKeys, "b", "of another table"))
	e.mustFlush(folds)
	e.mustPut(folds, deleted("b"), deleted("never was"))
	e.mustFlush(folds)
	e.wantNoRow(folds, table, "b")
	e.wantRows(folds, table, nil, 10, map[string]string{"a": "1", "c": "3"})
	e.wantRow(folds, capycoin.TableKeys, "b", "of another table")
	// Put and deleted between two flushes, in one Put and in two.
	e.mustPut(folds, row(table, "d", "4"), deleted("a"), row(table, "a", "1 again"), deleted("d"))
	e.mustPut(folds, row(table, "e", "5"))
	e.mustPut(folds, deleted("e"), deleted("c"))
	e.mustPut(folds, row(table, "c", "3 again"))
	e.mustFlush(folds)
	e.wantRows(folds, table, nil, 10, map[string]string{"a": "1 again", "c": "3 again"})
	e.mustPut(folds, deleted("a"), deleted("c"))
	e.mustFlush(folds)
	e.wantRows(folds, table, nil, 10, nil)
}

// checkOrderOfPuts puts the same few rows many times: the last value counts.
func checkOrderOfPuts(e *env) {
	s := e.store()
	r := rand.New(rand.NewPCG(4, 5))
	want := make(map[string]string)
	tail := uint64(0)
	for i := range 400 {
		var rows []capycoin.Row
		for j := range r.IntN(6) {
			key := fmt.Sprintf("key %d", r.IntN(8))
			if r.IntN(4) == 0 {
				rows = append(rows, capycoin.Row{Table: capycoin.TableAccounts, Key: []byte(key)})
				delete(want, key)
				continue
			}
			want[key] = fmt.Sprintf("value %d.%d", i, j)
			rows = append(rows, row(capycoin.TableAccounts, key, want[key]))
		}
		e.mustPut(s.Folds, rows...)
		switch r.IntN(12) {
		case 0:
			e.mustFlush(s.Folds)
		case 1:
			e.mustAppend(s.Log, tail, testRecords(tail, 1))
			tail++
		default:
			continue
		}
		e.wantRows(s.Folds, capycoin.TableAccounts, nil, 10, want)
	}
}

func checkRowsReused(e *env) {
	s := e.store()
	keys := []string{"first", "other"}
	want := make(map[string]string)
	key, value := make([]byte, 5), make([]byte, 8)
	rows := []capycoin.Row{{Table: capycoin.TableState, Key: key, Value: value}}
	for i, name := range keys {
		copy(key, name)
		copy(value, fmt.Sprintf("%08d", i))
		want[name] = string(value)
		e.mustPut(s.Folds, rows...)
		if i == 0 {
			e.mustFlush(s.Folds)
		} else {
			e.mustAppend(s.Log, 0, testRecords(0, 1))
		}
		if string(key) != name || string(value) != want[name] {
			e.Errorf("the store changed the caller's row to %q=%q", key, value)
		}
	}
	clear(key)
	clear(value)
	rows[0] = capycoin.Row{}
	e.wantRows(s.Folds, capycoin.TableState, nil, 10, want)
	e.mustFlush(s.Folds)
	e.wantRows(s.Folds, capycoin.TableState, nil, 10, want)
}

// checkPutBeforeFencedAppend puts rows before an Append that fails. They are
// not lost with it: a later Put must not come to the disk without them.
func checkPutBeforeFencedAppend(e *env) {
	s := e.store()
	e.mustAppend(s.Log, 0, testRecords(0, 2))
	e.mustPut(s.Folds, row(capycoin.TableState, "a", "before"), row(capycoin.TableState, "b", "before"))
	e.wantFenced(s.Log, 1, testRecords(1, 1))
	e.mustPut(s.Folds, row(capycoin.TableState, "b", "after"))
	e.wantFenced(s.Log, 3, testRecords(3, 1))
	e.mustAppend(s.Log, 2, testRecords(2, 1))
	e.wantRows(s.Folds, capycoin.TableState, nil, 10, map[string]string{"a": "before", "b": "after"})
	e.mustPut(s.Folds, row(capycoin.TableState, "c", "before a flush"))
	e.wantFenced(s.Log, 1, testRecords(1, 1))
	e.mustFlush(s.Folds)
	e.wantRows(s.Folds, capycoin.TableState, nil, 10,
		map[string]string{"a": "before", "b": "after", "c": "before a flush"})
}

func checkManyRows(e *env) {
	folds := e.store().Folds
	const n = 20_000
	want := make(map[string]string, n)
	rows := make([]capycoin.Row, 0, n)
	for i := range n {
		// Against the order of the keys, so that no store gets them sorted.
		key, value := fmt.Sprintf("key %06d", n-i), fmt.Sprintf("value %d of many rows in one put", i)
		want[key] = value
		rows = append(rows, row(capycoin.TableAccounts, key, value))
	}
	e.mustPut(folds, rows...)
	e.mustFlush(folds)
	e.wantRows(folds, capycoin.TableAccounts, nil, n+1, want)
	for i := range rows {
		if i%3 == 0 {
			rows[i].Value = nil
			delete(want, string(rows[i].Key))
		}
	}
	e.mustPut(folds, rows...)
	e.mustFlush(folds)
	e.wantRows(folds, capycoin.TableAccounts, nil, n+1, want)
}
