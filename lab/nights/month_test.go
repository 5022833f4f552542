//go:build linux

package nights

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"airlock/lab"
	"airlock/lab/departments"
)

// A month of good nights, each with new files, some changed and some gone, calls nobody: no
// alarm, no warning, and Nagios is OK every time. CI has a week; AIRLOCK_EXHAUSTIVE=1 the month.
func TestMonthOfGoodNights(t *testing.T) {
	nights := 7
	if os.Getenv("AIRLOCK_EXHAUSTIVE") != "" {
		nights = 30
	}
	h := up(t, lab.Options{})
	h.background("guarding", "guard")
	h.background("serving", "serve")
	for night := range nights {
		h.day(night)
		h.do(0, "gather")
		h.do(0, "window", "secondary", "--reason", "the night's")
		if said := h.do(0, "status", "--nagios"); !strings.HasPrefix(said, "AIRLOCK OK - ") {
			t.Errorf("night %d: %s", night+1, said)
		}
	}
	if alarms := h.ledger("--kind", "alarm"); len(alarms) > 0 {
		t.Errorf("%d alarms, the first: %s", len(alarms), alarms[0].Detail)
	}
	if said := h.do(0, "status"); strings.Contains(said, "warning:") || strings.Contains(said, "ALARM") {
		t.Errorf("the status warns:\n%s", said)
	}
	h.says(h.do(0, "audit", "verify"), "sound")
	page := filepath.Join(t.TempDir(), "report.html")
	h.do(0, "audit", "report", "--output", page)
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	h.says(string(text), "Every opening in this time is accounted for")
	h.agree()
}

// day is a day's work in the departments.
func (h *hospital) day(night int) {
	h.t.Helper()
	for _, d := range departments.All() {
		fill := d.FirstNight
		if night%2 == 1 {
			fill = d.SecondNight
		}
		if err := fill(h.SystemDir(d.Name)); err != nil {
			h.t.Fatal(err)
		}
	}
	h.bulk("imaging", "検査"+strings.Repeat("一", night+1)+".dcm", 1<<20+night)
	if err := os.WriteFile(filepath.Join(h.SystemDir("accounting"), "DONE"), nil, 0o644); err != nil {
		h.t.Fatal(err)
	}
}
