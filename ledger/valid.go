package ledger

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Bounds of an entry, in bytes.
const (
	maxName   = 256
	maxReason = 4 << 10
	maxDetail = 256 << 10
)

// text is one field of an entry that is free text.
type text struct {
	field string
	value *string
	max   int
}

func (e *Entry) texts() []text {
	return []text{
		{"actor", &e.Actor, maxName},
		{"reason", &e.Reason, maxReason},
		{"door", &e.Door, maxName},
		{"window", &e.Window, maxName},
		{"system", &e.System, maxName},
		{"vault", &e.Vault, maxName},
		{"from", &e.From, maxName},
		{"to", &e.To, maxName},
	}
}

// check says what makes e unfit for the ledger. It names the field and never its
// value, which may be a secret that went astray (S13).
func check(e Entry) error {
	if !e.Kind.known() {
		return errors.New("the entry's kind is none of those in package ledger")
	}
	if !storable(e.Time) {
		return errors.New("the entry's time is not set, or beyond the years 1678 to 2262")
	}
	for _, t := range e.texts() {
		if len(*t.value) > t.max {
			return fmt.Errorf("the entry's %s has %d bytes; at most %d are taken", t.field, len(*t.value), t.max)
		}
		if at := unprintable(*t.value); at >= 0 {
			return fmt.Errorf("the entry's %s has a control character, or is not UTF-8, at byte %d", t.field, at)
		}
	}
	if e.Actor == "" {
		return errors.New("the entry names no actor")
	}
	if e.Kind == KindDoor && (e.Door == "" || !state(e.From) || !state(e.To)) {
		return errors.New("an entry of kind door names the door and two states, from and to, of unknown, shut, opening, open, shutting and stuck")
	}
	return checkDetail(e.Detail)
}

func checkDetail(detail json.RawMessage) error {
	switch {
	case len(detail) == 0:
		return nil
	case len(detail) > maxDetail:
		return fmt.Errorf("the entry's detail has %d bytes; at most %d are taken", len(detail), maxDetail)
	case !utf8.Valid(detail) || !json.Valid(detail) || bytes.TrimLeft(detail, " \t\r\n")[0] != '{':
		return errors.New("the entry's detail is not a JSON object in UTF-8")
	}
	return nil
}

// Kinds lists the kinds of entries.
func Kinds() []Kind {
	return []Kind{
		KindStart, KindStop, KindDoor, KindWindow, KindGather, KindRestore, KindVerify, KindUpkeep, KindAlarm, KindPatrol, KindPort, KindInit,
		KindTimer, KindSession, KindLock, KindRelease,
	}
}

func (k Kind) known() bool { return slices.Contains(Kinds(), k) }

// state reports whether s is one of the states of a door, as the ledger spells them.
func state(s string) bool {
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
	for at, r := range s {
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(s[at:]); size == 1 {
				return at
			}
		}
		if breaking(r) {
			return at
		}
	}
	return -1
}

// breaking reports control characters, line and paragraph separators, and the
// characters that turn the direction of what follows them.
func breaking(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || unicode.Is(unicode.Bidi_Control, r)
}

// canonical gives e the form in which the ledger returns it: times in UTC without a
// monotonic reading, the detail compact and no longer shared with the caller.
// It wants an entry that check lets pass.
func canonical(e Entry) Entry {
	e.Time = e.Time.UTC().Round(0)
	var compact bytes.Buffer
	if json.Compact(&compact, e.Detail) == nil { // fails only on what is not JSON: no detail at all
		e.Detail = compact.Bytes()
	}
	if len(e.Detail) == 0 {
		e.Detail = nil
	}
	return e
}

// mend makes of any e an entry that check lets pass, changing no more than it must:
// what has happened is recorded, however badly it was put (S2).
func mend(e Entry, now time.Time) Entry {
	fault := check(e)
	if fault == nil {
		return e
	}
	if !storable(e.Time) {
		e.Time = now
	}
	for _, t := range e.texts() {
		*t.value = clean(*t.value, t.max)
	}
	if err := checkDetail(e.Detail); err != nil {
		e.Detail = quoted(string(e.Detail))
	}
	if check(e) == nil {
		return e
	}
	// What is wrong now is the caller's mistake. Its words stay, under another kind.
	e.Detail = quoted(fmt.Sprintf("kind %s, actor %s, reason %s, from %s, to %s, detail %s",
		e.Kind, e.Actor, e.Reason, e.From, e.To, e.Detail))
	e.Kind, e.Actor, e.Reason = KindAlarm, "ledger", "an entry was noted that the ledger cannot take as it is: "+fault.Error()
	return e
}

// quoted wraps text that fits nowhere else into a JSON object.
func quoted(s string) json.RawMessage {
	// Marshalling a string cannot fail.
	b, _ := json.Marshal(map[string]string{"text": clean(s, maxReason)})
	return b
}

// clean replaces what unprintable finds, and cuts s to at most max bytes.
func clean(s string, max int) string {
	s = strings.Map(func(r rune) rune {
		if breaking(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	if len(s) <= max {
		return s
	}
	const mark = "…"
	cut := max - len(mark)
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + mark
}
