package capycoin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/chain"
	"github.com/capycoin/capycoin/internal/example"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/store"
)

// exported is the export of a journal.
func exported(t testing.TB, from capycoin.JournalSource) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := capycoin.Export(context.Background(), &b, from); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestExportImport: an import of an export has the same records, byte for byte,
// the same folds, and the same export.
func TestExportImport(t *testing.T) {
	ctx := context.Background()
	for seed := range uint64(5) {
		w := newCopyWorld(t, 100+seed)
		w.do([]int{0, 20, 100, 200, 300}[seed])
		lines := exported(t, w.led.JournalPage)
		path := filepath.Join(t.TempDir(), "imported.db")
		// However the lines come.
		rep, err := capycoin.Import(ctx, iotest.HalfReader(bytes.NewReader(lines)), path, nil)
		if err != nil {
			t.Fatal(err)
		}
		want, err := w.led.Supply(ctx)
		if err := errors.Join(err, w.led.Close()); err != nil {
			t.Fatal(err)
		}
		if rep.Supply != want {
			t.Errorf("%+v, want %+v", rep.Supply, want)
		}
		if !reflect.DeepEqual(contentsOf(t, path), contentsOf(t, w.path)) {
			t.Errorf("seed %d: the import says something else", 100+seed)
		}
		journal, err := capycoin.OpenJournal(path)
		if err != nil {
			t.Fatal(err)
		}
		if again := exported(t, journal.Page); !bytes.Equal(again, lines) {
			t.Error("the import has another export")
		}
		journal.Close()
		// It is JSON, and nothing is lost on who reads it as such.
		var r record.Record
		for n, line := range bytes.Split(bytes.TrimSpace(lines), []byte("\n")) {
			var v struct {
				Kind, Label string
			}
			if err := json.Unmarshal(line, &v); err != nil {
				t.Fatalf("line %d: %v: %s", n+1, err, line)
			}
			if v.Kind == "token" {
				if err := record.ReadLine(append(line, '\n'), &r); err != nil || r.Body.(*record.Token).Label != v.Label {
					t.Fatalf("line %d has the label %q, as JSON %q, %v", n+1, r.Body.(*record.Token).Label, v.Label, err)
				}
			}
		}
	}
}

// TestExportEnds where the journal ended when it began.
func TestExportEnds(t *testing.T) {
	w := newCopyWorld(t, 110)
	w.do(20)
	end := endOf(w.led.Ledger)
	lines := exported(t, func(ctx context.Context, after uint64) (capycoin.JournalPage, error) {
		page, err := w.led.JournalPage(ctx, after)
		w.do(3)
		page.Records = page.Records[:min(len(page.Records), 7)]
		return page, err
	})
	if n := bytes.Count(lines, []byte("\n")); uint64(n) != end+2 {
		t.Errorf("%d lines, want a header, %d records and a trailer", n, end)
	}
	if _, err := capycoin.Import(context.Background(), bytes.NewReader(lines), filepath.Join(t.TempDir(), "a.db"), nil); err != nil {
		t.Error(err)
	}
}

