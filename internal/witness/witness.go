// Package witness keeps a small file that says how far a ledger had come, and what its
// last record was then: a database that does not have that record is an old copy, or
// another one's. A [Keeper] brings it up to date; [Witness.Compare] tells a log that is
// behind it.
//
// It knows nothing of the state that the records make, nor of the ledger: it is given a
// log, a position and a logger. What opens, builds or repairs a ledger calls it. It has no
// locks; a Keeper belongs to the one goroutine that runs it, which its caller starts and
// waits for, but for [Keeper.Position].
package witness

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/journal"
	"github.com/capycoin/capycoin/internal/osfile"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/internal/wire"
	"github.com/capycoin/capycoin/store"
)

// Witness is how far a ledger had come, and what its last record was then. It
// lies in a small file of its own: a database that does not have that record is
// an old copy, or another one's.
type Witness struct {
	Ledger   uuid.UUID
	Position uint64
	Time     int64    // of the record
	Sum      [32]byte // SHA-256 of the record
}

// The file of a witness has two slots, of which the one with the higher
// position counts. Whoever writes overwrites the other, in place: the power may
// go while it does, and a disk writes sectors of at most witnessSlot bytes. The
// file never changes its size, so that there is nothing for the file system to
// note in its journal, which would be flushed with the database's own commit.
const (
	SlotSize = 4096
	Magic    = "capycoin witness "

	witnessForm = Magic + "1\nledger %s\nposition %d\ntime %s\nsha256 %x\n"
)

var ErrDamaged = errors.New("both of its slots are damaged")

// Slot returns the witness as text with a checksum, filled up with spaces.
func (w *Witness) Slot() []byte {
	b := fmt.Appendf(make([]byte, 0, SlotSize), witnessForm, w.Ledger, w.Position, wire.TimeOf(w.Time).Format(wire.TimeForm), w.Sum)
	b = fmt.Appendf(b, "crc32c %08x\n", crc32.Checksum(b, wire.Castagnoli))
	b = append(b, bytes.Repeat([]byte{' '}, SlotSize-len(b))...)
	b[SlotSize-1] = '\n'
	return b
}

// Parse reads a slot; ok is false if it is not as slot makes it.
func Parse(b []byte) (w Witness, ok bool) {
	var ledger, at string
	var sum []byte
	if n, _ := fmt.Sscanf(string(b), witnessForm, &ledger, &w.Position, &at, &sum); n != 4 || len(sum) != len(w.Sum) {
		return Witness{}, false
	}
	id, err := uuid.Parse(ledger)
	if err != nil {
		return Witness{}, false
	}
	t, err := time.Parse(wire.TimeForm, at)
	if err != nil {
		return Witness{}, false
	}
	w.Ledger, w.Time, w.Sum = id, t.UnixMicro(), [32]byte(sum)
	if w.Position < 1 || w.Position > wire.MaxPosition || w.Time < 0 || w.Time > wire.MaxTime || !bytes.Equal(b, w.Slot()) {
		return Witness{}, false
	}
	return w, true
}

// openSlots opens the file of a witness. A pipe would have to be waited for.
func openSlots(path string, flag int) (*os.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is not a regular file")
	}
	return os.OpenFile(path, flag, 0)
}

// readSlots returns the newest witness in a file and the slot where it is. The
// errors are [fs.ErrNotExist], errWitnessDamaged, and others, with which the
// file is not to be touched: it may be somebody else's.
func readSlots(f *os.File) (newest Witness, slot int, err error) {
	info, err := f.Stat()
	if err != nil {
		return Witness{}, 0, err
	}
	b, err := io.ReadAll(io.NewSectionReader(f, 0, 2*SlotSize))
	if err != nil {
		return Witness{}, 0, err
	}
	ours := len(bytes.Trim(b, "\x00")) == 0 // what a file system may leave of a file
	for i := range 2 {
		part := b[min(i*SlotSize, len(b)):min((i+1)*SlotSize, len(b))]
		ours = ours || bytes.HasPrefix(part, []byte(Magic))
		if w, ok := Parse(part); ok && w.Position > newest.Position {
			newest, slot = w, i
		}
	}
	switch {
	case newest.Position > 0:
		return newest, slot, nil
	case ours && info.Size() <= 2*SlotSize:
		return Witness{}, 0, ErrDamaged
	}
	return Witness{}, 0, errors.New("it is not a witness")
}

// Read reads a witness; with [os.O_RDWR] only one that can be written.
func Read(path string, flag int) (w Witness, err error) {
	f, err := openSlots(path, flag)
	if err == nil {
		w, _, err = readSlots(f)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return Witness{}, &FileError{path, err}
	}
	return w, nil
}

// Write brings a witness up to date, durably. One that is gone or
// damaged is made anew, and made is true then.
func Write(path string, w Witness) (made bool, err error) {
	f, err := openSlots(path, os.O_RDWR)
	if err == nil {
		var old Witness
		var slot int
		if old, slot, err = readSlots(f); err == nil {
			err = w.overwrite(f, old, slot)
		}
		err = errors.Join(err, f.Close())
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrDamaged) {
		return true, Replace(path, w)
	}
	if err != nil {
		return false, &FileError{path, err}
	}
	return false, nil
}

