package capycoin_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/example"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/internal/witness"
)

// TestFormatDocument holds docs/format.md to the codec: each example record's
// bytes are there, in lines of 16.
func TestFormatDocument(t *testing.T) {
	doc, err := os.ReadFile("docs/format.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range example.Records() {
		b := record.Append(nil, &r)
		var want strings.Builder
		for line := range slices.Chunk(b, 16) {
			fmt.Fprintf(&want, "%s\n", strings.TrimSpace(fmt.Sprintf("% x", line)))
		}
		if !strings.Contains(string(doc), want.String()) {
			t.Errorf("docs/format.md has not the bytes of record %d:\n%s", r.Position, want.String())
		}
	}
}

// TestWitnessExample: the witness in docs/format.md is that of the third record
// there, and later versions read it.
func TestWitnessExample(t *testing.T) {
	text := string(readFile(t, "docs/format.md"))
	_, after, _ := strings.Cut(text, "\nRecord 3: ")
	_, after, _ = strings.Cut(after, "```\n")
	digits, _, _ := strings.Cut(after, "```")
	data, err := hex.DecodeString(strings.Join(strings.Fields(digits), ""))
	if err != nil {
		t.Fatal(err)
	}
	var r record.Record
	if err := record.Decode(&r, 3, data); err != nil {
		t.Fatal(err)
	}
	want := witness.Witness{Ledger: uuid.MustParse("7c9e6679-7425-40de-944b-e07fc1f90ae7"), Position: 3, Time: r.Time, Sum: sha256.Sum256(data)}
	example := strings.TrimRight(string(want.Slot()), " \n")
	if !strings.Contains(text, "\n```\n"+example+"\n```\n") {
		t.Errorf("docs/format.md does not have\n%s", example)
	}
	slot := []byte(example + "\n" + strings.Repeat(" ", witness.SlotSize-len(example)-2) + "\n")
	if got, ok := witness.Parse(slot); !ok || got != want {
		t.Errorf("got %+v, %t, want %+v", got, ok, want)
	}
}

// TestExportDocument holds docs/export.md to the codec: its example is the
// export of the journal that docs/format.md shows.
func TestExportDocument(t *testing.T) {
	doc, err := os.ReadFile("docs/export.md")
	if err != nil {
		t.Fatal(err)
	}
	want := exported(t, examplePage)
	if !bytes.Contains(doc, want) {
		t.Errorf("docs/export.md has not the lines\n%s", want)
	}
}
