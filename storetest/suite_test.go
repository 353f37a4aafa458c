package storetest

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/capycoin/capycoin"
)

// recorder stands in for a *testing.T and remembers what failed.
type recorder struct {
	mu     sync.Mutex
	faults []string
}

func (r *recorder) Helper()             {}
func (r *recorder) Logf(string, ...any) {}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = append(r.faults, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

// faultsOf runs one check on a store and returns what it found.
func faultsOf(c check, open func() Store) []string {
	r := &recorder{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if p := recover(); p != nil {
				r.Errorf("panic: %v", p)
			}
		}()
		e := &env{tb: r, short: true, open: open}
		defer e.closeAll()
		c.run(e)
	}()
	<-done
	return r.faults
}

// bug is a way for a plain store to break its contract.
type bug string

// plain is a simple store with a bug, or with none. Unlike Memory it shows
// rows at once and makes them durable with every Append.
type plain struct {
	bug bug
	*plainLog

	mu      sync.Mutex
	rows    map[capycoin.Table]map[string][]byte
	durable map[capycoin.Table]map[string][]byte
	puts    [][]capycoin.Row // since the last Append or Flush
}

type plainLog struct {
	bug     bug
	mu      sync.RWMutex
	records [][]byte
}

func newPlain(b bug, log *plainLog) *plain {
	return &plain{bug: b, plainLog: log,
		rows:    make(map[capycoin.Table]map[string][]byte),
		durable: make(map[capycoin.Table]map[string][]byte)}
}

func plainStore(b bug) Store {
	p := newPlain(b, &plainLog{bug: b})
	return Store{
		Log: p, Folds: p,
		Reopen: func() (capycoin.Log, capycoin.Folds, error) {
			p = p.reopened()
			return p, p, nil
		},
		Second: func() (capycoin.Log, capycoin.Folds, error) {
			second := newPlain(b, p.plainLog)
			if b == "second handle shares folds" {
				second.rows = p.rows
			}
			return second, second, nil
		},
	}
}

func (p *plain) reopened() *plain {
	log := &plainLog{bug: p.bug, records: slices.Clone(p.records)}
	if p.bug == "reopened log lacks the last record" && len(log.records) > 0 {
		log.records = log.records[:len(log.records)-1]
	}
	n := newPlain(p.bug, log)
	for table, rows := range p.durable {
		n.rows[table], n.durable[table] = maps.Clone(rows), maps.Clone(rows)
	}
	// The end of the process comes while the puts since are being written.
	switch {
	case len(p.puts) == 0:
	case p.bug == "half a put is durable":
		last := p.puts[len(p.puts)-1]
		p.write(n.rows, last[:len(last)/2])
	case p.bug == "a later put is durable before an earlier one":
		p.write(n.rows, p.puts[len(p.puts)-1])
	}
	return n
}

func (l *plainLog) Tail(context.Context) (uint64, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.bug == "tail of one too many" {
		return uint64(len(l.records)) + 1, nil
	}
	return uint64(len(l.records)), nil
}

func (l *plainLog) View(_ context.Context, fn func(capycoin.LogReader) error) error {
	l.mu.RLock()
	r := &plainReader{l, l.records}
	l.mu.RUnlock()
	err := fn(r)
	if l.bug == "view swallows the error" {
		return nil
	}
	return err
}

func (l *plainLog) MaxAppend() int {
	if l.bug == "small MaxAppend" {
		return minMaxAppend - 1
	}
	return 1 << 20
}

func (p *plain) Append(ctx context.Context, after uint64, records [][]byte) error {
	if err := p.plainLog.append(after, records); err != nil {
		if p.bug == "fenced append loses puts" {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.puts, p.rows = nil, make(map[capycoin.Table]map[string][]byte)
			for table, rows := range p.durable {
				p.rows[table] = maps.Clone(rows)
			}
		}
		return err
	}
	return p.Flush(ctx)
}

