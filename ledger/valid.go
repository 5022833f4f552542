package ledger

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"airlock/ledger/proof"
)

// check says what makes e unfit for the ledger. It names the field and never its
// value, which may be a secret that went astray (S13).
func check(e Entry) error {
	if !e.Kind.Known() {
		return errors.New("the entry's kind is none of those in package ledger")
	}
	return e.Check()
}

// storable reports whether t is set and survives the way through a 64-bit count of
// nanoseconds since 1970.
func storable(t time.Time) bool {
	return !t.IsZero() && time.Unix(0, t.UnixNano()).Equal(t)
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
	for _, t := range e.Texts() {
		*t.Value = clean(*t.Value, t.Max)
	}
	if err := proof.CheckDetail(e.Detail); err != nil {
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
	b, _ := json.Marshal(map[string]string{"text": clean(s, proof.MaxReason)})
	return b
}

// clean replaces what no entry may have, and cuts s to at most max bytes.
func clean(s string, max int) string {
	s = strings.Map(func(r rune) rune {
		if proof.Breaking(r) {
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
