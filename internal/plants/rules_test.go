package plants

// rules are the plants of what moves coins by rules: signatures, fees, and the stipend.
var rules = []plant{{
	name: "signed-by-anybody", shows: "signatures",
	file: "internal/books/transfer.go", edits: []edit{{`case key == nil || !v.good || v.version != key.Version:`, `case key == nil:`}},
	pkg: ".", test: "TestSignedTransfer", says: `alone: <nil>, want capycoin: invalid signature`,
}, {
	name: "old-key-still-signs", shows: "signatures",
	file: "internal/books/transfer.go", edits: []edit{{`!v.good || v.version != key.Version:`, `!v.good:`}},
	pkg: ".", test: "TestKeyRace", says: `signature: the transfer is by version`,
}, {
	name: "fee-is-not-signed", shows: "signatures",
	file: "internal/sign/message.go", edits: []edit{{`AppendUint64(b, uint64(maxFee))`, `AppendUint64(b, 0*uint64(maxFee))`}},
	pkg: ".", test: "TestSignedTransfer", says: `alone: <nil>, want capycoin: invalid signature`,
}, {
	name: "identity-is-a-key", shows: "signatures",
	file: "internal/sign/key.go", edits: []edit{{`if smallOrder(yy) {`, `if false && smallOrder(yy) {`}},
	pkg: "./internal/sign", test: "TestSmallOrderKeysAreForged", says: `.`,
}, {
	name: "audit-verifies-nothing", shows: "signatures",
	file: "internal/audit/signature.go", edits: []edit{{`s.bad = !ed25519.Verify(`, `s.bad = false && !ed25519.Verify(`}},
	pkg: ".", test: "TestAuditFindsForgedRules", says: `want one of kind "signature" of record 14: not signed by its key`,
}, {
	name: "fee-rounded-down", shows: "fees",
	file: "internal/books/feepolicy.go", edits: []edit{{`bits.Add64(lo, record.MaxBasisPoints-1, 0)`, `bits.Add64(lo, 0, 0)`}},
	pkg: ".", test: "TestFeeRounding", says: `the fee of \d+ by`,
}, {
	name: "fee-stays-though-refused", shows: "fees",
	file: "internal/books/transfer.go", edits: []edit{{`		o.keep(pool)
`, ``}},
	pkg: ".", test: "TestHarnessConcurrentCalls", look: "20s", says: `\[rapid\]`,
}, {
	name: "higher-fee-than-allowed", shows: "fees",
	file: "internal/books/transfer.go", edits: []edit{{`t.HasMax && fee > t.MaxFee {`, `t.HasMax && fee > t.MaxFee+1 {`}},
	pkg: ".", test: "TestFees", says: `with a fee of 3 at most: <nil>`,
}, {
	name: "audit-takes-any-fee", shows: "fees",
	file: "internal/audit/feepolicy.go", edits: []edit{{`if t.Fee != want {`, `if false && t.Fee != want {`}},
	pkg: ".", test: "TestAuditFindsForgedRules", says: `want one of kind "fee" of record 14: it pays a fee of 1`,
}, {
	name: "paid-by-two-at-once", shows: "the stipend",
	file: "internal/books/stipend.go", edits: []edit{{`o.Last != o.Stipend || o.Paid != o.First {`, `o.Last != o.Stipend {`}},
	pkg: ".", test: "TestStipendPaidMeanwhile", says: `can't be paid to account`,
}, {
	name: "paid-again-after-a-restart", shows: "the stipend",
	file: "internal/accounts/rows.go", edits: []edit{{`b = binary.AppendUvarint(b, uint64(s.Paid))`, `b = append(b, 0)`}},
	pkg: "./cmd/capycoind", test: "TestHarnessKillStipend", look: "5s", says: `.`,
}, {
	name: "active-on-the-day-itself", shows: "the stipend",
	file: "internal/books/payees.go", edits: []edit{{`	begin := day * record.MicrosPerDay
`, `	begin := (day + 1) * record.MicrosPerDay
`}},
	pkg: ".", test: "TestStipendWho", says: `the stipend is`,
}, {
	name: "record-slips-in-before-the-day", shows: "the stipend",
	file: "internal/books/stipend.go", edits: []edit{{`record.DayOf(s.overlay.now) != o.Stipend.Day || !last {`, `record.DayOf(s.overlay.now) != o.Stipend.Day || !last && false {`}},
	pkg: ".", test: "TestStipendClockBack", says: `with another record before the day`,
}, {
	name: "audit-takes-any-payee", shows: "the stipend",
	file: "internal/audit/stipend.go", edits: []edit{{`a.payees[b.Paid] != to`, `false`}},
	pkg: ".", test: "TestAuditFindsForgedRules", says: `want one of kind "stipend" of record 17`,
}}
