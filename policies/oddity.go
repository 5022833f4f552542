package policies

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Oddity says what in a secret nobody sees who reads it, and whoever types it from paper
// will not type; "" if there is nothing. It tells nothing else of the secret (S13).
func Oddity(secret string) string {
	line := strings.TrimRight(secret, "\r\n")
	switch spoilt := Spoilt(line); {
	case spoilt != "":
		return spoilt
	case line == "":
		return "it is nothing but ends of lines"
	case line != secret:
		return "at its end stands one more end of a line; leave one, or none"
	case !utf8.ValidString(secret):
		return fmt.Sprintf("it is not UTF-8, after %d bytes; is it Shift_JIS? Save it as UTF-8", len(secret)-len(validTail(secret)))
	}
	runes := []rune(secret)
	for i, r := range runes {
		at := whereabouts(i, len(runes))
		switch {
		case unicode.IsSpace(r) && (i == 0 || i == len(runes)-1):
			return at + " stands " + space(r)
		case unicode.IsSpace(r) && r != ' ':
			return at + " stands " + space(r) + ", which looks like a plain one"
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), unicode.Is(unicode.Co, r):
			return fmt.Sprintf("%s stands an invisible character (U+%04X)", at, r)
		case '\u0300' <= r && r <= '\u036f', r == '\u3099', r == '\u309a':
			return fmt.Sprintf("%s stands a mark that joins the letter before it (U+%04X), as a Mac writes が in two characters; write it in one", at, r)
		}
	}
	return ""
}

// Spoilt says what an editor made of a secret that no server has; "" if nothing. Ends of
// lines at the secret's own end are for whoever reads it to take off.
func Spoilt(secret string) string {
	b := []byte(secret)
	switch {
	case bytes.HasPrefix(b, []byte("\xff\xfe")), bytes.HasPrefix(b, []byte("\xfe\xff")), isUTF16(b):
		return "it is UTF-16, as PowerShell's > writes; save it as UTF-8 without a mark"
	case bytes.HasPrefix(b, []byte("\xef\xbb\xbf")):
		return "at its beginning stands a byte order mark (U+FEFF), as Notepad writes one; save it as UTF-8 without a mark"
	case bytes.IndexByte(b, 0) >= 0:
		return fmt.Sprintf("a NUL stands in it, after %d bytes", bytes.IndexByte(b, 0))
	case strings.ContainsAny(secret, "\r\n\u2028\u2029"):
		return "it has several lines; leave the one that is the secret"
	}
	return ""
}

// validTail is what follows the longest beginning that is UTF-8.
func validTail(s string) string {
	for s != "" {
		r, n := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && n <= 1 {
			break
		}
		s = s[n:]
	}
	return s
}

// isUTF16 tells UTF-16 without a mark: every other byte is nought.
func isUTF16(b []byte) bool {
	if len(b) < 4 || len(b)%2 != 0 {
		return false
	}
	noughts := [2]int{}
	for i, c := range b {
		if c == 0 {
			noughts[i%2]++
		}
	}
	return noughts[0] == len(b)/2 || noughts[1] == len(b)/2
}

func whereabouts(i, n int) string {
	switch i {
	case 0:
		return "at its beginning"
	case n - 1:
		return "at its end"
	}
	return fmt.Sprintf("after %d characters", i)
}

func space(r rune) string {
	switch r {
	case ' ':
		return "a space"
	case '\t':
		return "a tab"
	case '\u3000':
		return "a full-width space (U+3000)"
	case '\u00a0':
		return "a no-break space (U+00A0)"
	}
	return fmt.Sprintf("a kind of space (U+%04X)", r)
}
