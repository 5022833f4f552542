package proof

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode"
	"unicode/utf8"
)

// Kind says what an entry is about.
type Kind string

// The kinds of entries.
const (
	KindStart   Kind = "start"   // an executor took the site's lock
	KindStop    Kind = "stop"    // and gave it back
	KindDoor    Kind = "door"    // a door went From one state To another
	KindWindow  Kind = "window"  // a window began (To what it is for) or ended (To its result)
	KindGather  Kind = "gather"  // a system was gathered
	KindRestore Kind = "restore" // files were restored
	KindVerify  Kind = "verify"  // a repository or a vault was read back
	KindHeal    Kind = "heal"    // blobs of the repository were fetched back from a vault
	KindUpkeep  Kind = "upkeep"  // retention and maintenance of the repository
	KindAlarm   Kind = "alarm"   // something that a person must look at
	KindPatrol  Kind = "patrol"  // what was seen of a door that must be shut, between windows
	KindPort    Kind = "port"    // a door's port has another ifIndex than when it was used last
	KindInit    Kind = "init"    // keys or a repository were made
	KindTimer   Kind = "timer"   // a switch's own timer was armed, or taken back
	KindSession Kind = "session" // a login to a switch, in which something was changed, was recorded
	KindLock    Kind = "lock"    // a lockdown began; every door is shut and none is opened
	KindRelease Kind = "release" // a lockdown ended, or somebody tried in vain to end it
	KindClock   Kind = "clock"   // the wall clock was stepped
	KindLedger  Kind = "ledger"  // this ledger stands in the place of a damaged one, or a head of it was stamped (To "stamped")
	KindReceipt Kind = "receipt" // a vault's host vouched for a generation (To "whole"), or said what it lacks (To "lacking")
	KindRefusal Kind = "refusal" // a vault's host refused what a client asked
	KindArchive Kind = "archive" // older entries were moved into sealed files; the detail lists all of those
	KindPolicy  Kind = "policy"  // an executor runs by another policy file than the one before; the detail lists what differs
)

// Kinds lists the kinds of entries.
func Kinds() []Kind {
	return []Kind{
		KindStart, KindStop, KindDoor, KindWindow, KindGather, KindRestore, KindVerify, KindHeal, KindUpkeep, KindAlarm, KindPatrol, KindPort,
		KindInit, KindTimer, KindSession, KindLock, KindRelease, KindClock, KindLedger,
		KindReceipt, KindRefusal, KindArchive, KindPolicy,
	}
}

// Known reports whether k is one of the kinds above.
func (k Kind) Known() bool { return slices.Contains(Kinds(), k) }

// ClockState says what the kernel held of the wall clock.
type ClockState string

// The states of a clock.
const (
	ClockUnknown ClockState = "unknown"      // the kernel was not asked, or did not say
	ClockSynced  ClockState = "synchronised" // to a time source, as adjtimex tells
	ClockFree    ClockState = "free"         // it runs by itself
)

// Version is the newest form of an entry. Version 1 has no Run, Mono, Clock and
// ClockError.
const Version = 2

// Entry is one line of the ledger. Version, Seq, Recorded, Run, Mono, Clock and
// ClockError are given by the ledger; the rest is the caller's. Time, Kind and Actor
// are required; an entry of kind door also needs Door, From and To. Texts are UTF-8
// without control characters, Reason up to 4 KiB, the others up to 256 bytes; Detail
// is a JSON object of up to 256 KiB, kept without insignificant space. No field may
// hold a secret (S13).
//
// encoding/json writes an entry, without its escaping of HTML, in its canonical form.
type Entry struct {
	Version    int             `json:"v"`
	Seq        int64           `json:"seq"`            // 1, 2, 3 … without a gap
	Time       time.Time       `json:"time"`           // when it happened, by the wall clock
	Recorded   time.Time       `json:"recorded"`       // when it was written
	Late       bool            `json:"late,omitempty"` // it could not be written when it happened (S2)
	Kind       Kind            `json:"kind"`
	Actor      string          `json:"actor"`  // "schedule", "start-up", "user root", …
	Reason     string          `json:"reason"` // in words; required of a person
	Door       string          `json:"door,omitempty"`
	Window     string          `json:"window,omitempty"`
	System     string          `json:"system,omitempty"`
	Vault      string          `json:"vault,omitempty"`
	From       string          `json:"from,omitempty"`
	To         string          `json:"to,omitempty"`
	Run        string          `json:"run,omitempty"`         // the process: a name drawn when it opened the ledger
	Mono       time.Duration   `json:"mono,omitempty"`        // since then, by a clock that nobody sets, when it was handed in
	Clock      ClockState      `json:"clock,omitempty"`       // of the wall clock, when it was handed in
	ClockError time.Duration   `json:"clock_error,omitempty"` // at most, as the kernel estimates; 0: not known
	Detail     json.RawMessage `json:"detail,omitempty"`      // evidence: readings, counters, figures; a JSON object
}

