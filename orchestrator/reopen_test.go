package orchestrator

import (
	"errors"
	"strings"
	"testing"

	"airlock/ledger"
	"airlock/orchestrator/doors/window"
	"airlock/switchctl/switchtest/snmpswitch"
)

// S1, S6: an order opens an inner door that a person shut, with the intent and the reason in
// the ledger before, and nothing else: no door that rests shut, none beside a vault's that is
// not proven shut, none while a window has its turn, none in a lockdown, none without a reason.
func TestOpenByHand(t *testing.T) {
	h := newHospital(t)
	h.within(func(s *Site) {
		open := func(door string, by Caller) error {
			_, err := s.Do(t.Context(), Order{Verb: "open", Names: []string{door}, Caller: by}, silent)
			return err
		}
		refused := func(door string, by Caller, why string) {
			t.Helper()
			if err := open(door, by); !errors.Is(err, ErrNotOpened) || !strings.Contains(err.Error(), why) {
				t.Errorf("open %s: %v, want %q", door, err, why)
			}
		}
		refused("departments-door", byTest, "it is open")
		if err := s.Shut(t.Context(), []string{"departments-door"}, byTest); err != nil {
			t.Fatal(err)
		}
		refused("vault-door", byTest, "rests shut")
		refused("no-door", byTest, "not in the policy file")
		refused("departments-door", Caller{Actor: "user test", Reason: " "}, "needs a reason")

		s.turns["departments-door"] <- struct{}{} // a window has it
		refused("departments-door", byTest, "a window has the vault's door")
		<-s.turns["departments-door"]

		if err := s.Lockdown(t.Context(), byTest); err != nil {
			t.Fatal(err)
		}
		refused("departments-door", byTest, "there is a lockdown")
		other := byTest
		other.UID++
		if err := s.Release(t.Context(), other, ""); err != nil {
			t.Fatal(err)
		}

		if err := h.sw.Edit(3, func(p *snmpswitch.Port) { p.Up = true }); err != nil {
			t.Fatal(err)
		}
		refused("departments-door", byTest, "not read as shut") // S6
		if h.sw.Up(1) {
			t.Error("S6: the inner door was opened beside a vault's door that was up")
		}
		if err := s.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		h.sw.Edit(1, func(p *snmpswitch.Port) { p.OnAdmin = func(up bool) { h.intended(s, up) } })
		if err := open("departments-door", byTest); err != nil || !h.sw.Up(1) {
			t.Fatalf("it is up: %t, %v", h.sw.Up(1), err)
		}
		if st, err := s.Status(t.Context()); err != nil || st.Doors["departments-door"].State != "open" || st.Doors["departments-door"].Kept != "" {
			t.Errorf("the status says %+v, %v", st.Doors["departments-door"], err)
		}
	})
	h.within(func(*Site) {})
	if !h.sw.Up(1) || h.sw.Up(3) {
		t.Error("after a start the doors are not where they rest")
	}
}

// intended wants the ledger to hold who opens the inner door, and why, by when it moves (S1).
func (h *hospital) intended(s *Site, up bool) {
	if !up {
		return
	}
	e, ok := s.journal.Newest(h.Context(), ledger.Filter{Kind: ledger.KindDoor, Door: "departments-door", To: window.Opening.String()})
	if !ok || e.Actor != byTest.Actor || !strings.HasPrefix(e.Reason, openedByHand) || e.Late {
		h.Errorf("S1: the door moved, and the ledger had %+v, %t", e, ok)
	}
}
