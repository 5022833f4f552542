package orchestrator

import (
	"strings"
	"testing"

	"airlock/policies"
)

// S6, S7: that a door is another one's port, or another than it was, and that a person shut an
// inner door, is told without an executor as well.
func TestObserveBarredDoors(t *testing.T) {
	h := newHospital(t)
	h.within(func(s *Site) {
		if err := s.Shut(t.Context(), []string{"departments-door"}, byTest); err != nil {
			t.Fatal(err)
		}
	})
	observe := func() map[string]DoorStatus {
		t.Helper()
		r, err := OpenLedger(t.Context(), h.policy.State)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		st, err := Observe(t.Context(), h.policy, h.parts, r)
		if err != nil {
			t.Fatal(err)
		}
		return st.Doors
	}
	doors := observe()
	if d := doors["departments-door"]; d.Barred != "" || doors["vault-door"].Barred != "" || !strings.Contains(d.Kept, "shut by user test") {
		t.Errorf("as they belong, but for a person: %+v", doors)
	}
	sets := h.sw.Sets()
	h.policy.Doors["vault-door"].Port = policies.Port{Name: "p2"}
	doors = observe()
	if d := doors["vault-door"]; !strings.Contains(d.Barred, "p3") || !strings.Contains(d.Barred, "accept --door vault-door") || d.State != "open" {
		t.Errorf("another port: %+v", d)
	}
	h.policy.Doors["vault-door"].Port = policies.Port{Index: 1}
	doors = observe()
	for _, name := range []string{"vault-door", "departments-door"} {
		if d := doors[name]; !strings.Contains(d.Barred, "are one port") {
			t.Errorf("two doors, one port: %s: %+v", name, d)
		}
	}
	if h.sw.Sets() != sets {
		t.Error("looking changed something")
	}
}
