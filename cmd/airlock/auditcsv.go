package main

import (
	"context"
	"encoding/csv"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"

	"airlock/ledger"
)

// longestCell is how many characters a cell of Excel holds. It spreads what is longer
// over the cells below.
const longestCell = 32767

// listCSV prints entries in the form that Excel opens by a double click in every
// language, Japanese among them: UTF-8 with a byte order mark, lines that end in CRLF.
func (a *app) listCSV(ctx context.Context, r entries, f ledger.Filter, zone *time.Location) error {
	if _, err := io.WriteString(a.out, "\ufeff"); err != nil {
		return err
	}
	w := csv.NewWriter(a.out)
	w.UseCRLF = true
	var headings []string
	for _, name := range []string{"SEQ", "TIME", "RECORDED", "LATE", "KIND", "DOOR", "FROM", "TO", "SYSTEM", "VAULT", "WINDOW", "ACTOR", "REASON", "DETAIL", "ZONE"} {
		headings = append(headings, a.words.tell(name))
	}
	err := w.Write(headings)
	for e, failed := range r.Entries(ctx, f) {
		if err = errors.Join(err, failed); err != nil {
			break
		}
		late := ""
		if e.Late {
			late = a.text("late")
		}
		row := []string{
			strconv.FormatInt(e.Seq, 10), e.Time.In(zone).Format(entryTime), e.Recorded.In(zone).Format(entryTime), late,
			string(e.Kind), e.Door, e.From, e.To, e.System, e.Vault, e.Window, e.Actor, e.Reason, a.shortened(string(e.Detail)),
			e.Time.In(zone).Format("UTC-07:00"), // apart, for a spreadsheet takes a time with an offset for text
		}
		for i, cell := range row {
			row[i] = defused(cell)
		}
		err = w.Write(row)
	}
	w.Flush()
	return errors.Join(err, w.Error())
}

// defused keeps a spreadsheet from taking a cell for a formula: what ports, files and
// people are called is theirs to choose, and a formula can start programs. Excel reads
// the wide forms of Japanese keyboards as well. An apostrophe in front makes it text.
func defused(cell string) string {
	if strings.IndexAny(strings.TrimLeftFunc(cell, unicode.IsSpace), "=+-@＝＋－＠") == 0 {
		return "'" + cell
	}
	return cell
}

// shortened fits a detail into a cell, and says where it stands whole. Bytes are no
// fewer than what Excel counts.
func (a *app) shortened(detail string) string {
	if len(detail) < longestCell {
		return detail
	}
	return a.text("%d bytes; audit list --json has them", len(detail))
}
