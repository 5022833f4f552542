package switchctl

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"airlock/spelling"
)

// candidates is how many rows an error names: enough to choose from, few enough to read.
const candidates = 5

// Match picks the one row that l means, or refuses (S7). It is the only way from a
// Lookup to a row: each driver reads its rows whole and asks here.
//
// Every key given must match one and the same row, exactly, after Normalise. None is
// ErrNoMatch, several are ErrAmbiguous even where all but one could never be a door,
// and a row that is not a physical Ethernet port is ErrNotPhysical. A column that the
// switch does not give matches nothing; it is never replaced by another one.
func (l Lookup) Match(rows []Row) (Row, error) {
	l = l.normal()
	switch {
	case l == Lookup{}:
		return Row{}, fmt.Errorf("look up a port: %w: no key given; give its name, alias, description or index", ErrNoMatch)
	case l.Index < 0:
		return Row{}, fmt.Errorf("look up port %s: %w: an ifIndex is 1 or more", l, ErrNoMatch)
	}
	matching := matching(rows, l.keys())
	switch len(matching) {
	case 0:
		return Row{}, fmt.Errorf("look up port %s: %w: %s", l, ErrNoMatch, l.whyNone(rows))
	case 1:
		if why := notPhysical(matching[0], rows); why != "" {
			return Row{}, fmt.Errorf("look up port %s: %w: %s %s; name the physical port itself", l, ErrNotPhysical, matching[0].brief(), why)
		}
		return matching[0], nil
	}
	return Row{}, fmt.Errorf("look up port %s: %w: it is %s; give another key too that only one of them has",
		l, ErrAmbiguous, list(matching))
}

// Moved compares the row that l once found with the row that stands at its index now,
// and returns nil or an error that wraps ErrMoved. What was asked for must still hold,
// and ifName and ifType must be as found; where the switch gives no ifName, ifDescr
// stands in for it. A text that was not asked for may be edited meanwhile: that must
// not keep a door from being shut.
func (l Lookup) Moved(found, now Row) error {
	l = l.normal()
	was, is := found.brief(), now.brief()
	for _, k := range l.keys() {
		if !k.matches(now) {
			return fmt.Errorf("port %s: %w: found at %s, where there is now %s; look it up again", l, ErrMoved, was, is)
		}
	}
	same := found.Index == now.Index && found.Name == now.Name && found.Type == now.Type &&
		(found.Name != "" || found.Description == now.Description)
	if !same {
		return fmt.Errorf("port %s: %w: found at %s, where there is now %s; look it up again", l, ErrMoved, was, is)
	}
	return nil
}

// String is the lookup as a person would say it: name "p3", index 7.
func (l Lookup) String() string {
	var parts []string
	for _, k := range l.keys() {
		parts = append(parts, k.String())
	}
	return strings.Join(parts, ", ")
}

func (l Lookup) normal() Lookup {
	return Lookup{
		Name:        Normalise([]byte(l.Name)),
		Alias:       Normalise([]byte(l.Alias)),
		Description: Normalise([]byte(l.Description)),
		Index:       l.Index,
	}
}

// key is one thing asked of a row.
type key struct {
	word   string // as in the policy file
	column string // as in the MIB
	want   string
	of     func(Row) string
}

func (k key) matches(r Row) bool { return k.of(r) == k.want }

func (k key) String() string {
	if k.word == "index" {
		return k.word + " " + k.want
	}
	return fmt.Sprintf("%s %q", k.word, k.want)
}

func (l Lookup) keys() []key {
	var keys []key
	for _, k := range []key{
		{"name", "ifName", l.Name, func(r Row) string { return r.Name }},
		{"alias", "ifAlias", l.Alias, func(r Row) string { return r.Alias }},
		{"description", "ifDescr", l.Description, func(r Row) string { return r.Description }},
	} {
		if k.want != "" {
			keys = append(keys, k)
		}
	}
	if l.Index != 0 {
		keys = append(keys, key{"index", "ifIndex", fmt.Sprint(l.Index), func(r Row) string { return fmt.Sprint(r.Index) }})
	}
	return keys
}

func matching(rows []Row, keys []key) []Row {
	var found []Row
	for _, r := range rows {
		if !slices.ContainsFunc(keys, func(k key) bool { return !k.matches(r) }) {
			found = append(found, r)
		}
	}
	return found
}

