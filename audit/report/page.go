package report

import (
	_ "embed" // the page
	"fmt"
	"html/template"
	"io"
	"strconv"
	"strings"
	"time"

	"airlock/ledger/proof"
	"airlock/orchestrator"
)

//go:embed page.html
var page string

// Sum is how long doors stood open, Longest the longest opening, and AtMost whether those are
// bounds.
func (r *Report) Sum() time.Duration { sum, _, _ := r.Exposure(); return sum }

// Longest is the longest opening.
func (r *Report) Longest() time.Duration { _, longest, _ := r.Exposure(); return longest }

// AtMost reports whether nobody measured one of the openings.
func (r *Report) AtMost() bool { _, _, bounded := r.Exposure(); return bounded }

// words gives what the page says in its language.
func (c Config) words() func(string) string {
	if !c.Japanese {
		return func(english string) string { return english }
	}
	words := japanese()
	return func(english string) string {
		if said, ok := words[english]; ok {
			return said
		}
		return english
	}
}

// WriteHTML writes the page.
func (r *Report) WriteHTML(w io.Writer) error {
	parsed, err := template.New("page").Funcs(r.functions(r.words())).Parse(page)
	if err != nil {
		return err
	}
	return parsed.Execute(w, r)
}

func (r *Report) language() string {
	if r.Japanese {
		return "ja"
	}
	return "en"
}

func (r *Report) functions(t func(string) string) template.FuncMap {
	local := func(layout string) func(time.Time) string {
		return func(at time.Time) string { return at.In(r.Zone).Format(layout) }
	}
	return template.FuncMap{
		"t": t, "at": local("2006-01-02 15:04:05"), "clock": local("15:04:05"), "month": local("2006-01"),
		"lang": r.language,
		"alarm": func(l Line) string {
			said := l.Alarm.In(r.language())
			if l.Reason != "" {
				said += ": " + l.Reason
			}
			return said
		},
		"span": func(from, to time.Time) string {
			return from.In(r.Zone).Format(time.DateOnly) + " – " + to.Add(-time.Nanosecond).In(r.Zone).Format(time.DateOnly)
		},
		"countOf": func(n any, one, many string) string { return countOf(t, n, one, many) },
		"entry": func(l Line) string {
			if l.Guard {
				return t("guard") + " " + strconv.FormatInt(l.Seq, 10)
			}
			return strconv.FormatInt(l.Seq, 10)
		},
		"lasting": func(d time.Duration) string { return lasting(t, d) },
		"atmost": func(d time.Duration, bound bool) string {
			if bound {
				return "≤ " + lasting(t, d)
			}
			return lasting(t, d)
		},
		"table": func(r *Report, windows []Window) any {
			return struct {
				Report  *Report
				Windows []Window
			}{r, windows}
		},
		"openingEntry": func(o proof.Opening) string {
			if o.Guard {
				return t("guard") + " " + strconv.FormatInt(o.Seq, 10)
			}
			return strconv.FormatInt(o.Seq, 10)
		},
		"took":    func(s float64) string { return lasting(t, seconds(s)) },
		"size":    func(n int64) string { return orchestrator.Size(n) },
		"purpose": t,
		"dayLabel": func(row Row) string {
			if row.H < 8 {
				return row.Day.Format("2006-01")
			}
			return row.Day.Format("01-02 ") + t(row.Day.Format("Mon"))
		},
		"result": func(result string) template.HTML {
			said := template.HTMLEscapeString(t(result))
			if failed(result) {
				return template.HTML(`<span class="bad-word">` + said + `</span>`) // escaped above
			}
			return template.HTML(said) // escaped above
		},
		"rto": func(r Restore) string {
			met := r.RTOMet
			switch {
			case met == nil || r.Line.Result == "refused": // nothing was restored, so nothing was too slow
				return "–"
			case *met:
				return t("met")
			}
			return t("NOT MET")
		},
		"add": func(a, b int) int { return a + b }, "sub": func(a, b int) int { return a - b }, "twice": func(a int) int { return 2 * a },
		"inset": func(height int) int { return min(3, height/4) },
		"base":  func(row Row) int { return row.Y + row.H/2 + 4 },
		"unit":  func(x float64) string { return strconv.FormatFloat(x, 'f', 1, 64) },
		"addf": func(a int, b float64, c int) string {
			return strconv.FormatFloat(float64(a)+b+float64(c), 'f', 1, 64)
		},
	}
}

// countOf says how many of something there are, by a text for one and one for many.
func countOf(t func(string) string, n any, one, many string) string {
	text := many
	if fmt.Sprint(n) == "1" {
		text = one
	}
	return strings.ReplaceAll(t(text), "{n}", fmt.Sprint(n))
}

// lasting is a span as people read it: seconds with a fraction while they are few.
func lasting(t func(string) string, d time.Duration) string {
	switch s := d.Seconds(); {
	case s < 10:
		return fmt.Sprintf("%.2f %s", s, t("s"))
	case s < 120:
		return fmt.Sprintf("%.1f %s", s, t("s"))
	case s < 2*3600:
		return fmt.Sprintf("%d %s %02d %s", int(s)/60, t("min"), int(s)%60, t("s"))
	default:
		return fmt.Sprintf("%d %s %02d %s", int(s)/3600, t("h"), int(s)/60%60, t("min"))
	}
}
