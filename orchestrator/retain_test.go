package orchestrator

import (
	"testing"

	"airlock/policies"
)

// S17: a mistake in keep costs nothing until a person says that it is right.
func TestBrakeOfSnapshots(t *testing.T) {
	h := newHospital(t)
	system := h.policy.Systems["accounting"]
	h.within(func(s *Site) {
		gather := func(by Caller) Gathered {
			t.Helper()
			all, err := s.Gather(t.Context(), []string{"accounting"}, by, silent)
			if err != nil {
				t.Fatal(err)
			}
			return all[0]
		}
		for range 4 {
			gather(byTest)
		}
		system.Keep = policies.Keep{Last: 1}
		all, err := s.Snapshots(t.Context(), "accounting")
		if err != nil {
			t.Fatal(err)
		}
		would := 0
		for _, rules := range KeptAs(h.policy, all) {
			if len(rules) == 0 {
				would++
			}
		}
		if would != 3 {
			t.Errorf("%d would go, not 3", would)
		}
		if g := gather(byTest); g.Braked == "" || g.Snapshots != 5 {
			t.Errorf("the brake did not hold: %+v", g)
		}
		byTest := byTest
		byTest.Brake = 10
		if g := gather(byTest); g.Braked != "" || g.Snapshots != 1 {
			t.Errorf("let go by a person: %+v", g)
		}
	})
}
