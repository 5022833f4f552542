package patrol

import (
	"strings"
	"testing"
	"time"

	"airlock/switchctl"
)

// What the agent's counters and clock tell across restarts, wraps and other oddities.
func TestReadingsCompared(t *testing.T) {
	at := time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	const wrap = (1 << 32) * 10 * time.Millisecond
	was := switchctl.Reading{At: at, Uptime: 100 * time.Hour, InOctets: 1<<40 + 5, OutOctets: 7, WideOctets: true, Row: switchctl.Row{LastChange: 99 * time.Hour}}
	for name, c := range map[string]struct {
		was, is func(*switchctl.Reading)
		differs string
		again   bool
	}{
		"a minute later":                  {},
		"of an agent whose clock is slow": {is: func(r *switchctl.Reading) { r.Uptime -= 4 * time.Second }},
		"of an agent whose clock is fast": {is: func(r *switchctl.Reading) { r.Uptime += time.Hour }},
		"uptime wrapped":                  {was: func(r *switchctl.Reading) { r.Uptime = wrap - 10*time.Second }, is: func(r *switchctl.Reading) { r.Uptime = 50 * time.Second }},
		"uptime wrapped, of a fast clock": {was: func(r *switchctl.Reading) { r.Uptime = wrap - 10*time.Second }, is: func(r *switchctl.Reading) { r.Uptime = 52 * time.Second }},
		"restarted": {is: func(r *switchctl.Reading) {
			r.Uptime, r.Row.LastChange, r.InOctets, r.OutOctets = 20*time.Second, 0, 0, 0
		}, again: true},
		"restarted, counters kept":          {is: func(r *switchctl.Reading) { r.Uptime, r.Row.LastChange = 20*time.Second, 10*time.Second }, again: true},
		"restarted, and octets":             {is: func(r *switchctl.Reading) { r.Uptime, r.InOctets, r.OutOctets = 20*time.Second, 3, 0 }, differs: "ifInOctets 3, was 1099511627781", again: true},
		"restarted long ago":                {is: func(r *switchctl.Reading) { r.At, r.Uptime = r.At.Add(1000*time.Hour), 900*time.Hour }, again: true},
		"changed":                           {is: func(r *switchctl.Reading) { r.Row.LastChange += 3 * time.Second }, differs: "ifLastChange"},
		"reckoned anew":                     {is: func(r *switchctl.Reading) { r.Row.LastChange += time.Second }},
		"no clock":                          {was: func(r *switchctl.Reading) { r.Uptime, r.Row.LastChange = 0, 0 }, is: func(r *switchctl.Reading) { r.Uptime = 0 }},
		"octets out":                        {is: func(r *switchctl.Reading) { r.OutOctets++ }, differs: "ifOutOctets 8, was 7"},
		"64-bit counters went away":         {is: func(r *switchctl.Reading) { r.InOctets, r.WideOctets = 5, false }},
		"64-bit counters went away, octets": {is: func(r *switchctl.Reading) { r.InOctets, r.WideOctets = 6, false }, differs: "ifInOctets 6, was 5"},
		"32-bit counters wrapped": {was: func(r *switchctl.Reading) { r.InOctets, r.WideOctets = 1<<32-1, false },
			is: func(r *switchctl.Reading) { r.InOctets, r.WideOctets = 9, false }, differs: "ifInOctets 9, was 4294967295"},
	} {
		before := was
		if c.was != nil {
			c.was(&before)
		}
		after := before
		after.At, after.Uptime = before.At.Add(time.Minute), before.Uptime+time.Minute
		if c.is != nil {
			c.is(&after)
		}
		base, now := Observation{At: before.At, Reading: before}, Observation{At: after.At, Reading: after}
		again := hasRestarted(base, now)
		w := Watch{Last: base, Base: base}
		if got := strings.Join(w.differs(now, again), ", "); got != c.differs || again != c.again {
			t.Errorf("%s: differs %q, restarted %t; want %q, %t", name, got, again, c.differs, c.again)
		}
	}
}
