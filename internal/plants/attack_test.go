package plants

// attacks are plants of what an attacker would look for.
var attacks = []plant{{
	name: "chunked-body-keeps-its-connection", shows: "attack",
	file: "httpapi/routes.go", edits: []edit{{`len(r.TransferEncoding) > 0 || !r.ProtoAtLeast(1, 1)`, `false`}},
	pkg: "./cmd/capycoind", test: "TestOddRequests", says: `2 coins moved, want 1`,
}, {
	name: "room-for-what-is-announced", shows: "attack",
	file: "httpapi/request.go", edits: []edit{{`b := make([]byte, min(length, maxBody))`, `b := make([]byte, length)`}},
	pkg: "./cmd/capycoind", test: "TestAnnouncedBodies", says: `each request of which little came takes`,
}, {
	name: "connections-without-limit", shows: "attack",
	file: "internal/daemon/serve/conns.go", edits: []edit{{`late := false; len(c.open) >= c.most; late`, `late := false; len(c.open) >= 1<<20; late`}},
	pkg: "./cmd/capycoind", test: "TestManyConnections", says: `too many open files|others waited`,
}, {
	name: "a-header-names-the-path", shows: "attack",
	file: "httpapi/routes.go", edits: []edit{{
		`		s.mux.ServeHTTP(x.w, r)
`, `		if p := r.Header.Get("X-Rewrite-URL"); p != "" {
			r.URL.Path = p
			s = s.api.trusted
		}
		s.mux.ServeHTTP(x.w, r)
`}},
	pkg: "./cmd/capycoind", test: "TestNothingTrustedOnTCP", says: `with X-Rewrite-URL: .*: got`,
}, {
	name: "head-needs-no-token", shows: "attack",
	file: "httpapi/routes.go", edits: []edit{{`if x.route.auth != anybody {`, `if x.route.auth != anybody && x.r.Method != "HEAD" {`}},
	pkg: "./httpapi", test: "TestEverybodyEverywhere", says: `public HEAD .*, asked by another: got 200, want \[401\]`,
}, {
	name: "unknown-account-refused-sooner", shows: "attack",
	file: "httpapi/request.go", edits: []edit{{
		`	tok, err := x.iss.Verify(x.patience.begin(), token)
`, `	if _, err := x.led.Account(x.r.Context(), x.account); err != nil {
		return capycoin.ErrInvalidToken
	}
	tok, err := x.iss.Verify(x.patience.begin(), token)
`}},
	pkg: "./httpapi", test: "TestNothingToEnumerate", says: `a token was looked up 0 times, for another account 1 times`,
}, {
	name: "file-held-while-a-page-is-sent", shows: "attack",
	file: "history.go", edits: []edit{{
		`	page := TransactionPage{Transactions: txs}
`, `	held := make(chan bool)
	go l.books.Log().View(ctx, func(LogReader) error {
		close(held)
		<-ctx.Done()
		return nil
	})
	<-held
	page := TransactionPage{Transactions: txs}
`}},
	pkg: "./cmd/capycoind", test: "TestHarnessSlowReaders", says: `the file grows for what is beside`,
}}
