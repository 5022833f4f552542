package report

import (
	"strings"
	"testing"
	"time"

	"airlock/ledger"
)

// What was read back, and what was repaired, is told by name; and a clock that was never set is
// not counted above a note that it was not synchronised.
func TestChecksAndClock(t *testing.T) {
	first := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	b := book{
		{Seq: 1, Time: first, Kind: ledger.KindVerify, To: "sound", Clock: "free"},
		{Seq: 2, Time: first, Kind: ledger.KindVerify, Vault: "secondary", To: "sound"},
		{Seq: 3, Time: first, Kind: ledger.KindHeal, Vault: "secondary", To: "done"},
	}
	for _, c := range []struct {
		japanese bool
		whats    []string
		clock    string
	}{
		{false, []string{"repository", "secondary", "repair · repository ← secondary"}, "<h2>Clock</h2>"},
		{true, []string{"一次保管先", "secondary", "修復 · 一次保管先 ← secondary"}, "<h2>時計</h2>"},
	} {
		r, err := Read(t.Context(), Config{Zone: time.UTC, From: first, To: first.AddDate(0, 0, 1), Made: first.AddDate(0, 0, 2), Japanese: c.japanese}, b, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range c.whats {
			if i >= len(r.Checks) || r.Checks[i].What != want {
				t.Errorf("checks %+v, want %q", r.Checks, want)
			}
		}
		var page strings.Builder
		if err := r.WriteHTML(&page); err != nil || !strings.Contains(page.String(), c.clock) {
			t.Errorf("the page lacks %q, %v", c.clock, err)
		}
	}
}
