package repository

import (
	"strings"
	"unicode/utf8"
)

// Older systems keep names in Shift_JIS or EUC-JP. kopia stores names as JSON text,
// which would turn each such byte into U+FFFD: the name could not be restored, and two
// names could become one. So a byte that is not part of valid UTF-8 is stored as a
// character of Unicode's private use area, U+F700 + the byte, and a character of that
// range in a name as its three bytes, each stored so. The stock program restores such
// a file under the stored name, Restore under the true one.
const (
	escapeBase  = 0xF700
	escapeFirst = escapeBase + 0x80
	escapeLast  = escapeBase + 0xFF
)

// escapeName gives the text under which a name is stored. unescapeName undoes it.
func escapeName(name string) string {
	var b strings.Builder
	for i := 0; i < len(name); {
		r, n := utf8.DecodeRuneInString(name[i:])
		if r == utf8.RuneError && n == 1 || escapeFirst <= r && r <= escapeLast {
			for _, c := range []byte(name[i : i+n]) {
				b.WriteRune(escapeBase + rune(c))
			}
		} else {
			b.WriteString(name[i : i+n])
		}
		i += n
	}
	return b.String()
}

// unescapeName works on a name and on a slash-separated path alike.
func unescapeName(stored string) string {
	var b strings.Builder
	for _, r := range stored {
		if escapeFirst <= r && r <= escapeLast {
			b.WriteByte(byte(r - escapeBase))
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// storable tells whether a name is one element of a path.
func storable(name string) bool {
	return name != "" && name != "." && name != ".." && !strings.ContainsAny(name, "/\x00")
}
