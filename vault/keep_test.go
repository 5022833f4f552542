package vault

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var tokyo = time.FixedZone("JST", 9*60*60)

func nightly(n int) (all []Arrival, now time.Time) {
	first := time.Date(2026, 1, 1, 17, 30, 0, 0, time.UTC) // 02:30 the next day in Tokyo
	for i := range n {
		all = append(all, Arrival{int64(i + 1), first.AddDate(0, 0, i)})
	}
	return all, first.AddDate(0, 0, n)
}

func TestKeep(t *testing.T) {
	all, now := nightly(120) // 2 January to 1 May, in Tokyo
	for _, c := range []struct {
		what string
		keep Keep
		age  time.Duration
		want []int64
	}{
		{"last", Keep{Last: 3}, 0, []int64{118, 119, 120}},
		{"last, of days with two", Keep{Last: 2}, 0, []int64{119, 120, 121}},
		{"the fewest", Keep{Monthly: 1, MinCount: 2}, 0, []int64{119, 120}},
		{"daily", Keep{Daily: 2}, 0, []int64{119, 120}},
		{"monthly, by Tokyo's months", Keep{Monthly: 3}, 0, []int64{89, 119, 120}}, // 31 March, 30 April, 1 May
		{"annual", Keep{Annual: 5}, 0, []int64{120}},
		{"age", Keep{Last: 1}, 49 * time.Hour, []int64{119, 120}},
	} {
		all := all
		if c.what == "last, of days with two" {
			all = append(slices.Clone(all), Arrival{121, all[119].At.Add(time.Hour)})
		}
		var got []int64
		for n := range c.keep.Reasons(all, tokyo, now, c.age) {
			got = append(got, n)
		}
		if slices.Sort(got); !slices.Equal(got, c.want) {
			t.Errorf("%s: kept %v, want %v", c.what, got, c.want)
		}
	}
}

// Whatever a sender does in one day, by however many generations with whatever numbers,
// each earlier day keeps what it would have kept.
func TestKeepIsNotFlooded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keep := Keep{Last: rapid.IntRange(2, 9).Draw(t, "last"), MinCount: rapid.IntRange(0, 9).Draw(t, "fewest"), Daily: rapid.IntRange(0, 20).Draw(t, "daily"), Weekly: rapid.IntRange(0, 8).Draw(t, "weekly"), Monthly: rapid.IntRange(0, 12).Draw(t, "monthly")}
		all, now := nightly(rapid.IntRange(1, 100).Draw(t, "nights"))
		last := all[len(all)-1]
		quiet := keep.Reasons(append(slices.Clone(all), Arrival{last.Number + 1, now}), tokyo, now, 0)
		flooded := append(slices.Clone(all), Arrival{last.Number + 1, now})
		for i := range rapid.IntRange(1, 200).Draw(t, "flood") {
			flooded = append(flooded, Arrival{1_000_000 + int64(i), now.Add(time.Duration(i) * time.Second)})
		}
		kept := keep.Reasons(flooded, tokyo, now, 0)
		for n, why := range quiet {
			if n <= last.Number && len(kept[n]) == 0 {
				t.Fatalf("generation %d, kept as %v, is flooded out", n, why)
			}
		}
	})
}
