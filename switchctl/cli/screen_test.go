package cli

import (
	"regexp"
	"testing"
)

// TestScreen feeds what consoles send, whole and byte by byte: both must give the same
// text, save where a log line can only be known by more than its first byte.
func TestScreen(t *testing.T) {
	noise := []Pattern{{regexp.MustCompile(`\d\d:\d\d:\d\d \S+ \w+\[\d+\]: `)}}
	for name, c := range map[string]struct{ in, want string }{
		"plain":                      {"a\r\nb#", "a\nb#"},
		"escape sequences":           {"\x1b[2K\x1b[24;1Hsw\x1b(B# \x1b]0;title\x07x", "sw# x"},
		"a log line":                 {"a\r\n00:55:19 sw NSM[742]: port up\r\nb#", "a\nb#"},
		"a log line after a prompt":  {"sw(config)#00:55:19 sw NSM[742]: port up\r\nshow", "sw(config)#show"},
		"a log line within an echo":  {"shut00:55:19 sw NSM[742]: port up\r\ndown\r\n", "shutdown\n"},
		"two log lines":              {"x00:55:19 a b[1]: c\r\n00:55:19 a b[1]: d\r\ny\r\n", "xy\n"},
		"a time that is no log line": {"up since 00:55:19\r\n#", "up since 00:55:19\n#"},
	} {
		s := screen{noise: noise}
		if got := string(s.feed([]byte(c.in))); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// TestPagerIsWipedOut in the ways that consoles do it; the spaces of a line that follows
// stay.
func TestPagerIsWipedOut(t *testing.T) {
	more := Dialog{When: Pattern{regexp.MustCompile(`-- ?More ?--$`)}, Answer: " "}
	for _, wipe := range []string{"", "\r        \r", "\b\b\b\b    \b\b\b\b", "\x1b[8D        \x1b[8D", "\r\x1b[K", "\r"} {
		for _, chunks := range [][]string{{wipe + "  b\r\n"}, {wipe, "  b\r\n"}} {
			s := screen{}
			text := string(s.answered(more, s.feed([]byte("a\r\n-- More --"))))
			for _, c := range chunks {
				text += string(s.feed([]byte(c)))
			}
			if text != "a\n  b\n" {
				t.Errorf("wiped by %q: %q", wipe, text)
			}
		}
	}
}

// TestPagerInPieces: what of a pager's line was given on before it could be known has a
// line of its own, and the next line is whole.
func TestPagerInPieces(t *testing.T) {
	more := Dialog{When: Pattern{regexp.MustCompile(`-- More --$`)}, Answer: " "}
	for _, c := range []struct {
		chunks []string
		want   string
	}{
		{[]string{"a\r\n  -- More --"}, "a\n  \nb\n"},
		{[]string{"a\r\n -- Mo", "re --"}, "a\n -- Mo\nb\n"},
		{[]string{"a\r\n-- More -", "-"}, "a\n-- More -\nb\n"},
	} {
		s, text := screen{}, ""
		for i, chunk := range c.chunks {
			got := s.feed([]byte(chunk))
			if i == len(c.chunks)-1 {
				got = s.answered(more, got)
			}
			text += string(got)
		}
		text += string(s.feed([]byte("\r          \rb\r\n")))
		if text != c.want {
			t.Errorf("%q: %q, want %q", c.chunks, text, c.want)
		}
	}
}
