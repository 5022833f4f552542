package policies

import (
	"strings"
	"testing"
)

// Whoever types a passphrase from paper types what he sees.
func TestOddity(t *testing.T) {
	for name, test := range map[string]struct {
		secret, says string
		spoilt       bool // for every other secret too
	}{
		"plain":             {"correct horse 7", "", false},
		"Japanese":          {"正しい馬の電池が三つ", "", false},
		"BOM":               {"\ufeffcorrect horse 7", "at its beginning stands a byte order mark", true},
		"a space before":    {" correct", "at its beginning stands a space", false},
		"a space behind":    {"correct ", "at its end stands a space", false},
		"a tab behind":      {"correct\t", "at its end stands a tab", false},
		"full-width behind": {"correct\u3000", "full-width space (U+3000)", false},
		"full-width inside": {"correct\u3000horse", "after 7 characters stands a full-width space", false},
		"no-break inside":   {"correct\u00a0horse", "no-break space (U+00A0)", false},
		"no-break before":   {"\u00a0correct", "no-break space (U+00A0)", false},
		"two ends of lines": {"correct\n", "one more end of a line", false},
		"CR alone":          {"correct\r", "one more end of a line", false},
		"two lines":         {"correct\n# of the NAS", "several lines", true},
		"old Mac's lines":   {"correct\r# of the NAS", "several lines", true},
		"nothing":           {"\n\n", "nothing but", false},
		"NUL":               {"correct\x00", "a NUL stands in it, after 7 bytes", true},
		"UTF-16":            {"\xff\xfec\x00o\x00r\x00", "UTF-16", true},
		"UTF-16 big-endian": {"\xfe\xff\x00c\x00o", "UTF-16", true},
		"UTF-16 unmarked":   {"c\x00o\x00r\x00r\x00", "UTF-16", true},
		"Shift_JIS":         {"abc\x90\xb3\x82\xb5", "not UTF-8, after 3 bytes", false},
		"control":           {"cor\x07rect", "invisible character (U+0007)", false},
		"delete":            {"cor\x7frect", "invisible character (U+007F)", false},
		"zero width":        {"cor\u200brect", "invisible character (U+200B)", false},
		"soft hyphen":       {"cor\u00adrect", "invisible character (U+00AD)", false},
		"right to left":     {"cor\u202erect", "invisible character (U+202E)", false},
		"decomposed":        {"か\u3099", "in two characters", false},
		"private use":       {"a\ue000b", "invisible character", false},
	} {
		got := Oddity(test.secret)
		if (got == "") != (test.says == "") || !strings.Contains(got, test.says) {
			t.Errorf("%s: %q, want %q", name, got, test.says)
		}
		if spoilt := Spoilt(strings.TrimRight(test.secret, "\r\n")); (spoilt != "") != test.spoilt {
			t.Errorf("%s: spoilt %q, want %v", name, spoilt, test.spoilt)
		}
		if strings.Contains(got, "correct") || strings.Contains(got, "horse") {
			t.Errorf("S13: %s: %s", name, got)
		}
	}
}
