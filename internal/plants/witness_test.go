package plants

// witnesses are the plants of the external witness and of what is looked at
// before a file is opened.
var witnesses = []plant{{
	name: "old-copy-taken", shows: "the witness",
	file: "witness.go", edits: []edit{{`if w.ledger == end.ledger && w.position <= tail {`, `if w.ledger == end.ledger && w.position > tail {
		return nil
	}
	if w.ledger == end.ledger {`}},
	pkg: ".", test: "TestWitnessOldCopy", says: `got <nil>, want a RolledBackError`,
}, {
	name: "another-history-taken", shows: "the witness",
	file: "witness.go", edits: []edit{{`if there == *w {`, `if there.position == w.position {`}},
	pkg: ".", test: "TestWitnessOldCopy", says: `got <nil>, want a RolledBackError that says "record 13`,
}, {
	name: "another-ledger-taken", shows: "the witness",
	file: "witness.go", edits: []edit{{`if w.ledger == end.ledger && w.position <= tail {`, `if w.ledger != end.ledger {
		return nil
	} else if w.position <= tail {`}},
	pkg: ".", test: "TestWitnessSwapped", says: `got <nil>, want a RolledBackError`,
}, {
	name: "new-ledger-for-a-lost-one", shows: "the witness",
	file: "ledger.go", edits: []edit{{`if err := noFile(path, o.Witness); err != nil {`, `if err := noFile(path, o.Witness); err != nil && false {`}},
	pkg: ".", test: "TestWitnessNoFile", says: `that says "there is no such file"|the file was made`,
}, {
	name: "another-file-overwritten", shows: "the witness",
	file: "witness.go", edits: []edit{{`return witness{}, 0, errors.New("it is not a witness")`, `return witness{}, 0, errWitnessDamaged`}},
	pkg: ".", test: "TestWitnessNotOne", says: `want ErrWitness with the name`,
}, {
	name: "damaged-slot-believed", shows: "the witness",
	file: "witness.go", edits: []edit{{` || !bytes.Equal(b, w.slot())`, ``}},
	pkg: ".", test: "TestWitnessGone", says: `FAIL: TestWitnessGone/both_slots`,
}, {
	name: "newest-slot-overwritten", shows: "the witness",
	file: "witness.go", edits: []edit{{`int64(1-slot)*witnessSlot`, `int64(slot)*witnessSlot`}},
	pkg: ".", test: "TestWitnessTorn", says: `the write of slot \d+ was torn: got`,
}, {
	name: "witness-before-the-commit", shows: "the witness",
	file: "commit.go", edits: []edit{
		{`import (
	"context"
`, `import (
	"context"
	"crypto/sha256"
`},
		{`	err = l.log.Append(ctx, l.books.Position, l.recordList)
`, `	n := len(l.recordList)
	writeWitness(l.witness.path, witness{l.genesis.ledger, l.books.Position + uint64(n), l.overlay.now, sha256.Sum256(l.recordList[n-1])})
	err = l.log.Append(ctx, l.books.Position, l.recordList)
`}},
	pkg: ".", test: "TestHarnessWitness", says: `kill \d+: .*rolled back`,
}, {
	name: "close-without-a-witness", shows: "the witness",
	file: "witness_keep.go", edits: []edit{{
		`		case <-l.finished:
			l.updateWitness()
`, `		case <-l.finished:
`}},
	pkg: ".", test: "TestWitnessKept", says: `the witness saw record \d+, want \d+, and`,
}, {
	name: "unknown-commit-witnessed", shows: "the witness",
	file: "witness_keep.go", edits: []edit{{
		`	position := l.position()
`, `	position, _ := l.log.Tail(context.Background())
`}},
	pkg: ".", test: "TestWitnessOfAnyStore", says: `the witness saw record 4, want 3`,
}, {
	name: "warned-all-the-time", shows: "the witness",
	file: "witness_keep.go", edits: []edit{{`case err != nil && !k.failed:`, `case err != nil:`}},
	pkg: ".", test: "TestWitnessUnwritable", says: `the log has \d+ warnings, want one|still not: a warning`,
}, {
	name: "served-without-a-witness", shows: "the witness",
	file: "witness_keep.go", edits: []edit{{`readWitness(k.path, os.O_RDWR)`, `readWitness(k.path, os.O_RDONLY)`}},
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
	pkg: ".", test: "TestFreelistBounded", says: `it took \d+ bytes of memory`,
}, {
	name: "rows-of-another-journal", shows: "the checks before opening",
	file: "recover.go", edits: []edit{{`if r.Time != b.Time {`, `if r.Time < 0 {`}},
	pkg: ".", test: "TestForeignRows", says: `FAIL: TestForeignRows/another_ledger's`,
}, {
	name: "row-of-a-lost-record", shows: "the checks before opening",
	file: "recover.go", edits: []edit{{`if a.AsOf > position {`, `if a.AsOf > position+100 {`}},
	pkg: ".", test: "TestRowAhead", says: `want ErrCorrupt that says that the row is ahead`,
}}
