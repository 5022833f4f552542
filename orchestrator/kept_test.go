package orchestrator

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"airlock/ledger"
)

// A gathering that fails behind the departments' door says that a lockdown keeps it shut.
func TestGatheringInALockdown(t *testing.T) {
	const what = "a lockdown stands since "
	h := newHospital(t)
	h.within(func(s *Site) {
		if err := os.RemoveAll(filepath.Join(h.dir, "accounting")); err != nil {
			t.Fatal(err)
		}
		if got, _ := s.Gather(t.Context(), []string{"accounting"}, byTest, silent); strings.Contains(got[0].Error, what) {
			t.Errorf("before the lockdown: %s", got[0].Error)
		}
		if err := s.Lockdown(t.Context(), byTest); err != nil {
			t.Fatal(err)
		}
		got, err := s.Gather(t.Context(), []string{"accounting"}, byTest, silent)
		if err == nil || !strings.Contains(got[0].Error, what) || !strings.Contains(got[0].Error, "by user test ("+byTest.Reason+"), and keeps departments-door shut") {
			t.Errorf("in the lockdown: %+v, %v", got, err)
		}
	})
	all := h.entries(ledger.Filter{Kind: ledger.KindGather, To: resultFailed})
	if len(all) != 2 || !strings.Contains(string(all[1].Detail), what) {
		t.Errorf("the ledger has %+v", all)
	}
}
