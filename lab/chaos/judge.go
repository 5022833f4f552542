//go:build linux

package chaos

import (
	"cmp"
	"slices"
	"time"

	"airlock/lab"
)

// within is how far the ledgers and the sampler may be apart.
const within = 5 * time.Millisecond

// span is a stretch of time.
type span struct{ from, to time.Time }

func (s span) length() time.Duration { return max(0, s.to.Sub(s.from)) }

func (s span) meets(t span) span {
	if t.from.After(s.from) {
		s.from = t.from
	}
	if t.to.Before(s.to) {
		s.to = t.to
	}
	return s
}

func (s span) holds(t time.Time) bool { return !t.Before(s.from) && !t.After(s.to) }

// wider is s and so much at both ends.
func (s span) wider(by time.Duration) span { return span{s.from.Add(-by), s.to.Add(by)} }

// saying is a line of a ledger about the vault's door, at the time when it was really
// written about.
type saying struct {
	at time.Time
	to string // the state
}

// limits are what the policy file allows.
type limits struct {
	maxOpen time.Duration
	grace   time.Duration // lease_ttl and the guard's interval
	look    time.Duration // after which a port that was opened by hand is found at the latest
}

// evidence is everything that is known about a stretch of time: what the ports did, by
// the sampler, what the ledgers say, and what was done to the hospital.
type evidence struct {
	limits
	now          time.Time
	vault, inner []span      // for which a port was surely up
	said         []saying    // by both ledgers, in the order of time
	hands        []span      // somebody opened the vault's port then
	renamed      []span      // somebody took the port down and up again to give it another name
	deaf         []span      // no command could reach the vault's port
	died         []time.Time // the executor was killed, hung, told to end or to shut
	locked       span        // no door was to be opened; zero for never
}

// verdict is how long, in all, something was as it may not be; open is the longest
// time for which the vault's port was up without a break.
type verdict struct {
	open     time.Duration
	unlogged time.Duration // up, and no ledger says so
	overdue  time.Duration // up after its time and the guard's
	both     time.Duration // up together with the inner door's port, and not by hand
	locked   time.Duration // opened in a lockdown, and not by hand
}

// worst of each.
func (v verdict) worst(w verdict) verdict {
	return verdict{max(v.open, w.open), max(v.unlogged, w.unlogged), max(v.overdue, w.overdue), max(v.both, w.both), max(v.locked, w.locked)}
}

func (e evidence) judge() verdict {
	var v verdict
	for _, up := range e.openings() {
		v.open = max(v.open, up.length())
		v.overdue += span{e.until(up), up.to}.length()
		if !e.byHand(up) {
			for _, inner := range e.inner {
				v.both += up.meets(inner).length()
			}
			if e.locked.holds(up.from) {
				v.locked += up.length()
			}
		}
	}
	for _, up := range e.vault {
		v.unlogged += unlogged(up.wider(-within), e.accounted(e.byHand(up)))
	}
	return v
}

// openings are the stretches for which the vault's port was up, regardless of the
// moments that a renaming takes.
func (e evidence) openings() []span {
	var all []span
	for _, up := range e.vault {
		if n := len(all) - 1; n >= 0 && slices.ContainsFunc(e.renamed, func(r span) bool {
			return r.holds(all[n].to) && r.holds(up.from)
		}) {
			all[n].to = up.to
			continue
		}
		all = append(all, up)
	}
	return all
}

func (e evidence) byHand(up span) bool {
	return slices.ContainsFunc(e.hands, func(h span) bool { return h.wider(within).holds(up.from) })
}

// until is when an opening must have ended: after max_open, or once whoever opened the
// port is dead, and the guard's time; where it was opened by hand, once that must have
// been found. Where no command reached the switch then, the guard's time begins when one
// does again.
func (e evidence) until(up span) time.Time {
	end := up.from.Add(e.look)
	if by, ok := e.window(up); ok {
		end = by.Add(e.maxOpen)
		for _, d := range e.died {
			if up.wider(time.Second).holds(d) && d.Before(end) {
				end = d
			}
		}
		end = later(end, up.from).Add(e.grace)
	}
	deaf := slices.SortedFunc(slices.Values(e.deaf), func(a, b span) int { return a.from.Compare(b.from) })
	for _, d := range deaf {
		if again := d.to.Add(e.grace); !d.from.After(end) && d.to.After(up.from) && again.After(end) {
			end = again
		}
	}
	return end
}

// window is when an opening became that of a window of airlock's; false if it never did.
// A window's own may have been opened by hand before it began.
func (e evidence) window(up span) (time.Time, bool) {
	if !e.byHand(up) {
		return up.from, true
	}
	for _, s := range e.said {
		if s.to == "opening" && up.holds(s.at) && s.at.Before(up.from.Add(e.look)) {
			return s.at, true
		}
	}
	return time.Time{}, false
}

// accounted are the stretches for which the ledgers together do not say that the door
// is shut. Of a port that was opened by hand they cannot say since when it stands open,
// but that it was shut at the look before they say so. Nor can they tell it from one that
// a window opened in the meantime.
func (e evidence) accounted(byHand bool) []span {
	var all []span
	open := false
	for _, s := range e.said {
		if open {
			all[len(all)-1].to = s.at
		}
		was := open
		if open = s.to != "shut"; !open {
			continue
		}
		from := s.at
		if byHand && !was {
			from = from.Add(-e.look)
		}
		all = append(all, span{from, e.now})
	}
	return all
}

// unlogged is the part of up that is in no span of accounted.
func unlogged(up span, accounted []span) time.Duration {
	left := []span{up}
	for _, a := range accounted {
		var next []span
		for _, l := range left {
			for _, rest := range []span{{l.from, earlier(l.to, a.from)}, {later(l.from, a.to), l.to}} {
				if rest.length() > 0 {
					next = append(next, rest)
				}
			}
		}
		left = next
	}
	var sum time.Duration
	for _, l := range left {
		sum += l.length()
	}
	return sum
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// ups are the stretches for which a port was surely up, as far as they reach into the
// time from began to now.
func ups(seen []lab.Transition, port string, began, now time.Time) []span {
	var all []span
	var up *span
	for _, t := range seen {
		switch {
		case t.Port != port:
		case t.Up && up == nil:
			up = &span{from: t.By}
		case !t.Up && up != nil:
			up.to = t.After
			all, up = append(all, *up), nil
		}
	}
	if up != nil {
		up.to = now
		all = append(all, *up)
	}
	return slices.DeleteFunc(all, func(s span) bool { return s.to.Before(began) })
}

// order sorts what several ledgers say by time.
func order(said []saying) {
	slices.SortStableFunc(said, func(a, b saying) int { return cmp.Or(a.at.Compare(b.at)) })
}