// Bounds of an entry, in bytes.
const (
	MaxName   = 256
	MaxReason = 4 << 10
	MaxDetail = 256 << 10
)

// Text is one field of an entry that is free text.
type Text struct {
	Field string
	Value *string
	Max   int // bytes
}

// Texts are the fields of e that are free text.
func (e *Entry) Texts() [8]Text {
	return [...]Text{
		{"actor", &e.Actor, MaxName},
		{"reason", &e.Reason, MaxReason},
		{"door", &e.Door, MaxName},
		{"window", &e.Window, MaxName},
		{"system", &e.System, MaxName},
		{"vault", &e.Vault, MaxName},
		{"from", &e.From, MaxName},
		{"to", &e.To, MaxName},
	}
}

// Check says what makes e unfit for a ledger, of all that its caller gives. It names
// the field and never its value, which may be a secret that went astray (S13).
func (e *Entry) Check() error {
	if !word(string(e.Kind)) {
		return errors.New("the entry's kind is none")
	}
	if !storable(e.Time) {
		return errors.New("the entry's time is not set, or beyond the years 1678 to 2262")
	}
	for _, t := range e.Texts() {
		if len(*t.Value) > t.Max {
			return fmt.Errorf("the entry's %s has %d bytes; at most %d are taken", t.Field, len(*t.Value), t.Max)
		}
		if at := unprintable(*t.Value); at >= 0 {
			return fmt.Errorf("the entry's %s has a control character, or is not UTF-8, at byte %d", t.Field, at)
		}
	}
	if e.Actor == "" {
		return errors.New("the entry names no actor")
	}
	if e.Kind == KindDoor && (e.Door == "" || !doorState(e.From) || !doorState(e.To)) {
		return errors.New("an entry of kind door names the door and two states, from and to, of unknown, shut, opening, open, shutting and stuck")
	}
	return CheckDetail(e.Detail)
}

// CheckDetail says what makes detail unfit for an entry.
func CheckDetail(detail json.RawMessage) error {
	switch {
	case len(detail) == 0:
		return nil
	case len(detail) > MaxDetail:
		return fmt.Errorf("the entry's detail has %d bytes; at most %d are taken", len(detail), MaxDetail)
	case !utf8.Valid(detail) || !json.Valid(detail) || bytes.TrimLeft(detail, " \t\r\n")[0] != '{':
		return errors.New("the entry's detail is not a JSON object in UTF-8")
	}
	return nil
}

// checkGiven says what is wrong with what the ledger itself gives.
func (e *Entry) checkGiven() error {
	switch {
	case e.Version < 1 || e.Version > Version:
		return fmt.Errorf("the entry has form %d, and this program knows forms 1 to %d", e.Version, Version)
	case e.Seq < 1:
		return fmt.Errorf("the entry has the number %d", e.Seq)
	case !storable(e.Recorded):
		return errors.New("the entry's time of recording is not set, or beyond the years 1678 to 2262")
	case e.Version == 1 && (e.Run != "" || e.Mono != 0 || e.Clock != "" || e.ClockError != 0):
		return errors.New("the entry has fields that its form does not have")
	case e.Version > 1 && !word(string(e.Clock)):
		return errors.New("the entry does not say how its clock was")
	case len(e.Run) > MaxName || unprintable(e.Run) >= 0:
		return errors.New("the entry's run is no name")
	case e.Mono < 0 || e.ClockError < 0:
		return errors.New("the entry has a time less than zero")
	}
	return nil
}

// word reports whether s is one to 32 small letters: a kind, or a state of a clock.
func word(s string) bool {
	for i := range len(s) {
		if s[i] < 'a' || s[i] > 'z' {
			return false
		}
	}
	return 0 < len(s) && len(s) <= 32
}

// doorState reports whether s is one of the states of a door, as the ledger spells them.
func doorState(s string) bool {
	switch s {
	case "unknown", "shut", "opening", "open", "shutting", "stuck":
		return true
	}
	return false
}

// storable reports whether t is set and survives the way through a 64-bit count of
// nanoseconds since 1970.
func storable(t time.Time) bool {
	return !t.IsZero() && time.Unix(0, t.UnixNano()).Equal(t)
}

// unprintable returns the place of the first byte of s that could break a line, a
// terminal or a reader's trust in what stands before it, or -1.
func unprintable(s string) int {
	for at := 0; at < len(s); {
		if c := s[at]; ' ' <= c && c <= '~' {
			at++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[at:])
		if r == utf8.RuneError && size == 1 || Breaking(r) {
			return at
		}
		at += size
	}
	return -1
}

// Breaking reports control characters, line and paragraph separators, and the
// characters that turn the direction of what follows them. No text of an entry has one.
func Breaking(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || unicode.Is(unicode.Bidi_Control, r)
}
