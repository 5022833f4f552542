package patrol

import (
	"fmt"
	"strings"
	"time"

	"airlock/switchctl"
)

// CacheLag is how old what an agent tells may be.
const CacheLag = 30 * time.Second

// ChangeJitter is how much ifLastChange may differ between two readings of one change:
// some agents reckon it anew from another clock each time.
const ChangeJitter = 2 * time.Second

// What a finding is, and its entry in the ledger says.
const (
	AtRest     = "at rest"    // the reading that later ones are compared with
	Opened     = "opened"     // somebody else opened the door
	ShutAgain  = "shut"       // which is proven shut again
	Restarted  = "restarted"  // the switch's agent
	Unreadable = "unreadable" // the door was missed too often
	Readable   = "readable"   // and is read again
)

// Look is one reading of a door, and what its probe said.
type Look struct {
	At      time.Time
	By      string // the way that was used, where the door has several
	First   bool   // it was the first, whose ifIndex is compared
	Reading switchctl.Reading
	Probe   string // as the ledger says it
	Open    bool   // the port is up, or has a link, or what stands behind it answers
	Pending bool   // the probe has not told yet
}

// Observation is a reading by which a door was shut.
type Observation struct {
	At             time.Time
	By             string // the way
	Reading        switchctl.Reading
	WithinCacheLag bool // it was taken within CacheLag of the shutting
}

func (l Look) observation() Observation { return Observation{At: l.At, By: l.By, Reading: l.Reading} }

// Watch is what is known of one door. The zero Watch knows nothing.
type Watch struct {
	Recalled bool            // what the ledger knows is known
	Unproven bool            // opened, by us or found so, and not since proven shut: nothing is judged
	Since    time.Time       // of the shutting, or the finding, before which nothing is evidence
	Last     Observation     // the newest look that saw it shut
	Base     Observation     // what later readings are compared with; zero until one can be relied on
	Index    int             // ifIndex at the last use by the first way
	OpenFrom time.Time       // since when it may have stood open, from when it was found so until it is proven shut
	Lost     time.Time       // when it was last read, while it cannot be
	Trap     *switchctl.Trap // a linkUp that no window of ours accounts for
	Misses   int             // looks in a row that failed
	Doubts   int             // looks in a row whose probe could not be heard
}

// Evidence is what a finding rests on.
type Evidence struct {
	Differs    []string     // what is evidence
	Before     *Observation // nil for none
	Now        *Observation
	By, Probe  string
	Trap       *switchctl.Trap
	ShutSeen   time.Time     // the last look that saw it shut
	Changed    time.Time     // ifLastChange, by this machine's clock
	OpenAtMost time.Duration // 0: nobody can tell
}

// Finding is something for the ledger, and perhaps for a person.
type Finding struct {
	At   time.Time
	What string // AtRest, …
	Why  string
	Evidence
	// Traces: the door is shut and was open meanwhile, so it is shut and proven anew, and a
	// person is told this; "" else.
	Traces string
}

// Recall takes what the ledger knows: the last reading, the ifIndex, and whether the door was
// not shut when the ledger knew of it last, so that what is found is of that.
func (w Watch) Recall(base Observation, index int, unproven bool, now time.Time) Watch {
	w.Recalled, w.Base, w.Last, w.Index = true, base, base, index
	w.Unproven, w.Since = unproven, base.At
	if w.Since.IsZero() {
		w.Since = now // nobody knows what came before
	}
	return w
}

// Moved is the ifIndex at which the door's port was before a look, where that is another one
// now; 0 where it is not (S7).
func (w Watch) Moved(l Look) (from int) {
	if is := l.Reading.Row.Index; is == 0 || !l.First || w.Index == is {
		return 0
	}
	return w.Index
}

// See judges a look; mustBeShut where the door has to be. Before Recall it judges nothing. The door may be shut by now; one
// that is not is the window's machine's business too, which shuts it.
func (w Watch) See(l Look, mustBeShut bool) (Watch, []Finding) {
	if !w.Recalled {
		return w, nil
	}
	if is := l.Reading.Row.Index; is != 0 && l.First {
		w.Index = is
	}
	if w.Unproven || !mustBeShut || !l.At.After(w.Since) {
		return w, nil
	}
	w, found := w.readAgain(l)
	switch {
	case l.Open:
		w, f := w.foundOpen(l)
		return w, append(found, f)
	case l.Pending:
		return w, found
	}
	w, more := w.foundShut(l)
	return w, append(found, more...)
}

// readAgain ends what misses began.
func (w Watch) readAgain(l Look) (Watch, []Finding) {
	w.Misses = 0
	if w.Lost.IsZero() {
		return w, nil
	}
	now := l.observation()
	f := Finding{
		At: l.At, What: Readable, Why: fmt.Sprintf("it could not be read for %s", l.At.Sub(w.Lost).Round(time.Second)),
		Evidence: Evidence{ShutSeen: w.Lost, Now: &now, By: l.By},
	}
	w.Lost = time.Time{}
	return w, []Finding{f}
}

// foundOpen is a door that somebody else opened and that is open still. The alarm, and the
// shutting, are the window's machine's.
func (w Watch) foundOpen(l Look) (Watch, Finding) {
	e := w.compared(l)
	from := w.Last.At
	if moved := changedAt(l.Reading); w.Last.By == l.By && l.Reading.Row.Oper == switchctl.OperUp && changed(w.Last.Reading, l.Reading) {
		e.Differs, e.Changed = append(e.Differs, "ifLastChange"), moved
		if moved = moved.Add(-CacheLag); moved.After(from) && moved.Before(l.At) { // it may have been noticed late
			from = moved
		}
	}
	e.Differs = append([]string{"ifAdminStatus and ifOperStatus: found open"}, e.Differs...)
	w.Unproven, w.Base, w.Trap, w.OpenFrom = true, Observation{}, nil, from
	if !from.IsZero() {
		e.OpenAtMost = l.At.Sub(from)
	}
	return w, Finding{At: l.At, What: Opened, Why: "found open, by no window of ours", Evidence: e}
}