// TestImportRefuses: each line that is not as it should be is named, with what
// is wrong, and there is no file.
func TestImportRefuses(t *testing.T) {
	w := newCopyWorld(t, 130)
	w.do(150)
	good := strings.SplitAfter(string(exported(t, w.led.JournalPage)), "\n")
	good = good[:len(good)-1]
	last := len(good)
	of := func(kind string) int {
		for n, line := range good {
			if strings.Contains(line, `"kind":"`+kind+`"`) {
				return n + 1
			}
		}
		t.Fatalf("there is no %s", kind)
		return 0
	}
	account, transfer, token, revocation := of("account"), of("transfer"), of("token"), of("revocation")
	policy, key, stipend := of("fee_policy"), of("key"), of("stipend")
	signed := slices.IndexFunc(good, func(line string) bool {
		return strings.Contains(line, `"fee":2,`) && strings.Contains(line, `"signature"`)
	}) + 1
	type change struct {
		line     int
		old, new string
		want     string
	}
	changes := []change{
		{1, `"capycoin journal"`, `"capycoin ledger"`, `line 1: format is "capycoin ledger"; it has to be "capycoin journal"`},
		{1, `"version":1`, `"version":2`, "line 1: version is 2, this program knows 1"},
		{1, `"ledger_id":"`, `"ledger_id":"0`, "line 1: ledger_id is "},
		{1, `"records":`, `"records":1`, "records"},
		{1, "{", "{ ", `line 1: byte 1: {"format": has to come here`},
		{2, `"kind":"genesis"`, `"kind":"beginning"`, `line 2: kind is "beginning"; there are ["genesis" "account"`},
		{2, `"position":1`, `"position":2`, "line 2: it has record 2, record 1 comes next"},
		{2, `"position":1`, `"position":01`, "line 2: position is 01; it has to be a whole number, 1 to"},
		{2, `"position":1`, `"position":1.0`, "line 2: position is 1.0; it has to be a whole number"},
		{2, `"position":1`, `"position":-1`, "line 2: position is -1; it has to be a whole number"},
		{2, `"position":1`, `"Position":1`, `line 2: byte 1: {"position": has to come here`},
		{2, `"supply":100000`, `"supply":9007199254740992`, "line 2: supply is 9007199254740992; it has to be a whole number, 1 to 9007199254740991"},
		{2, `"ledger_id":"`, `"ledger_id":"F`, "line 2: ledger_id is "},
		{account, `"previous":1`, `"previous":7`, "previous is 7; it has to be a whole number, 0 to"},
		{account, `"ordinal":2`, `"ordinal":3`, "previous and jump do not go with ordinal 3"},
		{transfer, `"fee":0,`, ``, "sender_previous"},
		{transfer, `"fee":0`, `"fee":0,"tip":0`, `byte`},
		{transfer, `"amount":`, `"amount":0`, "amount is 0"},
		{transfer, `"key":"`, `"key":" `, "key is \" "},
		{transfer, `"key":"`, `"key":"\u0041`, `key has '\\' at byte`},
		{transfer, `"key":"`, `"key":` + "\"\x80", "key is not UTF-8"},
		{transfer, `"time":"2026-`, `"time":"2026-13-`, "time is "},
		{transfer, `Z","sender`, `","sender`, "time is "},
		{token, `"tag":"`, `"tag":"AB`, "tag is "},
		{token, `"bcrypt":"`, `"bcrypt":"zz`, "bcrypt is "},
		{token, `"label":"`, "\"label\":\"a\tb", `label has '\t' at byte`},
		{token, `"label":"`, `"label":"` + strings.Repeat("x", 65), "a label has at most 64 characters"},
		{token, `"expires":"2026`, `"expires":"2020`, "expires is not after the record's time"},
		{revocation, `"token_position":`, `"token_position":9`, "token_position is 9"},
		{revocation, "}\n", "} \n", "has to come here"},
		{signed, `"fee":2`, `"fee":0`, "byte"},
		{signed, `"fee_account_ordinal":`, `"fee_account_ordinal":0`, "fee_account_ordinal is 0"},
		{signed, `"key_version":`, `"key_version":0`, "key_version is 0"},
		{signed, `"max_fee":`, `"max_fee":-`, "max_fee is -"},
		{signed, `"not_after":"2026-`, `"not_after":"2026-13-`, "not_after is "},
		{signed, `"signature":"`, `"signature":"AB`, "signature is "},
		{signed, `,"signature":"`, `,"Signature":"`, "signature"},
		{signed, `"key":"signed-`, `"key":"","key":"signed-`, "byte"},
		{policy, `"basis_points":`, `"basis_points":99999`, "basis_points is 99999"},
		{policy, `"exempt":["`, `"exempt":["F`, "exempt has "},
		{policy, `"exempt":[`, `"exempt":["feefeefe-efee-4fee-8fee-feefeefeefee",`, "each of them once"},
		{key, `"public_key":"`, `"public_key":"ff`, "public_key is "},
		{key, `"old_signature":"`, `"old_signature":"ff`, "old_signature is "},
		{key, `"key_version":`, `"key_version":0`, "key_version is 0"},
		{stipend, `"share":`, `"share":1`, "its fields do not make a record"},
		{stipend, `"day":`, `"day":1`, "its fields do not make a record"},
		{stipend, `"window":`, `"window":366`, "window is 366"},
		{stipend, `"payees_sha256":"`, `"payees_sha256":"0`, "payees_sha256 is "},
		{revocation, "}\n", "}\r\n", "has to come here"},
		{5, "}\n", "}" + strings.Repeat(" ", 4096) + "\n", "line 5: it has more than 4096 bytes"},
		{last, `"records":`, `"records":1`, "records"},
		{last, `"sha256":"`, `"sha256":"0`, "sha256 is "},
		{last, "}\n", "}\n\n", fmt.Sprintf("line %d: it comes after the last one", last+1)},
		{last, "}\n", "}\n{}", fmt.Sprintf("line %d: it comes after the last one", last+1)},
		{last, "}\n", "}", fmt.Sprintf("line %d: it does not end: the export is cut off", last)},
	}
	// A field that is in range, and is another.
	changes = append(changes, change{transfer, `"amount":`, `"amount":1`, ""})
	for _, c := range changes {
		lines := append([]string(nil), good...)
		changed := strings.Replace(lines[c.line-1], c.old, c.new, 1)
		if changed == lines[c.line-1] {
			t.Errorf("line %d has no %q: %s", c.line, c.old, changed)
			continue
		}
		lines[c.line-1] = changed
		refused(t, strings.Join(lines, ""), fmt.Sprintf("%s for %s in line %d", c.new, c.old, c.line), c.want)
	}
	// Lines that are gone, there twice, or in another order.
	for n := range good {
		if n%29 != 0 && n < last-2 {
			continue
		}
		without := strings.Join(good[:n], "") + strings.Join(good[n+1:], "")
		refused(t, without, fmt.Sprintf("without line %d", n+1), "")
		refused(t, strings.Join(good[:n+1], "")+strings.Join(good[n:], ""), fmt.Sprintf("line %d twice", n+1), "")
		refused(t, strings.Join(good[:n], ""), fmt.Sprintf("cut off after line %d", n), fmt.Sprintf("line %d: it is missing: the export is cut off", n+1))
	}
	refused(t, "", "nothing", "line 1: it is missing: the export is cut off")

	boom := errors.New("boom")
	_, err := capycoin.Import(context.Background(), io.MultiReader(strings.NewReader(strings.Join(good[:9], "")), iotest.ErrReader(boom)),
		filepath.Join(t.TempDir(), "imported.db"), nil)
	if !errors.Is(err, boom) || errors.Is(err, capycoin.ErrBadExport) || !strings.Contains(err.Error(), "line 10") {
		t.Errorf("a reader that fails: %v", err)
	}
}

