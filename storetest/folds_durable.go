package storetest

import (
	"bytes"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/capycoin/capycoin"
)

// foldsDurableChecks are the checks of Folds that are reopened, read while
// they are written, or had twice on one log.
func foldsDurableChecks() []check {
	return []check{
		{"Folds/ReopenAfterFlush", needReopen, checkReopenAfterFlush},
		{"Folds/ReopenWithoutFlush", needReopen, checkReopenWithoutFlush},
		{"Folds/ReadDuringPut", needNothing, checkReadDuringPut},
		{"Folds/SecondHandle", needSecond, checkSecondFolds},
	}
}

func checkReopenAfterFlush(e *env) {
	s := e.store()
	want := make(map[string]string)
	for i, key := range testKeys(200) {
		want[key] = fmt.Sprintf("value %d", i)
		e.mustPut(s.Folds, row(capycoin.TableTokens, key, want[key]))
	}
	e.mustFlush(s.Folds)
	s.reopen()
	e.wantRows(s.Folds, capycoin.TableTokens, nil, 1000, want)
	e.mustPut(s.Folds, capycoin.Row{Table: capycoin.TableTokens, Key: []byte("a")}, row(capycoin.TableTokens, "b", "new"))
	e.mustFlush(s.Folds)
	delete(want, "a")
	want["b"] = "new"
	s.reopen()
	e.wantRows(s.Folds, capycoin.TableTokens, nil, 1000, want)
	e.wantTail(s.Log, 0)
}

// generationRows are rows in several tables that all have the same number.
func generationRows(n int) []capycoin.Row {
	var rows []capycoin.Row
	for i, table := range tables() {
		for j := range 3 {
			key := fmt.Sprintf("generation %d.%d", i, (j+n)%3)
			rows = append(rows, row(table, key, strconv.Itoa(n)))
		}
	}
	return rows
}

// wantGeneration expects that all rows of generationRows have one number, at
// least that of the last Flush.
func (e *env) wantGeneration(folds capycoin.Folds, flushed, last int) (got int) {
	e.Helper()
	for i, want := range generationRows(0) {
		value, err := folds.Get(ctx, want.Table, want.Key)
		if err != nil {
			e.Fatalf("Get: got error %v, want none", err)
		}
		n := 0 // No row is of before the first Put.
		if value != nil {
			if n, err = strconv.Atoi(string(value)); err != nil {
				e.Fatalf("Get(%s, %q): got %q, want a number", want.Table, want.Key, value)
			}
		}
		if i == 0 {
			got = n
		}
		if n != got {
			e.Fatalf("rows of Put %d and of Put %d after reopening: a Put is to come to the disk wholly or not at all", got, n)
		}
	}
	if got < flushed || got > last {
		e.Fatalf("after reopening: got the rows of Put %d, want one from %d, which was flushed, to %d", got, flushed, last)
	}
	return got
}

// checkReopenWithoutFlush ends the process, as it were, at every point between
// two flushes: the rows there then are those of some Put, and of all before.
func checkReopenWithoutFlush(e *env) {
	for puts := range 12 {
		s := e.store()
		flushed, tail := 0, uint64(0)
		for n := 1; n <= puts; n++ {
			once := fmt.Sprintf("only in put %d", n)
			e.mustPut(s.Folds, append(generationRows(n), row(capycoin.TableKeys, once, "there"))...)
			switch n % 5 {
			case 2:
				e.mustAppend(s.Log, tail, testRecords(tail, 1))
				tail++
			case 4:
				e.mustFlush(s.Folds)
				flushed = n
			}
		}
		s.reopen()
		e.wantLog(s.Log, tail)
		got := e.wantGeneration(s.Folds, flushed, puts)
		for n := 1; n <= puts; n++ {
			once := fmt.Sprintf("only in put %d", n)
			if n <= got {
				e.wantRow(s.Folds, capycoin.TableKeys, once, "there")
			} else {
				e.wantNoRow(s.Folds, capycoin.TableKeys, once)
			}
		}
		s.close()
	}
}

// checkReadDuringPut reads rows while they are written. A value is never torn
// and never goes back.
func checkReadDuringPut(e *env) {
	s := e.store()
	const puts = 150
	table := capycoin.TableAccounts
	value := func(n int) []byte { return bytes.Repeat(fmt.Appendf(nil, "%04d ", n), 20) }
	number := func(b []byte) (int, error) {
		if b == nil {
			return 0, nil
		}
		n, err := strconv.Atoi(string(b[:min(len(b), 4)]))
		if err == nil && !bytes.Equal(b, value(n)) {
			err = fmt.Errorf("the value %q is torn", b)
		}
		return n, err
	}
	var shown atomic.Int64 // the last Put that an Append or a Flush followed
	var done atomic.Bool
	var readers sync.WaitGroup
	read := func(get func() ([]byte, error)) {
		readers.Go(func() {
			for last := 0; !done.Load(); {
				before := int(shown.Load())
				b, err := get()
				if err != nil {
					e.Errorf("reading during a Put: got error %v, want none", err)
					return
				}
				n, err := number(b)
				if err != nil {
					e.Errorf("reading during a Put: %v", err)
					return
				}
				if n < before || n < last {
					e.Errorf("read the row of Put %d; that of %d was there before, that of %d was read before", n, before, last)
					return
				}
				last = n
			}
		})
	}
	read(func() ([]byte, error) { return s.Folds.Get(ctx, table, []byte("key 1")) })
	read(func() (b []byte, err error) {
		scanErr := s.Folds.Scan(ctx, table, nil, func(_, value []byte) bool {
			b = bytes.Clone(value)
			_, err = number(b)
			return err == nil
		})
		if err == nil {
			err = scanErr
		}
		return b, err
	})
	for n, tail := 1, uint64(0); n <= puts; n++ {
		rows := make([]capycoin.Row, 0, 5)
		for i := range cap(rows) {
			rows = append(rows, capycoin.Row{Table: table, Key: fmt.Appendf(nil, "key %d", i), Value: value(n)})
		}
		err := s.Folds.Put(ctx, rows)
		if err == nil && n%2 == 0 {
			err = s.Folds.Flush(ctx)
		} else if err == nil {
			err = s.Log.Append(ctx, tail, testRecords(tail, 1))
			tail++
		}
		if err != nil {
			e.Errorf("put %d: got error %v, want none", n, err)
			break
		}
		shown.Store(int64(n))
	}
	done.Store(true)
	readers.Wait()
}

// checkSecondFolds looks whether each handle has folds of its own.
func checkSecondFolds(e *env) {
	s := e.store()
	log, folds := s.second()
	e.mustAppend(s.Log, 0, testRecords(0, 1))
	e.mustPut(s.Folds, row(capycoin.TableState, "a", "of the first"), row(capycoin.TableState, "b", "of the first"))
	e.mustFlush(s.Folds)
	e.wantRows(folds, capycoin.TableState, nil, 10, nil)
	e.mustPut(folds, row(capycoin.TableState, "a", "of the second"))
	e.mustAppend(log, 1, testRecords(1, 1))
	e.mustFlush(folds)
	e.wantRows(s.Folds, capycoin.TableState, nil, 10, map[string]string{"a": "of the first", "b": "of the first"})
	e.wantRows(folds, capycoin.TableState, nil, 10, map[string]string{"a": "of the second"})
}