// foundShut judges a door that is shut.
func (w Watch) foundShut(l Look) (Watch, []Finding) {
	var found []Finding
	now, e := l.observation(), w.compared(l)
	again := w.Last.By == l.By && hasRestarted(w.Last, now)
	if w.Last.By == l.By {
		e.Differs = w.differs(now, again)
	}
	if again {
		found = append(found, Finding{At: l.At, What: Restarted, Why: "the switch's agent restarted; its counters and ifLastChange may have begun anew", Evidence: e})
	}
	if w.Trap != nil && !l.At.Before(w.Trap.At) {
		e.Differs, w.Trap = append(e.Differs, "a linkUp trap"), nil
	}
	if len(e.Differs) > 0 {
		w, f := w.foundTraces(l, e)
		return w, append(found, f)
	}
	w.Last = now
	if wanted := w.Base.At.IsZero() || w.Base.WithinCacheLag || again; wanted && !l.At.Before(w.Since.Add(CacheLag)) {
		w.Base = now
		found = append(found, Finding{At: l.At, What: AtRest, Why: "what later readings are compared with", Evidence: Evidence{Now: e.Now, By: l.By}})
	}
	return w, found
}

// foundTraces is what shows that a door that is shut was open.
func (w Watch) foundTraces(l Look, e Evidence) (Watch, Finding) {
	traces := strings.Join(e.Differs, ", ")
	until, longest := l.At, ""
	if moved := changedAt(l.Reading); w.Last.By == l.By && changed(w.Last.Reading, l.Reading) && moved.After(w.Last.At) && moved.Before(until) {
		e.Changed, until = moved, moved
	}
	if !w.Last.At.IsZero() {
		e.OpenAtMost = until.Sub(w.Last.At)
		longest = fmt.Sprintf("; open for %s at most", e.OpenAtMost.Round(time.Second))
	}
	w.Since, w.Base, w.Last = l.At, Observation{}, l.observation()
	return w, Finding{At: l.At, What: Opened, Why: "was open meanwhile, by no window of ours: " + traces, Evidence: e, Traces: traces + longest}
}

// compared is what every finding about a look holds.
func (w Watch) compared(l Look) Evidence {
	now := l.observation()
	e := Evidence{Now: &now, By: l.By, Probe: l.Probe, ShutSeen: w.Last.At, Trap: w.Trap}
	before := w.Base
	if before.At.IsZero() {
		before = w.Last
	}
	if !before.At.IsZero() {
		e.Before = &before
	}
	return e
}

// Missed counts a look that failed. What nobody can read counts as open (S3): when it is one
// too many, the door is lost, and that is found.
func (w Watch) Missed(at time.Time, limit int) (next Watch, lost bool, f Finding) {
	if w.Misses++; w.Misses < limit {
		return w, false, Finding{}
	}
	w.Lost = w.Last.At
	return w, true, Finding{At: at, What: Unreadable, Why: fmt.Sprintf("%d looks in a row failed", w.Misses), Evidence: Evidence{ShutSeen: w.Last.At}}
}

// Opens is a door that is told to open, or is open: until it is shut, nothing is judged.
func (w Watch) Opens() Watch {
	w.Unproven, w.Base = true, Observation{}
	return w
}

// Shut is a door that is shut since at. seen is the last reading, nil for none; proves, that
// it says so. found tells how long one stood open that somebody else had opened.
func (w Watch) Shut(at time.Time, seen *Observation, proves bool) (next Watch, found []Finding) {
	if seen != nil && proves {
		w.Last = *seen
	}
	if !w.Unproven {
		return w, nil
	}
	w.Unproven, w.Since, w.Base, w.Trap = false, at, Observation{}, nil
	if w.OpenFrom.IsZero() {
		return w, nil
	}
	open := at.Sub(w.OpenFrom)
	found = []Finding{{
		At: at, What: ShutAgain, Why: fmt.Sprintf("it stood open for %s at most", open.Round(time.Second)),
		Evidence: Evidence{ShutSeen: w.OpenFrom, OpenAtMost: open, Now: seen},
	}}
	w.OpenFrom = time.Time{}
	return w, found
}

// Ours reports whether a trap may be about the door's own port.
func (w Watch) Ours(t switchctl.Trap) bool {
	return t.IfIndex == 0 || w.Index == 0 || t.IfIndex == w.Index
}

// Hear keeps a trap as evidence; idle where the door must be shut and no window has it. Only
// an authentic linkUp of the door's own port that no window of ours accounts for is kept, for
// the port may be down again before anybody looks; any other trap may be anybody's, and
// accuses nobody.
func (w Watch) Hear(t switchctl.Trap, idle bool) Watch {
	made := t.At
	if last := w.Last.Reading; t.Uptime > 0 && last.Uptime > 0 { // the switch's own clock tells when it was sent
		if at := last.At.Add(t.Uptime - last.Uptime); at.Before(t.At) {
			made = at
		}
	}
	if t.Authentic && t.Kind == switchctl.LinkUp && t.IfIndex != 0 && t.IfIndex == w.Index && w.Trap == nil && !w.Unproven && idle && made.After(w.Since.Add(CacheLag)) {
		w.Trap = &t
	}
	return w
}
