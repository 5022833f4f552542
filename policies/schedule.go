package policies

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"airlock/policies/yamldoc"
)

// Schedule is a cron expression in the site's zone. The zero Schedule never runs.
//
// A schedule that names hours goes by the wall clock: a run that falls into the hour
// that summer time skips is made at the first instant after it, and one in the hour
// that autumn repeats is made once, the first time. So a daily schedule runs on every
// day once. A schedule that runs in every hour of the day, and @every, goes by time
// passed: nothing is skipped and nothing waits through the repeated hour.
type Schedule struct {
	Text string // as written
	cron cron.Schedule
	zone *time.Location
}

// NewSchedule reads a cron expression of five fields (minute, hour, day of month,
// month, day of week), a word such as @hourly, or "@every 4h". A nil zone is that of
// the times that are asked about.
func NewSchedule(text string, zone *time.Location) (Schedule, error) {
	s := Schedule{zone: zone}
	if err := s.UnmarshalText([]byte(text)); err != nil {
		return Schedule{}, err
	}
	return s, nil
}

const cronFix = `write five fields, minute hour day month weekday, such as "30 2 * * *" for 02:30 every day or "15 22 * * 1-6" for 22:15 from Monday to Saturday, or "@hourly", or "@every 4h"`

// UnmarshalText reads the expression; the zone is bound later.
func (s *Schedule) UnmarshalText(text []byte) error {
	expr := strings.TrimSpace(string(text))
	// robfig/cron would take a zone here, against the site's, and panics on a bare one.
	if strings.HasPrefix(expr, "TZ=") || strings.HasPrefix(expr, "CRON_TZ=") {
		return yamldoc.Refusal("a schedule names no zone of its own", "leave TZ= out; every schedule is in the site's timezone")
	}
	parsed, err := parseCron(expr)
	if err != nil {
		return err
	}
	s.Text, s.cron = expr, parsed
	return nil
}

