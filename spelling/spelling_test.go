package spelling

import "testing"

func TestNearest(t *testing.T) {
	known := []string{"schedule", "source", "keep", "rpo", "rto"}
	for w, want := range map[string]string{
		"shedule": "schedule", "SCHEDULE": "schedule", "sourc": "source", "keeps": "keep", "kept": "", "rpoo": "rpo",
		"bandwidth": "", "x": "", "": "",
	} {
		if got := Nearest(w, known); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", w, got, want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b  string
		limit int
		want  int
	}{
		{"", "", 3, 0}, {"port1", "port1", 3, 0}, {"port1", "port2", 3, 1}, {"port1", "prt1", 3, 1}, {"abc", "cab", 9, 2},
		{"kitten", "sitting", 9, 3}, {"a", "abcdef", 3, 3},
	} {
		if got := Distance(c.a, c.b, c.limit); got != c.want {
			t.Errorf("Distance(%q, %q, %d) = %d, want %d", c.a, c.b, c.limit, got, c.want)
		}
	}
}
