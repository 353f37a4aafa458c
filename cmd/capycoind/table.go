package main

import (
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/spf13/cobra"
)

// newTable lines columns up, below their names if they have any.
func newTable(cmd *cobra.Command, names ...any) *tabwriter.Writer {
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 8, 2, ' ', 0)
	if len(names) > 0 {
		row(w, names...)
	}
	return w
}

// row writes a row of a table; errors show when it is flushed.
func row(w *tabwriter.Writer, cells ...any) {
	for i, c := range cells {
		if i > 0 {
			fmt.Fprint(w, "\t")
		}
		if s, ok := c.(string); ok {
			c = printable(s)
		}
		fmt.Fprint(w, c)
	}
	fmt.Fprintln(w)
}

// printable returns a string as it is, or in quotes with escapes if it has what
// can't be seen: a label is its owner's, and could make a terminal show the rest
// of its line in another order.
func printable(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}
