package capycoin_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	bolt "go.etcd.io/bbolt"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/accounts"
	"github.com/capycoin/capycoin/internal/boltfile"
	"github.com/capycoin/capycoin/internal/harness"
	"github.com/capycoin/capycoin/internal/pages"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/internal/salvage"
	"github.com/capycoin/capycoin/internal/tune"
	"github.com/capycoin/capycoin/internal/witness"
	"github.com/capycoin/capycoin/store"
)

// damagedFile writes a file in a folder of its own.
func damagedFile(t testing.TB, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "coins.db")
	if err := os.WriteFile(path, b, 0o640); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestRepairHealthy has nothing to do: the file stays as it is.
func TestRepairHealthy(t *testing.T) {
	path := newFile(t)
	before, _ := os.ReadFile(path)
	var stages []string
	rep, err := capycoin.Repair(context.Background(), path, &capycoin.RepairOptions{Cut: true, AcceptRollback: true, Progress: func(p capycoin.BuildProgress) { stages = append(stages, p.Stage) }})
	if err != nil || !rep.Healthy || rep.Repaired || rep.Audit.Records != 5 {
		t.Errorf("got %+v, %v; want a healthy one with 5 records", rep, err)
	}
	if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
		t.Error("the file has changed")
	}
	if len(stages) == 0 {
		t.Error("no progress was told")
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 2 {
		t.Errorf("there are %v, want the file and its witness", entries)
	}
}

// TestRepairRefuses does not touch what is not for it.
func TestRepairRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		make func(t *testing.T) string
		want error
	}{
		"nothing":  {func(t *testing.T) string { return filepath.Join(t.TempDir(), "no.db") }, fs.ErrNotExist},
		"a folder": {func(t *testing.T) string { return t.TempDir() }, store.ErrIsDirectory},
		"no bytes": {func(t *testing.T) string { return damagedFile(t, nil) }, store.ErrEmptyFile},
		"a text":   {func(t *testing.T) string { return damagedFile(t, bytes.Repeat([]byte("text\n"), 5000)) }, store.ErrNotLedger},
		"a newer one": {func(t *testing.T) string {
			path := newFile(t)
			inBolt(t, path, func(tx *bolt.Tx) error {
				return tx.Bucket(boltfile.MetaBucket).Put(boltfile.FormatKey, boltfile.FormatValue(boltfile.FormatNumber+1))
			})
			return path
		}, store.ErrNewerFormat},
		"a copy that is not finished": {func(t *testing.T) string {
			path := newFile(t)
			inBolt(t, path, func(tx *bolt.Tx) error {
				b := tx.Bucket(boltfile.MetaBucket)
				return errors.Join(b.Delete(boltfile.FormatKey), b.Put(boltfile.PartialKey, boltfile.FormatValue(boltfile.FormatNumber)))
			})
			return path
		}, boltfile.ErrUnfinished},
		"one that is open": {func(t *testing.T) string {
			path := newFile(t)
			led, err := capycoin.Open(path, nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { led.Close() })
			return path
		}, store.ErrLocked},
	} {
		t.Run(name, func(t *testing.T) {
			path := tt.make(t)
			before, _ := os.ReadFile(path)
			rep, err := capycoin.Repair(context.Background(), path, &capycoin.RepairOptions{Cut: true, AcceptRollback: true})
			if !errors.Is(err, tt.want) || rep.Repaired || rep.Healthy {
				t.Errorf("got %+v, %v; want %v", rep, err, tt.want)
			}
			if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
				t.Error("the file has changed")
			}
		})
	}
}

// lostLeaf is a file whose page with a record is zeroed, and the positions of
// the records that were on it.
func (d *damageLedger) lostLeaf(t *testing.T, record int) (file []byte, lost salvage.Positions) {
	t.Helper()
	s := d.salvage(t)
	for _, r := range s.Plan {
		if r.First <= uint64(record) && uint64(record) <= r.Last {
			file = bytes.Clone(d.file)
			clear(d.page(file, int(r.Page)))
			return file, r.Positions
		}
	}
	t.Fatalf("record %d is on no page", record)
	return nil, salvage.Positions{}
}

