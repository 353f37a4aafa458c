package storetest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/capycoin/capycoin"
)

// logConcurrentChecks are the checks of what several goroutines or handles do
// to one log.
func logConcurrentChecks() []check {
	return []check{
		{"Log/ReadDuringAppend", needNothing, checkReadDuringAppend},
		{"Log/SecondHandle", needSecond, checkSecondHandle},
		{"Log/SecondHandleConcurrent", needSecond, checkSecondHandleConcurrent},
	}
}

// markRecord says which append a record belongs to, how many that append has
// and which of them it is.
func markRecord(batch, size, index uint32) []byte {
	record := make([]byte, 12, 60)
	binary.BigEndian.PutUint32(record[0:], batch)
	binary.BigEndian.PutUint32(record[4:], size)
	binary.BigEndian.PutUint32(record[8:], index)
	return append(record, bytes.Repeat([]byte{byte(batch)}, 48)...)
}

// readMarks scans a log of marked records and returns how many there are. It
// is an error when one is torn or out of order, or the last append is not
// whole.
func readMarks(r capycoin.LogReader) (n uint64, err error) {
	var batch, size, index uint32 // of the record before
	scanErr := r.Scan(1, func(pos uint64, record []byte) bool {
		n++
		if pos != n {
			err = fmt.Errorf("position %d where %d should be", pos, n)
			return false
		}
		if len(record) != 60 || !bytes.Equal(record[12:], bytes.Repeat([]byte{record[3]}, 48)) {
			err = fmt.Errorf("the record at %d is torn: %x", pos, record)
			return false
		}
		b, i := binary.BigEndian.Uint32(record), binary.BigEndian.Uint32(record[8:])
		follows := b == batch && i == index+1
		begins := i == 0 && index+1 == size && b == batch+1 || n == 1 && i == 0
		if !follows && !begins {
			err = fmt.Errorf("the record at %d is %d of append %d, after %d of append %d that has %d",
				pos, i, b, index, batch, size)
			return false
		}
		batch, size, index = b, binary.BigEndian.Uint32(record[4:]), i
		return true
	})
	if scanErr != nil {
		return n, scanErr
	}
	if err == nil && n > 0 && index+1 != size {
		err = fmt.Errorf("the log ends at %d with %d of the %d records of append %d", n, index+1, size, batch)
	}
	return n, err
}

// checkReadDuringAppend reads all the time while records are appended. What a
// View sees is a prefix of whole appends that stays the same until it ends,
// with everything that was durable before it began.
func checkReadDuringAppend(e *env) {
	log := e.store().Log
	const batches = 60
	var durable atomic.Uint64 // the tail after the last Append that returned
	var done atomic.Bool
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for last := uint64(0); ; {
				final := done.Load()
				before := durable.Load()
				n, err := viewMarks(log)
				if err != nil {
					e.Errorf("during an Append: %v", err)
					return
				}
				if n < before || n < last {
					e.Errorf("a View saw %d records; %d were durable before it, an earlier one saw %d", n, before, last)
					return
				}
				if tail, err := log.Tail(ctx); err != nil || tail < n {
					e.Errorf("Tail: got %d, error %v; a View before saw %d records", tail, err, n)
					return
				}
				if last = n; final {
					return
				}
			}
		})
	}
	tail := uint64(0)
	for batch := range uint32(batches) {
		size := 1 + batch*batch%37
		records := make([][]byte, size)
		for i := range records {
			records[i] = markRecord(batch, size, uint32(i))
		}
		if err := log.Append(ctx, tail, records); err != nil {
			e.Errorf("Append %d: got error %v, want none", batch, err)
			break
		}
		tail += uint64(size)
		durable.Store(tail)
	}
	done.Store(true)
	readers.Wait()
	if n, err := viewMarks(log); n != tail || err != nil {
		e.Errorf("at the end: got %d records, error %v; want %d", n, err, tail)
	}
}

// viewMarks reads the marked records twice in one View and compares.
func viewMarks(log capycoin.Log) (n uint64, err error) {
	err = log.View(ctx, func(r capycoin.LogReader) error {
		first, err := r.Record(1)
		if err != nil {
			return err
		}
		kept := bytes.Clone(first)
		if n, err = readMarks(r); err != nil {
			return err
		}
		again, err := readMarks(r)
		if err != nil {
			return err
		}
		if again != n {
			return fmt.Errorf("one View saw %d records and then %d", n, again)
		}
		if past, err := r.Record(n + 1); err != nil || past != nil {
			return fmt.Errorf("one View saw %d records, then got Record(%d): %x, error %v", n, n+1, past, err)
		}
		if n > 0 && first != nil && !bytes.Equal(first, kept) {
			return errors.New("bytes that a View returned changed before it ended")
		}
		return nil
	})
	return n, err
}

func checkSecondHandle(e *env) {
	s := e.store()
	one := s.Log
	two, _ := s.second()
	e.wantTail(two, 0)
	e.mustAppend(one, 0, testRecords(0, 3))
	e.wantLog(two, 3)
	e.wantFenced(two, 0, testRecords(0, 1))
	e.mustAppend(two, 3, testRecords(3, 10))
	e.wantFenced(one, 3, testRecords(3, 1))
	e.wantLog(one, 13)
	e.wantLog(two, 13)
	e.mustAppend(one, 13, testRecords(13, 1))
	e.wantLog(one, 14)
	e.wantLog(two, 14)
}

// checkSecondHandleConcurrent lets two handles append to one log as fast as
// they can. Each position must go to one of them.
func checkSecondHandleConcurrent(e *env) {
	s := e.store()
	two, _ := s.second()
	const each = 100
	var writers sync.WaitGroup
	for writer, log := range []capycoin.Log{s.Log, two} {
		writers.Go(func() {
			for i := 0; i < each; {
				tail, err := log.Tail(ctx)
				if err != nil {
					e.Errorf("Tail: got error %v, want none", err)
					return
				}
				records := [][]byte{ownRecord(writer, 2*i, tail+1), ownRecord(writer, 2*i+1, tail+2)}
				switch err := log.Append(ctx, tail, records); {
				case err == nil:
					i++
				case !errors.Is(err, capycoin.ErrFenced):
					e.Errorf("Append: got error %v, want none or %v", err, capycoin.ErrFenced)
					return
				}
			}
		})
	}
	writers.Wait()
	for _, log := range []capycoin.Log{s.Log, two} {
		e.wantInterleaved(log, each)
	}
}

// ownRecord is the n-th record of a writer, meant for a position.
func ownRecord(writer, n int, pos uint64) []byte {
	return fmt.Appendf(nil, "record %d of writer %d for position %d", n, writer, pos)
}

// wantInterleaved expects the appends of both writers, each in order and
// whole.
func (e *env) wantInterleaved(log capycoin.Log, each int) {
	e.Helper()
	e.wantTail(log, uint64(4*each))
	e.view(log, func(r capycoin.LogReader) {
		var next [2]int // of each writer, counted in records
		err := r.Scan(1, func(pos uint64, record []byte) bool {
			for writer, n := range next {
				if bytes.Equal(record, ownRecord(writer, n, pos)) && next[1-writer]%2 == 0 {
					next[writer]++
					return true
				}
			}
			e.Errorf("at %d: got %q after %d records of the one and %d of the other", pos, record, next[0], next[1])
			return false
		})
		if err != nil {
			e.Errorf("Scan: got error %v, want none", err)
		}
	})
}
