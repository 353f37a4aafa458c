package plants

// harnesses are the plants of the harnesses: that each finds what it is for.
var harnesses = []plant{{
	name: "answered-before-written", shows: "kill -9",
	file: "internal/engine/commit.go", edits: []edit{{`	err = e.log.Append(ctx, at, e.records)
`, `	for i, t := range batch {
		t.done <- struct{}{}
		batch[i] = &ticket{done: make(chan struct{}, 1)}
	}
	time.Sleep(2 * time.Millisecond)
	err = e.log.Append(ctx, at, e.records)
`}},
	pkg: "./cmd/capycoind", test: "TestHarnessKill", look: "20s", says: `was acknowledged as .*; there is ""`,
}, {
	name: "read-before-written", shows: "linearizability",
	file: "internal/engine/commit.go", edits: []edit{{`	err = e.log.Append(ctx, at, e.records)
`, `	e.books.Publish()
	time.Sleep(2 * time.Millisecond)
	err = e.log.Append(ctx, at, e.records)
`}, {`		e.books.Publish()
`, ``}},
	pkg: "./cmd/capycoind", test: "TestHarnessLinearizable", look: "20s", says: `is not linearizable \(Illegal\)`,
}, {
	name: "refused-batch-stays", shows: "linearizability",
	file: "internal/books/transfer.go", edits: []edit{{`			s.overlay.rollback()
`, ``}},
	pkg: "./cmd/capycoind", test: "TestHarnessReplay", look: "20s", says: `nobody asked for|transfers of a batch are made`,
}, {
	name: "told-by-the-clock", shows: "the clock",
	file: "internal/engine/engine.go", edits: []edit{{`return max(now, e.books.LastTime())`, `return now`}},
	pkg: ".", test: "TestHarnessModel", look: "20s", says: `failed after \d+ tests: (file|memory): `,
}, {
	name: "audit-finds-nothing", shows: "the damage matrix",
	file: "internal/audit/audit.go", edits: []edit{{`case r.FaultCount == 0:`, `case r.FaultCount >= 0:`}},
	pkg: ".", test: "TestHarnessDamagedPages", look: "20s", says: `the audit was clean, (then|and an answer is wrong)`,
}, {
	name: "pages-trusted-when-written", shows: "the damage matrix",
	file: "internal/boltfile/cursor.go", edits: []edit{{`next.Count == 0 || !bytes.Equal(next.Key(0), l.Key(l.Index))`, `next.Count == 0`}},
	pkg: ".", test: "TestHarnessDamagedPages", look: "90s", says: `then payments were made`,
}, {
	name: "empty-path-panics", shows: "HTTP fuzz and flood",
	file: "httpapi/routes.go", edits: []edit{{`case p == "" || p[0] != '/' || p != clean:`, `case p[0] != '/' || p != clean:`}},
	pkg: "./cmd/capycoind", test: "TestHarnessHTTPFuzz", look: "20s", says: `500`,
}, {
	name: "guess-in-a-flood-costs-a-hash", shows: "HTTP fuzz and flood",
	file: "internal/secret/token.go", edits: []edit{{`ConstantTimeCompare(own[:], tag[:]) == 1`, `ConstantTimeCompare(own[:], tag[:]) < 2`}},
	pkg: "./cmd/capycoind", test: "TestHarnessFlood", says: `bcrypt|hash`,
}}