// whyNone says which key failed and what may have been meant.
func (l Lookup) whyNone(rows []Row) string {
	if len(rows) == 0 {
		return "the switch lists no interfaces; give the account read access to ifTable and ifXTable"
	}
	var whys []string
	for _, k := range l.keys() {
		if hits := matching(rows, []key{k}); len(hits) > 0 {
			whys = append(whys, fmt.Sprintf("%s is %s", k, list(hits)))
			continue
		}
		whys = append(whys, k.whyNone(rows))
	}
	return strings.Join(whys, "; ")
}

func (k key) whyNone(rows []Row) string {
	if !slices.ContainsFunc(rows, func(r Row) bool { return k.of(r) != "" }) {
		return fmt.Sprintf("this switch gives no %s: look the port up by another key (airlock ports lists them)", k.column)
	}
	if k.word == "index" {
		return "no interface has " + k.String() + " (an index may change when the switch restarts; a name is safer)"
	}
	for _, other := range (Lookup{Name: k.want, Alias: k.want, Description: k.want}).keys() {
		if hits := matching(rows, []key{other}); len(hits) > 0 {
			return fmt.Sprintf("no interface has %s, but %s is %s: if that is meant, ask by %s", k, other, list(hits), other.word)
		}
	}
	if near := k.near(rows); len(near) > 0 {
		return fmt.Sprintf("no interface has %s; near it are %s", k, list(near))
	}
	return fmt.Sprintf("no interface has %s (airlock ports lists them)", k)
}

// near orders the rows that could have been meant by their distance from what was asked.
func (k key) near(rows []Row) []Row {
	want := strings.ToLower(k.want)
	far := min(3, 1+len(want)/2)
	distance := func(r Row) int {
		has := strings.ToLower(k.of(r))
		switch {
		case has == "":
			return far
		case has == want:
			return 0
		case len(has) > 1 && strings.HasSuffix(want, has) || strings.HasSuffix(has, want):
			return 1
		}
		return min(far, spelling.Distance(want, has, far))
	}
	var nearby []Row
	for _, r := range rows {
		if distance(r) < far {
			nearby = append(nearby, r)
		}
	}
	slices.SortStableFunc(nearby, func(a, b Row) int { return cmp.Compare(distance(a), distance(b)) })
	return nearby
}

func list(rows []Row) string {
	var texts []string
	for _, r := range rows[:min(len(rows), candidates)] {
		texts = append(texts, r.brief())
	}
	if more := len(rows) - candidates; more > 0 {
		texts = append(texts, fmt.Sprintf("%d more", more))
	}
	return strings.Join(texts, ", ")
}

// brief names a row in an error. Texts come from the switch: quoted, they cannot
// steer a terminal.
func (r Row) brief() string {
	text := fmt.Sprintf("index %d", r.Index)
	for _, t := range []struct{ word, text string }{{"name", r.Name}, {"alias", r.Alias}, {"description", r.Description}} {
		if t.text != "" {
			text += fmt.Sprintf(" %s %q", t.word, t.text)
		}
	}
	return "(" + text + ")"
}

// Normalise makes of what an agent gives for a text what a person would type: without
// surrounding spaces, NULs, line ends and quotes, and with hex-encoded text decoded
// ("47 69 31", "47:69:31" or "0x476931", as agents and recordings give it). Case and
// everything inside stay as they are. It is idempotent.
func Normalise(b []byte) string {
	text := string(b)
	for {
		next := decodeHex(unquote(strings.TrimFunc(text, func(r rune) bool { return r == 0 || unicode.IsSpace(r) })))
		if next == text {
			return text
		}
		text = next
	}
}

func unquote(s string) string {
	if len(s) >= 2 && (s[0] == '"' || s[0] == '\'') && s[len(s)-1] == s[0] {
		return s[1 : len(s)-1]
	}
	return s
}

// decodeHex decodes s only where it is all pairs of hex digits, three at the least,
// and spells printable text: "10 20 30" is a name somebody gave.
func decodeHex(s string) string {
	digits, prefixed := strings.CutPrefix(s, "0x")
	if !prefixed {
		pairs := strings.FieldsFunc(s, func(r rune) bool { return r == ':' || unicode.IsSpace(r) })
		if slices.ContainsFunc(pairs, func(p string) bool { return len(p) != 2 }) || len(pairs) < 3 {
			return s
		}
		digits = strings.Join(pairs, "")
	}
	decoded, err := hex.DecodeString(digits)
	text := strings.Trim(string(decoded), "\x00\r\n\t ")
	if err != nil || len(text) < 3 || !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return s
	}
	return text
}