func parseCron(expr string) (cron.Schedule, error) {
	if every, ok := strings.CutPrefix(expr, "@every "); ok {
		var d Duration
		if err := d.UnmarshalText([]byte(strings.TrimSpace(every))); err != nil {
			return nil, err
		}
		if time.Duration(d) < time.Minute {
			return nil, yamldoc.Refusal("a run more often than once a minute", `write "@every 1m" or longer`)
		}
		return cron.Every(time.Duration(d)), nil
	}
	if n := len(strings.Fields(expr)); !strings.HasPrefix(expr, "@") && n != 5 {
		return nil, yamldoc.Refusal(fmt.Sprintf("a schedule has five fields, this one has %d", n), cronFix)
	}
	parsed, err := cron.ParseStandard(expr)
	if err != nil {
		fix := cronFix
		if strings.Contains(err.Error(), "end of range (7)") {
			fix = "write 0 or sun for Sunday"
		}
		return nil, yamldoc.Refusal("this is not a schedule: "+err.Error(), fix)
	}
	spec, ok := parsed.(*cron.SpecSchedule)
	if !ok {
		return nil, yamldoc.Refusal("this is not a schedule", cronFix)
	}
	const star = 1 << 63
	for _, bits := range []uint64{spec.Minute, spec.Hour, spec.Dom, spec.Month, spec.Dow} {
		if bits&^star == 0 {
			return nil, yamldoc.Refusal("a field of the schedule names nothing", cronFix)
		}
	}
	if spec.Next(time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() { // 29 February 2004 is within its five years
		return nil, yamldoc.Refusal("the schedule names a day that never comes", cronFix)
	}
	return spec, nil
}

// String is the expression as written.
func (s Schedule) String() string { return s.Text }

// MarshalText is String.
func (s Schedule) MarshalText() ([]byte, error) { return []byte(s.Text), nil }

// Next is the first run after the given instant, in the site's zone; the zero time
// where there is none within five years.
func (s Schedule) Next(after time.Time) time.Time {
	if s.cron == nil {
		return time.Time{}
	}
	if s.zone != nil {
		after = after.In(s.zone)
	}
	spec, ok := s.cron.(*cron.SpecSchedule)
	switch {
	case !ok:
		return s.cron.Next(after)
	case spec.Hour&everyHour == everyHour:
		return nextPassed(spec, after)
	}
	return nextByClock(spec, after)
}

const everyHour = 1<<24 - 1

// nextByClock asks cron as if the wall clock were UTC's, which has no changes, and
// then finds the instant. An instant that is not after the one asked about is a run of
// the repeated hour that has been made.
func nextByClock(spec *cron.SpecSchedule, after time.Time) time.Time {
	for clock := wall(after); ; {
		if clock = utc(spec).Next(clock); clock.IsZero() {
			return time.Time{}
		}
		if t := instant(clock, after.Location()); t.After(after) {
			return t
		}
	}
}

// nextPassed asks cron by a clock that keeps the offset, and starts anew at a change.
func nextPassed(spec *cron.SpecSchedule, after time.Time) time.Time {
	from, clock := after, wall(after)
	for ask := clock; ; ask = clock.Add(-time.Nanosecond) { // cron answers later than asked, and the change may be a run
		next := utc(spec).Next(ask)
		if next.IsZero() {
			return time.Time{}
		}
		t := from.Add(next.Sub(clock))
		_, change := from.ZoneBounds()
		if change.IsZero() || t.Before(change) {
			return t
		}
		from, clock = change, wall(change)
	}
}

func utc(spec *cron.SpecSchedule) *cron.SpecSchedule {
	in := *spec
	in.Location = time.UTC
	return &in
}

// wall is what t's wall clock shows, as a time in UTC.
func wall(t time.Time) time.Time {
	y, mo, d := t.Date()
	h, mi, s := t.Clock()
	return time.Date(y, mo, d, h, mi, s, t.Nanosecond(), time.UTC)
}

// instant is when the zone's wall clock shows clock: the first of two where it shows
// it twice, the end of the gap where it never does.
func instant(clock time.Time, zone *time.Location) time.Time {
	y, mo, d := clock.Date()
	h, mi, s := clock.Clock()
	t := time.Date(y, mo, d, h, mi, s, clock.Nanosecond(), zone)
	start, end := t.ZoneBounds()
	switch shown := wall(t); {
	case shown.After(clock): // time.Date went by the offset before the gap
		return start
	case shown.Before(clock): // by the one after
		return end
	}
	if start.IsZero() {
		return t
	}
	before := start.Add(-time.Nanosecond)
	if first := before.Add(clock.Sub(wall(before))); first.Before(start) {
		return first
	}
	return t
}

// Missed is the newest run that was due in (last, now]: what is caught up, once, after
// the machine was off. The zero last has missed nothing: what never ran waits for its
// first run.
func (s Schedule) Missed(last, now time.Time) (due time.Time, missed bool) {
	if s.cron == nil || last.IsZero() || !last.Before(now) {
		return time.Time{}, false
	}
	if every, ok := s.cron.(cron.ConstantDelaySchedule); ok {
		return missedEvery(every, last, now)
	}
	// Look back in growing steps, so that a year off costs no half a million runs.
	for back := time.Hour; ; back *= 8 {
		from := now.Add(-back)
		if back > math.MaxInt64/8 || from.Before(last) {
			from = last
		}
		for t := s.Next(from); !t.IsZero() && !t.After(now); t = s.Next(t) {
			due, missed = t, true
		}
		if missed || from.Equal(last) {
			return due, missed
		}
	}
}

func missedEvery(every cron.ConstantDelaySchedule, last, now time.Time) (time.Time, bool) {
	first := every.Next(last)
	if first.After(now) {
		return time.Time{}, false
	}
	return first.Add(now.Sub(first).Truncate(every.Delay)), true
}
