package httpapi

import (
	_ "embed"
	"net/http"
	"strconv"
)

//go:embed index.html
var index []byte

func serveIndex(x *exchange) error {
	x.w.Header()["Content-Security-Policy"] = pagePolicy
	x.send(http.StatusOK, typeHTML, index)
	return nil
}

func serveHealth(x *exchange) error {
	x.send(http.StatusOK, typeText, []byte("ok\n"))
	return nil
}

// serveReady asks the ledger something, so that it says no when that would.
func serveReady(x *exchange) error {
	if _, err := x.led.Supply(x.r.Context()); err != nil {
		return err
	}
	return serveHealth(x)
}

func serveOpenAPI(x *exchange) error {
	x.send(http.StatusOK, typeYAML, openAPI)
	return nil
}

func serveSupply(x *exchange) error {
	s, err := x.led.Supply(x.r.Context())
	if err != nil {
		return err
	}
	b := appendID([]byte(`{"ledger_id":"`), s.LedgerID)
	b = append(b, '"')
	for _, m := range []struct {
		name string
		n    int64
	}{
		{"supply", int64(s.Supply)}, {"seed_account_funds", int64(s.SeedFunds)}, {"circulating", int64(s.Circulating)},
		{"accounts", s.Accounts}, {"transactions", s.Transactions},
	} {
		b = append(b, `,"`...)
		b = append(b, m.name...)
		b = append(b, `":`...)
		b = strconv.AppendInt(b, m.n, 10)
	}
	// Not that of the last record: what not_after is compared with now.
	b = append(b, `,"time":"`...)
	b = appendTime(b, x.led.Time())
	return x.sendJSON(append(b, `"}`...))
}