func (l *plainLog) append(after uint64, records [][]byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.bug == "fence looked at too early" {
		fenced := after != uint64(len(l.records))
		l.mu.Unlock()
		runtime.Gosched()
		l.mu.Lock()
		if fenced {
			return capycoin.ErrFenced
		}
	} else if after != uint64(len(l.records)) {
		switch {
		case l.bug == "no fence", l.bug == "no fence behind the tail" && after < uint64(len(l.records)):
		case l.bug == "nothing is never fenced" && len(records) == 0:
			return nil
		case l.bug == "fenced is not written":
			return capycoin.ErrNotWritten
		case l.bug == "fenced yet written":
			l.records = append(l.records, records...)
			return capycoin.ErrFenced
		default:
			return capycoin.ErrFenced
		}
	}
	if l.bug == "large appends fail" && len(bytes.Join(records, nil)) > minMaxAppend {
		return capycoin.ErrNotWritten
	}
	for i, record := range records {
		switch {
		case l.bug == "records are not copied":
			l.records = append(l.records, record)
		case l.bug == "records lose trailing bytes" && len(record) > 200:
			l.records = append(l.records, bytes.Clone(record[:200]))
		case l.bug == "an append is cut" && i == 255:
		default:
			l.records = append(l.records, bytes.Clone(record))
		}
		if l.bug == "append is not atomic" {
			l.mu.Unlock()
			runtime.Gosched()
			l.mu.Lock()
		}
	}
	if l.bug == "view is not a snapshot" { // a View that has begun goes on in between, on one processor too
		l.mu.Unlock()
		runtime.Gosched()
		l.mu.Lock()
	}
	return nil
}

type plainReader struct {
	l       *plainLog
	records [][]byte
}

// seen are the records that the reader sees.
func (r *plainReader) seen() [][]byte {
	if r.l.bug == "view is not a snapshot" {
		runtime.Gosched()
		r.l.mu.RLock()
		defer r.l.mu.RUnlock()
		return r.l.records
	}
	return r.records
}

func (r *plainReader) Record(pos uint64) ([]byte, error) {
	records := r.seen()
	if pos == 0 || pos > uint64(len(records)) {
		if r.l.bug == "no record is an empty one" {
			return []byte{}, nil
		}
		return nil, nil
	}
	return records[pos-1], nil
}

func (r *plainReader) Scan(from uint64, fn func(uint64, []byte) bool) error {
	records := r.seen()
	if r.l.bug == "scan begins too late" && from > 1 {
		from++
	}
	for pos := max(from, 1); pos <= uint64(len(records)); pos++ {
		if !fn(pos, records[pos-1]) && r.l.bug != "scan does not stop" {
			return nil
		}
	}
	return nil
}

func (p *plain) Get(_ context.Context, table capycoin.Table, key []byte) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	value := p.rows[p.table(table)][string(key)]
	if p.bug == "get lends its bytes" {
		return value, nil
	}
	return bytes.Clone(value), nil
}

// table returns the table that the store takes for a table.
func (p *plain) table(table capycoin.Table) capycoin.Table {
	if p.bug == "one table for all" {
		return "all"
	}
	return table
}

func (p *plain) Scan(_ context.Context, table capycoin.Table, from []byte, fn func(key, value []byte) bool) error {
	p.mu.Lock()
	rows := maps.Clone(p.rows[p.table(table)])
	p.mu.Unlock()
	keys := slices.Sorted(maps.Keys(rows))
	if p.bug == "rows in order of length" {
		slices.SortStableFunc(keys, func(a, b string) int { return len(a) - len(b) })
	}
	for _, key := range keys {
		if key < string(from) || p.bug == "row scan begins after from" && key == string(from) {
			continue
		}
		if !fn([]byte(key), rows[key]) && p.bug != "row scan does not stop" {
			return nil
		}
	}
	return nil
}

// write puts rows into tables.
func (p *plain) write(tables map[capycoin.Table]map[string][]byte, rows []capycoin.Row) {
	for _, r := range rows {
		table := p.table(r.Table)
		if tables[table] == nil {
			tables[table] = make(map[string][]byte)
		}
		switch {
		case r.Value == nil && p.bug == "a deleted row is an empty one":
			tables[table][string(r.Key)] = []byte{}
		case r.Value == nil:
			delete(tables[table], string(r.Key))
		case p.bug == "values are not copied":
			tables[table][string(r.Key)] = r.Value
		default:
			tables[table][string(r.Key)] = bytes.Clone(r.Value)
		}
	}
}

