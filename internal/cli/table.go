package cli

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"
)

// Table is text in columns.
type Table struct{ w *tabwriter.Writer }

// NewTable lines columns up, below their names if they have any.
func NewTable(w io.Writer, names ...any) *Table {
	t := &Table{tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)}
	if len(names) > 0 {
		t.Row(names...)
	}
	return t
}

// Row adds a row; errors show in Flush. Text that has what can't be seen is quoted:
// a label is its owner's, and could make a terminal show the rest of its line in
// another order.
func (t *Table) Row(cells ...any) {
	for i, c := range cells {
		if i > 0 {
			fmt.Fprint(t.w, "\t")
		}
		if s, ok := c.(string); ok {
			c = printable(s)
		}
		fmt.Fprint(t.w, c)
	}
	fmt.Fprintln(t.w)
}

// Flush writes the table.
func (t *Table) Flush() error { return t.w.Flush() }

// printable returns a string as it is, or in quotes with escapes if it has what
// can't be seen.
func printable(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}