// TestImportOneForm: what another program would take for the same is refused.
func TestImportOneForm(t *testing.T) {
	good := string(exported(t, examplePage))
	for _, c := range []struct{ old, new, want string }{
		{`"account_id":"0b8e4d5a-`, `"account_id":"0B8E4D5A-`, `line 3: account_id is "0B8E4D5A-`},
		{`"account_id":"0b8e4d5a-`, `"account_id":"0b8e4d5a`, `line 3: account_id is "0b8e4d5a`},
		{`"tag":"746167206f662038"`, `"tag":"746167206F662038"`, `tag is "746167206F662038"`},
		{`"time":"2022-08-15T13:24:23.136285Z"`, `"time":"2022-08-15T13:24:23,136285Z"`, `line 2: time is "2022-08-15T13:24:23`},
		{`"time":"2022-08-15T13:24:23.136285Z"`, `"time":"2022-08-15T15:24:23.136285+02:00"`, "line 2: time is "},
		{`"amount":300`, `"amount":3e2`, "line 4: amount is 3e2"},
		{`"amount":300`, `"amount":"300"`, `line 4: amount is "300"`},
		{`"amount":300`, `"amount":+300`, "line 4: amount is +300"},
		{`"amount":300`, `"amount":`, "line 4: amount is ;"},
		{`"label":"phone"`, `"label":"ph\u006fne"`, "label has"},
		{`"label":"phone"`, `"label":null`, "has to come here"},
		{`"records":`, `"records": `, "line 1: "},
		{`"version":1,"ledger_id":"7c`, `"version":1,"ledger_id":"6c`, "line 2: it is of ledger 7c9e6679"},
	} {
		changed := strings.Replace(good, c.old, c.new, 1)
		if changed == good {
			t.Errorf("the example has no %s", c.old)
		}
		refused(t, changed, c.new, c.want)
	}
}