// overwrite puts a witness in the place of the older slot.
func (w *Witness) overwrite(f *os.File, old Witness, slot int) error {
	if old.Ledger != w.Ledger || old.Position > w.Position {
		return fmt.Errorf("another ledger writes it: it has record %d of ledger %s", old.Position, old.Ledger)
	}
	if _, err := f.WriteAt(w.Slot(), int64(1-slot)*SlotSize); err != nil {
		return err
	}
	return osfile.DataSync(f)
}

// Replace makes a witness, durably, in the place of whatever the path
// names.
func Replace(path string, w Witness) error {
	temp := osfile.NewName(path)
	f, err := os.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err == nil {
		_, err = f.Write(append(w.Slot(), w.Slot()...))
		if err == nil {
			err = f.Sync()
		}
		err = errors.Join(err, f.Close())
		if err == nil {
			err = os.Rename(temp, path)
		}
		if err != nil {
			os.Remove(temp)
		} else {
			err = osfile.SyncDir(filepath.Dir(path))
		}
	}
	if err != nil {
		return &FileError{path, err}
	}
	return nil
}

// Replaceable returns an error if a path names something that is no witness.
func Replaceable(path string) error {
	_, err := Read(path, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrDamaged) {
		return nil
	}
	return err
}

// Accept makes the witness of a log as it stands, whatever witness there
// was: a ledger that was behind that can be opened then.
func Accept(ctx context.Context, log store.Log, path string) error {
	if err := Replaceable(path); err != nil {
		return err
	}
	tail, err := log.Tail(ctx)
	if err != nil {
		return err
	}
	w, err := At(ctx, log, tail)
	if err != nil {
		return err
	}
	return Replace(path, w)
}

// At returns what a witness of the log is at a position that it has.
func At(ctx context.Context, log store.Log, position uint64) (w Witness, err error) {
	err = log.View(ctx, func(lr store.LogReader) error {
		var r record.Record
		if err := journal.At(lr, 1, &r); err != nil {
			return err
		}
		if r.Kind != record.KindGenesis {
			return fmt.Errorf("%w: record 1 is of kind %d, not a genesis", store.ErrCorrupt, r.Kind)
		}
		w.Ledger = r.Body.(*record.Genesis).Ledger
		if err := journal.At(lr, position, &r); err != nil {
			return err
		}
		b, err := lr.Record(position)
		w.Position, w.Time, w.Sum = position, r.Time, sha256.Sum256(b)
		return err
	})
	return w, err
}

// Compare returns a [*BehindError] if a log that ends at tail does not
// have what the witness in a file saw.
func (w *Witness) Compare(ctx context.Context, log store.Log, tail uint64, path string) error {
	end, err := At(ctx, log, tail)
	if err != nil {
		return err
	}
	if w.Ledger == end.Ledger && w.Position <= tail {
		there, err := At(ctx, log, w.Position)
		if err != nil {
			return err
		}
		if there == *w {
			return nil
		}
	}
	return &BehindError{Ledger: end.Ledger, Position: tail, Time: end.Time, Path: path, Saw: *w}
}

// ErrWitness: the witness can't be read or written, or is another file.
var ErrWitness = errors.New("capycoin: the witness can't be used")

// FileError says which witness can't be used, and why.
type FileError struct {
	Path string
	Err  error
}

func (e *FileError) Error() string { return fmt.Sprintf("%v: %s: %v", ErrWitness, e.Path, e.Err) }

// Unwrap returns errWitness and the reason.
func (e *FileError) Unwrap() []error { return []error{ErrWitness, e.Err} }

// BehindError says what a log is and what its witness saw.
type BehindError struct {
	Ledger   uuid.UUID
	Position uint64 // of its last record; 0: there is no file
	Time     int64  // of that record

	Path string // of the witness
	Saw  Witness
}

func (e *BehindError) Error() string {
	saw := fmt.Sprintf("record %d of %s", e.Saw.Position, wire.TimeOf(e.Saw.Time).Format(time.RFC3339Nano))
	end := fmt.Sprintf("the journal ends at record %d of %s", e.Position, wire.TimeOf(e.Time).Format(time.RFC3339Nano))
	switch {
	case e.Position == 0:
		return fmt.Sprintf("%v: there is no such file, and the witness %s saw %s in it", store.ErrRolledBack, e.Path, saw)
	case e.Ledger != e.Saw.Ledger:
		return fmt.Sprintf("%v: this is ledger %s, the witness %s is of ledger %s", store.ErrRolledBack, e.Ledger, e.Path, e.Saw.Ledger)
	case e.Position < e.Saw.Position:
		return fmt.Sprintf("%v: %s, the witness %s saw %s", store.ErrRolledBack, end, e.Path, saw)
	}
	return fmt.Sprintf("%v: record %d is not the one that the witness %s saw; %s", store.ErrRolledBack, e.Saw.Position, e.Path, end)
}

// Unwrap returns [store.ErrRolledBack].
func (e *BehindError) Unwrap() error { return store.ErrRolledBack }
