package storetest

import (
	"bytes"
	"errors"
	"testing"

	"github.com/capycoin/capycoin"
)

// memoryStore is a Memory as Run wants it.
func memoryStore(m *Memory) Store {
	current := m
	return Store{
		Log: m, Folds: m,
		Reopen: func() (capycoin.Log, capycoin.Folds, error) {
			current = current.Reopen()
			return current, current, nil
		},
		Second: func() (capycoin.Log, capycoin.Folds, error) {
			second := m.Handle()
			return second, second, nil
		},
	}
}

func TestMemory(t *testing.T) {
	Run(t, func(*testing.T) Store { return memoryStore(NewMemory()) })
}

// TestMemorySmallAppends has commits as small as a store may want them.
func TestMemorySmallAppends(t *testing.T) {
	Run(t, func(*testing.T) Store {
		m := NewMemory()
		m.SetMaxAppend(minMaxAppend)
		return memoryStore(m)
	})
}

// TestSeparateFolds has a log and folds that know nothing of each other.
func TestSeparateFolds(t *testing.T) {
	Run(t, func(*testing.T) Store { return Store{Log: NewMemory(), Folds: NewFolds()} })
}

func TestMemoryIsStrict(t *testing.T) {
	m := NewMemory()
	if err := m.Append(ctx, 0, [][]byte{[]byte("a record")}); err != nil {
		t.Fatalf("Append: got error %v, want none", err)
	}
	if err := m.Put(ctx, []capycoin.Row{row(capycoin.TableState, "key", "value")}); err != nil {
		t.Fatalf("Put: got error %v, want none", err)
	}
	if got, err := m.Get(ctx, capycoin.TableState, []byte("key")); got != nil || err != nil {
		t.Errorf("Get before a Flush: got %q, error %v; want no row", got, err)
	}
	if err := m.Flush(ctx); err != nil {
		t.Fatalf("Flush: got error %v, want none", err)
	}
	var kept [][]byte
	if err := m.View(ctx, func(r capycoin.LogReader) error {
		record, err := r.Record(1)
		kept = append(kept, record)
		return err
	}); err != nil {
		t.Fatalf("View: got error %v, want none", err)
	}
	if err := m.Scan(ctx, capycoin.TableState, nil, func(key, value []byte) bool {
		kept = append(kept, key, value)
		return true
	}); err != nil {
		t.Fatalf("Scan: got error %v, want none", err)
	}
	if len(kept) != 3 {
		t.Fatalf("got %d byte strings, want 3", len(kept))
	}
	for _, b := range kept {
		if want := bytes.Repeat([]byte{0xDB}, len(b)); !bytes.Equal(b, want) {
			t.Errorf("bytes kept after their time: got %q, want %q", b, want)
		}
	}
}

func TestMemoryMaxAppend(t *testing.T) {
	m := NewMemory()
	m.SetMaxAppend(100)
	if err := m.Append(ctx, 0, [][]byte{make([]byte, 60), make([]byte, 41)}); !errors.Is(err, capycoin.ErrNotWritten) {
		t.Errorf("Append of 101 bytes: got error %v, want %v", err, capycoin.ErrNotWritten)
	}
	if err := m.Append(ctx, 0, [][]byte{make([]byte, 60), make([]byte, 40)}); err != nil {
		t.Errorf("Append of 100 bytes: got error %v, want none", err)
	}
}

func TestMemoryTwoWriters(t *testing.T) {
	m := NewMemory()
	defer m.alone("a Put that takes long")()
	defer func() {
		if recover() == nil {
			t.Error("Append during a Put: got no panic, want one")
		}
	}()
	_ = m.Append(ctx, 0, nil)
}

func TestMemorySetRecord(t *testing.T) {
	m := NewMemory()
	if err := m.Append(ctx, 0, testRecords(0, 3)); err != nil {
		t.Fatalf("Append: got error %v, want none", err)
	}
	for pos, want := range []bool{false, true, true, true, false} {
		if got := m.SetRecord(uint64(pos), []byte("damaged")); got != want {
			t.Errorf("SetRecord(%d): got %t, want %t", pos, got, want)
		}
	}
	if err := m.Handle().View(ctx, func(r capycoin.LogReader) error {
		record, err := r.Record(2)
		if string(record) != "damaged" {
			t.Errorf("Record(2): got %q, want %q", record, "damaged")
		}
		return err
	}); err != nil {
		t.Errorf("View: got error %v, want none", err)
	}
}

