package policies_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"airlock/policies"

	"pgregory.net/rapid"
)

func schedule(t testing.TB, text, zone string) policies.Schedule {
	t.Helper()
	loc, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	s, err := policies.NewSchedule(text, loc)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func instantOf(t testing.TB, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestNext(t *testing.T) {
	for _, c := range []struct{ name, zone, schedule, after, want string }{
		{"spring, New York", "America/New_York", "30 2 * * *", "2026-03-07T12:00:00-05:00",
			"2026-03-08T03:00:00-04:00 2026-03-09T02:30:00-04:00"},
		{"spring, Berlin", "Europe/Berlin", "30 2 * * *", "2026-03-28T12:00:00+01:00",
			"2026-03-29T03:00:00+02:00 2026-03-30T02:30:00+02:00"},
		{"several in the gap are one", "Europe/Berlin", "*/20 2 * * *", "2026-03-28T12:00:00+01:00",
			"2026-03-29T03:00:00+02:00 2026-03-30T02:00:00+02:00"},
		{"autumn, New York", "America/New_York", "30 1 * * *", "2026-10-31T12:00:00-04:00",
			"2026-11-01T01:30:00-04:00 2026-11-02T01:30:00-05:00"},
		{"autumn, Berlin", "Europe/Berlin", "30 2 * * *", "2026-10-24T12:00:00+02:00",
			"2026-10-25T02:30:00+02:00 2026-10-26T02:30:00+01:00"},
		{"asked in the repeated hour", "Europe/Berlin", "30 2 * * *", "2026-10-25T02:15:00+01:00",
			"2026-10-26T02:30:00+01:00"},
		{"hourly through spring", "Europe/Berlin", "@hourly", "2026-03-29T00:30:00+01:00",
			"2026-03-29T01:00:00+01:00 2026-03-29T03:00:00+02:00 2026-03-29T04:00:00+02:00"},
		{"hourly through autumn", "Europe/Berlin", "@hourly", "2026-10-25T01:30:00+02:00",
			"2026-10-25T02:00:00+02:00 2026-10-25T02:00:00+01:00 2026-10-25T03:00:00+01:00"},
		{"half past every hour, autumn", "Europe/Berlin", "30 * * * *", "2026-10-25T02:00:00+02:00",
			"2026-10-25T02:30:00+02:00 2026-10-25T02:30:00+01:00 2026-10-25T03:30:00+01:00"},
		{"every is time passed", "Europe/Berlin", "@every 4h", "2026-10-25T00:10:00+02:00",
			"2026-10-25T03:10:00+01:00 2026-10-25T07:10:00+01:00"},
		{"midnight that does not exist", "America/Sao_Paulo", "@daily", "2017-10-14T12:00:00-03:00",
			"2017-10-15T01:00:00-02:00 2017-10-16T00:00:00-02:00"},
		{"a day that does not exist", "Pacific/Apia", "0 12 * * *", "2011-12-29T13:00:00-10:00",
			"2011-12-31T00:00:00+14:00 2011-12-31T12:00:00+14:00"},
		{"weekdays", "Asia/Tokyo", "15 22 * * 1-6", "2026-01-03T23:00:00+09:00",
			"2026-01-05T22:15:00+09:00"},
		{"asked in another zone", "Asia/Tokyo", "0 9 * * *", "2026-01-03T00:00:00Z",
			"2026-01-04T09:00:00+09:00"},
		{"29 February", "Asia/Tokyo", "0 0 29 2 *", "2026-01-01T00:00:00+09:00",
			"2028-02-29T00:00:00+09:00"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, at := schedule(t, c.schedule, c.zone), instantOf(t, c.after)
			for _, want := range strings.Fields(c.want) {
				at = s.Next(at)
				if got := at.Format(time.RFC3339); got != want {
					t.Fatalf("got %s, want %s", got, want)
				}
			}
		})
	}
	if got := (policies.Schedule{}).Next(time.Now()); !got.IsZero() {
		t.Errorf("the zero Schedule runs at %v", got)
	}
}

var zones = rapid.SampledFrom([]string{"Asia/Tokyo", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "America/Sao_Paulo", "Africa/Casablanca", "UTC"})

func drawInstant(t *rapid.T) time.Time {
	const year = 365 * 24 * 3600
	return time.Unix(rapid.Int64Range(30*year, 70*year).Draw(t, "unix"), rapid.Int64Range(0, 1e9-1).Draw(t, "ns"))
}

// Every schedule moves on, shows minutes that it names unless a gap moved it, and
// skips no run: none lies between an instant and the next one that it gives.
func TestNextMovesOn(t *testing.T) {
	texts := rapid.SampledFrom([]string{"30 2 * * *", "*/20 1-3 * * *", "0 * * * *", "*/7 * * * *", "15 22 * * 1-6", "0 0 1 * *", "@weekly", "@every 7m", "59 23 31 12 *"})
	rapid.Check(t, func(t *rapid.T) {
		text, zone := texts.Draw(t, "schedule"), zones.Draw(t, "zone")
		s := loaded(t, text, zone)
		at := drawInstant(t)
		for range 20 {
			next := s.Next(at)
			if !next.After(at) {
				t.Fatalf("%s in %s: after %v comes %v", text, zone, at, next)
			}
			if !strings.HasPrefix(text, "@every") {
				between := at.Add(time.Duration(rapid.Int64Range(0, int64(next.Sub(at))-1).Draw(t, "between")))
				if again := s.Next(between); !again.Equal(next) {
					t.Fatalf("%s in %s: after %v comes %v, but after %v, in between, %v", text, zone, at, next, between, again)
				}
			}
			at = next
		}
	})
}

func loaded(t *rapid.T, text, zone string) policies.Schedule {
	loc, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	s, err := policies.NewSchedule(text, loc)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A daily schedule runs exactly once on every calendar day of the site.
func TestDailyRunsEveryDayOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		minute := rapid.IntRange(0, 24*60-1).Draw(t, "minute")
		text := time.Date(2000, 1, 1, 0, minute, 0, 0, time.UTC).Format("4 15") + " * * *"
		s := loaded(t, text, zones.Draw(t, "zone"))
		at := s.Next(drawInstant(t))
		for range 400 {
			next := s.Next(at)
			y, m, d := at.Date()
			if want := time.Date(y, m, d+1, 12, 0, 0, 0, at.Location()); next.YearDay() != want.YearDay() || next.Year() != want.Year() {
				t.Fatalf("%s: after %v comes %v", text, at, next)
			}
			at = next
		}
	})
}

