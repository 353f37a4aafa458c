package plants

// witnesses are the plants of the external witness and of what is looked at
// before a file is opened.
var witnesses = []plant{{
	name: "old-copy-taken", shows: "the witness",
	file: "internal/witness/witness.go", edits: []edit{{`if w.Ledger == end.Ledger && w.Position <= tail {`, `if w.Ledger == end.Ledger && w.Position > tail {
		return nil
	}
	if w.Ledger == end.Ledger {`}},
	pkg: ".", test: "TestWitnessOldCopy", says: `got <nil>, want a RolledBackError`,
}, {
	name: "another-history-taken", shows: "the witness",
	file: "internal/witness/witness.go", edits: []edit{{`if there == *w {`, `if there.Position == w.Position {`}},
	pkg: ".", test: "TestWitnessOldCopy", says: `got <nil>, want a RolledBackError that says "record 13`,
}, {
	name: "another-ledger-taken", shows: "the witness",
	file: "internal/witness/witness.go", edits: []edit{{`if w.Ledger == end.Ledger && w.Position <= tail {`, `if w.Ledger != end.Ledger {
		return nil
	} else if w.Position <= tail {`}},
	pkg: ".", test: "TestWitnessSwapped", says: `got <nil>, want a RolledBackError`,
}, {
	name: "new-ledger-for-a-lost-one", shows: "the witness",
	file: "store_bolt.go", edits: []edit{{`if err := witness.CheckMissing(path, o.Witness); err != nil {`, `if err := witness.CheckMissing(path, o.Witness); err != nil && false {`}},
	pkg: ".", test: "TestWitnessNoFile", says: `that says "there is no such file"|the file was made`,
}, {
	name: "another-file-overwritten", shows: "the witness",
	file: "internal/witness/witness.go", edits: []edit{{`return Witness{}, 0, errors.New("it is not a witness")`, `return Witness{}, 0, ErrDamaged`}},
	pkg: ".", test: "TestWitnessNotOne", says: `want ErrWitness with the name`,
}, {
	name: "damaged-slot-believed", shows: "the witness",
	file: "internal/witness/witness.go", edits: []edit{{` || !bytes.Equal(b, w.Slot())`, ``}},
	pkg: ".", test: "TestWitnessGone", says: `FAIL: TestWitnessGone/both_slots`,
}, {
	name: "newest-slot-overwritten", shows: "the witness",
	file: "internal/witness/witness.go", edits: []edit{{`int64(1-slot)*SlotSize`, `int64(slot)*SlotSize`}},
	pkg: "./internal/witness", test: "TestWitnessTorn", says: `the write of slot \d+ was torn: got`,
}, {
	name: "witness-before-the-commit", shows: "the witness",
	file: "internal/engine/commit.go", edits: []edit{{`import (
	"context"
`, `import (
	"context"
	"crypto/sha256"

	"github.com/capycoin/capycoin/internal/witness"
`}, {`	err = e.log.Append(ctx, at, e.records)
`, `	n := len(e.records)
	witness.Write(e.witness.Path, witness.Witness{Ledger: e.books.Genesis().Ledger, Position: at + uint64(n), Time: e.Time(), Sum: sha256.Sum256(e.records[n-1])})
	err = e.log.Append(ctx, at, e.records)
`}},
	pkg: ".", test: "TestHarnessWitness", says: `kill \d+: .*rolled back`,
}, {
	name: "close-without-a-witness", shows: "the witness",
	file: "internal/witness/keep.go", edits: []edit{{
		`		case <-finished:
			k.update(position(), unreadable)
`, `		case <-finished:
`}},
	pkg: ".", test: "TestWitnessKept", says: `the witness saw record \d+, want \d+, and`,
}, {
	name: "unknown-commit-witnessed", shows: "the witness",
	file: "internal/witness/keep.go", edits: []edit{{
		`	if position == k.seen.Load() && !k.failed {
`, `	position, _ = k.log.Tail(context.Background())
	if position == k.seen.Load() && !k.failed {
`}},
	pkg: ".", test: "TestWitnessOfAnyStore", says: `the witness saw record 4, want 3`,
}, {
	name: "warned-all-the-time", shows: "the witness",
	file: "internal/witness/keep.go", edits: []edit{{`case err != nil && !k.failed:`, `case err != nil:`}},
	pkg: ".", test: "TestWitnessUnwritable", says: `the log has \d+ warnings, want one|still not: a warning`,
}, {
	name: "served-without-a-witness", shows: "the witness",
	file: "internal/witness/keep.go", edits: []edit{{`Read(k.Path, os.O_RDWR)`, `Read(k.Path, os.O_RDONLY)`}},
	pkg: ".", test: "TestWitnessFullDisk", says: `opening: got <nil>`,
}, {
	name: "meta-pages-out-of-step", shows: "the checks before opening",
	file: "internal/pages/meta.go", edits: []edit{{`if newer.Txid-older.Txid != 1 {`, `if newer.Txid == older.Txid {`}},
	pkg: ".", test: "TestMetaPages", says: `FAIL: TestMetaPages/newer_is_old`,
}, {
	name: "file-cut-short", shows: "the checks before opening",
	file: "internal/pages/check.go", edits: []edit{{`|| uint64(info.Size()) < need {`, `|| need == 0 {`}},
	pkg: ".", test: "TestMetaPages", says: `FAIL: TestMetaPages/(more_pages_than_bytes|shorter)`,
}, {
	name: "memory-for-a-damaged-list", shows: "the checks before opening",
	file: "internal/pages/check.go", edits: []edit{{`|| more > most {`, `|| more > most|1<<63 {`}},
	pkg: "./internal/pages", test: "TestFreelistBounded", says: `it took \d+ bytes of memory`,
}, {
	name: "rows-of-another-journal", shows: "the checks before opening",
	file: "internal/books/recover.go", edits: []edit{{`if r.Time != b.Time {`, `if r.Time < 0 {`}},
	pkg: ".", test: "TestForeignRows", says: `FAIL: TestForeignRows/another_ledger's`,
}, {
	name: "row-of-a-lost-record", shows: "the checks before opening",
	file: "internal/books/recover.go", edits: []edit{{`if a.AsOf > position {`, `if a.AsOf > position+100 {`}},
	pkg: ".", test: "TestRowAhead", says: `want ErrCorrupt that says that the row is ahead`,
}}
