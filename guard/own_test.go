package guard

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"airlock/lease"
	"airlock/state"
	"airlock/switchctl"
)

// S7: the guard does not act on a port that the executor has not accepted, and does once a
// person has said that it is right. A guard that nobody tells keeps to its own ledger.
func TestPortThatIsNotTheDoors(t *testing.T) {
	other := lease.Port{Door: "vault-door", Name: "p9", Index: 9}
	own := lease.Port{Door: "vault-door", Name: "p3", Index: 3}
	for name, before := range map[string]func(*site){
		"by the state folder": func(s *site) {
			if err := other.Write(s.state); err != nil {
				s.Fatal(err)
			}
		},
		"by its own ledger": func(s *site) {
			s.guard.Own = func(context.Context, string) (lease.Port, bool) { return other, true }
		},
	} {
		t.Run(name, func(t *testing.T) {
			guarding(t, func(s *site) {
				s.sw.move("p3", switchctl.AdminUp)
				time.Sleep(5 * time.Minute)
				if n := s.sw.sent("p3"); n != 0 || !s.sw.up("p3") {
					s.Errorf("%d commands were sent; the port is up: %t", n, s.sw.up("p3"))
				}
				if s.all("vault-door ALARM cannot be read") != 1 {
					s.Errorf("the entries are %s", s.diary)
				}
				if err := own.Write(s.state); err != nil {
					s.Fatal(err)
				}
				time.Sleep(2 * interval)
				if s.sw.up("p3") {
					s.Error("the port was accepted, and stands open still")
				}
			}, before)
		})
	}
}

// S7: no second way gets round a port that is not the door's, neither when the first one says
// so nor when it cannot be reached.
func TestPortThatIsNotTheDoorsBySecondWay(t *testing.T) {
	other := lease.Port{Door: "vault-door", Name: "p9", Index: 9}
	for name, fault := range map[string]func(d, c string) error{
		"the first way answers": func(string, string) error { return nil },
		"the first way is gone": func(d, _ string) error {
			if d == "snmp" {
				return switchctl.ErrTimeout
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			guarding(t, func(s *site) {
				s.sw.move("p3", switchctl.AdminUp)
				time.Sleep(5 * time.Minute)
				if n := s.sw.sent("p3"); n != 0 || !s.sw.up("p3") {
					s.Errorf("%d commands were sent; the port is up: %t", n, s.sw.up("p3"))
				}
			}, withFallback, func(s *site) {
				s.sw.way = fault
				if err := other.Write(s.state); err != nil {
					s.Fatal(err)
				}
			})
		})
	}
}

// The first use makes a port the door's own, and a remote guard is told which it is.
func TestPortOfTheFirstUse(t *testing.T) {
	guarding(t, func(s *site) {
		s.sw.move("p3", switchctl.AdminUp)
		time.Sleep(interval)
		if s.sw.up("p3") {
			s.Error("the port stands open")
		}
		var told []string
		for _, e := range s.written() {
			if e.To == ownPort && e.Door == "vault-door" {
				told = append(told, string(e.Detail))
			}
		}
		if len(told) != 1 || !strings.Contains(told[0], `"name":"p3"`) {
			s.Errorf("the entries are %q", told)
		}
	})
	s, err := lease.State(state.Folder(t.TempDir()), "0123456789abcdef", lease.Instant{})
	if err != nil || len(s.Ports) != 0 {
		t.Errorf("a state folder without doors: %+v, %v", s, err)
	}
	state := state.Folder(filepath.Join(t.TempDir(), "state [a]")) // no pattern
	if err := (lease.Port{Door: "vault-door", Name: "p3"}).Write(state); err != nil {
		t.Fatal(err)
	}
	if s, err = lease.State(state, "0123456789abcdef", lease.Instant{}); err != nil || len(s.Ports) != 1 || s.Ports[0].Name != "p3" {
		t.Errorf("the statement is %+v, %v", s, err)
	}
}
