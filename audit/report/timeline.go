package report

import (
	"maps"
	"slices"
	"time"

	"airlock/ledger/proof"
)

// The measures of a timeline, in units of its picture. Every day has a row: its hours
// from left to right, and at the right how long the door stood open in it.
const (
	chartLeft  = 92
	hourWidth  = 27
	dayWidth   = 24 * hourWidth
	sumLeft    = chartLeft + dayWidth + 24
	sumWidth   = 130
	chartWidth = sumLeft + sumWidth + 106
	chartTop   = 24
	narrowest  = 2.5 // an opening of seconds is to be seen
)

// Chart is the picture of one door.
type Chart struct {
	Door             string
	Width, Height    int
	Left, Day, Right int // where the hours begin, how wide they are, where the sums begin
	Bottom           int
	Longest          time.Duration // of the days
	Hours            []Tick
	Rows             []Row
}

// Thin reports whether the rows are too thin for a number each.
func (c Chart) Thin() bool { return len(c.Rows) > 0 && c.Rows[0].H < 16 }

// Tick is an hour on the axis.
type Tick struct {
	X    int
	Hour int
}

// Row is one day.
type Row struct {
	Day      time.Time
	Y, H     int
	Label    bool // the row is high enough, or is a Monday
	Weekend  bool
	Bars     []Bar
	Unknown  []Bar         // nobody watched
	Exposure time.Duration // of all openings of that day
	AtMost   bool          // nobody measured one of them
	Count    int
	SumX     float64
}

// Bar is one opening, or the part of it that lies in a day.
type Bar struct {
	X, W     float64
	Why      string
	AtMost   bool // nobody measured it
	From, To time.Time
}

// Charts are the timelines, a door each.
func (r *Report) Charts() []Chart {
	doors := map[string]bool{}
	for _, o := range r.Openings {
		doors[o.Door] = true
	}
	var all []Chart
	for _, door := range slices.Sorted(maps.Keys(doors)) {
		all = append(all, r.chart(door))
	}
	return all
}

func (r *Report) chart(door string) Chart {
	c := Chart{Door: door, Width: chartWidth, Left: chartLeft, Day: dayWidth, Right: sumLeft}
	for h := 0; h <= 24; h += 3 {
		c.Hours = append(c.Hours, Tick{chartLeft + h*hourWidth, h})
	}
	c.Rows = r.rows()
	longest := time.Duration(1)
	for n := range c.Rows {
		row := &c.Rows[n]
		for _, o := range r.Openings {
			if o.Door == door {
				row.add(o, o.From.Add(r.Lasted(o)))
			}
		}
		end := earlier(row.Day.AddDate(0, 0, 1), r.until())
		for _, gap := range r.unwatched(later(row.Day, r.From), end) {
			row.Unknown = append(row.Unknown, row.bar(gap.From, gap.To))
		}
		// Red lies on top.
		slices.SortStableFunc(row.Bars, func(a, b Bar) int { return rank(a.Why) - rank(b.Why) })
		longest = max(longest, row.Exposure)
		c.Bottom = row.Y + row.H
	}
	c.Longest = longest
	for n := range c.Rows {
		c.Rows[n].SumX = sumWidth * float64(c.Rows[n].Exposure) / float64(longest)
	}
	c.Height = c.Bottom + 6
	return c
}

func rank(why string) int { return slices.Index([]string{"window", "hand", "strange"}, why) }

// rows are the days of the span, thinner the more there are.
func (r *Report) rows() []Row {
	first := midnight(r.From.In(r.Zone))
	var days []time.Time
	for day := first; day.Before(r.To) && day.Before(r.Made); day = day.AddDate(0, 0, 1) {
		days = append(days, day)
	}
	height := 16
	switch n := len(days); {
	case n > 100:
		height = 3
	case n > 35:
		height = 8
	}
	var rows []Row
	for n, day := range days {
		weekday := day.Weekday()
		rows = append(rows, Row{
			Day: day, Y: chartTop + n*height, H: height,
			Label:   height == 16 || height == 8 && weekday == time.Monday || day.Day() == 1,
			Weekend: weekday == time.Saturday || weekday == time.Sunday,
		})
	}
	return rows
}

func midnight(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, t.Location())
}

// add draws what of an opening lies in the day. It is counted where it began.
func (row *Row) add(o proof.Opening, until time.Time) {
	end := row.Day.AddDate(0, 0, 1)
	from, to := o.From.In(row.Day.Location()), until.In(row.Day.Location())
	if !from.Before(end) || to.Before(row.Day) {
		return
	}
	if !from.Before(row.Day) {
		row.Count++
	} else {
		from = row.Day
	}
	to = earlier(to, end)
	row.Exposure += to.Sub(from)
	row.AtMost = row.AtMost || o.AtMost
	b := row.bar(from, to)
	b.Why, b.AtMost = why(o), o.AtMost
	b.W = max(narrowest, b.W)
	b.X = min(b.X, chartLeft+dayWidth-b.W)
	row.Bars = append(row.Bars, b)
}

// bar is a part of the day. A day of 23 or 25 hours fills the row as well.
func (row *Row) bar(from, to time.Time) Bar {
	scale := dayWidth / row.Day.AddDate(0, 0, 1).Sub(row.Day).Seconds()
	return Bar{X: chartLeft + from.Sub(row.Day).Seconds()*scale, W: to.Sub(from).Seconds() * scale, From: from, To: to}
}

func why(o proof.Opening) string {
	switch {
	case o.Unexplained:
		return "strange"
	case byHand(o.Actor):
		return "hand"
	}
	return "window"
}

// Month sums up a month, where days are too many to be told one by one.
type Month struct {
	Month           time.Time
	Windows, Failed int
	Exposure        time.Duration
	Longest         time.Duration
	Bytes           int64
}

// Months are the windows by month.
func (r *Report) Months() []Month {
	var all []Month
	for _, w := range r.Windows {
		at := w.At.In(r.Zone)
		first := time.Date(at.Year(), at.Month(), 1, 0, 0, 0, 0, r.Zone)
		if n := len(all); n == 0 || !all[n-1].Month.Equal(first) {
			all = append(all, Month{Month: first})
		}
		m := &all[len(all)-1]
		m.Windows++
		if w.WindowRecord.Result != "done" {
			m.Failed++
		}
		m.Bytes += w.Bytes
		if w.Opening != nil {
			d := r.Lasted(*w.Opening)
			m.Exposure, m.Longest = m.Exposure+d, max(m.Longest, d)
		}
	}
	return all
}
