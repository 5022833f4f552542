package policies

import (
	"slices"
	"strings"
	"time"
)

// What an Event is.
const (
	Gathering  = "gather"
	WindowOpen = "window"
)

// Event is one line of the calendar.
type Event struct {
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`  // the latest end of a window (Start + max_open); Start of a gathering
	What  string    `json:"what"` // Gathering or WindowOpen
	Name  string    `json:"name"` // of the system or vault
	// Door stands open, and InnerDoor is shut, at the most from Start to End.
	Door      string `json:"door,omitempty"`
	InnerDoor string `json:"inner_door,omitempty"`
	// QuietUntil is set for a gathering that falls into quiet hours and waits for their end.
	QuietUntil time.Time `json:"quiet_until,omitzero"`
	// Overlaps are the windows that want one of this event's doors at the same time.
	// A gathering that starts while a window has the inner door shut will pause.
	Overlaps  []Overlap `json:"overlaps,omitempty"`
	WillPause bool      `json:"will_pause,omitempty"`
}

// Overlap names a window, by its vault and start, and the door that is wanted twice.
type Overlap struct {
	Vault string    `json:"vault"`
	Start time.Time `json:"start"`
	Door  string    `json:"door"`
}

// longestWindow is the most that max_open may be.
const longestWindow = 24 * time.Hour

// Plan is the calendar of what starts in [from, to), in the order of time and in the
// site's zone. Overlaps are told of windows outside that span too.
func (p *Policy) Plan(from, to time.Time) []Event {
	if p.Timezone.Location != nil {
		from, to = from.In(p.Timezone.Location), to.In(p.Timezone.Location)
	}
	windows := p.windows(from.Add(-longestWindow), to.Add(longestWindow))
	events := p.gatherings(from, to, windows)
	for i, w := range windows {
		if !w.Start.Before(from) && w.Start.Before(to) {
			w.Overlaps = overlaps(windows, i)
			events = append(events, w)
		}
	}
	slices.SortFunc(events, byStart)
	return events
}

func byStart(a, b Event) int {
	if c := a.Start.Compare(b.Start); c != 0 {
		return c
	}
	return strings.Compare(a.What+a.Name, b.What+b.Name)
}

// runs are a schedule's instants in [from, to).
func (s Schedule) runs(from, to time.Time) func(func(time.Time) bool) {
	return func(yield func(time.Time) bool) {
		for t := s.Next(from.Add(-time.Nanosecond)); !t.IsZero() && t.Before(to); t = s.Next(t) {
			if !yield(t) {
				return
			}
		}
	}
}

func (p *Policy) windows(from, to time.Time) []Event {
	var windows []Event
	for name, v := range p.Vaults {
		for t := range v.Window.Schedule.runs(from, to) {
			windows = append(windows, Event{Start: t, End: t.Add(time.Duration(v.Window.MaxOpen)), What: WindowOpen,
				Name: name, Door: v.Door, InnerDoor: v.InnerDoor})
		}
	}
	slices.SortFunc(windows, byStart)
	return windows
}

func (p *Policy) gatherings(from, to time.Time, windows []Event) []Event {
	var events []Event
	for name, s := range p.Systems {
		for t := range s.Schedule.runs(from, to) {
			e := Event{Start: t, End: t, What: Gathering, Name: name}
			e.QuietUntil, _ = s.Quiet(t)
			for _, w := range around(windows, t) {
				if w.InnerDoor != "" && w.End.After(t) {
					e.WillPause = true
					e.Overlaps = append(e.Overlaps, Overlap{w.Name, w.Start, w.InnerDoor})
				}
			}
			events = append(events, e)
		}
	}
	return events
}

// around are the windows that may still be open at t: those of the day up to t.
func around(windows []Event, t time.Time) []Event {
	return windows[startIndex(windows, t.Add(-longestWindow)):startIndex(windows, t.Add(time.Nanosecond))]
}

func startIndex(windows []Event, t time.Time) int {
	i, _ := slices.BinarySearchFunc(windows, t, func(w Event, t time.Time) int { return w.Start.Compare(t) })
	return i
}

// overlaps are the other windows that share a door, outer or inner, with window i
// while it may be open.
func overlaps(windows []Event, i int) []Overlap {
	w := windows[i]
	var found []Overlap
	for j := startIndex(windows, w.Start.Add(-longestWindow)); j < len(windows) && windows[j].Start.Before(w.End); j++ {
		o := windows[j]
		if j == i || !w.Start.Before(o.End) {
			continue
		}
		for _, door := range []string{w.Door, w.InnerDoor} {
			if door != "" && (door == o.Door || door == o.InnerDoor) {
				found = append(found, Overlap{o.Name, o.Start, door})
				break
			}
		}
	}
	return found
}
