package window

import (
	"time"

	"airlock/notice"
)

// Step is what e does to s. It is pure: the same arguments give the same results.
func (s State) Step(e Event) (State, []Action) {
	m := machine{State: s, at: e.when()}
	m.take(e)
	m.follow()
	return m.State, m.actions
}

// Watch reports whether the door has to be read until something more is known.
func (s State) Watch(side Side) bool {
	if side == Inner && !s.Rules.HasInner {
		return false
	}
	switch s.Doors[side].Phase {
	case Shut:
		return side == Inner && s.Window != ""
	case Open:
		return side == Vault // the inner door rests open
	}
	return true
}

// Next is when a Tick is due at the latest; zero for never.
func (s State) Next() time.Time {
	var next time.Time
	for _, d := range s.Doors {
		if t := d.Deadline; !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	return next
}

// machine is a State in the middle of a Step.
type machine struct {
	State
	at      time.Time
	actions []Action
}

func (m *machine) do(a Action)           { m.actions = append(m.actions, a) }
func (m *machine) door(side Side) *Door  { return &m.Doors[side] }
func (m *machine) phase(side Side) Phase { return m.Doors[side].Phase }

// take does what the event itself says.
func (m *machine) take(e Event) {
	switch e := e.(type) {
	case Begin:
		m.begin(e)
	case Seen:
		m.seen(e.Side, e.Sight)
	case Worked:
		if e.Window == m.Window {
			m.Working = false
			m.end(e.Failed)
		}
	case Cancel:
		m.end(e.Why)
	case ShutNow:
		m.end(e.Why)
		if e.Side == Inner {
			m.Held = false
		}
		if m.phase(e.Side) == Stuck {
			m.beginShut(e.Side) // a person asked, so the proof gets its whole time again
		}
		m.shut(e.Side)
	case Unlogged:
		m.end("the ledger could not take the intent to open " + e.Side.door())
		m.unsent(e.Side)
	case Unsent:
		m.end(e.Why)
		m.unsent(e.Side)
	case Owe:
		m.Held = m.Rules.HasInner
	case Lock:
		m.lock(e.Why)
	case Release:
		m.Locked = false
	case Lost:
		m.lost(e.Side)
	}
}

func (m *machine) begin(e Begin) {
	switch inner := m.phase(Inner); {
	case m.Locked:
		m.do(Refuse{e.Window, "there is a lockdown"})
	case m.Window != "":
		m.do(Refuse{e.Window, "window " + m.Window + " is still in course"})
	case m.phase(Vault) != Shut:
		m.do(Refuse{e.Window, "the vault's door is " + m.phase(Vault).String() + ", not proven shut"})
	case m.Rules.HasInner && inner != Open && inner != Shut:
		m.do(Refuse{e.Window, "the inner door is " + inner.String()})
	case e.MaxOpen <= 0:
		m.do(Refuse{e.Window, "it has no time to stand open"})
	default:
		m.Window, m.MaxOpen = e.Window, e.MaxOpen
		m.Ending, m.Opened, m.Cause, m.Hard = false, false, "", time.Time{}
		if m.Rules.HasInner {
			m.Held = m.Held || inner == Open
			m.shut(Inner) // even where it is believed shut: S6 asks for a proof
		}
	}
}

// end has the window in course go towards its end; the first cause is kept.
func (m *machine) end(cause string) {
	if m.Window == "" || m.Ending {
		return
	}
	m.Ending, m.Cause = true, cause
}

// lock has every door proven shut anew. One that is stuck is being told already.
func (m *machine) lock(why string) {
	m.Locked = true
	m.end(why)
	m.shut(Vault)
	if m.Rules.HasInner {
		m.lockInner()
	}
}

// lockInner shuts the inner door and owes its opening, unless it was at rest shut: that
// was a person's will. One that was not read yet waits for its first reading.
func (m *machine) lockInner() {
	switch m.phase(Inner) {
	case Unknown:
		return
	case Open, Opening:
		m.Held = true
	}
	m.shut(Inner)
}

// lost takes back what is believed of a door at rest.
func (m *machine) lost(side Side) {
	if p := m.phase(side); p != Shut && (side == Vault || p != Open) {
		return // on its way, it has a deadline; a vault's door that is open has one too
	}
	m.do(Raise{side, notice.NotReadAnyMore.Of()})
	m.end(side.door() + " cannot be read any more")
	m.move(side, Unknown)
	m.door(side).Tries = 1 // it was said
}

// unsent takes back an opening whose command never left.
func (m *machine) unsent(side Side) {
	if d := m.door(side); d.Phase == Opening {
		d.Credible = time.Time{}
		if side == Vault {
			m.shut(Vault)
		}
	}
}

func (m *machine) seen(side Side, sight Sight) {
	d := m.door(side)
	if sight.Shut() && (m.at.Before(d.Credible) || m.at.Before(sight.MayStillOpenSince.Add(m.Rules.Lag))) {
		return // S3: the opening may still be carried out
	}
	switch d.Phase {
	case Unknown:
		m.first(side, sight)
	case Shut:
		if sight.Read && !sight.Shut() {
			m.opened(side, sight)
		}
	case Opening:
		if sight.Read && sight.Up {
			m.settle(side, Open)
		} else if !m.at.Before(d.Again) {
			m.repeat(side)
		}
	case Open:
		if sight.Read && !sight.Up {
			m.closed(side, sight)
		}
	case Shutting, Stuck:
		switch {
		case sight.Shut():
			if d.Phase == Stuck {
				m.do(Raise{side, notice.ProvenAfterAll.Of()})
			}
			m.settle(side, Shut)
		case d.Phase == Shutting && (!sight.Read || sight.Up) && !m.at.Before(d.Again):
			m.repeat(side)
		}
	}
}

// first judges the first reading of a door (S5).
func (m *machine) first(side Side, sight Sight) {
	switch {
	case !sight.Read:
	case sight.Shut():
		m.settle(side, Shut)
	case side == Inner && m.Locked:
		m.Held = true
		m.shut(Inner)
	case side == Inner:
		if sight.Up {
			m.settle(side, Open)
		}
	default:
		if sight.Up {
			m.do(Raise{side, notice.FoundOpen.Of()})
		}
		m.shut(side)
	}
}

// opened answers a door that was shut and no longer is, by no command of ours.
func (m *machine) opened(side Side, sight Sight) {
	if side == Inner && m.phase(Vault) == Shut && m.Window == "" && !m.Locked {
		if sight.Up {
			m.Held = false
			m.settle(Inner, Open)
		}
		return
	}
	m.do(Raise{side, notice.OpenedByAnother.Of()})
	m.end(side.door() + " was opened by another hand")
	m.shut(side)
	if m.phase(Vault) != Shut {
		m.shut(Vault)
	}
}

// closed answers a door that was open and was shut by no command of ours.
func (m *machine) closed(side Side, sight Sight) {
	if side == Vault {
		m.end("the vault's door was shut by another hand")
		m.shut(Vault)
	} else if sight.Shut() {
		m.settle(Inner, Shut)
	}
}

// shut sends the command and starts the time for its proof; a door on its way keeps
// its own time.
func (m *machine) shut(side Side) {
	if p := m.phase(side); p != Shutting && p != Stuck {
		m.beginShut(side)
	}
}

func (m *machine) beginShut(side Side) {
	d := m.door(side)
	if side == Vault && m.Working {
		m.do(StopWork{m.Cause})
	}
	var credible time.Time
	if d.Phase == Opening {
		credible = d.Credible
	}
	m.move(side, Shutting)
	d.Deadline, d.Again, d.Credible = m.at.Add(m.Rules.Doors[side].ProveWithin), m.at.Add(m.Rules.Repeat), credible
	if d.Deadline.Before(credible) {
		d.Deadline = credible.Add(m.Rules.Repeat)
	}
	m.do(Command{side, false})
}

// open sends the command once the ledger has taken it.
func (m *machine) open(side Side) {
	m.move(side, Opening)
	d := m.door(side)
	d.Deadline, d.Again, d.Credible = m.at.Add(m.Rules.Doors[side].OpenWithin), m.at.Add(m.Rules.Repeat), m.at.Add(m.Rules.Lag)
	m.do(Command{side, true})
}

// move changes a door's phase, and says so.
func (m *machine) move(side Side, to Phase) {
	m.do(Moved{side, m.phase(side), to})
	*m.door(side) = Door{Phase: to}
}

// settle ends a door's way.
func (m *machine) settle(side Side, p Phase) {
	m.move(side, p)
	if side == Inner && p == Open {
		m.Held = false
	}
}

// repeat sends the command of the door's phase once more.
func (m *machine) repeat(side Side) {
	d := m.door(side)
	d.Again = m.at.Add(m.Rules.Repeat)
	if d.Phase == Opening {
		d.Credible = m.at.Add(m.Rules.Lag)
	}
	m.do(Command{side, d.Phase == Opening})
}

// follow does what the state itself asks for, whatever event led to it.
func (m *machine) follow() {
	m.deadlines(Vault)
	if p := m.phase(Vault); m.Ending && (p == Opening || p == Open) {
		m.shut(Vault)
	}
	if m.Rules.HasInner {
		m.guardInner()
		m.deadlines(Inner)
	}
	switch m.phase(Vault) {
	case Open:
		m.startWork()
		return
	case Stuck:
		if m.Cause == "" {
			m.Ending, m.Cause = true, "the vault's door cannot be proven shut"
		}
		m.finish()
		return
	case Unknown, Opening, Shutting:
		return
	}
	if m.Window != "" && !m.Ending && !m.Opened {
		if !m.Rules.HasInner || m.phase(Inner) == Shut {
			m.openVault()
		}
		return
	}
	if m.Rules.HasInner && m.Held && m.phase(Inner) == Shut && !m.Locked {
		m.open(Inner) // S6: only once the vault's door is proven shut
	}
	m.finish()
}

// guardInner shuts the inner door whenever the vault's is not where it should be (S6).
func (m *machine) guardInner() {
	vault, inner := m.phase(Vault), m.phase(Inner)
	if (vault == Shutting || vault == Stuck) && inner == Open || vault != Shut && inner == Opening {
		m.Held = true
		m.shut(Inner)
	}
}

func (m *machine) openVault() {
	m.Opened = true
	m.Hard = m.at.Add(m.MaxOpen)
	m.open(Vault)
	if d := m.door(Vault); m.Hard.Before(d.Deadline) {
		d.Deadline = m.Hard
	}
}

func (m *machine) startWork() {
	d := m.door(Vault)
	if d.Deadline.IsZero() {
		d.Deadline = m.Hard // S4
		m.Working = true
		m.do(Work{m.Window})
	}
}

// finish ends the window once no door has a way to go.
func (m *machine) finish() {
	if m.Window == "" || !m.Ending && !m.Opened {
		return
	}
	if inner := m.door(Inner); m.Rules.HasInner && inner.Tries == 0 && (inner.Phase == Shutting || inner.Phase == Opening) {
		return
	}
	m.do(Finish{m.Window, m.Cause})
	m.Window, m.Ending, m.Opened, m.Hard, m.MaxOpen = "", false, false, time.Time{}, 0
}

// deadlines acts on a time that has run out.
func (m *machine) deadlines(side Side) {
	d := m.door(side)
	if d.Deadline.IsZero() && d.Phase == Unknown {
		d.Deadline = m.at.Add(m.Rules.ReadWithin)
	}
	if d.Deadline.IsZero() || m.at.Before(d.Deadline) {
		return
	}
	switch d.Phase {
	case Unknown:
		m.unread(side)
	case Opening, Open:
		m.overdue(side)
	case Shutting:
		m.do(Raise{side, notice.NotProvenShut.Of()})
		if side == Inner {
			m.end("the inner door could not be proven shut")
		}
		m.move(side, Stuck)
		m.backOff(side)
	case Stuck:
		m.backOff(side)
	}
}

// unread answers a door that could not be read since the start: it counts as open.
func (m *machine) unread(side Side) {
	d := m.door(side)
	if d.Tries == 0 {
		m.do(Raise{side, notice.NotReadAtStart.Of()})
	}
	switch vault := m.phase(Vault); {
	case side == Vault:
		m.shut(Vault)
		d.Deadline = m.at.Add(m.Rules.ReadWithin) // what cannot be read will hardly be proven
	case vault == Shutting || vault == Stuck || m.Locked:
		m.Held = true
		m.shut(Inner) // S6
	default: // it rests open; a window will ask for its proof
		d.Tries++
		d.Deadline = m.at.Add(m.Rules.ReadWithin)
	}
}

// overdue answers a door that was not read back as open in time, or stood open long
// enough.
func (m *machine) overdue(side Side) {
	if side == Vault {
		if m.phase(Vault) == Opening {
			m.end("the vault's door was not read back as open in time")
		} else {
			m.end("the window's time is up")
		}
		m.shut(Vault)
		return
	}
	if m.door(Inner).Tries == 0 {
		m.do(Raise{Inner, notice.InnerNotOpened.Of()})
	}
	m.backOff(Inner)
}

// backOff repeats a command, each time after twice the time.
func (m *machine) backOff(side Side) {
	d := m.door(side)
	wait := m.Rules.RepeatMax
	if d.Tries < 16 {
		wait = min(wait, m.Rules.Repeat<<d.Tries)
	}
	d.Tries++
	d.Deadline = m.at.Add(wait)
	m.repeat(side)
	d.Again = d.Deadline
}
