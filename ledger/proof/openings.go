package proof

import (
	"slices"
	"time"
)

// Opening is one time for which a vault's door stood open, or may have stood open.
type Opening struct {
	Door, Vault, Window string
	// Seq is the entry that tells of it first; of the guard's ledger where Guard is set.
	Seq   int64
	Guard bool
	// From is when the command to open was given; where airlock gave none, when the door was
	// last seen shut. To is when it was read back as down, or else proven shut; zero while
	// it is not.
	From, To time.Time
	// AtMost says that nobody measured how long: it was no longer than from From to To.
	AtMost bool
	// Unexplained says that no window of airlock's opened it.
	Unexplained bool
	// Actor and Reason are of the window, or of what found the door open. ShutBy is who saw
	// it shut, where that was not whoever opened it: guard, start-up, patrol.
	Actor, Reason, ShutBy string
	// written says that a window's record bounds it, whose writer had read the guard's ledger:
	// what that took in later, nobody else tells.
	written bool
}

// Lasted is for how long the door stood open, at the most where AtMost is set; up to now
// while it is not shut.
func (o Opening) Lasted(now time.Time) time.Duration {
	if !o.To.IsZero() {
		now = o.To
	}
	return max(0, now.Sub(o.From))
}

// Over reports whether the door was seen shut since.
func (o Opening) Over() bool { return !o.To.IsZero() }

// Openings makes openings of the entries of a ledger: each lasts from the command to open
// the door, or from when it was last seen shut, to the next proof of closure. Whatever tells
// people of openings tells them by it. The zero Openings is ready.
type Openings struct {
	doors   map[doorName]*following
	windows map[string]*opener
	list    []Opening
	// emit takes each opening once nothing more can be told of it, instead of list.
	emit func(Opening)
}

// following is what is known of one door so far.
type following struct {
	open  *Opening // it stands open
	ended *Opening // it is shut again, and its window may yet tell more
}

// opener is whose window it is.
type opener struct{ actor, reason string }

// status is a port's, by its numbers in the IF-MIB (RFC 2863).
type status struct {
	Admin int `json:"admin"`
	Oper  int `json:"oper"`
}

func (s *status) up() bool { return s != nil && (s.Admin == adminUp || s.Oper == operUp) }

// open says of what was read of a door that it was not shut: its port was up, or what stands
// behind it answered (S3).
func (d *evidence) open() bool { return d.Reading.up() || d.Now.up() || d.Probe == "answers" }

// Take adds an entry of the executor's ledger; they come in their order.
func (o *Openings) Take(e *Entry) {
	o.take(e, evidenceOf(e))
}

func (o *Openings) take(e *Entry, d *evidence) {
	if d == nil {
		d = &evidence{}
	}
	switch e.Kind {
	case KindDoor:
		if d.Side != "inner" && e.Actor != "guard" {
			o.door(e, d)
		}
	case KindWindow:
		o.window(e, d)
	case KindPatrol:
		if e.To == "opened" {
			o.patrol(e, d)
		}
	}
}

func (o *Openings) follow(e *Entry) *following {
	if o.doors == nil {
		o.doors = map[doorName]*following{}
	}
	name := doorName{e.Vault, e.Door}
	if o.doors[name] == nil {
		if len(o.doors) >= mostOpen { // of a hostile ledger
			return &following{}
		}
		o.doors[name] = &following{}
	}
	return o.doors[name]
}

func (o *Openings) door(e *Entry, d *evidence) {
	f := o.follow(e)
	found := e.To == "shutting" && d.open() && (e.From == "shut" || e.From == "unknown")
	switch {
	case e.To == "shut":
		o.shut(f, e, d)
	case f.open != nil:
	case e.Version == 1 && e.Window == "": // it may be on the departments' side
	case e.To == "opening", e.To == "open", found:
		o.settle(f)
		n := opening(e)
		n.Unexplained = e.Window == "" || found
		n.AtMost = n.Unexplained
		if w := o.windows[e.Window]; w != nil && !found {
			n.Actor, n.Reason = w.actor, w.reason
		}
		f.open = &n
	}
}

func opening(e *Entry) Opening {
	return Opening{Door: e.Door, Vault: e.Vault, Window: e.Window, Seq: e.Seq, From: e.Time, Actor: e.Actor, Reason: e.Reason}
}

func (o *Openings) shut(f *following, e *Entry, d *evidence) {
	n := f.open
	if n == nil {
		return
	}
	if d.Exposure > 0 {
		n.To, n.AtMost = n.From.Add(time.Duration(d.Exposure*float64(time.Second))), false
	} else {
		n.To, n.AtMost = e.Time, true
	}
	if n.AtMost && e.Actor != n.Actor {
		n.ShutBy = e.Actor
	}
	f.open, f.ended = nil, n
}