// refused imports what must be refused.
func refused(t *testing.T, lines, what, want string) {
	t.Helper()
	dir := t.TempDir()
	_, err := capycoin.Import(context.Background(), strings.NewReader(lines), filepath.Join(dir, "imported.db"), nil)
	if !errors.Is(err, capycoin.ErrBadExport) || !strings.Contains(err.Error(), "line ") || !strings.Contains(err.Error(), want) {
		t.Errorf("%s: got %v, want %s", what, err, want)
	}
	if left := namesIn(t, dir); len(left) > 0 {
		t.Errorf("%s left %v", what, left)
	}
}

// TestImportAudits: lines that are all right by themselves, of books that are
// not, make no file, and a file is never replaced.
func TestImportAudits(t *testing.T) {
	ctx := context.Background()
	records := example.Records()[:3]
	records[2].Transfer.From.Funds++ // a coin is made
	source := func(_ context.Context, after uint64) (capycoin.JournalPage, error) {
		page := capycoin.JournalPage{End: 3}
		for i := after; i < 3; i++ {
			page.Records = append(page.Records, capycoin.JournalRecord{Position: i + 1, Data: record.Append(nil, &records[i])})
		}
		return page, nil
	}
	forged := exported(t, source)
	dir := t.TempDir()
	if _, err := capycoin.Import(ctx, bytes.NewReader(forged), filepath.Join(dir, "a.db"), nil); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("a coin out of nothing: %v", err)
	}
	if left := namesIn(t, dir); len(left) > 0 {
		t.Errorf("it left %v", left)
	}
	// All of it follows, but the coin is gone.
	records[2].Transfer.From.Funds -= 2
	records[2].Transfer.Fee, records[2].Transfer.Pool = 1, record.Party{Link: chain.Link{Ordinal: 1}, Funds: 1}
	forged = exported(t, source)
	if _, err := capycoin.Import(ctx, bytes.NewReader(forged), filepath.Join(dir, "a.db"), nil); !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), "fee") {
		t.Errorf("a coin that nobody gets: %v", err)
	}
	if left := namesIn(t, dir); len(left) > 0 {
		t.Errorf("it left %v", left)
	}
	records[2].Transfer.From.Funds++
	records[2].Transfer.Fee, records[2].Transfer.Pool = 0, record.Party{}
	good := exported(t, source)
	for _, want := range []error{nil, fs.ErrExist} {
		if _, err := capycoin.Import(ctx, bytes.NewReader(good), filepath.Join(dir, "a.db"), nil); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
}

// examplePage is a source of the example records.
func examplePage(ctx context.Context, after uint64) (capycoin.JournalPage, error) {
	return pageOf(example.Records())(ctx, after)
}

// pageOf is a journal of records.
func pageOf(all []record.Record) capycoin.JournalSource {
	return func(_ context.Context, after uint64) (capycoin.JournalPage, error) {
		page := capycoin.JournalPage{End: uint64(len(all))}
		for _, r := range all[after:] {
			page.Records = append(page.Records, capycoin.JournalRecord{Position: r.Position, Data: record.Append(nil, &r)})
		}
		return page, nil
	}
}
