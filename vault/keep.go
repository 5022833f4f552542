package vault

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Keep says which generations are kept: each that one of the rules names. Last are those of
// the newest days that have any, all of them, and MinCount those of so many days besides
// whatever else is said: so no number of generations that arrive in a day pushes those of
// another day out, and none hides another of its own day (S17). Every other rule takes the
// newest of each period that has any, for so many periods back from the newest.
type Keep struct {
	MinCount                                     int
	Last, Hourly, Daily, Weekly, Monthly, Annual int
}

// Arrival is a generation as retention sees it. Its number is the sender's word, and
// counts only between two that arrived at once.
type Arrival struct {
	Number int64
	At     time.Time // by the clock of whoever keeps the generations
}

func newestFirst(a, b Arrival) int {
	return cmp.Or(b.At.Compare(a.At), cmp.Compare(b.Number, a.Number))
}

// Reasons says of each generation that stays why it does. Whatever is younger than minAge
// stays. Periods are those of zone.
func (k Keep) Reasons(all []Arrival, zone *time.Location, now time.Time, minAge time.Duration) map[int64][]string {
	all = slices.Clone(all)
	slices.SortFunc(all, newestFirst)
	why := map[int64][]string{}
	days, day := 0, ""
	for _, a := range all {
		if of := a.At.In(zone).Format(time.DateOnly); of != day {
			days, day = days+1, of
		}
		switch {
		case days <= k.Last:
			why[a.Number] = append(why[a.Number], fmt.Sprintf("last %d", days))
		case days <= k.MinCount:
			why[a.Number] = append(why[a.Number], "one of the fewest that stay")
		}
	}
	for _, rule := range []struct {
		name   string
		count  int
		period func(time.Time) string
	}{
		{"hourly", k.Hourly, func(t time.Time) string { return t.Format("2006-01-02 15 -0700") }}, // the hour that autumn repeats is two
		{"daily", k.Daily, func(t time.Time) string { return t.Format("2006-01-02") }},
		{"weekly", k.Weekly, func(t time.Time) string { y, w := t.ISOWeek(); return fmt.Sprintf("%d-W%02d", y, w) }},
		{"monthly", k.Monthly, func(t time.Time) string { return t.Format("2006-01") }},
		{"annual", k.Annual, func(t time.Time) string { return t.Format("2006") }},
	} {
		seen := map[string]bool{}
		for _, a := range all {
			period := rule.period(a.At.In(zone))
			if !seen[period] && len(seen) < rule.count {
				seen[period] = true
				why[a.Number] = append(why[a.Number], rule.name+" "+period)
			}
		}
	}
	for _, a := range all {
		if len(why[a.Number]) == 0 && now.Sub(a.At) < minAge {
			why[a.Number] = []string{"younger than " + minAge.String()}
		}
	}
	return why
}

// WouldGo says which generations would go, and which would stay.
func WouldGo(drop, stay []int64) string {
	return fmt.Sprintf("%d generations would go (%s), and %d would stay (%s)", len(drop), numbers(drop), len(stay), numbers(stay))
}

// numbersNamed is how many generations a sentence names.
const numbersNamed = 12

// numbers are the lowest and the highest of some.
func numbers(all []int64) string {
	all = slices.Sorted(slices.Values(all))
	var text []string
	for i, n := range all {
		switch {
		case len(all) <= numbersNamed || i < numbersNamed/2 || i >= len(all)-numbersNamed/2:
			text = append(text, strconv.FormatInt(n, 10))
		case i == numbersNamed/2:
			text = append(text, "…")
		}
	}
	return strings.Join(text, ", ")
}