func (p *plain) Put(_ context.Context, rows []capycoin.Row) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bug == "rows of a put are reversed" {
		rows = slices.Clone(rows)
		slices.Reverse(rows)
	}
	if p.bug != "a put is never seen" {
		p.write(p.rows, rows)
	}
	kept := slices.Clone(rows)
	if p.bug != "values are not copied" {
		for i := range kept {
			kept[i].Key, kept[i].Value = bytes.Clone(kept[i].Key), bytes.Clone(kept[i].Value)
		}
	}
	p.puts = append(p.puts, kept)
	return nil
}

func (p *plain) Flush(context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bug == "flush does not make durable" {
		return nil
	}
	if p.bug == "puts are flushed in reverse" {
		slices.Reverse(p.puts)
	}
	for _, rows := range p.puts {
		p.write(p.durable, rows)
	}
	p.puts = nil
	return nil
}

// TestSuiteOnPlainStore runs the suite on a second sound store.
func TestSuiteOnPlainStore(t *testing.T) {
	Run(t, func(*testing.T) Store { return plainStore("") })
}

// TestSuiteFindsBugs runs the checks of the two interfaces on stores with one
// bug each. The check that is there for the bug must find it.
func TestSuiteFindsBugs(t *testing.T) {
	all := make(map[string]check)
	for _, c := range checks() {
		all[c.name] = c
	}
	for b, name := range map[bug]string{
		"tail of one too many":                         "Log/Empty",
		"no record is an empty one":                    "Log/Empty",
		"scan begins too late":                         "Log/AppendAndRead",
		"scan does not stop":                           "Log/AppendAndRead",
		"records lose trailing bytes":                  "Log/AppendAndRead",
		"an append is cut":                             "Log/AppendAndRead",
		"nothing is never fenced":                      "Log/AppendNothing",
		"no fence":                                     "Log/Fence",
		"no fence behind the tail":                     "Log/Fence",
		"fenced is not written":                        "Log/Fence",
		"fenced yet written":                           "Log/Fence",
		"small MaxAppend":                              "Log/LargeAppends",
		"large appends fail":                           "Log/LargeAppends",
		"records are not copied":                       "Log/CallersBytes",
		"view swallows the error":                      "Log/ViewError",
		"reopened log lacks the last record":           "Log/Reopen",
		"append is not atomic":                         "Log/ReadDuringAppend",
		"view is not a snapshot":                       "Log/ReadDuringAppend",
		"fence looked at too early":                    "Log/SecondHandleConcurrent",
		"a put is never seen":                          "Folds/PutAndGet",
		"one table for all":                            "Folds/PutAndGet",
		"get lends its bytes":                          "Folds/PutAndGet",
		"rows in order of length":                      "Folds/Scan",
		"row scan begins after from":                   "Folds/Scan",
		"row scan does not stop":                       "Folds/Scan",
		"a deleted row is an empty one":                "Folds/Delete",
		"rows of a put are reversed":                   "Folds/OrderOfPuts",
		"values are not copied":                        "Folds/CallersBytes",
		"fenced append loses puts":                     "Folds/PutBeforeFencedAppend",
		"flush does not make durable":                  "Folds/ReopenAfterFlush",
		"half a put is durable":                        "Folds/ReopenWithoutFlush",
		"a later put is durable before an earlier one": "Folds/ReopenWithoutFlush",
		"puts are flushed in reverse":                  "Folds/ReopenWithoutFlush",
		"second handle shares folds":                   "Folds/SecondHandle",
	} {
		t.Run(strings.ReplaceAll(string(b), " ", "-"), func(t *testing.T) {
			c, ok := all[name]
			if !ok {
				t.Fatalf("there is no check %s", name)
			}
			var faults []string
			for range 50 { // A race may take several tries.
				if faults = faultsOf(c, func() Store { return plainStore(b) }); len(faults) > 0 {
					break
				}
			}
			if len(faults) == 0 {
				t.Fatalf("%s found nothing", name)
			}
			t.Logf("%s: %s", name, faults[0])
		})
	}
}
