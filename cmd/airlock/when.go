package main

import (
	"fmt"
	"strings"
	"time"

	"airlock/policies"
)

// parseTime reads a time as people write it, in the site's zone where they name none.
// A day means its end.
func parseTime(text string, zone *time.Location) (time.Time, error) {
	if t, err := time.ParseInLocation(time.DateOnly, text, zone); err == nil {
		return t.AddDate(0, 0, 1).Add(-time.Nanosecond), nil
	}
	return parseSince(text, zone)
}

// parseSince reads a time like parseTime, where a day means its beginning.
func parseSince(text string, zone *time.Location) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339, "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02T15:04:05", "2006-01-02T15:04"} {
		if t, err := time.ParseInLocation(layout, text, zone); err == nil {
			return t, nil
		}
	}
	var ago policies.Duration
	if ago.UnmarshalText([]byte(strings.TrimPrefix(text, "-"))) == nil {
		return time.Now().Add(-time.Duration(ago)), nil
	}
	return time.Time{}, fmt.Errorf("%w: %q is no time; write 2026-11-21, \"2026-11-21 22:15\", 2026-11-21T22:15:00+09:00, or 2h or 7d for so long ago", errUsage, text)
}

const timeLayout = "2006-01-02 15:04:05 MST"
