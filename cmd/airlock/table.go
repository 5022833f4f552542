package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/rivo/uniseg"
)

// table lines columns up as a terminal shows them: a kanji is two cells wide and a
// combining mark none, which text/tabwriter, counting runes, does not know.
type table struct {
	rows   [][]string
	widths []int // of the columns, in cells; they only grow
}

// row adds a line.
func (t *table) row(cells ...any) {
	row := make([]string, len(cells))
	for i, c := range cells {
		row[i] = plain(fmt.Sprint(c))
		if i == len(t.widths) {
			t.widths = append(t.widths, 0)
		}
		t.widths[i] = max(t.widths[i], uniseg.StringWidth(row[i]))
	}
	t.rows = append(t.rows, row)
}

// print writes the lines so far, each with indent before it. The table may be carried
// on.
func (t *table) print(w io.Writer, indent string) error {
	var errs []error
	for _, row := range t.rows {
		var line strings.Builder
		line.WriteString(indent)
		for i, cell := range row {
			line.WriteString(cell)
			if i < len(row)-1 {
				line.WriteString(strings.Repeat(" ", t.widths[i]-uniseg.StringWidth(cell)+2))
			}
		}
		_, err := fmt.Fprintln(w, strings.TrimRight(line.String(), " "))
		errs = append(errs, err)
	}
	t.rows = nil
	return errors.Join(errs...)
}

// plain is s as one line that steers no terminal: what switches and departments call
// their ports and files is theirs to choose.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsGraphic(r):
			return '?'
		}
		return r
	}, s)
}
