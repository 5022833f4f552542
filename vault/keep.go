package vault

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Keep says which generations are kept: each that one of the rules names. Last are the
// newest ones, and MinCount so many besides whatever else is said. Every other rule
// takes the newest of each period that has any, for so many periods back from the
// newest.
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
	for i, a := range all {
		switch {
		case i < k.Last:
			why[a.Number] = append(why[a.Number], fmt.Sprintf("last %d", i+1))
		case i < k.MinCount:
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