// salvage reads the whole file.
func (d *damageLedger) salvage(t *testing.T) *salvage.Salvage {
	t.Helper()
	f, err := os.Open(damagedFile(t, d.file))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s, err := salvage.Open(t.Context(), f, func(_, _ uint64) {})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestRepairLostPage loses a page of the journal. The records are named, with the
// accounts that they touched, and cut off on request.
func TestRepairLostPage(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine, a large ledger")
	}
	needsTestPage(t)
	d := newDamageLedger(t, testPage, false)
	file, lost := d.lostLeaf(t, len(d.records)/2)
	path := damagedFile(t, file)
	rep, err := capycoin.Repair(context.Background(), path, nil)
	if !errors.Is(err, store.ErrCorrupt) || rep.Repaired || len(rep.Lost) != 1 || rep.Lost[0].First != lost.First || rep.Lost[0].Last != lost.Last {
		t.Fatalf("got %+v, %v; want records %d to %d lost", rep, err, lost.First, lost.Last)
	}
	// Every account that the records touched is named, for the last of them at
	// least: all have later records, or a row.
	touched := make(map[uint64][]uuid.UUID)
	missing := make(map[uuid.UUID]bool)
	for p := lost.First; p <= lost.Last; p++ {
		var r record.Record
		if err := record.Decode(&r, p, d.records[p-1]); err != nil {
			t.Fatal(err)
		}
		switch r.Kind {
		case record.KindTransfer:
			touched[p] = []uuid.UUID{r.Transfer.Sender, r.Transfer.Receiver}
			missing[r.Transfer.Sender], missing[r.Transfer.Receiver] = true, true
		case record.KindToken:
			touched[p] = []uuid.UUID{r.Body.(*record.Token).Account}
		case record.KindRevocation:
			touched[p] = []uuid.UUID{r.Body.(*record.Revocation).Account}
		}
	}
	for _, a := range rep.Lost[0].Accounts {
		if !slices.Contains(touched[a.Position], a.Account) || a.Guess || a.By == "" {
			t.Errorf("%+v is named, the record touched %v", a, touched[a.Position])
		}
		delete(missing, a.Account)
	}
	if len(missing) > 0 {
		t.Errorf("accounts %v were touched, and are not named", missing)
	}

	// With --cut.
	rep, err = capycoin.Repair(context.Background(), path, &capycoin.RepairOptions{Cut: true})
	if err != nil || !rep.Repaired || rep.CutRecords != uint64(len(d.records))-lost.Last {
		t.Fatalf("got %+v, %v; want the %d records after %d cut off", rep, err, uint64(len(d.records))-lost.Last, lost.Last)
	}
	if err := (damaged{d: d}).check(path, int(lost.First-1), false); err != nil {
		t.Error(err)
	}
	if kept, err := os.ReadFile(rep.KeptAs); err != nil || !bytes.Equal(kept, file) {
		t.Errorf("the damaged file was not kept as it was: %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the new file has mode %v, %v; want that of the damaged one", info.Mode(), err)
	}
	if b, err := os.ReadFile(rep.CutFile); err != nil || uint64(bytes.Count(b, []byte("\n"))) != rep.CutRecords {
		t.Errorf("%s has %d lines, %v; want %d", rep.CutFile, bytes.Count(b, []byte("\n")), err, rep.CutRecords)
	}
	d.checkCut(t, path, rep, lost)
}

// checkCut compares the accounts that a repair names with what they had before
// and have now.
func (d *damageLedger) checkCut(t *testing.T, path string, rep capycoin.RepairReport, lost salvage.Positions) {
	t.Helper()
	before, after := make(map[uuid.UUID]capycoin.Coins), make(map[uuid.UUID]capycoin.Coins)
	touched := make(map[uuid.UUID]bool)
	for i, b := range d.records {
		var r record.Record
		if err := record.Decode(&r, uint64(i+1), b); err != nil {
			t.Fatal(err)
		}
		if r.Kind != record.KindTransfer {
			continue
		}
		for id, p := range map[uuid.UUID]record.Party{r.Transfer.Sender: r.Transfer.From, r.Transfer.Receiver: r.Transfer.To} {
			if before[id] = capycoin.Coins(p.Funds); r.Position < lost.First {
				after[id] = capycoin.Coins(p.Funds)
			} else {
				touched[id] = true
			}
		}
	}
	if len(rep.Accounts) < len(touched) {
		t.Errorf("%d accounts are named, want the %d that are in what was cut off", len(rep.Accounts), len(touched))
	}
	for _, a := range rep.Accounts {
		if a.Gone || a.Before != before[a.Account] || a.After != after[a.Account] {
			t.Errorf("account %s is said to have had %d and to have %d, want %d and %d", a.Account, a.Before, a.After, before[a.Account], after[a.Account])
		}
	}
}

