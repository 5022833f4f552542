package orchestrator

import (
	"context"
	"errors"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"airlock/lease"
	"airlock/policies"
	"airlock/switchctl"
	"airlock/switchctl/switchtest/snmpswitch"
)

// S2, S14: with every other descriptor of the process taken, a door whose session has ended
// is shut, and a lockdown's file is read.
func TestNoDescriptorsLeft(t *testing.T) {
	h := newHospital(t)
	h.hasten(2 * time.Second)
	var mu sync.Mutex
	var sessions []switchctl.Switch
	dial := h.parts.Switch
	h.parts.Switch = func(ctx context.Context, name string, s policies.Switch, recorded func(Recording)) (switchctl.Switch, error) {
		sw, err := dial(ctx, name, s, recorded)
		mu.Lock()
		defer mu.Unlock()
		sessions = append(sessions, sw)
		return sw, err
	}
	h.within(func(s *Site) {
		mu.Lock()
		for _, sw := range sessions {
			if err := sw.Close(); err != nil {
				t.Fatal(err)
			}
		}
		mu.Unlock()
		if err := h.sw.Edit(3, func(p *snmpswitch.Port) { p.Up = true }); err != nil {
			t.Fatal(err)
		}
		free := takeDescriptors(t)
		err := s.Shut(t.Context(), []string{"vault-door"}, byTest)
		free()
		if err != nil || h.sw.Up(3) {
			t.Errorf("the port is up: %t, %v", h.sw.Up(3), err)
		}
		if err := s.Settle(t.Context()); err != nil {
			t.Error(err)
		}
		s.doors.KeepSpare()
		if err := lease.Lock(s.policy.State, lease.Lockdown{By: "user test", Reason: "test"}); err != nil {
			t.Fatal(err)
		}
		free = takeDescriptors(t)
		l, err := s.standing(t.Context())
		free()
		if err != nil || l == nil {
			t.Errorf("the lockdown is %+v, %v", l, err)
		}
	})
}

// takeDescriptors leaves this process none.
func takeDescriptors(t *testing.T) (free func()) {
	t.Helper()
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	few := before
	few.Cur = 256
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	var taken []*os.File
	for {
		f, err := os.Open(os.DevNull)
		if errors.Is(err, syscall.EMFILE) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		taken = append(taken, f)
	}
	return func() {
		t.Helper()
		for _, f := range taken {
			f.Close()
		}
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
			t.Fatal(err)
		}
	}
}
