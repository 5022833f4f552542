package policies

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"airlock/policies/yamldoc"
)

// Zone is an IANA time zone.
type Zone struct{ *time.Location }

// UnmarshalText reads an IANA name such as Asia/Tokyo.
func (z *Zone) UnmarshalText(text []byte) error {
	name := string(text)
	loc, err := time.LoadLocation(name)
	if err != nil || name == "" || name == "Local" {
		return yamldoc.Refusal(fmt.Sprintf("unknown time zone %q", name), "write an IANA name such as Asia/Tokyo, Europe/Berlin or UTC")
	}
	z.Location = loc
	return nil
}

// MarshalText returns the IANA name.
func (z Zone) MarshalText() ([]byte, error) { return []byte(z.String()), nil }

var (
	durationForm = regexp.MustCompile(`^(?:[0-9]+(?:\.[0-9]+)?(?:w|d|h|ms|m|s))+$`)
	durationPart = regexp.MustCompile(`([0-9]+(?:\.[0-9]+)?)(w|d|h|ms|m|s)`)
	bareNumber   = regexp.MustCompile(`^[0-9]+$`)
)

// UnmarshalText reads a sum of numbers with units: w, d (24 hours), h, m, s, ms.
func (d *Duration) UnmarshalText(text []byte) error {
	const fix = "write a number with its unit, such as 30s, 45m, 26h, 1h30m or 7d"
	s := string(text)
	switch {
	case bareNumber.MatchString(s):
		return yamldoc.Refusal(s+" has no unit", fix)
	case !durationForm.MatchString(s):
		return yamldoc.Refusal(fmt.Sprintf("%q is not a span of time", s), fix)
	}
	units := map[string]time.Duration{"w": 7 * 24 * time.Hour, "d": 24 * time.Hour, "h": time.Hour,
		"m": time.Minute, "s": time.Second, "ms": time.Millisecond}
	var sum float64
	for _, part := range durationPart.FindAllStringSubmatch(s, -1) {
		n, err := strconv.ParseFloat(part[1], 64)
		if err != nil {
			n = math.Inf(1)
		}
		sum += n * float64(units[part[2]])
	}
	if sum > float64(100*365*24*time.Hour) {
		return yamldoc.Refusal(s+" is longer than a hundred years", fix)
	}
	*d = Duration(math.Round(sum))
	if *d <= 0 {
		return yamldoc.Refusal(s+" is no time at all", "write a span longer than zero, or leave the key out")
	}
	return nil
}

// String writes the span the way the policy file does, without empty units: 1h30m.
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// MarshalText is String.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

var rateForm = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?) ?(B|kB|KB|MB|GB|KiB|MiB|GiB|kbit|Mbit|Gbit)/s$`)

// UnmarshalText reads a rate in bytes (B, kB, MB, GB, KiB, MiB, GiB) or bits (kbit,
// Mbit, Gbit) a second.
func (r *Rate) UnmarshalText(text []byte) error {
	const fix = "write a number with its unit, such as 40MB/s, 10MiB/s or 300Mbit/s"
	s := string(text)
	m := rateForm.FindStringSubmatch(s)
	if m == nil {
		return yamldoc.Refusal(fmt.Sprintf("%q is not a rate", s), fix)
	}
	units := map[string]float64{"B": 1, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 1 << 10, "MiB": 1 << 20,
		"GiB": 1 << 30, "kbit": 1e3 / 8, "Mbit": 1e6 / 8, "Gbit": 1e9 / 8}
	n, err := strconv.ParseFloat(m[1], 64)
	if n *= units[m[2]]; err != nil || n < 1 || n > 1e15 {
		return yamldoc.Refusal(s+" is not a rate that any network has", fix+"; for no limit leave bandwidth out")
	}
	*r = Rate(math.Round(n))
	return nil
}

// String writes the rate in the largest decimal unit that divides it: 40MB/s.
func (r Rate) String() string {
	n, unit := int64(r), "B/s"
	for _, u := range []string{"kB/s", "MB/s", "GB/s"} {
		if n == 0 || n%1000 != 0 {
			break
		}
		n, unit = n/1000, u
	}
	return strconv.FormatInt(n, 10) + unit
}

// MarshalText is String.
func (r Rate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

var sizeForm = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?) ?(MB|GB|TB|MiB|GiB|TiB)$`)

