package policies

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Mistake is one thing in a policy file that has to be written otherwise. None of its
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

// spot is a place in the file, both from 1, the column in characters.
type spot struct{ line, column int }

func (s spot) before(t spot) bool {
	return s.line < t.line || s.line == t.line && s.column < t.column
}

// finding is a mistake whose excerpt is not cut yet: what must be masked in it is
// known only when the whole file was read.
type finding struct {
	spot
	what, fix string
}

// report collects findings and what must not be shown of the file's text.
type report struct {
	file     string
	lines    [][]rune
	findings []finding
	masks    []span
	shown    map[string]bool // see shownKeys
	// blind: the file's form is wrong, so that the meaning of no value is certain.
	blind bool
}

// span is a part of the file that is not shown; to is not in it.
type span struct{ from, to spot }

func newReport(file, text string) *report {
	r := &report{file: file}
	for _, line := range strings.Split(text, "\n") {
		r.lines = append(r.lines, []rune(line))
	}
	return r
}

func (r *report) add(at spot, what, fix string) {
	r.findings = append(r.findings, finding{at, what, fix})
}

func (r *report) addBlind(at spot, what, fix string) {
	r.blind = true
	r.add(at, what, fix)
}

// mistakesLimit is more than anybody reads at once.
const mistakesLimit = 500

// mistakes orders the findings and cuts their excerpts; nil where there are none.
func (r *report) mistakes() error {
	if len(r.findings) == 0 {
		return nil
	}
	for i := range r.findings {
		r.findings[i].spot = r.clamp(r.findings[i].spot)
	}
	slices.SortStableFunc(r.findings, func(a, b finding) int {
		return cmp.Or(a.line-b.line, a.column-b.column)
	})
	findings := slices.Compact(r.findings)
	if len(findings) > mistakesLimit {
		findings = findings[:mistakesLimit]
		last := &findings[mistakesLimit-1]
		last.what, last.fix = last.what+" (and more mistakes follow)", last.fix+"; then check the file again"
	}
	var all Mistakes
	for _, f := range findings {
		all = append(all, Mistake{File: r.file, Line: f.line, Column: f.column, Excerpt: r.excerpt(f.spot), What: f.what, Fix: f.fix})
	}
	return all
}

// clamp brings into the file what the YAML library places behind a line's end.
func (r *report) clamp(s spot) spot {
	s.line = min(max(s.line, 1), len(r.lines))
	s.column = min(max(s.column, 1), len(r.lines[s.line-1])+1)
	return s
}

// excerptWidth bounds a long line on either side of the caret, in characters.
const excerptWidth = 60

func (r *report) excerpt(at spot) string {
	line := r.lines[at.line-1]
	hidden := r.hidden(at)
	var text, caret strings.Builder
	from, to := max(0, at.column-1-excerptWidth), min(len(line), at.column-1+excerptWidth)
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
		if i < at.column-1 {
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

// nearest is the known word that differs from w by the fewest letters, "" where none
// is like it.
func nearest(w string, known []string) string {
	best, distance := "", 3
	for _, k := range known {
		like := max(1, min(len(w), len(k))/3)
		if d := lettersApart(strings.ToLower(w), strings.ToLower(k)); d < distance && d <= like {
			best, distance = k, d
		}
	}
	return best
}

// lettersApart is the Levenshtein distance, at most 3.
func lettersApart(a, b string) int {
	if len(a)-len(b) > 2 || len(b)-len(a) > 2 {
		return 3
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return min(row[len(b)], 3)
}