func TestMissed(t *testing.T) {
	for _, c := range []struct{ name, schedule, last, now, want string }{
		{"nothing", "30 2 * * *", "2026-01-01T02:30:00+09:00", "2026-01-02T02:29:59+09:00", ""},
		{"one", "30 2 * * *", "2026-01-01T02:30:00+09:00", "2026-01-02T02:30:00+09:00", "2026-01-02T02:30:00+09:00"},
		{"the newest of many", "30 2 * * *", "2026-01-01T02:30:00+09:00", "2026-03-01T12:00:00+09:00", "2026-03-01T02:30:00+09:00"},
		{"a year of minutes", "* * * * *", "2025-01-01T00:00:00+09:00", "2026-01-01T00:00:30+09:00", "2026-01-01T00:00:00+09:00"},
		{"a rare one", "0 0 29 2 *", "2023-01-01T00:00:00+09:00", "2026-01-01T00:00:00+09:00", "2024-02-29T00:00:00+09:00"},
		{"every", "@every 4h", "2026-01-01T01:00:00+09:00", "2026-01-02T00:00:00+09:00", "2026-01-01T21:00:00+09:00"},
		{"every, not yet", "@every 4h", "2026-01-01T01:00:00+09:00", "2026-01-01T04:59:59+09:00", ""},
		{"a clock that went back", "30 2 * * *", "2026-01-05T02:30:00+09:00", "2026-01-02T02:30:00+09:00", ""},
	} {
		due, missed := schedule(t, c.schedule, "Asia/Tokyo").Missed(instantOf(t, c.last), instantOf(t, c.now))
		if got := due.Format(time.RFC3339); missed != (c.want != "") || missed && got != c.want {
			t.Errorf("%s: got %v, %s; want %s", c.name, missed, got, c.want)
		}
	}
	if due, missed := schedule(t, "* * * * *", "UTC").Missed(time.Time{}, time.Now()); missed {
		t.Errorf("what never ran missed %v", due)
	}
}

