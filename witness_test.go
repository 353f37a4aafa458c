package capycoin_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/witness"
	"github.com/capycoin/capycoin/store"
)

// more makes transfers in the ledger of a file and closes it.
func more(t testing.TB, path string, transfers int) {
	t.Helper()
	led, err := capycoin.Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	acct, err := led.OpenAccount(context.Background())
	for range transfers {
		if err != nil {
			break
		}
		_, err = led.Transfer(context.Background(), capycoin.Transfer{Sender: capycoin.DefaultSeedAccount(), Receiver: acct.ID, Amount: 1})
	}
	if err := errors.Join(err, led.Close()); err != nil {
		t.Fatal(err)
	}
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func writeFile(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// refusedAsOld opens a file that has to be refused, untouched, and its witness too.
func refusedAsOld(t *testing.T, path string, says string) *capycoin.RolledBackError {
	t.Helper()
	file, _ := os.ReadFile(path)
	seen := readFile(t, path+".witness")
	led, err := capycoin.Open(path, nil)
	if err == nil {
		led.Close()
	}
	var back *capycoin.RolledBackError
	if !errors.As(err, &back) || !errors.Is(err, store.ErrRolledBack) || !strings.Contains(err.Error(), says) {
		t.Fatalf("got %v, want a RolledBackError that says %q", err, says)
	}
	if now, _ := os.ReadFile(path); !bytes.Equal(now, file) {
		t.Error("the file has changed")
	}
	if !bytes.Equal(readFile(t, path+".witness"), seen) {
		t.Error("the witness has changed")
	}
	return back
}

// TestWitnessOldCopy puts an old copy of a file in its place.
func TestWitnessOldCopy(t *testing.T) {
	path := newFile(t) // 5 records
	old := readFile(t, path)
	more(t, path, 7)
	recent := readFile(t, path)
	writeFile(t, path, old)
	back := refusedAsOld(t, path, "the journal ends at record 5 of ")
	if back.Position != 5 || back.WitnessPosition != 13 || back.Witness != path+".witness" ||
		back.Ledger != back.WitnessLedger || !back.WitnessTime.After(back.Time) {
		t.Errorf("got %+v, want records 5 and 13 of one ledger", back)
	}

	// What was refused can be accepted, and then goes on.
	if _, err := capycoin.Repair(context.Background(), path, &capycoin.RepairOptions{AcceptRollback: true}); err != nil {
		t.Fatal(err)
	}
	more(t, path, 7)

	// Now there are two histories of one length.
	writeFile(t, path, recent)
	back = refusedAsOld(t, path, "record 13 is not the one that the witness ")
	if back.Position != 13 || back.WitnessPosition != 13 {
		t.Errorf("got %+v, want record 13 twice", back)
	}
}

// TestWitnessSwapped has two ledgers take each other's place.
func TestWitnessSwapped(t *testing.T) {
	one, other := newFile(t), newFile(t)
	a, b := readFile(t, one), readFile(t, other)
	writeFile(t, one, b)
	writeFile(t, other, a)
	for _, path := range []string{one, other} {
		if back := refusedAsOld(t, path, " is of ledger "); back.Ledger == back.WitnessLedger {
			t.Errorf("got %+v, want two ledgers", back)
		}
	}
}

// TestWitnessNoFile has a file disappear, as one does whose disk is not mounted:
// there is no new ledger in its place.
func TestWitnessNoFile(t *testing.T) {
	path := newFile(t)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if back := refusedAsOld(t, path, "there is no such file"); back.Position != 0 || back.WitnessPosition != 5 {
		t.Errorf("got %+v, want record 5 of a file that is not there", back)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file was made: %v", err)
	}
}

// TestWitnessGone removes and damages the witness itself: it is made anew, and
// the log says so.
func TestWitnessGone(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(b []byte) []byte // of the witness; nil removes it
		says   string                // the log
	}{
		"removed":    {nil, "level=INFO msg=\"there is no witness, it is made anew\""},
		"empty":      {func([]byte) []byte { return nil }, "level=WARN msg=\"the witness is damaged"},
		"zeroed":     {func(b []byte) []byte { clear(b); return b }, "level=WARN msg=\"the witness is damaged"},
		"both slots": {func(b []byte) []byte { b[100] ^= 1; b[witness.SlotSize+100] ^= 1; return b }, "level=WARN msg=\"the witness is damaged"},
		"cut short":  {func(b []byte) []byte { return b[:100] }, "level=WARN msg=\"the witness is damaged"},
		"one slot":   {func(b []byte) []byte { clear(b[:witness.SlotSize]); return b }, ""},
		"the other":  {func(b []byte) []byte { return b[:witness.SlotSize] }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			path := newFile(t)
			file := path + ".witness"
			if tt.change == nil {
				os.Remove(file)
			} else {
				writeFile(t, file, tt.change(readFile(t, file)))
			}
			var log bytes.Buffer
			led, err := capycoin.Open(path, &capycoin.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
			if err != nil {
				t.Fatal(err)
			}
			if err := led.Close(); err != nil {
				t.Fatal(err)
			}
			if tt.says == "" && log.Len() > 0 || !strings.Contains(log.String(), tt.says) {
				t.Errorf("the log says %q, want %q", log.String(), tt.says)
			}
			// A damaged one of two slots is as of an earlier time.
			more(t, path, 1)
			w, err := witness.Read(file, os.O_RDWR)
			if err != nil || w.Position != 7 {
				t.Errorf("got %+v, %v, want record 7", w, err)
			}
			if info, err := os.Stat(file); err != nil || info.Size() != 2*witness.SlotSize || info.Mode().Perm() != 0o600 {
				t.Errorf("got %v of %d bytes, %v, want 0600 and %d", info.Mode(), info.Size(), err, 2*witness.SlotSize)
			}
		})
	}
}

// TestWitnessNotOne refuses to open with the name of another file as a witness,
// and does not touch it.
func TestWitnessNotOne(t *testing.T) {
	path := newFile(t)
	dir := t.TempDir()
	for name, b := range map[string][]byte{
		"text":     []byte("hosts: files\n"),
		"a ledger": readFile(t, path),
		"large":    bytes.Repeat([]byte(witness.Magic), 1000),
	} {
		file := filepath.Join(dir, name)
		writeFile(t, file, b)
		led, err := capycoin.Open(path, &capycoin.Options{Witness: file})
		if err == nil {
			led.Close()
		}
		if !errors.Is(err, capycoin.ErrWitness) || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: got %v, want ErrWitness with the name", name, err)
		}
		if _, err := capycoin.Repair(context.Background(), path, &capycoin.RepairOptions{Witness: file, AcceptRollback: true}); !errors.Is(err, capycoin.ErrWitness) {
			t.Errorf("%s: accepting it: got %v, want ErrWitness", name, err)
		}
		if !bytes.Equal(readFile(t, file), b) {
			t.Errorf("%s: it has changed", name)
		}
	}
	for _, file := range []string{dir, filepath.Join(dir, "no", "witness")} {
		if led, err := capycoin.Open(path, &capycoin.Options{Witness: file}); !errors.Is(err, capycoin.ErrWitness) {
			led.Close()
			t.Errorf("%s: got %v, want ErrWitness", file, err)
		}
	}
}
