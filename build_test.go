package capycoin_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/boltfile"
	"github.com/capycoin/capycoin/internal/chain"
	"github.com/capycoin/capycoin/internal/journal"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/internal/wire"
	"github.com/capycoin/capycoin/internal/witness"
	"github.com/capycoin/capycoin/store"
)

// namesIn returns what is in a folder.
func namesIn(t *testing.T, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// TestBackup: a copy has the same records, byte for byte, and folds that say
// the same, whoever made them in which order.
func TestBackup(t *testing.T) {
	ctx := context.Background()
	for seed := range uint64(4) {
		w := newCopyWorld(t, seed)
		w.do([]int{0, 10, 100, 400}[seed])
		before, err := w.led.Supply(ctx)
		if err != nil {
			t.Fatal(err)
		}
		copied := filepath.Join(t.TempDir(), "copy.db")
		rep, err := w.led.Backup(ctx, copied, nil)
		if err != nil {
			t.Fatal(err)
		}
		if rep.Supply != before || rep.Resumed != 0 || rep.Audit.Records != before.Position || rep.Audit.FaultCount != 0 {
			t.Errorf("report %+v, want %+v", rep, before)
		}
		if err := w.led.Close(); err != nil {
			t.Fatal(err)
		}
		if got, want := contentsOf(t, copied), contentsOf(t, w.path); !reflect.DeepEqual(got, want) {
			t.Errorf("seed %d: the copy says something else", seed)
		}
		if got := namesIn(t, filepath.Dir(copied)); len(got) != 1 {
			t.Errorf("beside the copy there is %v", got)
		}
		if info, err := os.Stat(copied); err != nil || runtime.GOOS != "windows" && info.Mode() != 0o600 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
		// It goes on as a ledger.
		w.path = copied
		w.open()
		w.do(20)
		rep2, err := w.led.Audit(ctx, nil)
		if err := errors.Join(err, rep2.Err(), w.led.Close()); err != nil {
			t.Error(err)
		}
	}
}

// TestBackupWhileWriting: what is committed when a backup begins is in it.
func TestBackupWhileWriting(t *testing.T) {
	ctx := context.Background()
	w := newCopyWorld(t, 7)
	w.do(200)
	from := endOf(w.led.Ledger)
	rep, err := capycoin.Build(ctx, filepath.Join(t.TempDir(), "copy.db"), func(ctx context.Context, after uint64) (capycoin.JournalPage, error) {
		w.do(3) // a page is never the last when it is asked for
		page, err := w.led.JournalPage(ctx, after)
		page.Records = page.Records[:min(len(page.Records), 50)]
		return page, err
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, now := rep.Supply.Position, endOf(w.led.Ledger); got < from || got > now {
		t.Errorf("the copy is as of record %d, the journal ended at %d when it began and at %d after it", got, from, now)
	}
}

// brokenOff is a source that fails at a position, and notes from where on it
// was read.
type brokenOff struct {
	led   *capycoin.Ledger
	after uint64
	asked []uint64
}

var errBroken = errors.New("broken off")

func (s *brokenOff) page(ctx context.Context, after uint64) (capycoin.JournalPage, error) {
	s.asked = append(s.asked, after)
	if s.after > 0 && after >= s.after {
		return capycoin.JournalPage{}, errBroken
	}
	page, err := s.led.JournalPage(ctx, after)
	page.Records = page.Records[:min(len(page.Records), 30)]
	return page, err
}

// TestBuildGoesOn: what was broken off is gone on with if it is of this
// journal, and made anew if not, or if it is of no use.
func TestBuildGoesOn(t *testing.T) {
	ctx := context.Background()
	w, other := newCopyWorld(t, 8), newCopyWorld(t, 9)
	w.do(100)
	other.do(100)
	genesis, err := other.led.JournalPage(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		begun *capycoin.Ledger
		spoil func(t *testing.T, partial string)
		goOn  bool
	}{
		{"its own", w.led.Ledger, func(*testing.T, string) {}, true},
		{"another ledger's", other.led.Ledger, func(*testing.T, string) {}, false},
		{"of another time line", w.led.Ledger, func(t *testing.T, partial string) {
			s, tail, err := boltfile.GoOn(partial)
			if err != nil {
				t.Fatal(err)
			}
			r := record.New(tail+1, wire.MaxTime, &record.Account{ID: capycoin.DefaultSeedAccount(), Link: chain.Link{Prev: 1, Jump: 1, Ordinal: 2}})
			if err := errors.Join(s.Append(ctx, tail, [][]byte{record.Append(nil, &r)}), s.Close()); err != nil {
				t.Fatal(err)
			}
		}, false},
		{"of another ledger at its beginning", w.led.Ledger, func(t *testing.T, partial string) {
			s, tail, err := boltfile.GoOn(partial)
			if err != nil {
				t.Fatal(err)
			}
			page, err := journal.ReadRaw(ctx, s, 0, tail)
			if err := errors.Join(err, s.Remove(partial)); err != nil {
				t.Fatal(err)
			}
			if s, _, err = boltfile.OpenPartial(partial); err != nil {
				t.Fatal(err)
			}
			page.Records[0] = journal.Raw(genesis.Records[0])
			var records [][]byte
			for _, r := range page.Records {
				records = append(records, r.Data)
			}
			if err := errors.Join(s.Append(ctx, 0, records), s.Close()); err != nil {
				t.Fatal(err)
			}
		}, false},
		{"empty", w.led.Ledger, func(t *testing.T, partial string) {
			if err := os.Truncate(partial, 0); err != nil {
				t.Fatal(err)
			}
		}, false},
		{"rubbish", w.led.Ledger, func(t *testing.T, partial string) {
			if err := os.WriteFile(partial, bytes.Repeat([]byte("rubbish"), 10_000), 0o600); err != nil {
				t.Fatal(err)
			}
		}, false},
		{"cut off", w.led.Ledger, func(t *testing.T, partial string) {
			if err := os.Truncate(partial, 8192); err != nil {
				t.Fatal(err)
			}
		}, false},
		{"a ledger", w.led.Ledger, func(t *testing.T, partial string) {
			// As if a process had ended when it had given the file its name.
			s, _, err := boltfile.GoOn(partial)
			if err != nil {
				t.Fatal(err)
			}
			kept := partial + ".kept"
			if err := s.Publish(partial, kept); err != nil {
				t.Fatal(err)
			}
			if err := os.Link(kept, partial); err != nil {
				t.Fatal(err)
			}
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "copy.db")
			source := &brokenOff{led: c.begun, after: 60}
			if _, err := capycoin.Build(ctx, path, source.page, nil); !errors.Is(err, errBroken) {
				t.Fatal(err)
			}
			partial := filepath.Join(filepath.Dir(path), ".copy.db.partial")
			if got := namesIn(t, filepath.Dir(path)); len(got) != 1 || got[0] != filepath.Base(partial) {
				t.Fatalf("an attempt that was broken off left %v", got)
			}
			if _, err := capycoin.Open(partial, nil); !errors.Is(err, store.ErrNotLedger) || !strings.Contains(err.Error(), "not finished") {
				t.Errorf("a part opens as a ledger: %v", err)
			}
			c.spoil(t, partial)
			kept, _ := os.ReadFile(partial + ".kept")

			source = &brokenOff{led: w.led.Ledger}
			rep, err := capycoin.Build(ctx, path, source.page, nil)
			if err != nil {
				t.Fatal(err)
			}
			if (rep.Resumed == 60) != c.goOn || (rep.Resumed == 0) == c.goOn {
				t.Errorf("it went on from record %d", rep.Resumed)
			}
			if c.goOn && (len(source.asked) < 3 || source.asked[0] != 0 || source.asked[1] != 59 || source.asked[2] != 60) {
				t.Errorf("it read after %v", source.asked)
			}
			again := filepath.Join(t.TempDir(), "whole.db")
			if _, err := w.led.Backup(ctx, again, nil); err != nil {
				t.Fatal(err)
			}
			if got, want := contentsOf(t, path), contentsOf(t, again); !reflect.DeepEqual(got, want) {
				t.Error("it is not the same as one that was made in one go")
			}
			if now, _ := os.ReadFile(partial + ".kept"); !bytes.Equal(now, kept) {
				t.Error("a file that was finished was changed")
			}
			if _, err := os.Lstat(partial); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the part is still there: %v", err)
			}
		})
	}
}

// TestBuildInterrupted: a context that ends leaves what there is, at any stage.
func TestBuildInterrupted(t *testing.T) {
	w := newCopyWorld(t, 10)
	w.do(200)
	for _, stage := range []string{"copying", "folding", "journal", "tokens"} {
		path := filepath.Join(t.TempDir(), "copy.db")
		ctx, cancel := context.WithCancel(context.Background())
		_, err := w.led.Backup(ctx, path, &capycoin.BuildOptions{Progress: func(p capycoin.BuildProgress) {
			if p.Stage == stage {
				cancel()
			}
		}})
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("%s: %v", stage, err)
		}
		rep, err := w.led.Backup(context.Background(), path, nil)
		all := endOf(w.led.Ledger)
		if err != nil || rep.Resumed == 0 || rep.Resumed > all || stage != "copying" && rep.Resumed < all {
			t.Errorf("%s: went on from record %d of %d, %v", stage, rep.Resumed, all, err)
		}
	}
}

