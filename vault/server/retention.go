package server

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

// arrival is a generation as retention sees it. Its number is the sender's word, and
// counts only between two that arrived at once.
type arrival struct {
	number int64
	at     time.Time // by the host's clock
}

func newestFirst(a, b arrival) int {
	return cmp.Or(b.at.Compare(a.at), cmp.Compare(b.number, a.number))
}

// keep says of each generation that stays why it does.
func (k Keep) keep(all []arrival, zone *time.Location, now time.Time, minAge time.Duration) map[int64][]string {
	all = slices.Clone(all)
	slices.SortFunc(all, newestFirst)
	why := map[int64][]string{}
	for i, a := range all {
		switch {
		case i < k.Last:
			why[a.number] = append(why[a.number], fmt.Sprintf("last %d", i+1))
		case i < k.MinCount:
			why[a.number] = append(why[a.number], "one of the fewest that stay")
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
			period := rule.period(a.at.In(zone))
			if !seen[period] && len(seen) < rule.count {
				seen[period] = true
				why[a.number] = append(why[a.number], rule.name+" "+period)
			}
		}
	}
	for _, a := range all {
		if len(why[a.number]) == 0 && now.Sub(a.at) < minAge {
			why[a.number] = []string{"younger than " + minAge.String()}
		}
	}
	return why
}
