package main

import (
	"fmt"
	"text/tabwriter"

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
		fmt.Fprint(w, c)
	}
	fmt.Fprintln(w)
}
