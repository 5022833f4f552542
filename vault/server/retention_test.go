package server

import (
	"slices"
	"testing"
	"time"

	"airlock/lease"

	"pgregory.net/rapid"
)

var tokyo = time.FixedZone("JST", 9*60*60)

func nightly(n int) (all []arrival, now time.Time) {
	first := time.Date(2026, 1, 1, 17, 30, 0, 0, time.UTC) // 02:30 the next day in Tokyo
	for i := range n {
		all = append(all, arrival{int64(i + 1), first.AddDate(0, 0, i)})
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
		{"the fewest", Keep{Monthly: 1, MinCount: 2}, 0, []int64{119, 120}},
		{"daily", Keep{Daily: 2}, 0, []int64{119, 120}},
		{"monthly, by Tokyo's months", Keep{Monthly: 3}, 0, []int64{89, 119, 120}}, // 31 March, 30 April, 1 May
		{"annual", Keep{Annual: 5}, 0, []int64{120}},
		{"age", Keep{Last: 1}, 49 * time.Hour, []int64{119, 120}},
	} {
		var got []int64
		for n := range c.keep.keep(all, tokyo, now, c.age) {
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
		keep := Keep{Daily: rapid.IntRange(2, 20).Draw(t, "daily"), Weekly: rapid.IntRange(0, 8).Draw(t, "weekly"), Monthly: rapid.IntRange(0, 12).Draw(t, "monthly")}
		all, now := nightly(rapid.IntRange(1, 100).Draw(t, "nights"))
		last := all[len(all)-1]
		quiet := keep.keep(append(slices.Clone(all), arrival{last.number + 1, now}), tokyo, now, 0)
		flooded := append(slices.Clone(all), arrival{last.number + 1, now})
		for i := range rapid.IntRange(1, 200).Draw(t, "flood") {
			flooded = append(flooded, arrival{1_000_000 + int64(i), now.Add(time.Duration(i) * time.Second)})
		}
		kept := keep.keep(flooded, tokyo, now, 0)
		for n, why := range quiet {
			if n <= last.number && len(kept[n]) == 0 {
				t.Fatalf("generation %d, kept as %v, is flooded out", n, why)
			}
		}
	})
}

func TestClock(t *testing.T) {
	wall := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	boot := lease.Instant{Boot: "one", Since: time.Hour}
	w := witness{Wall: wall, Clock: boot}
	for _, c := range []struct {
		what    string
		passed  time.Duration // by the wall clock
		counted time.Duration
		boot    string
		sound   bool
	}{
		{"a minute", time.Minute, time.Minute, "one", true},
		{"a week, and NTP put it right by some seconds", 7*24*time.Hour + 9*time.Second, 7 * 24 * time.Hour, "one", true},
		{"a small step back", -time.Minute, time.Second, "one", true},
		{"a day back", -24 * time.Hour, time.Second, "one", false},
		{"a day back over a restart", -24 * time.Hour, time.Second, "two", false},
		{"a year ahead", 365 * 24 * time.Hour, time.Second, "one", false},
		{"off for a week", 7 * 24 * time.Hour, time.Second, "two", true},
		{"off for a year", 365 * 24 * time.Hour, time.Second, "two", false},
		{"the clock stood still", 0, time.Hour, "one", false},
	} {
		now := lease.Instant{Boot: c.boot, Since: boot.Since + c.counted}
		if got := w.judge(wall.Add(c.passed), now); (got == "") != c.sound {
			t.Errorf("%s: %q", c.what, got)
		}
	}
	if got := (witness{}).judge(wall, boot); got != "" {
		t.Errorf("the first time: %q", got)
	}
}