// window takes who a window is by, and at its end what was measured in it.
func (o *Openings) window(e *Entry, d *evidence) {
	if e.From == "" {
		if o.windows == nil || len(o.windows) >= mostOpen {
			o.windows = map[string]*opener{}
		}
		o.windows[e.Window] = &opener{e.Actor, e.Reason}
		return
	}
	delete(o.windows, e.Window)
	for name, f := range o.doors {
		if name.vault != e.Vault {
			continue
		}
		for _, n := range []*Opening{f.open, f.ended} {
			if n == nil || n.Window != e.Window || n.Unexplained {
				continue
			}
			if d.OpenedAt.IsZero() && n == f.ended && n.AtMost && e.To != "cut" {
				f.ended = nil // the command was never sent
				return
			}
			n.measured(d)
		}
		o.settle(f)
	}
}

// measured takes what a window's record holds.
func (n *Opening) measured(d *evidence) {
	if d.Exposure <= 0 || d.OpenedAt.IsZero() || n.To.IsZero() {
		return
	}
	lasted := time.Duration(d.Exposure * float64(time.Second))
	if n.AtMost && !d.AtMost { // the door's own entries know better
		return
	}
	n.From, n.To, n.AtMost, n.written = d.OpenedAt, d.OpenedAt.Add(lasted), d.AtMost, d.AtMost
	if d.ShutBy != "" {
		n.ShutBy = d.ShutBy
	}
}

// patrol takes a door that somebody else opened, whether it stands open still or shows that
// it was open.
func (o *Openings) patrol(e *Entry, d *evidence) {
	f := o.follow(e)
	if f.open != nil {
		if f.open.Unexplained && !d.ShutSeen.IsZero() && d.ShutSeen.Before(f.open.From) {
			f.open.From = d.ShutSeen
		}
		return
	}
	o.settle(f)
	n := opening(e)
	n.AtMost, n.Unexplained = true, true
	if !d.ShutSeen.IsZero() {
		n.From = d.ShutSeen
	}
	if d.open() {
		f.open = &n
		return
	}
	if n.To = e.Time; d.Changed.After(n.From) && d.Changed.Before(n.To) {
		n.To = d.Changed
	}
	f.ended = &n
}

// settle lets go of what nothing more can be told of.
func (o *Openings) settle(f *following) {
	n := f.ended
	if n == nil {
		return
	}
	f.ended = nil
	if o.emit != nil {
		o.emit(*n)
		return
	}
	o.list = append(o.list, *n)
}

// End returns all openings that were not given away before, by their beginning. Those that
// are not over come with them.
func (o *Openings) End() []Opening {
	var still []Opening
	for _, f := range o.doors {
		o.settle(f)
		if f.open != nil {
			n := *f.open
			n.AtMost = true
			still = append(still, n)
		}
	}
	all := slices.Concat(o.list, still)
	slices.SortStableFunc(all, func(a, b Opening) int { return a.From.Compare(b.From) })
	return all
}

// WithGuard takes the guard's ledger into openings: a door that it had to shut was shut then,
// and not only when the executor looked again; what no opening of the executor's accounts
// for is one of its own. Doors are matched by name alone, for the guard knows no vault's
// window.
func WithGuard(all []Opening, guard []Entry) []Opening {
	all = slices.Clone(all)
	since := map[string]*Opening{}
	for i := range guard {
		e := &guard[i]
		if e.Kind != KindDoor {
			continue
		}
		switch e.To {
		case "shutting":
			if since[e.Door] == nil {
				n := opening(e)
				if d := evidenceOf(e); d != nil && !d.ShutSeen.IsZero() {
					n.From = d.ShutSeen
				}
				n.Guard, n.AtMost, n.Unexplained, n.ShutBy = true, true, true, "guard"
				since[e.Door] = &n
			}
		case "shut":
			if n := since[e.Door]; n != nil {
				n.To = e.Time
				all = n.within(all)
				delete(since, e.Door)
			}
		}
	}
	for _, n := range since {
		n.ShutBy = ""
		all = n.within(all)
	}
	slices.SortStableFunc(all, func(a, b Opening) int { return a.From.Compare(b.From) })
	return all
}

// guardOff is by how much the guard's clock, on another machine, may differ.
const guardOff = 5 * time.Second

// within adds what the guard saw to the openings: to the one that it ended, which is the
// nearest, or by itself.
func (n *Opening) within(all []Opening) []Opening {
	found := n.To
	if found.IsZero() {
		found = n.From
	}
	var ended *Opening
	for i := range all {
		is := &all[i]
		if off := is.off(found); is.Door == n.Door && off <= guardOff && (ended == nil || off < ended.off(found)) {
			ended = is
		}
	}
	switch {
	case ended == nil:
		return append(all, *n)
	case ended.written, !ended.AtMost, !n.Over(), ended.Over() && !n.To.Before(ended.To), !n.To.After(ended.From):
	default:
		ended.To, ended.ShutBy = n.To, "guard"
	}
	return all
}

// off is by how much a moment lies outside of the opening.
func (o *Opening) off(at time.Time) time.Duration {
	switch {
	case at.Before(o.From):
		return o.From.Sub(at)
	case o.Over() && at.After(o.To):
		return at.Sub(o.To)
	}
	return 0
}