// TestFaulty fails each kind of operation in each way.
func TestFaulty(t *testing.T) {
	ops := map[Op]func(f *Faulty) error{
		OpTail:   func(f *Faulty) error { _, err := f.Tail(ctx); return err },
		OpView:   func(f *Faulty) error { return f.View(ctx, func(capycoin.LogReader) error { return nil }) },
		OpAppend: func(f *Faulty) error { return f.Append(ctx, 0, [][]byte{{1}}) },
		OpGet:    func(f *Faulty) error { _, err := f.Get(ctx, capycoin.TableKeys, []byte("key")); return err },
		OpScan: func(f *Faulty) error {
			return f.Scan(ctx, capycoin.TableKeys, nil, func(_, _ []byte) bool { return true })
		},
		OpPut:   func(f *Faulty) error { return f.Put(ctx, []capycoin.Row{row(capycoin.TableKeys, "key", "value")}) },
		OpFlush: func(f *Faulty) error { return f.Flush(ctx) },
		OpRead: func(f *Faulty) error {
			return f.View(ctx, func(r capycoin.LogReader) error { _, err := r.Record(1); return err })
		},
	}
	for op, do := range ops {
		for _, fault := range []Fault{NotDone, YetDone, NotWritten, Fenced} {
			m := NewMemory()
			f := NewFaulty(m, m)
			f.Fail(op, 1, fault)
			err := do(f)
			if !errors.Is(err, ErrInjected) {
				t.Errorf("%v, %v: got error %v, want %v", op, fault, err, ErrInjected)
			}
			if got, want := errors.Is(err, capycoin.ErrNotWritten), fault == NotWritten; got != want {
				t.Errorf("%v, %v: the error is %v: %t, want %t", op, fault, capycoin.ErrNotWritten, got, want)
			}
			if got, want := errors.Is(err, capycoin.ErrFenced), fault == Fenced; got != want {
				t.Errorf("%v, %v: the error is %v: %t, want %t", op, fault, capycoin.ErrFenced, got, want)
			}
			if tail, _ := m.Tail(ctx); op == OpAppend && (tail == 1) != (fault == YetDone) {
				t.Errorf("%v, %v: the tail is %d", op, fault, tail)
			}
			if f.Count(op) != 1 || f.Fired() != 1 {
				t.Errorf("%v, %v: got count %d and %d faults, want 1 and 1", op, fault, f.Count(op), f.Fired())
			}
		}
	}
}

func TestFaultyCounts(t *testing.T) {
	m := NewMemory()
	f := NewFaulty(m, m)
	var hooked []Op
	f.OnOp(func(op Op) { hooked = append(hooked, op) })
	tail := func() error { _, err := f.Tail(ctx); return err }
	if err := tail(); err != nil {
		t.Fatalf("Tail: got error %v, want none", err)
	}
	f.Fail(OpTail, 2, NotDone)
	f.Fail(AnyOp, 4, NotDone)
	for i, want := range []bool{false, true, false, true, false} {
		if err := tail(); (err != nil) != want {
			t.Errorf("Tail %d: got error %v, want one: %t", i+2, err, want)
		}
	}
	f.Fail(OpTail, 1, NotDone)
	f.Heal()
	if err := tail(); err != nil {
		t.Errorf("Tail after Heal: got error %v, want none", err)
	}
	if err := f.Append(ctx, 0, testRecords(0, 1)); err != nil {
		t.Errorf("Append: got error %v, want none", err)
	}
	if got, want := f.Count(AnyOp), 8; got != want || len(hooked) != want {
		t.Errorf("Count(AnyOp): got %d, and %d calls of the hook; want %d", got, len(hooked), want)
	}
	if err := f.Put(ctx, []capycoin.Row{row(capycoin.TableKeys, "key", "value")}); err != nil {
		t.Fatalf("Put: got error %v, want none", err)
	}
	if err := f.Flush(ctx); err != nil {
		t.Fatalf("Flush: got error %v, want none", err)
	}
	f.LoseFolds()
	if got, err := f.Get(ctx, capycoin.TableKeys, []byte("key")); got != nil || err != nil {
		t.Errorf("Get after LoseFolds: got %q, error %v; want no row", got, err)
	}
	if got, err := f.Tail(ctx); got != 1 || err != nil {
		t.Errorf("Tail after LoseFolds: got %d, error %v; want 1", got, err)
	}
}
