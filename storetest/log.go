package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/capycoin/capycoin"
)

// ctx is what the suite gives to a store: a Ledger's context never ends.
var ctx = context.Background()

// logChecks are the checks of a Log used by one goroutine.
func logChecks() []check {
	return []check{
		{"Log/Empty", needNothing, checkEmptyLog},
		{"Log/AppendAndRead", needNothing, checkAppendAndRead},
		{"Log/AppendNothing", needNothing, checkAppendNothing},
		{"Log/Fence", needNothing, checkFence},
		{"Log/LargeAppends", needNothing, checkLargeAppends},
		{"Log/CallersBytes", needNothing, checkCallersBytes},
		{"Log/ViewError", needNothing, checkViewError},
		{"Log/Reopen", needReopen, checkLogReopen},
	}
}

// testRecord is the record that the checks put at a position: bytes of many
// lengths that no other position has.
func testRecord(pos uint64) []byte {
	r := rand.New(rand.NewPCG(pos, 1))
	record := fmt.Appendf(nil, "record %d ", pos)
	for range r.IntN(300) {
		record = append(record, byte(r.Uint32()))
	}
	return record
}

// testRecords are the records after+1 to after+n.
func testRecords(after uint64, n int) [][]byte {
	records := make([][]byte, n)
	for i := range records {
		records[i] = testRecord(after + 1 + uint64(i))
	}
	return records
}

// mustAppend appends records and expects no error.
func (e *env) mustAppend(log capycoin.Log, after uint64, records [][]byte) {
	e.Helper()
	if err := log.Append(ctx, after, records); err != nil {
		e.Fatalf("Append(after %d, %d records): got error %v, want none", after, len(records), err)
	}
}

// wantTail compares the tail of a log.
func (e *env) wantTail(log capycoin.Log, want uint64) {
	e.Helper()
	got, err := log.Tail(ctx)
	if err != nil || got != want {
		e.Fatalf("Tail: got %d, error %v; want %d", got, err, want)
	}
}

// view calls fn in a View and expects no error.
func (e *env) view(log capycoin.Log, fn func(r capycoin.LogReader)) {
	e.Helper()
	called := 0
	err := log.View(ctx, func(r capycoin.LogReader) error {
		called++
		fn(r)
		return nil
	})
	if err != nil {
		e.Fatalf("View: got error %v, want none", err)
	}
	if called != 1 {
		e.Fatalf("View called its function %d times, want once", called)
	}
}

// wantRecord compares one record; nil means that there is none.
func (e *env) wantRecord(r capycoin.LogReader, pos uint64, want []byte) {
	e.Helper()
	got, err := r.Record(pos)
	if err != nil {
		e.Errorf("Record(%d): got error %v, want none", pos, err)
		return
	}
	if want == nil && got != nil {
		e.Errorf("Record(%d): got %d bytes %.40q, want nil: there is no such record", pos, len(got), got)
		return
	}
	if want != nil && (got == nil || !bytes.Equal(got, want)) {
		e.Errorf("Record(%d): got %d bytes %.40q, want %d bytes %.40q", pos, len(got), got, len(want), want)
	}
}

// wantScan scans from a position until limit records were seen and compares
// them with test records up to tail.
func (e *env) wantScan(r capycoin.LogReader, from, tail uint64, limit int) {
	e.Helper()
	next, seen := max(from, 1), 0
	err := r.Scan(from, func(pos uint64, record []byte) bool {
		if seen == limit {
			e.Errorf("Scan(%d): went on after its function returned false", from)
			return false
		}
		if pos != next {
			e.Errorf("Scan(%d): got position %d, want %d", from, pos, next)
			next = pos
		}
		if want := testRecord(pos); !bytes.Equal(record, want) {
			e.Errorf("Scan(%d): at position %d: got %d bytes %.40q, want %d bytes %.40q",
				from, pos, len(record), record, len(want), want)
		}
		next++
		seen++
		return seen < limit
	})
	if err != nil {
		e.Errorf("Scan(%d): got error %v, want none", from, err)
		return
	}
	want := 0
	if from <= tail {
		want = int(tail - max(from, 1) + 1)
	}
	if want = min(want, limit); seen != want {
		e.Errorf("Scan(%d): got %d records, want %d of the %d there are", from, seen, want, tail)
	}
}

