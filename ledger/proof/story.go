package proof

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// finder takes a finding.
type finder func(seq int64, grave bool, rule, format string, args ...any)

const (
	clockReach  = 4096                   // entries between a leap of the clock and the entry that tells of it
	mostOpen    = 10_000                 // windows in course, and doors, that an audit follows
	clockJitter = time.Second            // a leap that needs no entry
	exposureOff = 100 * time.Millisecond // between the times of entries and what an executor measured
	recordOff   = time.Millisecond       // between two records of one measurement
)

// clocks judges the times of entries. Those of an entry that was noted need not be in
// order, but when entries were recorded is, unless the wall clock was set; then an
// entry says so, before or soon after.
type clocks struct {
	found    finder
	run      string
	mono     time.Duration
	recorded time.Time
	told     int64 // the last entry that tells of a leap; 0 for none
	leapt    int64 // an entry before which the clock leapt, of which nothing tells yet; 0 for none
	seq      int64
}

func (c *clocks) take(e *Entry) {
	c.seq = e.Seq
	if e.Kind == KindClock {
		c.told, c.leapt = e.Seq, 0
	}
	if e.Run != "" && !e.Late { // late ones come from other runs, or from before
		if e.Run == c.run && e.Mono < c.mono {
			c.found(e.Seq, true, "time", "by the steady clock it is older than the entry before it")
		}
		c.run, c.mono = e.Run, e.Mono
	}
	back := c.recorded.Sub(e.Recorded) > clockJitter
	ahead := e.Time.Sub(e.Recorded) > clockJitter
	c.recorded = e.Recorded
	switch {
	case !back && !ahead:
	case e.Version == 1:
		c.found(e.Seq, false, "time", "the wall clock was set")
	case c.told != 0 && e.Seq-c.told <= clockReach:
	case c.leapt == 0:
		c.leapt = e.Seq
	}
	if c.leapt != 0 && e.Seq-c.leapt > clockReach {
		c.end()
	}
}

func (c *clocks) end() {
	if c.leapt != 0 {
		c.found(c.leapt, true, "time", "it was recorded before the entry before it, or before it happened, and no entry says that the clock was set")
		c.leapt = 0
	}
}

// story judges what the entries tell: that no door was opened without a window, no
// window goes without an end, and every opening ends with a proof of closure.
type story struct {
	found       finder
	seq         int64
	doors       map[doorName]*doorStory
	windows     map[string]*windowStory
	over        map[string][]string // the windows that ended, by their vault
	told        int64               // the last entry that tells of a leap of the clock
	dark        bool                // entries that cannot be read came before
	begun       map[string]bool     // the vaults of which a window began since
	before      replaced
	none        evidence // of an entry that has none
	receipts    int64
	vouchers    map[string]bool
	windowCount int64
}

type doorName struct{ vault, door string }

// doorStory is what is known of one door, as the controller of one vault has it.
type doorStory struct {
	state   string
	inner   bool
	opening int64 // the entry of an opening that is not proven shut yet; 0 for none
	window  string
	dark    bool // it was opened, perhaps, among entries that cannot be read
	belated bool // the opening came after the end of its window
	intent  time.Time
	seen    time.Time // when it was read back as open
	closing time.Time // when it was told to shut
}

// windowStory is what is known of a window that is not over, or whose door is not.
type windowStory struct {
	seq      int64 // the entry with which it began
	vault    string
	purpose  string
	ended    bool
	opened   bool
	shut     bool
	measured float64   // exposure by the door's entry, in seconds
	record   *evidence // its own, once it has ended
	end      int64
}

func newStory(found finder) story {
	return story{found: found, doors: map[doorName]*doorStory{}, windows: map[string]*windowStory{}, over: map[string][]string{}, begun: map[string]bool{}, vouchers: map[string]bool{}}
}

func (s *story) take(e *Entry, d *evidence) {
	s.seq = e.Seq
	if d == nil {
		d = &s.none
	}
	if e.Reason == "" && strings.HasPrefix(e.Actor, "user ") && (e.Kind == KindLock || e.Kind == KindRelease || e.Kind == KindWindow) {
		s.found(e.Seq, false, "reason", "a person gave no reason")
	}
	switch e.Kind {
	case KindStart:
		for _, t := range s.doors {
			t.state = "unknown" // whoever starts believes nothing
		}
	case KindClock:
		s.told = e.Seq
	case KindLedger:
		if e.To != "" { // about a head, and not about the ledger before
			return
		}
		if s.before = d.replaced; e.Seq != 1 {
			s.found(e.Seq, false, "ledger", "this ledger is said to stand in the place of another, but is older than that")
			return
		}
		s.found(e.Seq, false, "ledger", "this ledger stands in the place of another, which was set aside as %q", clip(d.replaced.File))
	case KindWindow:
		s.window(e, d)
	case KindDoor:
		if e.Actor != "guard" { // which remembers no state, and opens nothing
			s.door(e, d)
		}
	}
}

