package httpapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
)

// parseID reads an id with or without dashes, in either case, and nothing else
// that uuid.Parse would take.
func parseID(s string) (uuid.UUID, bool) {
	if len(s) != 36 && len(s) != 32 {
		return uuid.UUID{}, false
	}
	id, err := uuid.Parse(s)
	return id, err == nil
}

func badID(name string) error {
	return hasToBe(name, "a UUID, 32 hexadecimal digits with dashes or without")
}

// parseIDs reads the ids of the path.
func (x *exchange) parseIDs() error {
	for _, p := range []struct {
		name string
		id   *uuid.UUID
	}{{"account_id", &x.account}, {"transaction_id", &x.object}, {"token_id", &x.object}, {"invite_id", &x.object}} {
		if !strings.Contains(x.route.path, "{"+p.name+"}") {
			continue
		}
		var ok bool
		if *p.id, ok = parseID(x.r.PathValue(p.name)); !ok {
			return badID(p.name)
		}
	}
	return nil
}

// parseQuery reads the query, which may have the route's parameters, once
// each, and what they say.
func (x *exchange) parseQuery() (err error) {
	if x.r.URL.RawQuery == "" || slices.Equal(x.route.query, anyQuery) {
		return nil
	}
	values, err := url.ParseQuery(x.r.URL.RawQuery)
	if err != nil {
		return badForm("query", "The query can't be read.")
	}
	x.query = make(map[string]string, len(values))
	for name, all := range values {
		switch {
		case !slices.Contains(x.route.query, name):
			return badForm("query", "There is no parameter %.40q here; there are: %s.", name, strings.Join(append(x.route.query, "no others"), ", "))
		case len(all) > 1:
			return badForm(name, "The parameter %s is given twice.", name)
		case all[0] == "":
			return badForm(name, "The parameter %s is empty.", name)
		}
		x.query[name] = all[0]
	}
	x.listing, err = x.timeRange()
	return err
}

// parseKey reads the header Idempotency-Key.
func (x *exchange) parseKey() error {
	const name = "Idempotency-Key"
	values := x.r.Header.Values(name)
	switch {
	case len(values) == 0 || x.route.key == keyIgnored:
		return nil
	case x.route.key == keyRefused:
		return badForm(name, "Here each transfer has a key of its own, the member key.")
	case len(values) > 1:
		return badForm(name, "The header is given twice.")
	}
	key := values[0]
	if len(key) >= 2 && key[0] == '"' && key[len(key)-1] == '"' {
		key = key[1 : len(key)-1]
	}
	if !capycoin.ValidKey(key) {
		return hasToBe(name, keyForm)
	}
	x.key = key
	return nil
}