// wantLog compares a whole log with the test records 1 to tail.
func (e *env) wantLog(log capycoin.Log, tail uint64) {
	e.Helper()
	e.wantTail(log, tail)
	e.view(log, func(r capycoin.LogReader) {
		e.wantScan(r, 1, tail, math.MaxInt)
		for pos := uint64(1); pos <= tail; pos++ {
			e.wantRecord(r, pos, testRecord(pos))
		}
		e.wantRecord(r, tail+1, nil)
	})
}

func checkEmptyLog(e *env) {
	log := e.store().Log
	e.wantTail(log, 0)
	e.view(log, func(r capycoin.LogReader) {
		for _, pos := range []uint64{0, 1, 2, math.MaxUint64} {
			e.wantRecord(r, pos, nil)
			e.wantScan(r, pos, 0, math.MaxInt)
		}
	})
}

func checkAppendAndRead(e *env) {
	log := e.store().Log
	tail := uint64(0)
	// The sizes go around powers of two, as a store may keep runs of records.
	for _, n := range []int{1, 1, 2, 7, 8, 9, 1, 16, 31, 3, 100, 1, 255, 257} {
		e.mustAppend(log, tail, testRecords(tail, n))
		tail += uint64(n)
		e.wantTail(log, tail)
	}
	e.wantLog(log, tail)
	e.view(log, func(r capycoin.LogReader) {
		for from := uint64(0); from <= tail+2; from++ {
			e.wantScan(r, from, tail, 1)
			e.wantScan(r, from, tail, 12)
		}
		for _, from := range []uint64{0, 1, 2, tail - 1, tail, tail + 1, tail + 1000, math.MaxUint64} {
			e.wantScan(r, from, tail, math.MaxInt)
		}
		e.wantRecord(r, 0, nil)
		e.wantRecord(r, math.MaxUint64, nil)
		// Back and forth: no reading leaves the reader somewhere else.
		for _, pos := range []uint64{tail, 1, tail / 2, tail/2 - 1, 2, tail - 1} {
			e.wantRecord(r, pos, testRecord(pos))
		}
	})
}

func checkAppendNothing(e *env) {
	log := e.store().Log
	e.mustAppend(log, 0, nil)
	e.wantTail(log, 0)
	e.mustAppend(log, 0, testRecords(0, 3))
	e.mustAppend(log, 3, [][]byte{})
	e.wantFenced(log, 2, nil)
	e.wantLog(log, 3)
	e.mustAppend(log, 3, testRecords(3, 2))
	e.wantLog(log, 5)
}

// wantFenced appends after a position that is not the tail.
func (e *env) wantFenced(log capycoin.Log, after uint64, records [][]byte) {
	e.Helper()
	err := log.Append(ctx, after, records)
	if !errors.Is(err, capycoin.ErrFenced) {
		e.Errorf("Append(after %d, %d records): got error %v, want %v", after, len(records), err, capycoin.ErrFenced)
	}
	if errors.Is(err, capycoin.ErrNotWritten) {
		e.Errorf("Append(after %d): the error is both %v and %v", after, capycoin.ErrFenced, capycoin.ErrNotWritten)
	}
}

func checkFence(e *env) {
	log := e.store().Log
	e.wantFenced(log, 1, testRecords(1, 1))
	e.wantFenced(log, math.MaxUint64, testRecords(0, 1))
	e.wantTail(log, 0)
	e.mustAppend(log, 0, testRecords(0, 5))
	for _, after := range []uint64{0, 1, 4, 6, 100, math.MaxUint64} {
		e.wantFenced(log, after, testRecords(after, 2))
		e.wantLog(log, 5)
	}
	// A fence is no fault: the store goes on.
	e.mustAppend(log, 5, testRecords(5, 4))
	e.wantLog(log, 9)
}

