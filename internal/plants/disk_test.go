package plants

// disks are the plants of disks that are full, fail, or lose their power.
var disks = []plant{{
	name: "rows-dropped-by-a-full-disk", shows: "disk full",
	file: "internal/boltfile/file.go", edits: []edit{{`		return s.settle(txid, err)
`, `		s.pending = s.pending[:0]
		return s.settle(txid, err)
`}},
	pkg: ".", test: "TestHarnessDiskFull", says: `again, disk full|leads to records \[\]|its row is (as of record|missing)|leaves account .*, it follows`,
}, {
	name: "key-unknown-on-a-full-disk", shows: "disk full",
	file: "internal/engine/decline.go", edits: []edit{{`own = lost == nil && tail == e.books.Position()`, `own = lost == nil && tail > e.books.Position()`}},
	pkg: ".", test: "TestDecline", says: `want 160, 320 and 160`,
}, {
	name: "failed-for-unknown-by-the-file", shows: "the n-th system call",
	file: "internal/boltfile/settle.go", edits: []edit{{`if !failedWrite(err) || !s.withoutMeta(txid) {`, `if false {`}},
	pkg: ".", test: "TestHarnessSyscalls", look: "30s", says: `the ledger went on after a failed sync|was declined, and is there`,
}, {
	name: "goes-on-after-a-failed-sync", shows: "the n-th system call",
	file: "internal/boltfile/settle.go", edits: []edit{{`if !failedWrite(err) || !s.withoutMeta(txid) {`, `if !s.withoutMeta(txid) {`}},
	pkg: ".", test: "TestHarnessSyscalls", look: "30s", says: `the ledger went on after a failed sync`,
}, {
	name: "never-synced", shows: "power cut",
	file: "internal/boltfile/open.go", edits: []edit{{`FreelistType: bolt.FreelistMapType,`, `FreelistType: bolt.FreelistMapType, NoSync: true,`}},
	pkg: "./cmd/capycoind", test: "TestHarnessPowerCut", says: `was acknowledged as .*; there is|no such account|damaged|rolled back`,
}, {
	name: "newest-commit-believed", shows: "power cut",
	file: "internal/boltfile/open.go", edits: []edit{{`_, err = s.file.WriteAt(page, at)`, `_ = page`}},
	pkg: "./cmd/capycoind", test: "TestPowerCutAfterRestart", says: `rolled back|made anew`,
}, {
	name: "made-without-a-sync", shows: "power cut",
	file: "internal/boltfile/open.go", edits: []edit{
		{`FreelistType: bolt.FreelistMapType,`, `FreelistType: bolt.FreelistMapType, NoSync: true,`},
		{`err = s.file.Sync() // its size`, `err = nil // its size`},
		{`err = s.syncNewest()`, `err = nil`},
	},
	pkg: "./cmd/capycoind", test: "TestHarnessPowerCutNew", says: `the file: `,
}}