// unseen forgets what was in course before seq: entries up to there cannot be read.
func (s *story) unseen(seq int64) {
	if s.told = seq; len(s.doors)+len(s.windows)+len(s.begun) > 0 || !s.dark {
		clear(s.doors)
		clear(s.windows)
		clear(s.over)
		clear(s.begun)
		s.dark = true
	}
}

// window takes the beginning or the end of a window.
func (s *story) window(e *Entry, d *evidence) {
	s.receipt(e, d)
	w := s.windows[e.Window]
	switch {
	case e.From == "" && w != nil && !w.ended:
		s.found(e.Seq, true, "window", "window %s began twice, at first with entry %d", e.Window, w.seq)
	case e.From == "" && len(s.windows) >= mostOpen:
		s.found(e.Seq, true, "window", "more than %d windows are in course", mostOpen)
	case e.From == "":
		s.windowCount++
		s.begun[e.Vault] = true
		s.windows[e.Window] = &windowStory{seq: e.Seq, vault: e.Vault, purpose: e.To}
		s.forget(e.Vault, e.Window)
	case w == nil && e.To == "refused":
		// It was refused before it began, and opened nothing.
	case w == nil && s.dark && !s.begun[e.Vault]:
		// It began before what can be read.
	case w == nil:
		s.found(e.Seq, true, "window", "window %s ends, and never began", e.Window)
	case w.ended:
		s.found(e.Seq, true, "window", "window %s ended already", e.Window)
	default:
		if e.From != w.purpose || e.Vault != w.vault {
			s.found(e.Seq, true, "window", "window %s ends as another than it began with entry %d", e.Window, w.seq)
		}
		w.ended, w.record, w.end = true, d, e.Seq
		s.over[w.vault] = append(s.over[w.vault], e.Window)
		if !d.OpenedAt.IsZero() && !w.opened && e.Version > 1 {
			s.found(e.Seq, true, "window", "window %s opened a door, and no entry announced it", e.Window)
		}
		s.compare(e.Window)
	}
}

// forget drops the windows of a vault that are over, once the next one begins.
func (s *story) forget(vault, but string) {
	for _, id := range s.over[vault] {
		if w := s.windows[id]; id != but && w != nil && w.ended {
			delete(s.windows, id)
		}
	}
	delete(s.over, vault)
}

// compare holds the exposure in a window's record to the one in its door's entry,
// whichever comes first.
func (s *story) compare(id string) {
	w := s.windows[id]
	if w == nil || !w.ended || !w.shut || w.record.ProvenAt.IsZero() {
		return
	}
	if off := time.Duration((w.record.Exposure - w.measured) * float64(time.Second)); off.Abs() > recordOff {
		s.found(w.end, true, "exposure", "window %s says %.3f s, and its door %.3f s", id, w.record.Exposure, w.measured)
	}
	w.shut = false
}

// door takes a door's step from one state to another.
func (s *story) door(e *Entry, d *evidence) {
	name := doorName{e.Vault, e.Door}
	t := s.doors[name]
	if t == nil {
		if len(s.doors) >= mostOpen {
			s.found(e.Seq, true, "door", "there are more than %d doors", mostOpen)
			return
		}
		t = &doorStory{state: "unknown"}
		if s.dark {
			t.state, t.dark = e.From, e.From != "shut"
		}
		s.doors[name] = t
	}
	t.inner = d.Side == "inner"
	// An intent that the ledger did not take has no entry, and its end has one: nothing was
	// opened, which the exposure shows, or an inner door was, on behalf of another vault.
	refused := t.state == "shut" && e.From == "opening" && (e.To == "shutting" || t.inner && e.To == "open")
	if e.From != t.state && !refused {
		s.found(e.Seq, true, "door", "door %s goes from %s, and was %s", e.Door, e.From, t.state)
	}
	if !steps(e.From, t.inner || e.Version == 1, e.To) {
		s.found(e.Seq, true, "door", "door %s cannot go from %s to %s", e.Door, e.From, e.To)
	}
	if d.Reading != nil && d.Reading.Admin == adminUp && e.To == "shutting" && (e.From == "shut" || e.From == "unknown") && t.opening == 0 {
		s.found(e.Seq, false, "door", "door %s was found open, and airlock had not opened it", e.Door)
	}
	t.state = e.To
	switch e.To {
	case "opening":
		s.opening(e, t)
	case "open":
		t.seen = e.Time
	case "shutting":
		t.closing = e.Time
	case "shut":
		s.shut(e, t, d)
	case "stuck":
		s.found(e.Seq, false, "door", "door %s could not be proven shut in time", e.Door)
	}
}