// minMaxAppend is the least that a Log must take in one Append, in bytes.
const minMaxAppend = 65_536

// maxAppendTested bounds the largest append of the suite, in bytes.
const maxAppendTested = 16 << 20

func checkLargeAppends(e *env) {
	log := e.store().Log
	limit := log.MaxAppend()
	if limit < minMaxAppend {
		e.Fatalf("MaxAppend: got %d, want at least %d", limit, minMaxAppend)
	}
	tail := uint64(0)
	appendAndCompare := func(sizes []int) {
		e.Helper()
		records := make([][]byte, len(sizes))
		for i, size := range sizes {
			records[i] = bytes.Repeat([]byte{byte(i), byte(size)}, size/2+1)[:size]
		}
		e.mustAppend(log, tail, records)
		e.view(log, func(r capycoin.LogReader) {
			for i, want := range records {
				e.wantRecord(r, tail+1+uint64(i), want)
			}
		})
		tail += uint64(len(records))
		e.wantTail(log, tail)
	}
	appendAndCompare([]int{minMaxAppend})
	appendAndCompare([]int{minMaxAppend - 3, 1, 2})

	// As many bytes as one Append may have, in records of uneven sizes.
	limit = min(limit, maxAppendTested)
	var sizes []int
	for left, i := limit, 0; left > 0; i++ {
		size := min(left, 500+i%1000)
		sizes = append(sizes, size)
		left -= size
	}
	appendAndCompare(sizes)

	// As many records as a Ledger commits at once, if they fit.
	sizes = make([]int, min(16_384, limit/20))
	for i := range sizes {
		sizes[i] = 20
	}
	appendAndCompare(sizes)
}

func checkCallersBytes(e *env) {
	log := e.store().Log
	records := testRecords(0, 20)
	e.mustAppend(log, 0, records)
	for _, record := range records {
		clear(record)
	}
	clear(records)
	e.wantLog(log, 20)
	// Records may be parts of one buffer, with what follows within their
	// capacity.
	var buffer []byte
	var ends []int
	for pos := uint64(21); pos <= 40; pos++ {
		buffer = append(buffer, testRecord(pos)...)
		ends = append(ends, len(buffer))
	}
	before := bytes.Clone(buffer)
	start := 0
	records = records[:0]
	for _, end := range ends {
		records = append(records, buffer[start:end])
		start = end
	}
	e.mustAppend(log, 20, records)
	if !bytes.Equal(buffer, before) {
		e.Errorf("Append changed the caller's bytes")
	}
	clear(buffer)
	e.wantLog(log, 40)
}

func checkViewError(e *env) {
	log := e.store().Log
	e.mustAppend(log, 0, testRecords(0, 3))
	want := errors.New("an error of the caller")
	got := log.View(ctx, func(r capycoin.LogReader) error {
		e.wantRecord(r, 2, testRecord(2))
		return want
	})
	if !errors.Is(got, want) {
		e.Errorf("View: got error %v, want the one that its function returned", got)
	}
	e.wantLog(log, 3)
	e.mustAppend(log, 3, testRecords(3, 1))
	e.wantLog(log, 4)
}

func checkLogReopen(e *env) {
	s := e.store()
	s.reopen()
	e.wantTail(s.Log, 0)
	tail := uint64(0)
	for _, n := range []int{1, 20, 300} {
		e.mustAppend(s.Log, tail, testRecords(tail, n))
		tail += uint64(n)
		s.reopen()
		e.wantLog(s.Log, tail)
		e.wantFenced(s.Log, tail-1, testRecords(tail, 1))
	}
	e.mustAppend(s.Log, tail, testRecords(tail, 1))
	e.wantLog(s.Log, tail+1)
}
