package httpapi

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
)

const fuzzID = "26a6d7cb-e2be-44d4-acba-36e2c0ac1b90"

var microsForm = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`)

var integerForm = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)

// reference reads a public transfer with encoding/json, token by token, and
// refuses all that is not strict: what the parser takes and refuses has to be
// the same.
func reference(b []byte) (t capycoin.Transfer, err error) {
	if !utf8.Valid(b) || !json.Valid(b) {
		return t, fmt.Errorf("not JSON")
	}
	// encoding/json replaces half a surrogate pair.
	if lone(string(b)) {
		return t, fmt.Errorf("half a surrogate pair")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	open, err := d.Token()
	if err != nil || open != json.Delim('{') {
		return t, fmt.Errorf("no object")
	}
	var signature [64]byte
	var notAfter time.Time
	seen := make(map[string]bool)
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return t, err
		}
		value, err := d.Token()
		if err != nil {
			return t, err
		}
		text, isText := value.(string)
		if s, _ := name.(string); seen[s] {
			return t, fmt.Errorf("twice")
		} else {
			seen[s] = true
		}
		switch name {
		case "receiver":
			s, ok := value.(string)
			id, bad := uuid.Parse(s)
			if !ok || bad != nil || len(s) != 36 && len(s) != 32 {
				return t, fmt.Errorf("receiver")
			}
			t.Receiver = id
		case "amount":
			n, ok := value.(json.Number)
			if !ok || !integerForm.MatchString(n.String()) {
				return t, fmt.Errorf("amount")
			}
			i, err := n.Int64()
			if err != nil {
				return t, err
			}
			t.Amount = capycoin.Coins(i)
		case "max_fee":
			n, ok := value.(json.Number)
			if !ok || !integerForm.MatchString(n.String()) {
				return t, fmt.Errorf("max_fee")
			}
			fee, err := n.Int64()
			if err != nil || fee < 0 || fee > 1<<53-1 {
				return t, fmt.Errorf("max_fee")
			}
			t.MaxFee = (*capycoin.Coins)(&fee)
		case "signature":
			// One text for each 64 bytes: what is read comes out the same.
			b, err := base64.StdEncoding.DecodeString(text)
			if !isText || err != nil || len(b) != 64 || base64.StdEncoding.EncodeToString(b) != text {
				return t, fmt.Errorf("signature")
			}
			signature = [64]byte(b)
		case "not_after":
			if !isText || !microsForm.MatchString(text) {
				return t, fmt.Errorf("not_after")
			}
			if notAfter, err = time.Parse(time.RFC3339, text); err != nil || notAfter.UnixMicro() < 0 || notAfter.UTC().Year() > 9999 {
				return t, fmt.Errorf("not_after")
			}
		default:
			return t, fmt.Errorf("unknown member")
		}
	}
	if _, err := d.Token(); err != nil {
		return t, err
	}
	if _, err := d.Token(); err != io.EOF {
		return t, fmt.Errorf("more")
	}
	if !seen["receiver"] || !seen["amount"] || seen["signature"] != seen["not_after"] || seen["signature"] && !seen["max_fee"] {
		return t, fmt.Errorf("missing")
	}
	if seen["signature"] {
		t.Signature = &capycoin.Signature{NotAfter: notAfter.UTC(), Bytes: signature}
	}
	return t, nil
}

var surrogates = regexp.MustCompile(`\\(u[0-9a-fA-F]{4}|.)`)

// lone says whether there is half of a surrogate pair among the escapes.
func lone(s string) bool {
	high, end := false, -1
	for _, m := range surrogates.FindAllStringIndex(s, -1) {
		e := strings.ToLower(s[m[0]:m[1]])
		isHigh := len(e) == 6 && e[2] == 'd' && strings.ContainsRune("89ab", rune(e[3]))
		isLow := len(e) == 6 && e[2] == 'd' && strings.ContainsRune("cdef", rune(e[3]))
		switch {
		case high && !(isLow && m[0] == end), !high && isLow:
			return true
		}
		high, end = isHigh, m[1]
	}
	return high
}

// FuzzTransfer compares the parser with the reference.
func FuzzTransfer(f *testing.F) {
	for _, s := range []string{
		`{"receiver":"` + fuzzID + `","amount":5}`,
		` {"amount" : -0 , "receiver":"` + strings.ReplaceAll(fuzzID, "-", "") + `"} `,
		`{"receiver":"` + fuzzID + `","amount":5,"amount":5}`, `{"receiver":"` + fuzzID + `","amount":05}`,
		`{"receiver":"` + fuzzID + `","amount":5.0}`, `{"receiver":"` + fuzzID + `","amount":9223372036854775808}`,
		`{"r\u0065ceiver":"` + fuzzID + `","amount":-9223372036854775808}`, `{"receiver":"\ud83e\uddab","amount":1}`,
		`{"receiver":"\ud83e","amount":1}`, `[]`, `{}`, ``, `{"a":{"b":[1,2]}}`, "{\"receiver\":\"\xff\"}", `{"receiver":null}`,
	} {
		f.Add([]byte(s))
	}
	signature := base64.StdEncoding.EncodeToString(make([]byte, 64))
	signed := `{"receiver":"` + fuzzID + `","amount":5,"max_fee":3,"not_after":"2022-08-15T13:24:23.136285Z","signature":"` + signature + `"}`
	f.Add([]byte(signed))
	for _, s := range []string{`"max_fee":3,`, `"signature"`, `"not_after"`, "285", "A==", signature} {
		f.Add([]byte(strings.Replace(signed, s, "", 1)))
		f.Add([]byte(strings.Replace(signed, s, s+s, 1)))
	}
	f.Add([]byte(`{"receiver":"` + fuzzID + `","amount":5,"max_fee":-1}`))
	f.Add([]byte(strings.Replace(signed, "2022", "1922", 1)))
	f.Add([]byte(strings.Replace(signed, "A==", `\u0041==`, 1)))
	f.Add([]byte(strings.Replace(signed, "AAAA", `AAA\n`, 1)))
	x := &exchange{API: &API{}, side: &side{}, key: "k"}
	f.Fuzz(func(t *testing.T, b []byte) {
		p := &parser{b: b}
		err := p.valid()
		var got capycoin.Transfer
		if err == nil {
			got, err = x.parseTransfer(p, false)
		}
		if err == nil {
			err = p.end()
		}
		want, wantErr := reference(b)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%q: got %v, the reference %v", b, err, wantErr)
		}
		if err == nil && !reflect.DeepEqual(got, want) {
			t.Fatalf("%q: got %+v, the reference %+v", b, got, want)
		}
		if err != nil {
			if p := problemOf(badBody(err)); p.status != http.StatusBadRequest || !utf8.ValidString(p.detail) {
				t.Fatalf("%q: answered %+v, want 400", b, p)
			}
		}
	})
}

// FuzzBearer reads what may stand in the header Authorization.
func FuzzBearer(f *testing.F) {
	for _, s := range []string{"Bearer abc", "bearer  abc", "Bearer", "Basic abc", "", " Bearer x", "Bearer\tabc", "BEARER a b"} {
		f.Add(s)
	}
	form := regexp.MustCompile(`(?is)^bearer( +(.*))?$`)
	f.Fuzz(func(t *testing.T, s string) {
		got, ok, err := bearer(http.Header{"Authorization": {s}})
		if err != nil {
			t.Fatal(err)
		}
		m := form.FindStringSubmatch(s)
		if ok != (m != nil) || ok && got != m[2] {
			t.Fatalf("%q: got %q, %t, want %q", s, got, ok, m)
		}
	})
}

// FuzzID reads ids: what is taken is a UUID in one of two forms.
func FuzzID(f *testing.F) {
	for _, s := range []string{fuzzID, strings.ReplaceAll(fuzzID, "-", ""), "urn:uuid:" + fuzzID, "{" + fuzzID + "}", fuzzID[1:], ""} {
		f.Add(s)
	}
	form := regexp.MustCompile(`(?i)^([0-9a-f]{32}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$`)
	f.Fuzz(func(t *testing.T, s string) {
		id, ok := parseID(s)
		if ok != form.MatchString(s) {
			t.Fatalf("%q: taken is %t", s, ok)
		}
		plain := func(s string) string { return strings.ToLower(strings.ReplaceAll(s, "-", "")) }
		if written := string(appendID(nil, id)); ok && (plain(written) != plain(s) || written != id.String()) {
			t.Fatalf("%q is written %q", s, written)
		}
	})
}

// FuzzTime reads days and instants: what is taken comes back the same.
func FuzzTime(f *testing.F) {
	for _, s := range []string{"2022-08-15", "2022-02-30", "2022-08-15T13:24:23Z", "2022-08-15T13:24:23.136285+02:00", "2022-08-15T3:24:23Z",
		"2022-08-15T13:24:23,5Z", "2022-08-15T24:00:00Z", "0000-01-01", "9999-12-31T23:59:59.9999999999999Z", "2022-08-15t13:24:23z", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, day, ok := parseDayOrInstant(s)
		switch {
		case !ok:
		case day && got.Format(time.DateOnly) != s:
			t.Fatalf("%q is taken for the day %v", s, got)
		case !day:
			again, err := time.Parse(time.RFC3339Nano, s)
			if err != nil || !again.Equal(got) {
				t.Fatalf("%q is taken for %v; time.Parse says %v, %v", s, got, again, err)
			}
			if len(appendTime(nil, got)) != len("2022-08-15T13:24:23.136285Z") && got.Year() >= 0 && got.Year() <= 9999 {
				t.Fatalf("%q is written %s", s, appendTime(nil, got))
			}
		}
	})
}