// steps reports whether a door can go from one state to another. One on the
// departments' side rests open, and a person may open and shut it.
func steps(from string, inner bool, to string) bool {
	switch from {
	case "unknown":
		return to == "shut" || to == "shutting" || inner && to == "open"
	case "shut":
		return to == "opening" || to == "shutting" || to == "unknown" || inner && to == "open"
	case "opening":
		return to == "open" || to == "shutting"
	case "open":
		return to == "shutting" || inner && (to == "shut" || to == "unknown")
	case "shutting":
		return to == "shut" || to == "stuck"
	case "stuck":
		return to == "shut" || to == "shutting"
	}
	return false
}

func (s *story) opening(e *Entry, t *doorStory) {
	if e.Late {
		s.found(e.Seq, true, "S1", "door %s was opened before the intent was durable", e.Door)
	}
	for name, other := range s.doors {
		if name.vault == e.Vault && other != t && other.inner != t.inner && other.state != "shut" && e.Version > 1 {
			s.found(e.Seq, true, "S6", "door %s is opened while door %s is %s", e.Door, name.door, other.state)
		}
	}
	if t.inner {
		return
	}
	if t.opening != 0 {
		s.found(e.Seq, true, "door", "door %s is opened again, and after entry %d was never proven shut", e.Door, t.opening)
	}
	t.opening, t.window, t.intent, t.seen, t.closing = e.Seq, e.Window, e.Time, time.Time{}, time.Time{}
	w := s.windows[e.Window]
	switch {
	case e.Version == 1 && w == nil: // it may be on the departments' side
		t.opening = 0
	case w == nil && s.dark && !s.begun[e.Vault]:
	case w != nil && w.ended && w.vault == e.Vault:
		t.belated = true // its window may have ended before the ledger took it; then nothing was opened
	case w == nil || w.vault != e.Vault:
		s.found(e.Seq, true, "window", "door %s is opened, and no window is in course", e.Door)
	default:
		w.opened = true
	}
}

// What ifAdminStatus and ifOperStatus say (RFC 2863).
const (
	adminUp   = 1
	adminDown = 2
	operUp    = 1
)

// shut takes a proof of closure.
func (s *story) shut(e *Entry, t *doorStory, d *evidence) {
	if d.Reading == nil || d.Reading.Admin != adminDown || d.Reading.Oper == operUp || d.Probe == "answers" {
		s.found(e.Seq, true, "S3", "door %s is called shut, and no reading proves it", e.Door)
	}
	if t.opening == 0 {
		if d.Exposure > 0 && !t.inner && !t.dark && e.Version > 1 {
			s.found(e.Seq, true, "S1", "door %s stood open for %.3f s, and no entry announced it", e.Door, d.Exposure)
		}
		t.dark = false
		return
	}
	if t.belated && d.Exposure > 0 {
		s.found(t.opening, true, "window", "door %s is opened, and no window is in course", e.Door)
	}
	t.belated = false
	exposure := time.Duration(d.Exposure * float64(time.Second))
	if longest := e.Time.Sub(t.intent); exposure == 0 {
		// Nobody measured it, which is told of the opening.
	} else if s.told < t.opening && (exposure > longest+exposureOff || !t.seen.IsZero() && exposure < t.closing.Sub(t.seen)-exposureOff) {
		s.found(e.Seq, true, "exposure", "door %s is said to have stood open for %.3f s, and the entries since number %d tell otherwise", e.Door, exposure.Seconds(), t.opening)
	}
	if w := s.windows[t.window]; w != nil && d.Exposure > 0 {
		w.shut, w.measured = true, d.Exposure
		s.compare(t.window)
	}
	t.opening = 0
}

// end tells what is still in course.
func (s *story) end() {
	var open []*doorStory
	for _, t := range s.doors {
		if t.opening != 0 {
			open = append(open, t)
		}
	}
	slices.SortFunc(open, func(x, y *doorStory) int { return cmp.Compare(x.opening, y.opening) })
	for _, t := range open {
		s.found(t.opening, false, "door", "a door was opened, and up to the end it is not proven shut")
	}
	var begun []*windowStory
	for _, w := range s.windows {
		if !w.ended {
			begun = append(begun, w)
		}
	}
	slices.SortFunc(begun, func(x, y *windowStory) int { return cmp.Compare(x.seq, y.seq) })
	for _, w := range begun {
		s.found(w.seq, false, "window", "a window began, and has no end yet")
	}
}
