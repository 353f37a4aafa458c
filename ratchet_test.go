package capycoin_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/accounts"
	"github.com/capycoin/capycoin/internal/boltfile"
	"github.com/capycoin/capycoin/internal/example"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/store"
)

// journalOf returns the export of a file and the kinds of its records.
func journalOf(t *testing.T, path string) (lines []byte, kinds []record.Kind) {
	t.Helper()
	journal, err := capycoin.OpenJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	defer journal.Close()
	lines = exported(t, func(ctx context.Context, after uint64) (capycoin.JournalPage, error) {
		page, err := journal.Page(ctx, after)
		for _, r := range page.Records {
			kinds = append(kinds, record.Kind(r.Data[0]))
		}
		return page, err
	})
	slices.Sort(kinds)
	return lines, slices.Compact(kinds)
}

// TestFormatRatchet: a file of every format that there ever was opens, and its
// journal is what it was. A new format needs a file of its own, with a record
// of each kind (TestNewFormat makes it), and the old ones stay.
func TestFormatRatchet(t *testing.T) {
	ctx := context.Background()
	for number := 1; number <= boltfile.FormatNumber; number++ {
		t.Run(fmt.Sprint(number), func(t *testing.T) {
			dir := t.TempDir()
			path, imported := filepath.Join(dir, "old.db"), filepath.Join(dir, "imported.db")
			if err := os.WriteFile(path, unpack(t, fmt.Sprintf("testdata/format%d.db.gz", number)), 0o600); err != nil {
				t.Fatal(err)
			}
			want := unpack(t, fmt.Sprintf("testdata/format%d.jsonl.gz", number))
			before, kinds := journalOf(t, path)
			if !bytes.Equal(before, want) {
				t.Error("its journal is not the one that was written into it")
			}
			if number == boltfile.FormatNumber {
				for _, r := range example.Records() {
					if !slices.Contains(kinds, r.Kind) {
						t.Errorf("the file has no record of kind %d", r.Kind)
					}
				}
			}
			led, err := capycoin.Open(path, nil)
			if err != nil {
				t.Fatal(err)
			}
			rep, err := led.Audit(ctx, nil)
			if err := errors.Join(err, rep.Err(), led.Close()); err != nil {
				t.Fatal(err)
			}
			if after, _ := journalOf(t, path); !bytes.Equal(after, want) {
				t.Error("its journal is another one after it was opened")
			}
			if _, err := capycoin.Import(ctx, bytes.NewReader(want), imported, nil); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(contentsOf(t, imported), contentsOf(t, path)) {
				t.Error("its export makes another ledger")
			}
		})
	}
	if all, err := filepath.Glob("testdata/format*.db.gz"); err != nil || len(all) != boltfile.FormatNumber {
		t.Errorf("testdata has %v, %v; there are %d formats", all, err, boltfile.FormatNumber)
	}
}

// TestNewFormat makes the files that TestFormatRatchet needs of a new format,
// if CAPYCOIN_NEW_FORMAT is set: a ledger as a killed process leaves it, and its
// export.
func TestNewFormat(t *testing.T) {
	if os.Getenv("CAPYCOIN_NEW_FORMAT") == "" {
		t.Skip("CAPYCOIN_NEW_FORMAT is not set")
	}
	w := newCopyWorld(t, boltfile.FormatNumber)
	w.do(150)
	file, err := os.ReadFile(w.path)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"db": file, "jsonl": exported(t, w.led.JournalPage)} {
		var packed bytes.Buffer
		z, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := z.Write(content); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(fmt.Sprintf("testdata/format%d.%s.gz", boltfile.FormatNumber, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(packed.Bytes()); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestOpenOldDamaged opens damaged files of earlier formats: they stay as they are.
func TestOpenOldDamaged(t *testing.T) {
	for name, damage := range map[string]func(tx *bolt.Tx) error{
		"testdata/format1.db.gz": func(tx *bolt.Tx) error { // a record
			b := tx.Bucket(boltfile.JournalBucket)
			k, v := b.Cursor().Seek([]byte{0, 0, 0, 0, 0, 0, 0, 40})
			v = bytes.Clone(v)
			v[len(v)-1] ^= 1
			return b.Put(bytes.Clone(k), v)
		},
		"testdata/format2.db.gz": func(tx *bolt.Tx) error { // a row
			return tx.Bucket(boltfile.Tables[store.TableState]).Put(accounts.StateKey, []byte("damaged"))
		},
	} {
		path := filepath.Join(t.TempDir(), "old.db")
		writeFile(t, path, unpack(t, name))
		inBolt(t, path, damage)
		before := readFile(t, path)
		if led, err := capycoin.Open(path, &capycoin.Options{NoWitness: true}); !errors.Is(err, store.ErrCorrupt) {
			if err == nil {
				led.Close()
			}
			t.Errorf("%s: got %v, want ErrCorrupt", name, err)
		}
		if !bytes.Equal(before, readFile(t, path)) {
			t.Errorf("%s: the file has changed", name)
		}
	}
}