// Missed is the last step that Next makes before it passes now.
func TestMissedAgreesWithNext(t *testing.T) {
	texts := rapid.SampledFrom([]string{"30 2 * * *", "0 * * * *", "15 22 * * 1-6", "0 0 1 * *", "@every 5h"})
	rapid.Check(t, func(t *rapid.T) {
		s := loaded(t, texts.Draw(t, "schedule"), zones.Draw(t, "zone"))
		last := drawInstant(t)
		now := last.Add(time.Duration(rapid.Int64Range(0, 2000).Draw(t, "hours")) * time.Hour)
		var want time.Time
		for at := s.Next(last); !at.After(now); at = s.Next(at) {
			want = at
		}
		if due, missed := s.Missed(last, now); !due.Equal(want) || missed == want.IsZero() {
			t.Fatalf("got %v, %v; want %v", due, missed, want)
		}
	})
}

func TestPlan(t *testing.T) {
	p, err := policies.Parse("f", []byte(`
site: lab
timezone: Asia/Tokyo
state: /s
repository: {url: file:///r, passphrase: {env: P}}
switches:
  core: {driver: snmp, address: "10.0.0.1:161", snmp: {version: 2c, insecure: true, community: {env: C}}}
doors:
  north: {switch: core, port: {name: p3}}
  south: {switch: core, port: {name: p4}}
  departments: {switch: core, port: {name: p1}}
vaults:
  a: {url: file:///a, door: north, inner_door: departments, window: {schedule: "30 2 * * *", max_open: 45m}}
  b: {url: file:///b, door: south, inner_door: departments, window: {schedule: "0 3 * * *", max_open: 1h}}
systems:
  early: {source: {url: file:///e}, schedule: "0 2 * * *"}
  late: {source: {url: file:///l}, schedule: "45 2 * * *", limits: {quiet_hours: ["02:00-05:00"]}}
`))
	if err != nil {
		t.Fatal(err)
	}
	from := instantOf(t, "2026-01-01T02:00:00+09:00")
	got, err := json.MarshalIndent(p.Plan(from, from.Add(24*time.Hour)), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/plan.json", append(got, '\n'))

	// A span that begins within a window still knows of it.
	events := p.Plan(from.Add(45*time.Minute), from.Add(46*time.Minute))
	if len(events) != 1 || !events[0].WillPause || events[0].Name != "late" {
		t.Errorf("got %+v", events)
	}
}

func TestPlanFlagsAWindowThatOverlapsItsOwnNext(t *testing.T) {
	p, err := policies.Parse("f", []byte(`
site: lab
timezone: Asia/Tokyo
state: /s
repository: {url: file:///r, passphrase: {env: P}}
switches:
  core: {driver: snmp, address: "10.0.0.1:161", snmp: {version: 2c, insecure: true, community: {env: C}}}
doors:
  north: {switch: core, port: {name: p3}}
vaults:
  a: {url: file:///a, door: north, window: {schedule: "@hourly", max_open: 61m}}
systems:
  s: {source: {url: file:///e}, schedule: "@yearly"}
`))
	if err != nil {
		t.Fatal(err)
	}
	from := instantOf(t, "2026-01-02T00:00:00+09:00")
	events := p.Plan(from, from.Add(time.Hour))
	if len(events) != 1 || len(events[0].Overlaps) != 2 || events[0].Overlaps[0].Door != "north" || events[0].WillPause {
		t.Errorf("got %+v", events)
	}
}
