package vault

import (
	"path/filepath"
	"testing"
	"time"

	"airlock/lease"
)

func TestClock(t *testing.T) {
	wall := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	boot := lease.Instant{Boot: "one", Since: time.Hour}
	w := Witness{Wall: wall, Clock: boot}
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
	if got := (Witness{}).judge(wall, boot); got != "" {
		t.Errorf("the first time: %q", got)
	}
}

// Steps that are too small to be trouble are not, however often: their sum is.
func TestClockInSmallSteps(t *testing.T) {
	file := filepath.Join(t.TempDir(), "clock.json")
	wall := time.Now()
	for n := range 3 {
		w, fresh, err := WatchClock(file, wall.Add(time.Duration(n)*4*time.Minute), false)
		if err != nil || fresh != (n == 2) || (w.Trouble != "") != (n == 2) {
			t.Fatalf("step %d: %+v, %v, %v", n, w, fresh, err)
		}
	}
	if w, _, err := WatchClock(file, wall.Add(9*time.Minute), true); err != nil || w.Trouble != "" {
		t.Fatalf("a person says that it is right: %+v, %v", w, err)
	}
	if w, _, err := WatchClock(file, wall.Add(9*time.Minute), false); err != nil || w.Trouble != "" {
		t.Errorf("and it still is: %+v, %v", w, err)
	}
}