const keyForm = `1 to 255 characters 0x21 to 0x7E without " and \`

// bearer returns the token of a request. What has another scheme, or none, is
// no token.
func bearer(h http.Header) (token string, ok bool, err error) {
	values := append(h.Values("Authorization"), h.Values("Authentication")...)
	if len(values) == 0 {
		return "", false, nil
	}
	if len(values) > 1 {
		return "", false, badForm("Authorization", "Send one of the headers Authorization and Authentication, once.")
	}
	scheme, rest, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", false, nil
	}
	return strings.TrimLeft(rest, " "), true, nil
}

// authorize makes sure that the request has a token of the path's account, or
// none where none belongs.
func (x *exchange) authorize() error {
	token, ok, err := bearer(x.r.Header)
	switch {
	case err != nil:
		return err
	case x.route.auth == nobodyWithToken && ok:
		return errBearer
	case x.route.auth == nobodyWithToken:
		return nil
	case !ok:
		return errNoToken
	}
	tok, err := x.iss.Verify(x.patience.begin(), token)
	if err != nil {
		return err
	}
	if tok.Account != x.account {
		return capycoin.ErrInvalidToken
	}
	return nil
}

// patience is how long a request waits for its turn, as a context. One for each
// request would be a timer for each; those of a moment share one.
type patience struct {
	wait time.Duration

	mu     sync.Mutex
	shared context.Context
	until  time.Time // when the next one is made
}

// begin returns a context that ends after the wait, or up to an eighth later. It
// does not end with the request: a transfer that is in the queue then is carried
// out, whether or not somebody still waits for the answer.
func (p *patience) begin() context.Context {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); now.After(p.until) {
		ctx, cancel := context.WithTimeout(context.Background(), p.wait+p.wait/8)
		_ = cancel // the last request to wait is not known: the timer runs out
		p.shared, p.until = ctx, now.Add(p.wait/8)
	}
	return p.shared
}

// hashing returns the shared context cut to the request's own, for what hashes a new
// token: for somebody who has left that would be a token that nobody has.
func (x *exchange) hashing() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(x.patience.begin())
	stop := context.AfterFunc(x.r.Context(), cancel)
	return ctx, func() { stop(); cancel() }
}

// The largest bodies, in bytes.
const (
	maxBody         = 64 << 10
	maxBatch        = 1 << 20
	maxTrustedBatch = 8 << 20
)

// body reads the request's body, nil if it has none.
func (x *exchange) body(limit int64) ([]byte, error) {
	if x.r.ContentLength == 0 {
		return nil, nil
	}
	if types := x.r.Header.Values("Content-Type"); len(types) > 1 || len(types) == 1 && !isJSON(types[0]) {
		return nil, errNotJSON
	}
	if x.r.ContentLength > limit {
		return nil, errTooLarge
	}
	b, err := x.readBody(limit)
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return nil, errTooLarge
	}
	if err != nil {
		return nil, &problem{status: 400, code: "bad_request", errorType: gatewayError, errorMessage: badFormat,
			detail: "The body could not be read to its end."}
	}
	if len(b) == 0 {
		return nil, nil // its length was not told beforehand
	}
	return b, nil
}

// readBody reads the request's body. One of a length that was told beforehand,
// which the server holds it to, is read in one go if it is short, and else as it
// comes: what is only told takes no room.
func (x *exchange) readBody(limit int64) ([]byte, error) {
	length := x.r.ContentLength
	if length < 0 {
		return io.ReadAll(http.MaxBytesReader(x.w, x.r.Body, limit))
	}
	b := make([]byte, min(length, maxBody))
	n, err := io.ReadFull(x.r.Body, b)
	for err == nil && int64(n) < length {
		more := make([]byte, min(length, 4*int64(n)))
		copy(more, b)
		b = more
		var m int
		m, err = io.ReadFull(x.r.Body, b[n:])
		n += m
	}
	return b, err
}

func isJSON(contentType string) bool {
	if contentType == "application/json" {
		return true // what nearly everybody sends
	}
	t, params, err := mime.ParseMediaType(contentType)
	if err != nil || t != "application/json" {
		return false
	}
	for name, value := range params {
		if name != "charset" || !strings.EqualFold(value, "utf-8") {
			return false
		}
	}
	return true
}

// badFormat are the original's words for a body that is not in form.
const badFormat = "Unexpected transaction request format"

// badBody turns what a parser says into a problem.
func badBody(err error) error {
	form := (*formError)(nil)
	if !errors.As(err, &form) {
		return err
	}
	return &problem{status: 400, code: "bad_request", errorType: gatewayError, errorMessage: badFormat, detail: form.Error()}
}

// missing says that a member is missing.
func missing(names ...string) error {
	return &problem{status: 400, code: "bad_request", errorType: gatewayError, errorMessage: badFormat,
		detail: fmt.Sprintf("The member %s is missing.", strings.Join(names, " or "))}
}

// rangeQuery are the parameters of a listing of transactions.
var rangeQuery = []string{"start", "end", "limit", "order", "cursor"}

// limit reads the parameter limit, 0 if it is not there.
func (x *exchange) limit() (int, error) {
	s, ok := x.query["limit"]
	if !ok {
		return 0, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > capycoin.MaxPage || s[0] == '+' {
		return 0, hasToBe("limit", "a whole number, 1 to %d", capycoin.MaxPage)
	}
	return n, nil
}

// cursor reads the parameter cursor; what it means is the ledger's to say.
func (x *exchange) cursor() (string, error) {
	s := x.query["cursor"]
	for _, c := range []byte(s) {
		if !('0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '-' || c == '_') {
			return "", badForm("cursor", "Take it from next_cursor.")
		}
	}
	return s, nil
}

// timeRange reads the parameters of a listing, of which one of accounts has
// only some.
func (x *exchange) timeRange() (r capycoin.Range, err error) {
	if r.Limit, err = x.limit(); err != nil {
		return r, err
	}
	if r.Cursor, err = x.cursor(); err != nil {
		return r, err
	}
	switch order, ok := x.query["order"]; {
	case order == "asc":
		r.Order = capycoin.OldestFirst
	case order == "desc":
		r.Order = capycoin.NewestFirst
	case ok:
		return r, hasToBe("order", "asc or desc")
	}
	endDay := false
	start, hasStart := x.query["start"]
	if hasStart {
		var ok bool
		if r.Start, _, ok = parseDayOrInstant(start); !ok {
			return r, badTime("start")
		}
	}
	if s, ok := x.query["end"]; ok {
		if r.End, endDay, ok = parseDayOrInstant(s); !ok {
			return r, badTime("end")
		}
		if endDay {
			r.End = r.End.AddDate(0, 0, 1) // the day is included
		}
		if hasStart && (r.Start.After(r.End) || endDay && r.Start.Equal(r.End)) {
			return r, badForm("end", "The end is before the start.")
		}
		r.End = bound(r.End)
	}
	if hasStart {
		r.Start = bound(r.Start)
	}
	return r, nil
}

// bound moves the zero time, which the library takes for no bound. What is
// next to it is before all records, too.
func bound(t time.Time) time.Time {
	if t.IsZero() {
		return t.Add(time.Microsecond)
	}
	return t
}

func badTime(name string) error {
	return hasToBe(name, "a day such as 2022-08-15 or an instant such as 2022-08-15T13:24:23Z")
}

var instantForm = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,20})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`)

// parseInstant reads a date-time of RFC 3339, which time.Parse takes in some
// other forms, too.
func parseInstant(s string) (time.Time, bool) {
	if !instantForm.MatchString(s) {
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339, s)
	return t.UTC(), err == nil
}

// parseDayOrInstant reads a calendar day, of which it returns the start in
// UTC, or an instant.
func parseDayOrInstant(s string) (t time.Time, day, ok bool) {
	if len(s) == len(time.DateOnly) {
		t, err := time.Parse(time.DateOnly, s)
		return t, true, err == nil
	}
	t, ok = parseInstant(s)
	return t, false, ok
}
