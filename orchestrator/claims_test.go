package orchestrator

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"airlock/ledger"
	"airlock/policies"
	"airlock/switchctl/switchtest/snmpswitch"
)

// start opens the site and waits until its doors are at rest, or nothing more is to be
// expected of them.
func (h *hospital) start() (*Site, error) {
	h.Helper()
	s := h.open()
	h.Cleanup(func() { _ = s.Close() }) // the doors that it cannot shut are the test's own
	return s, s.Settle(h.Context())
}

// alarmed fails unless an alarm of this run has all these words.
func alarmed(t *testing.T, s *Site, words ...string) {
	t.Helper()
	var st Status
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) { // it has a goroutine of its own
		var err error
		if st, err = s.Status(t.Context()); err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(st.Alarms, func(a Alarm) bool {
			return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(a.String(), w) })
		}) {
			return
		}
	}
	t.Errorf("no alarm says %q: %v", words, st.Alarms)
}

// S6, S7: two doors that are one port are refused, by whatever names; nothing is sent where
// one of them rests open, and which they are is said.
func TestTwoDoorsOnePort(t *testing.T) {
	for name, change := range map[string]func(h *hospital){
		"by the index": func(h *hospital) { h.policy.Doors["departments-door"].Port = policies.Port{Index: 3} },
		"by another entry of the switch": func(h *hospital) {
			h.policy.Switches["other"] = h.policy.Switches["core"]
			d := h.policy.Doors["departments-door"]
			d.Switch, d.Port = "other", policies.Port{Name: "p3"}
		},
		"by the second way": func(h *hospital) {
			h.policy.Switches["other"] = h.policy.Switches["core"]
			d := h.policy.Doors["departments-door"]
			d.Fallback, d.FallbackPort = "other", policies.Port{Name: "p3"}
		},
	} {
		for _, up := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s and p3 up %t", name, up), func(t *testing.T) {
				h := newHospital(t)
				h.hasten(2 * time.Second)
				if err := h.sw.Edit(3, func(p *snmpswitch.Port) { p.Up = up && name != "by the second way" }); err != nil {
					t.Fatal(err)
				}
				change(h)
				s, _ := h.start()
				if _, err := s.Window(t.Context(), "secondary", byTest, silent); !errors.Is(err, ErrRefused) {
					t.Errorf("the window: %v", err)
				}
				words := []string{"vault-door", "departments-door", "p3 (index 3)"}
				if name == "by the second way" {
					words = []string{"departments-door", "by its second way", "p3 (index 3)", "p1 (index 1)"}
				}
				alarmed(t, s, words...)
				if st, _ := s.Status(t.Context()); st.Doors["departments-door"].Barred == "" {
					t.Errorf("the status says %+v", st.Doors)
				}
				if moves := h.moved(); slices.Contains(moves, "p3 up") || slices.Contains(moves, "p1 up") {
					t.Errorf("the ports moved: %v", moves)
				}
			})
		}
	}
}

// S5, S7: two vaults' doors that are one port may both be shut, and neither is opened.
func TestTwoVaultsOnePort(t *testing.T) {
	h := newHospital(t)
	if err := h.sw.Edit(3, func(p *snmpswitch.Port) { p.Up = true }); err != nil {
		t.Fatal(err)
	}
	h.policy.Doors["annex-door"] = &policies.Door{Switch: "core", Port: policies.Port{Index: 3}, OpenWithin: h.policy.Doors["vault-door"].OpenWithin, ProveWithin: h.policy.Doors["vault-door"].ProveWithin}
	s, err := h.start()
	if err != nil || h.sw.Up(3) {
		t.Errorf("settled: %v; p3 is up: %t", err, h.sw.Up(3))
	}
	if _, err := s.Window(t.Context(), "secondary", byTest, silent); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "annex-door") {
		t.Errorf("the window: %v", err)
	}
}

// S7: a door that is another port than it was is acted on after a person's word alone: here
// an edit of the policy names the port of another machine. The vault's own port, which
// stands open, is told of.
func TestPortOfAnEditedPolicy(t *testing.T) {
	h := newHospital(t)
	h.hasten(2 * time.Second)
	h.within(func(s *Site) {})
	h.policy.Doors["vault-door"].Port = policies.Port{Name: "p2"}
	if err := h.sw.Edit(3, func(p *snmpswitch.Port) { p.Up = true }); err != nil {
		t.Fatal(err)
	}
	s, err := h.start()
	if !errors.Is(err, ErrNotShut) {
		t.Errorf("settled: %v", err)
	}
	alarmed(t, s, "vault-door", "was port p3 (index 3)", "now names p2 (index 2)", "airlock accept --door vault-door --reason TEXT", "THE OLD PORT STANDS OPEN")
	if _, err := s.Window(t.Context(), "secondary", byTest, silent); !errors.Is(err, ErrRefused) {
		t.Errorf("the window: %v", err)
	}
	if !h.sw.Up(2) || h.sw.Sets() > 0 && slices.Contains(h.moved(), "p3 up") {
		t.Errorf("p2 is up: %t; the ports moved: %v", h.sw.Up(2), h.moved())
	}
	if _, err := s.AcceptPort(t.Context(), "vault-door", Caller{Actor: "user test"}); err == nil {
		t.Error("accepted without a reason")
	}
	if p, err := s.AcceptPort(t.Context(), "vault-door", byTest); err != nil || p.Name != "p2" {
		t.Errorf("accepted %v, %v", p, err)
	}
	if _, err := s.AcceptPort(t.Context(), "vault-door", byTest); err == nil {
		t.Error("accepted twice")
	}
	if err := s.Settle(t.Context()); err != nil || h.sw.Up(2) {
		t.Errorf("after the person's word: %v; p2 is up: %t", err, h.sw.Up(2))
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	var told []string
	for _, e := range h.entries(ledger.Filter{Kind: ledger.KindPort, Door: "vault-door", To: "accepted"}) {
		told = append(told, e.Actor+": "+e.From+" → "+e.To+" "+e.Reason)
	}
	if len(told) != 2 || !strings.HasPrefix(told[1], "user test: p3 (index 3)") || !strings.HasSuffix(told[1], "accepted a test") {
		t.Errorf("the ledger says %q", told)
	}
	h.within(func(s *Site) { // and it stays accepted
		if _, err := s.Window(t.Context(), "secondary", byTest, silent); err != nil {
			t.Error(err)
		}
	})
}

// S7: the file of a door's port may be gone, or changed: the ledger knows.
func TestPortFileIsNotTheOnlyWord(t *testing.T) {
	for name, tamper := range map[string]func(file string) error{
		"gone":    os.Remove,
		"changed": func(file string) error { return os.WriteFile(file, []byte(`{"door":"vault-door","name":"p2"}`), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHospital(t)
			h.hasten(2 * time.Second)
			h.within(func(s *Site) {})
			if err := tamper(filepath.Join(string(h.policy.State), "doors", "vault-door.json")); err != nil {
				t.Fatal(err)
			}
			h.policy.Doors["vault-door"].Port = policies.Port{Name: "p2"}
			s, _ := h.start()
			if _, err := s.Window(t.Context(), "secondary", byTest, silent); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "was port p3") {
				t.Errorf("the window: %v", err)
			}
			if name == "gone" && !h.sw.Up(2) {
				t.Error("p2 was shut")
			}
		})
	}
}
