package capycoin

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

// witness is how far a ledger had come, and what its last record was then. It
// lies in a small file of its own: a database that does not have that record is
// an old copy, or another one's.
type witness struct {
	ledger   uuid.UUID
	position uint64
	time     int64    // of the record
	sum      [32]byte // SHA-256 of the record
}

// The file of a witness has two slots, of which the one with the higher
// position counts. Whoever writes overwrites the other, in place: the power may
// go while it does, and a disk writes sectors of at most witnessSlot bytes. The
// file never changes its size, so that there is nothing for the file system to
// note in its journal, which would be flushed with the database's own commit.
const (
	witnessSlot  = 4096
	witnessMagic = "capycoin witness "

	witnessForm = witnessMagic + "1\nledger %s\nposition %d\ntime %s\nsha256 %x\n"
)

var errWitnessDamaged = errors.New("both of its slots are damaged")

// slot returns the witness as text with a checksum, filled up with spaces.
func (w *witness) slot() []byte {
	b := fmt.Appendf(make([]byte, 0, witnessSlot), witnessForm, w.ledger, w.position, wire.TimeOf(w.time).Format(wire.TimeForm), w.sum)
	b = fmt.Appendf(b, "crc32c %08x\n", crc32.Checksum(b, wire.Castagnoli))
	b = append(b, bytes.Repeat([]byte{' '}, witnessSlot-len(b))...)
	b[witnessSlot-1] = '\n'
	return b
}

