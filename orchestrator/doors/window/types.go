package window

import (
	"time"

	"airlock/notice"
)

// Phase is the state of one door.
type Phase uint8

// The phases. Only Shut is proven; all others count as open.
const (
	Unknown Phase = iota
	Shut
	Opening
	Open
	Shutting
	Stuck
)

var phases = [...]string{"unknown", "shut", "opening", "open", "shutting", "stuck"}

// String is the word of the status page and the ledger.
func (p Phase) String() string { return phases[p] }

// Side is one of the two doors.
type Side uint8

// The vault's own door, and the one on the departments' side (S6).
const (
	Vault Side = iota
	Inner
)

var sides = [...]string{"vault", "inner"}

// String names the side.
func (s Side) String() string { return sides[s] }

func (s Side) door() string {
	if s == Vault {
		return "the vault's door"
	}
	return "the inner door"
}

// Sight is what was seen of a door at one instant.
type Sight struct {
	Read    bool // the switch answered; otherwise nothing below means anything
	Up      bool // ifAdminStatus is anything but down
	Link    bool // ifOperStatus is up
	Answers bool // what stands behind the door answered the probe
	// MayStillOpenSince is when the last command to open ended that the switch may still carry
	// out; zero if none may. Within Lag of it, that the door reads as shut proves nothing.
	MayStillOpenSince time.Time
}

// Shut reports whether the sight proves a door shut (S3).
func (s Sight) Shut() bool { return s.Read && !s.Up && !s.Link && !s.Answers }

// Limits are one door's times.
type Limits struct {
	OpenWithin  time.Duration // from the command until it is read back as up
	ProveWithin time.Duration // from the command until it is proven shut; then it is stuck
}

// Rules are what does not change while a State lives.
type Rules struct {
	HasInner bool
	Doors    [2]Limits // by Side
	// ReadWithin bounds how long a door may stay Unknown before it is shut unseen, and
	// then again how long it may stay unread before it is stuck.
	ReadWithin time.Duration
	// Repeat is the least time between two equal commands to one door. In Stuck it
	// doubles at each try up to RepeatMax.
	Repeat, RepeatMax time.Duration
	// Lag is how late a switch may still carry out a command that it did not
	// confirm. After an opening that was never read back, a door that reads shut
	// within Lag of the command proves nothing yet.
	Lag time.Duration
}

// Door is one door's part of the State.
type Door struct {
	Phase    Phase
	Deadline time.Time // when the phase has lasted too long; zero where it may last
	Again    time.Time // when the command may be repeated
	Credible time.Time // from when on a sight can prove it shut
	Tries    int       // commands repeated in Stuck, or while the inner door would not open; looks in vain while Unknown
}

// State is one vault's doors and the window in course. The zero State, but for its
// Rules, is the right one to start from.
type State struct {
	Rules   Rules
	Doors   [2]Door // by Side
	Window  string  // the window in course; "" for none
	MaxOpen time.Duration
	Hard    time.Time // S4: no later than this, Shutting begins; zero while nothing was opened
	Opened  bool      // the window's opening has begun, so it opens no second time
	Working bool      // what the window is for is being done
	Cause   string    // why the window is ending before its work was done; "" if it is not
	Ending  bool      // the window is on its way to its end
	Held    bool      // the inner door was shut by this machine, which owes its opening
	Locked  bool      // nothing is opened, whoever asks, until it is released
}

// Event is something that happened, with the time at which it did.
type Event interface{ when() time.Time }

// Begin asks for a window that stands open for at most MaxOpen.
type Begin struct {
	At      time.Time
	Window  string
	MaxOpen time.Duration
}

// Seen reports a reading, or that none could be had.
type Seen struct {
	At   time.Time
	Side Side
	Sight
}

// Worked reports that what the window is for was done; Failed says what went wrong,
// "" if nothing did. A report of another window than the one in course changes nothing.
type Worked struct {
	At     time.Time
	Window string
	Failed string
}

// Cancel ends the window in course.
type Cancel struct {
	At  time.Time
	Why string
}

// ShutNow has a door shut and proven shut, whatever is believed of it, and ends the
// window in course.
type ShutNow struct {
	At   time.Time
	Side Side
	Why  string
}

// Unlogged reports that the ledger did not take the intent to open a door, and that
// nothing was sent (S1).
type Unlogged struct {
	At   time.Time
	Side Side
}

// Unsent reports that a command to open a door never left: the port could not be
// resolved (S7).
type Unsent struct {
	At   time.Time
	Side Side
	Why  string
}

// Owe tells at the start that the inner door was shut by an earlier run of this
// machine, so that its opening is still owed.
type Owe struct{ At time.Time }

// Lock ends the window in course, has both doors shut and proven shut anew, and refuses
// every opening until Release. What it shut of the inner door is owed its opening then.
type Lock struct {
	At  time.Time
	Why string
}

// Release ends a Lock.
type Release struct{ At time.Time }

// Lost reports that a door at rest could not be read for too long, so that nobody knows
// its state any more (S3).
type Lost struct {
	At   time.Time
	Side Side
}

// Tick reports that time passed.
type Tick struct{ At time.Time }

func (e Begin) when() time.Time    { return e.At }
func (e Seen) when() time.Time     { return e.At }
func (e Worked) when() time.Time   { return e.At }
func (e Cancel) when() time.Time   { return e.At }
func (e ShutNow) when() time.Time  { return e.At }
func (e Unlogged) when() time.Time { return e.At }
func (e Unsent) when() time.Time   { return e.At }
func (e Owe) when() time.Time      { return e.At }
func (e Lock) when() time.Time     { return e.At }
func (e Release) when() time.Time  { return e.At }
func (e Lost) when() time.Time     { return e.At }
func (e Tick) when() time.Time     { return e.At }

// Action is something that the executor shall do.
type Action interface{ action() }

// Moved says that a door went from one phase to another. It comes before the actions
// that the new phase asks for, and is what the ledger records.
type Moved struct {
	Side     Side
	From, To Phase
}

// Command tells a door to open or to shut. One to open is carried out only once every
// Moved before it is durable in the ledger (S1); one to shut waits for nothing (S2).
type Command struct {
	Side Side
	Open bool
}

// Work starts what the window is for.
type Work struct{ Window string }

// StopWork ends it; nothing waits until it has ended.
type StopWork struct{ Why string }

// Refuse says that a window will not be held.
type Refuse struct{ Window, Why string }

// Finish says that the window is over and every door where it belongs, or that a
// door is stuck. Cause is "" if the work was done.
type Finish struct{ Window, Cause string }

// Raise calls a person.
type Raise struct {
	Side   Side
	Notice notice.Notice
}

func (Moved) action()    {}
func (Command) action()  {}
func (Work) action()     {}
func (StopWork) action() {}
func (Refuse) action()   {}
func (Finish) action()   {}
func (Raise) action()    {}
