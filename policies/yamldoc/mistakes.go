package yamldoc

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Mistake is one thing in a file that has to be written otherwise. None of its
// texts holds a secret, nor what may be one (S13).
type Mistake struct {
	File    string `json:"file"`
	Line    int    `json:"line"`    // from 1
	Column  int    `json:"column"`  // from 1, in characters
	Excerpt string `json:"excerpt"` // the offending line, and below it a caret at the column
	What    string `json:"what"`
	Fix     string `json:"fix"` // what to write instead
}

// Mistakes are all that are wrong with a file, in the order of the file.
type Mistakes []Mistake

// Error prints, for each mistake, file:line:column: what; the excerpt; the fix.
func (m Mistakes) Error() string {
	var b strings.Builder
	for i, x := range m {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%s:%d:%d: %s\n", x.File, x.Line, x.Column, x.What)
		for line := range strings.Lines(x.Excerpt) {
			b.WriteString("    | " + line)
		}
		fmt.Fprintf(&b, "\n    fix: %s", x.Fix)
	}
	return b.String()
}

// Spot is a place in the file, both from 1, the column in characters.
type Spot struct{ Line, Column int }

// Before orders places as they stand in the file.
func (s Spot) Before(t Spot) bool {
	return s.Line < t.Line || s.Line == t.Line && s.Column < t.Column
}

// finding is a mistake whose excerpt is not cut yet: what must be masked in it is
// known only when the whole file was read.
type finding struct {
	Spot
	what, fix string
}

// span is a part of the file that is not shown; to is not in it.
type span struct{ from, to Spot }

// Add reports a mistake, and what to write instead. Neither text may hold a secret.
func (d *Doc) Add(at Spot, what, fix string) {
	d.findings = append(d.findings, finding{at, what, fix})
}

func (d *Doc) addBlind(at Spot, what, fix string) {
	d.blind = true
	d.Add(at, what, fix)
}

// mistakesLimit is more than anybody reads at once.
const mistakesLimit = 500

// mistakes orders the findings and cuts their excerpts; nil where there are none.
func (d *Doc) mistakes() error {
	if len(d.findings) == 0 {
		return nil
	}
	for i := range d.findings {
		d.findings[i].Spot = d.clamp(d.findings[i].Spot)
	}
	slices.SortStableFunc(d.findings, func(a, b finding) int {
		return cmp.Or(a.Line-b.Line, a.Column-b.Column)
	})
	findings := slices.Compact(d.findings)
	if len(findings) > mistakesLimit {
		findings = findings[:mistakesLimit]
		last := &findings[mistakesLimit-1]
		last.what, last.fix = last.what+" (and more mistakes follow)", last.fix+"; then check the file again"
	}
	var all Mistakes
	for _, f := range findings {
		all = append(all, Mistake{File: d.file, Line: f.Line, Column: f.Column, Excerpt: d.excerpt(f.Spot), What: f.what, Fix: f.fix})
	}
	return all
}

// clamp brings into the file what the YAML library places behind a line's end.
func (d *Doc) clamp(s Spot) Spot {
	s.Line = min(max(s.Line, 1), len(d.lines))
	s.Column = min(max(s.Column, 1), len(d.lines[s.Line-1])+1)
	return s
}

// excerptWidth bounds a long line on either side of the caret, in characters.
const excerptWidth = 60

func (d *Doc) excerpt(at Spot) string {
	line := d.lines[at.Line-1]
	hidden := d.hidden(at)
	var text, caret strings.Builder
	from, to := max(0, at.Column-1-excerptWidth), min(len(line), at.Column-1+excerptWidth)
	if from > 0 {
		text.WriteString("…")
		caret.WriteString(" ")
	}
	for i := from; i < to; i++ {
		shown := string(line[i])
		switch {
		case !unicode.IsGraphic(line[i]) && line[i] != '\t': // nothing steers the terminal
			shown = "?"
		case hidden[i]:
			shown = ""
			if i == from || !hidden[i-1] {
				shown = "***"
			}
		}
		text.WriteString(shown)
		if i < at.Column-1 {
			caret.WriteString(blank(shown))
		}
	}
	if to < len(line) {
		text.WriteString("…")
	}
	return text.String() + "\n" + caret.String() + "^"
}

// blank is white space as wide as s on a terminal.
func blank(s string) string {
	var b strings.Builder
	for _, c := range s {
		switch {
		case c == '\t':
			b.WriteRune(c)
		case wide(c):
			b.WriteString("  ")
		default:
			b.WriteByte(' ')
		}
	}
	return b.String()
}

// wide says whether a terminal shows c in two cells (the blocks of Unicode's East
// Asian Width W and F that text in hospitals has).
func wide(c rune) bool {
	return c >= 0x1100 && c <= 0x115f || c >= 0x2e80 && c <= 0xa4cf || c >= 0xac00 && c <= 0xd7a3 ||
		c >= 0xf900 && c <= 0xfaff || c >= 0xfe30 && c <= 0xfe6f || c >= 0xff00 && c <= 0xff60 ||
		c >= 0xffe0 && c <= 0xffe6 || c >= 0x20000 && c <= 0x3fffd
}