// TestBuildBackground: between pages it rests for as long as they took.
func TestBuildBackground(t *testing.T) {
	w := newCopyWorld(t, 16)
	w.do(100)
	const took = 5 * time.Millisecond
	for _, background := range []bool{false, true} {
		var rests []time.Duration
		var ended time.Time
		path := filepath.Join(t.TempDir(), "copy.db")
		synctest.Test(t, func(t *testing.T) { // so that work takes no time, only sleep and rests do
			_, err := capycoin.Build(context.Background(), path, func(ctx context.Context, after uint64) (capycoin.JournalPage, error) {
				if after > 0 { // the first page is read before it begins
					rests = append(rests, time.Since(ended))
				}
				time.Sleep(took)
				page, err := w.led.JournalPage(ctx, after)
				page.Records = page.Records[:min(20, len(page.Records))]
				ended = time.Now()
				return page, err
			}, &capycoin.BuildOptions{Background: background})
			if err != nil {
				t.Fatal(err)
			}
		})
		if shortest := slices.Min(rests[1:]); background != (shortest >= took) {
			t.Errorf("in the background %v: it rests %v, where a page took %v", background, rests, took)
		}
	}
}

// TestBuildRefuses: what is there stays there, and of bad records no file is
// made.
func TestBuildRefuses(t *testing.T) {
	ctx := context.Background()
	w := newCopyWorld(t, 11)
	w.do(30)
	// change is a source with one record changed.
	change := func(position uint64, change func(b []byte) []byte) capycoin.JournalSource {
		return func(ctx context.Context, after uint64) (capycoin.JournalPage, error) {
			page, err := w.led.JournalPage(ctx, after)
			for i := range page.Records {
				if r := &page.Records[i]; r.Position == position {
					r.Data = change(r.Data)
				}
			}
			return page, err
		}
	}
	// forge is one with a record of right form that does not follow from the others.
	forge := func(kind record.Kind, forge func(*record.Record)) capycoin.JournalSource {
		done := false
		return func(ctx context.Context, after uint64) (capycoin.JournalPage, error) {
			page, err := w.led.JournalPage(ctx, after)
			for i := range page.Records {
				var r record.Record
				if err := record.Decode(&r, page.Records[i].Position, page.Records[i].Data); err != nil {
					return page, err
				}
				if r.Kind == kind && !done {
					done = true
					forge(&r)
					page.Records[i].Data = record.Append(nil, &r)
				}
			}
			return page, err
		}
	}
	for _, c := range []struct {
		name   string
		source capycoin.JournalSource
		want   error
		says   string // of a record that is bad by itself, found while it is copied
	}{
		{"a flipped bit", change(5, func(b []byte) []byte { b[20] ^= 1; return b }), store.ErrCorrupt, "record 5"},
		{"a record twice", change(5, func([]byte) []byte {
			page, _ := w.led.JournalPage(ctx, 3)
			return page.Records[0].Data
		}), store.ErrCorrupt, "record 5"},
		{"an unknown kind", change(5, func(b []byte) []byte {
			b[0] = 99
			crc := record.CRC(5, b)
			b[2], b[3], b[4], b[5] = byte(crc>>24), byte(crc>>16), byte(crc>>8), byte(crc)
			return b
		}), store.ErrNewerFormat, "record 5"},
		{"an empty record", change(5, func([]byte) []byte { return nil }), store.ErrCorrupt, "record 5"},
		{"no records", func(context.Context, uint64) (capycoin.JournalPage, error) { return capycoin.JournalPage{}, nil }, store.ErrCorrupt, "empty"},
		{"an early end", func(ctx context.Context, after uint64) (capycoin.JournalPage, error) {
			page, err := w.led.JournalPage(ctx, after)
			if after == 0 {
				page.Records = page.Records[:7]
			} else {
				page.Records = nil
			}
			return page, err
		}, store.ErrCorrupt, "record 8 is missing"},
		{"made-up funds", forge(record.KindTransfer, func(r *record.Record) { r.Transfer.To.Funds += 5 }), store.ErrCorrupt, ""},
		{"made-up coins", forge(record.KindTransfer, func(r *record.Record) { r.Transfer.Amount++; r.Transfer.To.Funds++ }), store.ErrCorrupt, ""},
		{"a token of nobody", forge(record.KindToken, func(r *record.Record) { r.Body.(*record.Token).Account[3]++ }), store.ErrCorrupt, ""},
		{"an early time", forge(record.KindTransfer, func(r *record.Record) { r.Time = 1 }), store.ErrCorrupt, ""},
	} {
		dir := t.TempDir()
		_, err := capycoin.Build(ctx, filepath.Join(dir, "copy.db"), c.source, &capycoin.BuildOptions{Progress: func(p capycoin.BuildProgress) {
			if p.Stage != "copying" && c.says != "" {
				t.Errorf("%s: found when it was all copied only", c.name)
			}
		}})
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.name, err)
		}
		if got := namesIn(t, dir); len(got) > 0 {
			t.Errorf("%s left %v", c.name, got)
		}
	}

	dir := t.TempDir()
	there := filepath.Join(dir, "there.db")
	if err := os.WriteFile(there, []byte("something"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link.db")
	if err := os.Symlink("nowhere", link); err != nil {
		t.Logf("no symbolic links: %v", err)
		link = there
	}
	for _, path := range []string{there, link, dir} {
		source := &brokenOff{led: w.led.Ledger}
		if _, err := capycoin.Build(ctx, path, source.page, nil); !errors.Is(err, fs.ErrExist) || len(source.asked) > 0 {
			t.Errorf("%s: %v, after %d pages", path, err, len(source.asked))
		}
	}
	if b, err := os.ReadFile(there); err != nil || string(b) != "something" {
		t.Errorf("what was there is %q, %v", b, err)
	}
	if _, err := w.led.Backup(ctx, filepath.Join(dir, "no", "copy.db"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a folder: %v", err)
	}

	// Something comes while it is being made.
	late := filepath.Join(dir, "late.db")
	_, err := w.led.Backup(ctx, late, &capycoin.BuildOptions{Progress: func(p capycoin.BuildProgress) {
		if p.Stage == "tokens" {
			os.WriteFile(late, []byte("late"), 0o600)
		}
	}})
	if b, _ := os.ReadFile(late); !errors.Is(err, fs.ErrExist) || string(b) != "late" {
		t.Errorf("a file that came meanwhile is %q now, %v", b, err)
	}
}

// TestBuildAlone: two do not make the same file at the same time.
func TestBuildAlone(t *testing.T) {
	w := newCopyWorld(t, 12)
	w.do(30)
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "copy.db")
	var inner error
	_, err := w.led.Backup(ctx, path, &capycoin.BuildOptions{Progress: func(p capycoin.BuildProgress) {
		if p.Stage == "copying" {
			_, inner = w.led.Backup(ctx, path, nil)
		}
	}})
	if err != nil || !errors.Is(inner, store.ErrLocked) {
		t.Errorf("the first: %v; the second: %v", err, inner)
	}
}

// TestRestore makes a ledger of a copy, which stays as it is.
func TestRestore(t *testing.T) {
	ctx := context.Background()
	w, other := newCopyWorld(t, 13), newCopyWorld(t, 15)
	w.do(100)
	path := filepath.Join(t.TempDir(), "restored.db")
	if _, err := capycoin.Restore(ctx, w.path, path, nil); !errors.Is(err, store.ErrLocked) {
		t.Errorf("a file that is open: %v", err)
	}
	want, err := w.led.Supply(ctx)
	if err := errors.Join(err, w.led.Close()); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(w.path, 0o400); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(w.path)
	if err != nil {
		t.Fatal(err)
	}
	// What the place knows of a ledger that is lost must not be in the way.
	if _, err := other.led.OpenAccount(ctx); err != nil {
		t.Fatal(err)
	}
	if err := witness.Accept(ctx, other.led.file, path+".witness"); err != nil {
		t.Fatal(err)
	}
	rep, err := capycoin.Restore(ctx, w.path, path, nil)
	if err != nil || rep.Supply != want {
		t.Errorf("%+v, %v, want %+v", rep, err, want)
	}
	if after, err := os.ReadFile(w.path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the copy was changed (%v)", err)
	}
	if !reflect.DeepEqual(contentsOf(t, path), contentsOf(t, w.path)) {
		t.Error("the ledger is another one")
	}
	led, err := capycoin.Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := led.Close(); err != nil {
		t.Error(err)
	}
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("something"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = capycoin.Restore(ctx, w.path, path+"2", &capycoin.BuildOptions{Witness: text})
	if b, _ := os.ReadFile(text); !errors.Is(err, capycoin.ErrWitness) || string(b) != "something" {
		t.Errorf("a witness that is something else is %q now, %v", b, err)
	}
	if _, err := os.Lstat(path + "2"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("there is a file: %v", err)
	}
	_, err = capycoin.Restore(ctx, w.path, path+"2", &capycoin.BuildOptions{Witness: path + "2"})
	if _, there := os.Lstat(path + "2"); !errors.Is(err, capycoin.ErrWitness) || !errors.Is(there, fs.ErrNotExist) {
		t.Errorf("a witness in the place of the ledger: %v, the file: %v", err, there)
	}
	// The same by another name, which nobody can tell before the file is there.
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(filepath.Dir(path), link); err != nil {
		t.Skip(err)
	}
	if _, err = capycoin.Restore(ctx, w.path, path+"2", &capycoin.BuildOptions{Witness: filepath.Join(link, filepath.Base(path)+"2")}); !errors.Is(err, capycoin.ErrWitness) {
		t.Errorf("a witness in the place of the ledger, by another name: %v", err)
	}
	if !reflect.DeepEqual(contentsOf(t, path+"2"), contentsOf(t, w.path)) {
		t.Error("the ledger was replaced by its witness")
	}
	if _, err := capycoin.Restore(ctx, filepath.Join(t.TempDir(), "no.db"), path+"2", nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no copy: %v", err)
	}
	if _, err := capycoin.Restore(ctx, t.TempDir(), path+"2", nil); !errors.Is(err, store.ErrIsDirectory) {
		t.Errorf("a folder: %v", err)
	}
}