// TestRepairRolledBack puts an old copy in the place of a file: it is behind its
// witness, and taken as it is on request only.
func TestRepairRolledBack(t *testing.T) {
	ctx := context.Background()
	path := newFile(t)
	old, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	led, err := capycoin.Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := led.OpenAccount(ctx); err != nil {
		t.Fatal(err)
	}
	if err := led.Close(); err != nil {
		t.Fatal(err)
	}
	for _, rows := range []bool{false, true} { // a whole copy, and one with a damaged row
		if err := os.WriteFile(path, old, 0o600); err != nil {
			t.Fatal(err)
		}
		if rows {
			inBolt(t, path, func(tx *bolt.Tx) error {
				return tx.Bucket(boltfile.Tables[store.TableState]).Put(accounts.StateKey, []byte("damaged"))
			})
		}
		saw, err := os.ReadFile(path + ".witness")
		if err != nil {
			t.Fatal(err)
		}
		rep, err := capycoin.Repair(ctx, path, nil)
		if back := (*capycoin.RolledBackError)(nil); !errors.As(err, &back) || back.Position != 5 || back.WitnessPosition != 6 || rep.Repaired {
			t.Fatalf("got %+v, %v; want that record 6 is lost", rep, err)
		}
		// It has lost no record of its own, so there is nothing to cut.
		rep, err = capycoin.Repair(ctx, path, &capycoin.RepairOptions{Cut: true})
		if now, _ := os.ReadFile(path + ".witness"); !errors.Is(err, store.ErrRolledBack) || rep.Repaired || !bytes.Equal(now, saw) {
			t.Fatalf("to cut: got %+v, %v; want that record 6 is lost", rep, err)
		}
		rep, err = capycoin.Repair(ctx, path, &capycoin.RepairOptions{AcceptRollback: true})
		if err != nil || rep.Witness != path+".witness" || rep.Healthy == rows {
			t.Fatalf("got %+v, %v; want a new witness", rep, err)
		}
		led, err := capycoin.Open(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := led.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path+".witness", saw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRepairLostCommit loses the newer meta page, and with it the last commit.
// Its records are in the ledger afterwards if the page has a single wrong bit or a
// witness saw them, else in a file.
func TestRepairLostCommit(t *testing.T) {
	needsTestPage(t)
	ctx := context.Background()
	path := newFile(t)
	led, err := tunedLedger(path, &capycoin.Options{NoWitness: true}, tune.Options{})
	if err != nil {
		t.Fatal(err)
	}
	acct, err := led.OpenAccount(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := led.Transfer(ctx, capycoin.Transfer{Sender: capycoin.DefaultSeedAccount(), Receiver: acct.ID, Amount: 7}); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(path) // before it is folded, so that the commit is the last one
	saw, seen := witness.At(ctx, led.file, endOf(led.Ledger))
	if err := errors.Join(err, seen, led.Close()); err != nil {
		t.Fatal(err)
	}
	newer := 0
	if file[testPage+pages.MetaTxid] > file[pages.MetaTxid] {
		newer = testPage
	}
	// One wrong bit can be turned back, wherever it is, and nothing is lost.
	for bit := 8 * pages.MetaHeader; bit < 8*pages.MetaEnd; bit += 73 {
		rotten := slices.Clone(file)
		rotten[newer+bit/8] ^= 1 << (bit % 8)
		path := damagedFile(t, rotten)
		if led, err := capycoin.Open(path, nil); !errors.Is(err, store.ErrRolledBack) {
			t.Fatalf("bit %d: opened %v, %v; want %v", bit, led, err, store.ErrRolledBack)
		}
		if rep, err := capycoin.Repair(ctx, path, nil); err != nil || !rep.Repaired || rep.RolledBack || rep.Audit.Records != 7 {
			t.Fatalf("bit %d: got %+v, %v; want all 7 records", bit, rep, err)
		}
	}
	clear(file[newer : newer+testPage])
	path = damagedFile(t, file)
	rep, err := capycoin.Repair(ctx, path, nil)
	if !errors.Is(err, store.ErrRolledBack) || rep.Journal != 6 || rep.UnsureFirst != 7 || rep.UnsureLast != 7 {
		t.Fatalf("got %+v, %v; want record 7 in doubt", rep, err)
	}
	path = damagedFile(t, file)
	if err := witness.Replace(path+".witness", saw); err != nil {
		t.Fatal(err)
	}
	rep, err = capycoin.Repair(ctx, path, nil) // of a later one nothing is known
	if !errors.Is(err, store.ErrRolledBack) || rep.Journal != 7 || rep.UnsureFirst != 0 || rep.Seen != 0 {
		t.Fatalf("got %+v, %v; want all 7 records", rep, err)
	}
	rep, err = capycoin.Repair(ctx, path, &capycoin.RepairOptions{AcceptRollback: true})
	if err != nil || !rep.Repaired || rep.Audit.Records != 7 || rep.CutRecords != 0 {
		t.Fatalf("got %+v, %v; want 7 records", rep, err)
	}
	path = damagedFile(t, file)
	saw.Sum[0]++ // of another payment
	if err := witness.Replace(path+".witness", saw); err != nil {
		t.Fatal(err)
	}
	rep, err = capycoin.Repair(ctx, path, &capycoin.RepairOptions{AcceptRollback: true})
	if err != nil || !rep.Repaired || rep.Audit.Records != 6 || rep.CutRecords != 1 {
		t.Fatalf("got %+v, %v; want 6 records, and one in a file", rep, err)
	}
	want := capycoin.CutAccount{Account: acct.ID, Before: 7}
	if len(rep.Accounts) != 2 || rep.Accounts[0] != want && rep.Accounts[1] != want {
		t.Errorf("got accounts %+v, want %+v", rep.Accounts, want)
	}
	if b, err := os.ReadFile(rep.CutFile); err != nil || !strings.Contains(string(b), acct.ID.String()) {
		t.Errorf("%s has %q, %v", rep.CutFile, b, err)
	}
}

// TestRepairIgnoresUnfinished leaves a commit that was broken off where it is:
// a record that nobody was told of does not take the place of one that is lost.
func TestRepairIgnoresUnfinished(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine, a large ledger")
	}
	needsTestPage(t)
	d := newDamageLedger(t, testPage, false)
	file, lost := d.lostLeaf(t, len(d.records)-10)
	// The same records, a second later each, in a free page.
	free, older := -1, d.salvage(t).Older
	for n := range d.free {
		clear(d.page(file, n)) // there may be older copies of them
		if _, ok := salvage.FindPage(older, uint64(n)); !ok {
			free = n
		}
	}
	b := make([]byte, d.pageSize)
	at := pages.HeaderSize
	for p := lost.First; p <= lost.Last && at+600 < len(b); p++ {
		var r record.Record
		if err := record.Decode(&r, p, d.records[p-1]); err != nil {
			t.Fatal(err)
		}
		r.Time++
		data := record.Append(nil, &r)
		copy(b[at:], fmt.Appendf(nil, "%s\x01%s%s", position8(p), uvarint(len(data)), data))
		at += 8 + 1 + len(uvarint(len(data))) + len(data)
	}
	copy(d.page(file, free), b)
	rep, err := capycoin.Repair(context.Background(), damagedFile(t, file), nil)
	if !errors.Is(err, store.ErrCorrupt) || len(rep.Lost) != 1 || rep.Lost[0].First != lost.First {
		t.Errorf("got %+v, %v; want records from %d on lost", rep, err, lost.First)
	}
}

func position8(p uint64) []byte {
	b := make([]byte, 8)
	for i := range b {
		b[i] = byte(p >> (56 - 8*i))
	}
	return b
}

func uvarint(n int) []byte {
	if n < 0x80 {
		return []byte{byte(n)}
	}
	return []byte{byte(n) | 0x80, byte(n >> 7)}
}

// TestRepairChild repairs a file, in a process that is killed.
func TestRepairChild(t *testing.T) {
	path := os.Getenv("CAPYCOIN_REPAIR_CHILD")
	if path == "" {
		t.Skip("for TestHarnessRepairKilled")
	}
	if _, err := capycoin.Repair(context.Background(), path, &capycoin.RepairOptions{Cut: true}); err != nil {
		t.Fatal(err)
	}
}

// TestHarnessRepairKilled kills repairs at any moment. The damaged file or the
// new one is there then, nothing else, and what was damaged is kept; the next
// repair goes through.
func TestHarnessRepairKilled(t *testing.T) {
	needsTestPage(t)
	d := newDamageLedger(t, testPage, false)
	file, lost := d.lostLeaf(t, len(d.records)/2)
	path := damagedFile(t, file)
	kills, between := 0, 0
	longest := 60 * time.Millisecond
	for end := time.Now().Add(harness.Budget(t, 2*time.Second)); time.Now().Before(end); {
		cmd := exec.Command(os.Args[0], "-test.run=^TestRepairChild$")
		cmd.Env = append(os.Environ(), "CAPYCOIN_REPAIR_CHILD="+path)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(time.Duration(rand.Int64N(int64(longest))), func() { cmd.Process.Kill() })
		killed := cmd.Wait() != nil
		timer.Stop()
		if killed {
			kills++
		}
		if d.afterKill(t, path, file, lost) {
			if !killed {
				t.Fatal("it ended, and the file is as it was")
			}
			if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) > 1 {
				between++
			}
			longest += 2 * time.Millisecond // it does not get far enough
			continue
		}
		// Again, from the start.
		longest = min(longest, 200*time.Millisecond)
		if err := os.RemoveAll(filepath.Dir(path)); err != nil {
			t.Fatal(err)
		}
		path = damagedFile(t, file)
	}
	harness.Count(t, "repairs killed", kills)
	harness.Count(t, "repairs killed on the way", between)
}

// afterKill looks at what a repair that was killed has left. It says whether the
// damaged file is in its place still.
func (d *damageLedger) afterKill(t *testing.T, path string, file []byte, lost salvage.Positions) bool {
	t.Helper()
	now, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(now, file) {
		return true
	}
	if err := (damaged{d: d}).check(path, int(lost.First-1), false); err != nil {
		t.Fatal(err)
	}
	kept, err := filepath.Glob(path + ".damaged-*")
	if err != nil || len(kept) != 1 {
		t.Fatalf("there are %v, %v; want one damaged file", kept, err)
	}
	if b, err := os.ReadFile(kept[0]); err != nil || !bytes.Equal(b, file) {
		t.Fatalf("the damaged file was not kept as it was: %v", err)
	}
	return false
}

// TestRepairSeen: of records that only the witness knows, a repair tells, whatever
// it is told to do.
func TestRepairSeen(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine, a large ledger")
	}
	needsTestPage(t)
	d := newDamageLedger(t, testPage, false)
	file, lost := d.lostLeaf(t, len(d.records)/2)
	path := damagedFile(t, file)
	var genesis record.Record
	if err := record.Decode(&genesis, 1, d.records[0]); err != nil {
		t.Fatal(err)
	}
	seen := uint64(len(d.records) + 1000)
	if err := witness.Replace(path+".witness", witness.Witness{Ledger: genesis.Body.(*record.Genesis).Ledger, Position: seen, Time: genesis.Time}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		opts capycoin.RepairOptions
		want error
	}{
		{capycoin.RepairOptions{}, store.ErrCorrupt},
		{capycoin.RepairOptions{AcceptRollback: true}, store.ErrCorrupt},
		{capycoin.RepairOptions{Cut: true}, store.ErrRolledBack},
		{capycoin.RepairOptions{Cut: true, AcceptRollback: true}, nil},
	} {
		rep, err := capycoin.Repair(t.Context(), path, &c.opts)
		if !errors.Is(err, c.want) || rep.Repaired != (c.want == nil) {
			t.Errorf("%+v: got %v, want %v", c.opts, err, c.want)
		}
		if rep.Seen != seen || !rep.RolledBack || rep.Journal != uint64(len(d.records)) || len(rep.Lost) != 1 || rep.Lost[0].First != lost.First {
			t.Errorf("%+v: got %+v, want that the witness saw record %d", c.opts, rep, seen)
		}
	}
}
