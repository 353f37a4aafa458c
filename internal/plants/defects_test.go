package plants

// defects are the plants of the fifteen defects, in their order. The texts they
// replace are as short as can be, so that few changes of the code touch them.
var defects = []plant{{
	name: "old-balance-in-a-batch", shows: "defect 1",
	file: "internal/books/transfer.go", edits: []edit{{`	out.Funds = s.fundsOf(from, fromSlot)
`, `	out.Funds = s.fundsOf(from, fromSlot)
	if from != nil && from.slot != accounts.NoSlot {
		out.Funds = s.cache.At(from.slot).Funds
	}
`}},
	pkg: ".", test: "TestHarnessModel", says: `failed after \d+ tests: `,
}, {
	name: "sender-is-receiver", shows: "defect 1",
	file: "internal/books/transfer.go", edits: []edit{{`case t.Sender == t.Receiver:`, `case false:`}},
	pkg: ".", test: "TestHarnessModel", says: `failed after \d+ tests: `,
}, {
	name: "failed-for-unknown", shows: "defect 2",
	file: "internal/engine/commit.go", edits: []edit{{`		e.say(e.stop(err))
		return false, fmt.Errorf("%w: %w", ErrOutcomeUnknown, err)
`, `		return false, fmt.Errorf("%w: %w", store.ErrNotWritten, err)
`}},
	pkg: "./storetest", test: "TestMemory", says: `Append 2 failing as YetDone: 0 calls had an unknown outcome`,
}, {
	name: "shown-before-written", shows: "defect 3",
	file: "internal/engine/commit.go", edits: []edit{{`	err = e.log.Append(ctx, at, e.records)
`, `	e.books.Publish()
	err = e.log.Append(ctx, at, e.records)
`}, {`		e.books.Publish()
`, ``}},
	pkg: "./storetest", test: "TestMemory", says: `.`,
}, {
	name: "key-twice-in-a-commit", shows: "defect 4",
	file: "internal/books/transfer.go", edits: []edit{{`s.overlay.keys.Find(h, s.found[:0])`, `s.found[:0]`}},
	pkg: ".", test: "TestExactlyOnce", says: `a transfer was made 5 times in a batch`,
}, {
	name: "key-forgotten-by-restart", shows: "defect 4",
	file: "internal/books/transfer.go", edits: []edit{{`e, ok := keyOfRecord(r); ok {`, `e, ok := keyOfRecord(r); ok && false {`}},
	pkg: ".", test: "TestCrashCopies", says: `repeating k0: got`,
}, {
	name: "token-cut-at-72", shows: "defect 5",
	file: "internal/secret/token.go", edits: []edit{{
		`	sum := t.digest(hashDomain)
	return hex.AppendEncode(nil, sum[:])
`, `	return hex.AppendEncode(nil, t[:])[:72]
`}},
	pkg: "./internal/secret", test: "TestVerifyHashReadsWholeToken", says: `error <nil>; want no token`,
}, {
	name: "expiry-checked-once", shows: "defect 5",
	file: "token.go", edits: []edit{{`if v.expires <= i.led.Time().UnixMicro() {`, `if false {`}},
	pkg: ".", test: "TestVerifyExpiryIsExact", says: `error <nil>; want no token`,
}, {
	name: "revoked-alive-in-cache", shows: "defect 5",
	file: "token.go", edits: []edit{{`if !alive {`, `if false && !alive {`}},
	pkg: ".", test: "TestVerifyRevokedWhileCached", says: `error <nil>; want no token`,
}, {
	name: "hash-for-a-guess", shows: "defect 6",
	file: "internal/secret/token.go", edits: []edit{{`ConstantTimeCompare(own[:], tag[:]) == 1`, `ConstantTimeCompare(own[:], tag[:]) < 2`}},
	pkg: ".", test: "TestVerifyWrongTokensCostNoHash", says: `hash runs: got \d+`,
}, {
	name: "hashes-without-bound", shows: "defect 6",
	file: "internal/secret/hasher.go", edits: []edit{{`semaphore.NewWeighted(int64(o.MaxHashing))`, `semaphore.NewWeighted(1 << 20)`}},
	pkg: ".", test: "TestVerifyManyTokensUnderLimit", says: `hashing at once: got \d+, want at most 2`,
}, {
	name: "another-account-readable", shows: "defect 7",
	file: "httpapi/request.go", edits: []edit{{`if tok.Account != x.account {`, `if tok.Account != x.account && x.r.Method != "GET" {`}},
	pkg: "./httpapi", test: "TestEveryRouteAndIdentity", says: `got status 200, want 401`,
}, {
	name: "trusted-route-on-tcp", shows: "defect 7",
	file: "httpapi/routes.go", edits: []edit{{
		`var publicRoutes = []route{
`, `var publicRoutes = []route{
	{method: "GET", path: "/accounts", query: []string{"limit", "cursor"}, serve: serveAccounts},
`}},
	pkg: "./httpapi", test: "TestNothingTrustedIsPublic", says: `public GET /accounts: 200`,
}, {
	name: "declined-one-ends-its-batch", shows: "defect 8",
	file: "internal/books/transfer.go", edits: []edit{{`		if out.Refusal != nil && t.Atomic {
			s.overlay.rollback()
`, `		if out.Refusal != nil {
			if t.Atomic {
				s.overlay.rollback()
			}
`}},
	pkg: ".", test: "TestOneCommit", says: `transfer 1: got <nil>`,
}, {
	name: "slow-reader-holds-the-file", shows: "defect 9",
	file: "history.go", edits: []edit{{
		`	return func(yield func(Transaction, error) bool) {
`, `	return func(yield func(Transaction, error) bool) {
		held, release := make(chan bool), make(chan bool)
		go l.books.Log().View(ctx, func(LogReader) error {
			held <- true
			<-release
			return nil
		})
		<-held
		defer close(release)
`}},
	pkg: ".", test: "TestSlowListing", says: `the file grew`,
}, {
	name: "key-is-a-view", shows: "defect 10",
	file: "internal/record/transfer.go", edits: []edit{
		{`	"encoding/binary"
`, `	"encoding/binary"
	"unsafe"
`},
		{`	t.Key = string(d.Bytes(uint64(d.Byte())))
`, `	key := d.Bytes(uint64(d.Byte()))
	t.Key = unsafe.String(unsafe.SliceData(key), len(key))
`}},
	pkg: ".", test: "TestValuesOutliveTheFile", says: `unexpected fault address|got key`,
}, {
	name: "range-off-by-one", shows: "defect 11",
	file: "internal/journal/journal.go", edits: []edit{{`r.Record.Time >= micros`, `r.Record.Time > micros`}},
	pkg: ".", test: "TestHarnessModel", says: `failed after \d+ tests: `,
}, {
	name: "time-steps-back", shows: "defect 11",
	file: "internal/books/overlay.go", edits: []edit{{`o.now = max(n.Time, now)`, `o.now = now`}},
	pkg: ".", test: "TestHarnessModel", says: `failed after \d+ tests: `,
}, {
	name: "spends-one-too-many", shows: "defect 12",
	file: "internal/books/transfer.go", edits: []edit{{`out.Funds < Required(t.Amount, fee) {`, `out.Funds+1 < Required(t.Amount, fee) {`}},
	pkg: ".", test: "TestSupplyBounds", says: `paying one more than that: got`,
}, {
	name: "genesis-at-each-start", shows: "defect 12",
	file: "internal/boltfile/open.go", edits: []edit{{
		`	if errors.Is(err, fs.ErrNotExist) {
`, `	if err == nil && os.Remove(path) == nil || errors.Is(err, fs.ErrNotExist) {
`}},
	pkg: ".", test: "TestReopen", says: `open(ed|ing) for the 2-th time`,
}, {
	name: "half-a-creation", shows: "defect 12",
	file: "internal/boltfile/open.go", edits: []edit{{
		`	if err := f.Close(); err != nil {
`, `	if err := errors.Join(f.Close(), os.Link(temp, path)); err != nil {
`}},
	pkg: "./cmd/capycoind", test: "TestHarnessKillAtCreation", look: "30s", says: `killed after`,
}, {
	name: "older-meta-taken", shows: "defect 13",
	file: "internal/pages/meta.go", edits: []edit{
		{`return second, oneMeta(first, second)`, `return second, nil`},
		{`return first, oneMeta(second, first)`, `return first, nil`}},
	pkg: ".", test: "TestOpenRefuses", says: `FAIL: TestOpenRefuses/(newer|older)_meta`,
}, {
	name: "end-of-journal-unseen", shows: "defect 13",
	file: "internal/boltfile/file.go", edits: []edit{{`if want := b.Sequence(); tail != want {`, `if want := b.Sequence(); tail > want {`}},
	pkg: ".", test: "TestTail", says: `Open ok, audit clean`,
}, {
	name: "lock-left-after-damage", shows: "defect 13",
	file: "internal/boltfile/open.go", edits: []edit{{`return nil, errors.Join(err, f.Close())`, `return nil, err`}},
	pkg: ".", test: "TestOpenRefuses", says: `in use by another`,
}, {
	name: "member-twice", shows: "defect 14",
	file: "httpapi/jsonin.go", edits: []edit{{`if bytes.Equal(s, name) {`, `if false && bytes.Equal(s, name) {`}},
	pkg: "./httpapi", test: "TestStrictJSON", says: `got status 200, want 400`,
}, {
	name: "close-drops-the-queue", shows: "defect 15",
	file: "internal/engine/commit.go", edits: []edit{{`	case <-e.finished:
		if t.state`, `	case <-e.closing:
		if t.state`}},
	pkg: ".", test: "TestCloseCommitsTheQueue", says: `one of what was queued before Close: got`,
}, {
	name: "cancelled-though-made", shows: "defect 15",
	file: "internal/engine/commit.go", edits: []edit{{`		if t.state.CompareAndSwap(waiting, withdrawn) {
			return false, ctx.Err()
		}
`, `		t.state.CompareAndSwap(waiting, withdrawn)
		return false, ctx.Err()
`}},
	pkg: ".", test: "TestCancelled", says: `transfers gave a receipt, \d+ coins moved`,
}}
