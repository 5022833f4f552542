package orchestrator

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"airlock/lease"
	"airlock/ledger"
	"airlock/notice"
)

// says are the alarms of a status, each as a line.
func says(st Status) (all []string) {
	for _, a := range st.Alarms {
		all = append(all, a.String())
	}
	return all
}

func (s *Site) mustStatus(t *testing.T) Status {
	t.Helper()
	if err := s.journal.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	st, err := s.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// S12 and S14 ask for a person: whom an alarm calls, a restart does not quiet, and an end of
// its cause does.
func TestAlarmsOutliveTheirExecutor(t *testing.T) {
	h := newHospital(t)
	source := filepath.Join(h.dir, "accounting")
	var id string
	h.within(func(s *Site) {
		if err := os.Rename(source, source+".away"); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, err := s.Gather(t.Context(), []string{"accounting"}, byTest, silent); err == nil {
				t.Fatal("a source that is not there was gathered")
			}
		}
		s.alarm(Alarm{At: time.Now(), Door: "vault-door", Notice: notice.OpenedMeanwhile.Of()})
		st := s.mustStatus(t)
		if len(st.Alarms) != 2 || st.Alarms[0].System != "accounting" || !st.Alarms[0].Since.Before(st.Alarms[0].At) || st.Alarms[0].ID == "" {
			t.Errorf("the status has %+v", st.Alarms)
		}
		id = st.Alarms[0].ID
		if st.Totals == nil || st.Totals.Alarms != 3 || st.Totals.Gathers[Tally{"accounting", "failed"}] != 2 {
			t.Errorf("counted: %+v", st.Totals)
		}
	})
	r, err := OpenLedger(t.Context(), h.policy.State)
	if err != nil {
		t.Fatal(err)
	}
	st, err := Observe(t.Context(), h.policy, h.parts, r)
	if err != nil || len(st.Alarms) != 2 {
		t.Errorf("with no executor: %v, %v", says(st), err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	h.within(func(s *Site) {
		if st := s.mustStatus(t); len(st.Alarms) != 2 || st.Alarms[0].ID != id {
			t.Errorf("after a restart: %+v", st.Alarms)
		}
		if err := os.Rename(source+".away", source); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Gather(t.Context(), []string{"accounting"}, byTest, silent); err != nil {
			t.Fatal(err)
		}
		st := s.mustStatus(t)
		if all := says(st); len(all) != 1 || !strings.HasPrefix(all[0], "door vault-door was opened by another hand") {
			t.Errorf("gathered again: %q", all)
		}
		if over := s.over(func(a Alarm) bool {
			_, ended := a.lasts(st)
			return ended
		}); len(over) != 2 {
			t.Errorf("over are %+v", over)
		}
	})
}

// What is over is written down, once.
func TestEndOfAnAlarmIsWrittenDown(t *testing.T) {
	h := newHospital(t)
	h.within(func(s *Site) {
		s.alarm(Alarm{At: time.Now(), Notice: notice.LockdownUnknown.Of()})
		s.endAlarmsNow(t.Context())
		s.endAlarmsNow(t.Context())
	})
	all := h.entries(ledger.Filter{Kind: ledger.KindAlarm})
	if len(all) != 2 || all[0].To != "" || all[1].To != alarmOver || all[1].Reason != all[0].Reason {
		t.Errorf("the ledger has %+v", all)
	}
	h.within(func(s *Site) {
		if st := s.mustStatus(t); len(st.Alarms) > 0 {
			t.Errorf("after a restart: %q", says(st))
		}
	})
}

func TestAlarmsThatAreOver(t *testing.T) {
	now := time.Now()
	before, after := now.Add(-time.Hour), now.Add(-time.Minute)
	st := Status{
		Time: now, Serving: true,
		Doors:   map[string]DoorStatus{"shut": {State: "shut", Rests: "shut"}, "stuck": {State: "stuck", Rests: "shut"}},
		Systems: map[string]SystemStatus{"done": {LastResult: "done", LastRun: &LastRun{End: after}}, "failed": {LastResult: "failed", LastRun: &LastRun{End: after}}},
		Vaults: map[string]VaultStatus{
			"done":   {LastWindow: &WindowRecord{Result: "done", ProvenAt: after}},
			"failed": {LastWindow: &WindowRecord{Result: "failed", ProvenAt: after}},
		},
		Guard: &GuardStatus{Missing: "no guard was heard of", Alarms: []lease.Alarm{{At: before, Door: "shut", Notice: notice.LeaselessOpen.Of()}}},
	}
	all := []Alarm{
		{Door: "shut", Notice: notice.NotProvenShut.Of()}, {Door: "stuck", Notice: notice.NotProvenShut.Of()},
		{System: "done", Notice: notice.NotGathered.Of()}, {System: "failed", Notice: notice.NotGathered.Of()},
		{Vault: "done", Notice: notice.WindowFailed.Of()}, {Vault: "failed", Notice: notice.WindowFailed.Of()},
		{Notice: notice.NoGuard.Of()}, {Notice: notice.LedgerNotTrusted.Of()},
	}
	for i := range all {
		all[i].At = before
	}
	all = append(all, Alarm{At: now.Add(-8 * 24 * time.Hour), Door: "shut", Notice: notice.FoundOpen.Of()}, // of another week
		Alarm{At: now.Add(time.Second), Door: "shut", Notice: notice.NotProvenShut.Of()}) // the status is older
	st.Alarms = current(st, all)
	want := []string{
		"door shut the guard says: stands open without a lease", "door stuck cannot be proven shut", "system failed was not gathered",
		"vault failed window failed", "nobody guards the doors: is airlock guard running?", "door shut cannot be proven shut",
	}
	if got := says(st); !slices.Equal(got, want) {
		t.Errorf("alarms:\n%s\nnot\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
