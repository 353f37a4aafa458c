package copying

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/capycoin/capycoin/internal/example"
	"github.com/capycoin/capycoin/internal/journal"
	"github.com/capycoin/capycoin/internal/record"
)

// FuzzImport: lines are refused, or they are those that the records they make
// are exported as.
func FuzzImport(f *testing.F) {
	var seed bytes.Buffer
	err := Export(context.Background(), &seed, func(_ context.Context, after uint64) (journal.Page, error) {
		all := example.Records()
		page := journal.Page{End: uint64(len(all))}
		for _, r := range all[after:] {
			page.Records = append(page.Records, journal.Raw{Position: r.Position, Data: record.Append(nil, &r)})
		}
		return page, nil
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed.Bytes())
	lines := bytes.SplitAfter(seed.Bytes(), []byte("\n"))
	f.Add(bytes.Join(lines[:4], nil))
	f.Add([]byte(strings.Replace(seed.String(), "label", "lab\\u0065l", 1)))
	f.Fuzz(func(t *testing.T, b []byte) {
		lines := newExportReader(bytes.NewReader(b))
		var all journal.Page
		for {
			page, err := lines.page(context.Background(), uint64(len(all.Records)))
			if err != nil {
				return
			}
			if all.Records, all.End = append(all.Records, page.Records...), page.End; uint64(len(all.Records)) >= page.End {
				break
			}
		}
		var again bytes.Buffer
		err := Export(context.Background(), &again, func(_ context.Context, after uint64) (journal.Page, error) {
			return journal.Page{Records: all.Records[after:], End: all.End}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again.Bytes(), b) {
			t.Fatalf("taken, and exported as something else:\n%s\n%s", b, again.Bytes())
		}
	})
}