// parseWitness reads a slot; ok is false if it is not as slot makes it.
func parseWitness(b []byte) (w witness, ok bool) {
	var ledger, at string
	var sum []byte
	if n, _ := fmt.Sscanf(string(b), witnessForm, &ledger, &w.position, &at, &sum); n != 4 || len(sum) != len(w.sum) {
		return witness{}, false
	}
	id, err := uuid.Parse(ledger)
	if err != nil {
		return witness{}, false
	}
	t, err := time.Parse(wire.TimeForm, at)
	if err != nil {
		return witness{}, false
	}
	w.ledger, w.time, w.sum = id, t.UnixMicro(), [32]byte(sum)
	if w.position < 1 || w.position > wire.MaxPosition || w.time < 0 || w.time > wire.MaxTime || !bytes.Equal(b, w.slot()) {
		return witness{}, false
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
func readSlots(f *os.File) (newest witness, slot int, err error) {
	info, err := f.Stat()
	if err != nil {
		return witness{}, 0, err
	}
	b, err := io.ReadAll(io.NewSectionReader(f, 0, 2*witnessSlot))
	if err != nil {
		return witness{}, 0, err
	}
	ours := len(bytes.Trim(b, "\x00")) == 0 // what a file system may leave of a file
	for i := range 2 {
		part := b[min(i*witnessSlot, len(b)):min((i+1)*witnessSlot, len(b))]
		ours = ours || bytes.HasPrefix(part, []byte(witnessMagic))
		if w, ok := parseWitness(part); ok && w.position > newest.position {
			newest, slot = w, i
		}
	}
	switch {
	case newest.position > 0:
		return newest, slot, nil
	case ours && info.Size() <= 2*witnessSlot:
		return witness{}, 0, errWitnessDamaged
	}
	return witness{}, 0, errors.New("it is not a witness")
}

// readWitness reads a witness; with [os.O_RDWR] only one that can be written.
func readWitness(path string, flag int) (w witness, err error) {
	f, err := openSlots(path, flag)
	if err == nil {
		w, _, err = readSlots(f)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return witness{}, &witnessError{path, err}
	}
	return w, nil
}

// writeWitness brings a witness up to date, durably. One that is gone or
// damaged is made anew, and made is true then.
func writeWitness(path string, w witness) (made bool, err error) {
	f, err := openSlots(path, os.O_RDWR)
	if err == nil {
		var old witness
		var slot int
		if old, slot, err = readSlots(f); err == nil {
			err = w.overwrite(f, old, slot)
		}
		err = errors.Join(err, f.Close())
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errWitnessDamaged) {
		return true, replaceWitness(path, w)
	}
	if err != nil {
		return false, &witnessError{path, err}
	}
	return false, nil
}

// overwrite puts a witness in the place of the older slot.
func (w *witness) overwrite(f *os.File, old witness, slot int) error {
	if old.ledger != w.ledger || old.position > w.position {
		return fmt.Errorf("another ledger writes it: it has record %d of ledger %s", old.position, old.ledger)
	}
	if _, err := f.WriteAt(w.slot(), int64(1-slot)*witnessSlot); err != nil {
		return err
	}
	return osfile.DataSync(f)
}

// replaceWitness makes a witness, durably, in the place of whatever the path
// names.
func replaceWitness(path string, w witness) error {
	temp := osfile.NewName(path)
	f, err := os.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err == nil {
		_, err = f.Write(append(w.slot(), w.slot()...))
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
		return &witnessError{path, err}
	}
	return nil
}

// replaceable returns an error if a path names something that is no witness.
func replaceable(path string) error {
	_, err := readWitness(path, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errWitnessDamaged) {
		return nil
	}
	return err
}

// acceptWitness makes the witness of a log as it stands, whatever witness there
// was: a ledger that was behind that can be opened then.
func acceptWitness(ctx context.Context, log store.Log, path string) error {
	if err := replaceable(path); err != nil {
		return err
	}
	tail, err := log.Tail(ctx)
	if err != nil {
		return err
	}
	w, err := witnessAt(ctx, log, tail)
	if err != nil {
		return err
	}
	return replaceWitness(path, w)
}

// witnessAt returns what a witness of the log is at a position that it has.
func witnessAt(ctx context.Context, log store.Log, position uint64) (w witness, err error) {
	err = log.View(ctx, func(lr store.LogReader) error {
		var r record.Record
		if err := journal.At(lr, 1, &r); err != nil {
			return err
		}
		if r.Kind != record.KindGenesis {
			return fmt.Errorf("%w: record 1 is of kind %d, not a genesis", store.ErrCorrupt, r.Kind)
		}
		w.ledger = r.Body.(*record.Genesis).Ledger
		if err := journal.At(lr, position, &r); err != nil {
			return err
		}
		b, err := lr.Record(position)
		w.position, w.time, w.sum = position, r.Time, sha256.Sum256(b)
		return err
	})
	return w, err
}

// compare returns a [*BehindError] if a log that ends at tail does not
// have what the witness in a file saw.
func (w *witness) compare(ctx context.Context, log store.Log, tail uint64, path string) error {
	end, err := witnessAt(ctx, log, tail)
	if err != nil {
		return err
	}
	if w.ledger == end.ledger && w.position <= tail {
		there, err := witnessAt(ctx, log, w.position)
		if err != nil {
			return err
		}
		if there == *w {
			return nil
		}
	}
	return &behindError{Ledger: end.ledger, Position: tail, Time: end.time, Path: path, Saw: *w}
}

// errWitness: the witness can't be read or written, or is another file.
var errWitness = errors.New("capycoin: the witness can't be used")

// witnessError says which witness can't be used, and why.
type witnessError struct {
	Path string
	Err  error
}

func (e *witnessError) Error() string { return fmt.Sprintf("%v: %s: %v", errWitness, e.Path, e.Err) }

// Unwrap returns errWitness and the reason.
func (e *witnessError) Unwrap() []error { return []error{errWitness, e.Err} }

// behindError says what a log is and what its witness saw.
type behindError struct {
	Ledger   uuid.UUID
	Position uint64 // of its last record; 0: there is no file
	Time     int64  // of that record

	Path string // of the witness
	Saw  witness
}

func (e *behindError) Error() string {
	saw := fmt.Sprintf("record %d of %s", e.Saw.position, wire.TimeOf(e.Saw.time).Format(time.RFC3339Nano))
	end := fmt.Sprintf("the journal ends at record %d of %s", e.Position, wire.TimeOf(e.Time).Format(time.RFC3339Nano))
	switch {
	case e.Position == 0:
		return fmt.Sprintf("%v: there is no such file, and the witness %s saw %s in it", store.ErrRolledBack, e.Path, saw)
	case e.Ledger != e.Saw.ledger:
		return fmt.Sprintf("%v: this is ledger %s, the witness %s is of ledger %s", store.ErrRolledBack, e.Ledger, e.Path, e.Saw.ledger)
	case e.Position < e.Saw.position:
		return fmt.Sprintf("%v: %s, the witness %s saw %s", store.ErrRolledBack, end, e.Path, saw)
	}
	return fmt.Sprintf("%v: record %d is not the one that the witness %s saw; %s", store.ErrRolledBack, e.Saw.position, e.Path, end)
}

// Unwrap returns [store.ErrRolledBack].
func (e *behindError) Unwrap() error { return store.ErrRolledBack }
