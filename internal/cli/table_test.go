package cli

import (
	"strings"
	"testing"
)

// TestTable shows what others have named as it is, but for what can't be seen.
func TestTable(t *testing.T) {
	var out strings.Builder
	w := NewTable(&out, "ID", "LABEL")
	for i, label := range []string{"phone", "", "caffè \"x\" 🐹", "a\u202Eb", "zero\u200Bwidth", "\x1b[31m"} {
		w.Row(i, label)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	want := "ID  LABEL\n0   phone\n1   \n2   caffè \"x\" 🐹\n3   \"a\\u202eb\"\n4   \"zero\\u200bwidth\"\n5   \"\\x1b[31m\"\n"
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}
