package patrol

import (
	"fmt"
	"time"

	"airlock/switchctl"
)

// differs says what of a reading shows that the port was up since the base was read. Of
// an agent that restarted, ifLastChange is no evidence; its counters are, unless they are
// as they were or stand at zero.
func (w Watch) differs(now Observation, again bool) []string {
	// Without a reading that was surely not told late, what is told now may speak of our own
	// window, but for a change that came later.
	if w.Base.At.IsZero() || w.Base.WithinCacheLag {
		if w.Last.Reading.Uptime > 0 && changed(w.Last.Reading, now.Reading) && changedAt(now.Reading).After(w.Since.Add(CacheLag)) {
			return []string{"ifLastChange"}
		}
		return nil
	}
	if w.Base.By != now.By {
		return nil
	}
	var differs []string
	if !again && changed(w.Base.Reading, now.Reading) {
		differs = append(differs, "ifLastChange")
	}
	was, is := w.Base.Reading, now.Reading
	for _, c := range []struct {
		name    string
		was, is uint64
	}{{"ifInOctets", was.InOctets, is.InOctets}, {"ifOutOctets", was.OutOctets, is.OutOctets}} {
		if !was.WideOctets || !is.WideOctets { // as many bits as both have
			c.was, c.is = uint64(uint32(c.was)), uint64(uint32(c.is))
		}
		if c.was != c.is && !(again && c.is == 0) {
			differs = append(differs, fmt.Sprintf("%s %d, was %d", c.name, c.is, c.was))
		}
	}
	return differs
}

// changed reports whether ifLastChange tells of another change. Agents that do not know
// leave it, and their uptime, at zero.
func changed(was, is switchctl.Reading) bool {
	return was.Uptime > 0 && is.Uptime > 0 && (is.Row.LastChange-was.Row.LastChange).Abs() > ChangeJitter
}

// changedAt is ifLastChange by this machine's clock.
func changedAt(r switchctl.Reading) time.Time { return r.At.Add(r.Row.LastChange - r.Uptime) }

// hasRestarted reports whether the agent's clock began anew between two readings. Its
// 32 bits of hundredths end after 497 days, which is no restart.
func hasRestarted(was, is Observation) bool {
	const turns = time.Duration(1<<32) * 10 * time.Millisecond
	if was.Reading.Uptime == 0 || is.Reading.Uptime == 0 {
		return false
	}
	elapsed := is.Reading.At.Sub(was.Reading.At)
	behind := (was.Reading.Uptime + elapsed - is.Reading.Uptime) % turns
	if behind > turns/2 {
		behind -= turns
	}
	return behind > 5*time.Second+elapsed/1000 // clocks are not all alike
}