// UnmarshalText reads a number of bytes in MB, GB, TB, MiB, GiB or TiB.
func (b *Size) UnmarshalText(text []byte) error {
	const fix = "write a number with its unit, such as 50GB, 8TB or 500GiB"
	s := string(text)
	m := sizeForm.FindStringSubmatch(s)
	if m == nil {
		return yamldoc.Refusal(fmt.Sprintf("%q is not a size", s), fix)
	}
	units := map[string]float64{"MB": 1e6, "GB": 1e9, "TB": 1e12, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
	n, err := strconv.ParseFloat(m[1], 64)
	if n *= units[m[2]]; err != nil || n < 1 || n > 1e18 {
		return yamldoc.Refusal(s+" is not a size that any disk has", fix)
	}
	*b = Size(math.Round(n))
	return nil
}

// String writes the size in the largest decimal unit that divides it: 50GB.
func (b Size) String() string {
	n, unit := int64(b), "B"
	for _, u := range []string{"kB", "MB", "GB", "TB"} {
		if n == 0 || n%1000 != 0 {
			break
		}
		n, unit = n/1000, u
	}
	return strconv.FormatInt(n, 10) + unit
}

// MarshalText is String.
func (b Size) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// ClockRange is a span of the day by the wall clock, "22:00-05:30" running over midnight.
// From is in it, To is not.
type ClockRange struct {
	From, To time.Duration // since midnight
}

var clockForm = regexp.MustCompile(`^([01][0-9]|2[0-4]):([0-5][0-9])-([01][0-9]|2[0-4]):([0-5][0-9])$`)

// UnmarshalText reads HH:MM-HH:MM; 24:00 is the end of the day.
func (c *ClockRange) UnmarshalText(text []byte) error {
	m := clockForm.FindStringSubmatch(string(text))
	refused := yamldoc.Refusal(fmt.Sprintf("%q is not a span of the day", text), "write two times with two digits each, such as \"08:30-17:30\" or, over midnight, \"22:00-05:30\"")
	if m == nil {
		return refused
	}
	at := func(hour, minute string) time.Duration {
		h, _ := strconv.Atoi(hour) // clockForm let only digits through
		n, _ := strconv.Atoi(minute)
		return time.Duration(h)*time.Hour + time.Duration(n)*time.Minute
	}
	from, to := at(m[1], m[2]), at(m[3], m[4])
	if from >= 24*time.Hour || to > 24*time.Hour || from == to {
		return refused
	}
	*c = ClockRange{from, to}
	return nil
}

// String writes the span as the policy file does.
func (c ClockRange) String() string {
	clock := func(d time.Duration) string {
		return fmt.Sprintf("%02d:%02d", int(d.Hours()), int(d.Minutes())%60)
	}
	return clock(c.From) + "-" + clock(c.To)
}

// MarshalText is String.
func (c ClockRange) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// Contains says whether t's own wall clock stands within the span.
func (c ClockRange) Contains(t time.Time) bool {
	d := sinceMidnight(t)
	if c.From < c.To {
		return c.From <= d && d < c.To
	}
	return d >= c.From || d < c.To
}

// sinceMidnight is what the wall clock shows, which in a night with a change of the
// clock is not the time that has passed.
func sinceMidnight(t time.Time) time.Duration {
	h, m, s := t.Clock()
	return time.Duration(h)*time.Hour + time.Duration(m)*time.Minute + time.Duration(s)*time.Second + time.Duration(t.Nanosecond())
}

// Quiet says whether now lies in the system's quiet hours, and until when: the end of
// the last of the spans that join without a break.
func (s *System) Quiet(now time.Time) (until time.Time, quiet bool) {
	zone := s.zone
	if zone == nil {
		zone = now.Location()
	}
	until = now.In(zone)
	// Spans that follow one another make at most one step each a day.
	for range 2*len(s.Limits.QuietHours) + 1 {
		end, inside := s.quietEnd(until)
		if !inside {
			break
		}
		until, quiet = end, true
	}
	if !quiet {
		return time.Time{}, false
	}
	return until, true
}

func (s *System) quietEnd(t time.Time) (time.Time, bool) {
	for _, r := range s.Limits.QuietHours {
		if !r.Contains(t) {
			continue
		}
		left := r.To - sinceMidnight(t)
		if left <= 0 {
			left += 24 * time.Hour
		}
		end := instant(wall(t).Add(left), t.Location())
		if !end.After(t) { // the hour that autumn repeats: its first end is past
			end = t.Add(left)
		}
		return end, true
	}
	return time.Time{}, false
}

// Addresses is one host:port, or a list of them.
type Addresses []string
