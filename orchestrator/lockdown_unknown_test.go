package orchestrator

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"airlock/lease"
	"airlock/ledger"
)

// unknown makes it unknown whether there is a lockdown, and known again.
func (h *hospital) unknown() (known func()) {
	h.Helper()
	file := filepath.Join(string(h.policy.State), "lockdown.json")
	if err := os.WriteFile(file, []byte(`{"at":"2026-11-`), 0o600); err != nil {
		h.Fatal(err)
	}
	return func() {
		h.Helper()
		if err := os.Remove(file); err != nil {
			h.Fatal(err)
		}
	}
}

// S15: a lockdown of which nobody knows refuses windows while that lasts, is told once and
// as what it is, moves no door, leaves no entry of a lockdown, and ends by itself.
func TestLockdownOfWhichNobodyKnows(t *testing.T) {
	h := newHospital(t)
	h.within(func(s *Site) {
		known := h.unknown()
		for range 3 {
			s.followLock(t.Context())
		}
		before := len(h.moved())
		const why = "the lockdown file cannot be read: "
		if _, err := s.Window(t.Context(), "secondary", byTest, silent); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), why) {
			t.Errorf("a window: %v", err)
		}
		if moved := h.moved()[before:]; len(moved) > 0 || !h.sw.Up(1) || h.sw.Up(3) {
			t.Errorf("doors moved: %v", moved)
		}
		st, err := s.Status(t.Context())
		if err != nil || st.Lockdown != nil || !strings.HasPrefix(st.LockdownUnknown, why) || !strings.HasSuffix(st.LockdownUnknown, "no door is opened meanwhile") {
			t.Errorf("the status has %+v, %q, %v", st.Lockdown, st.LockdownUnknown, err)
		}
		told := slices.DeleteFunc(st.Alarms, func(a Alarm) bool { return a.What != "nobody knows whether there is a lockdown" })
		if len(told) != 1 {
			t.Errorf("alarms: %v", told)
		}
		known()
		s.followLock(t.Context())
		if st, err := s.Status(t.Context()); err != nil || st.Lockdown != nil || st.LockdownUnknown != "" {
			t.Errorf("afterwards the status has %+v, %q, %v", st.Lockdown, st.LockdownUnknown, err)
		}
		if r, err := s.Window(t.Context(), "secondary", byTest, silent); err != nil {
			t.Errorf("afterwards a window: %s, %v", r, err)
		}
		if e, ok := s.journal.Newest(t.Context(), ledger.Filter{Kind: ledger.KindLock}); ok {
			t.Errorf("there is an entry of a lockdown: %+v", e)
		}
	})
}

// S15, S12: a lockdown that the ledger knows stands, whatever became of its file; and one
// that was released does not come back.
func TestLockdownByTheLedger(t *testing.T) {
	h := newHospital(t)
	h.within(func(s *Site) {
		if err := s.Lockdown(t.Context(), byTest); err != nil {
			t.Fatal(err)
		}
		if err := s.journal.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		h.unknown()
		s.followLock(t.Context())
		if st, err := s.Status(t.Context()); err != nil || st.Lockdown == nil || st.Lockdown.By != byTest.Actor || st.LockdownUnknown != "" {
			t.Errorf("the status has %+v, %q, %v", st.Lockdown, st.LockdownUnknown, err)
		}
		other := byTest
		other.UID++
		if err := s.Release(t.Context(), other, ""); err != nil {
			t.Fatal(err)
		}
		s.followLock(t.Context())
		if l, err := s.standing(t.Context()); l != nil || err != nil || !h.sw.Up(1) {
			t.Errorf("after the release there is %+v, %v; p1 is up: %t", l, err, h.sw.Up(1))
		}
	})
}

// A person ends what nobody knows with the release key, for nobody can tell who began it.
func TestReleaseOfWhatNobodyKnows(t *testing.T) {
	h := newHospital(t)
	if err := os.MkdirAll(h.policy.State.Keys(), 0o700); err != nil {
		t.Fatal(err)
	}
	key, err := releaseKey(h.policy.State)
	if err != nil {
		t.Fatal(err)
	}
	h.within(func(s *Site) {
		h.unknown()
		if err := s.Release(t.Context(), byTest, ""); !errors.Is(err, ErrNotReleased) || !strings.Contains(err.Error(), "cannot be read") {
			t.Errorf("without the key: %v", err)
		}
		if err := s.Release(t.Context(), byTest, key); err != nil {
			t.Error(err)
		}
		if l, err := lease.Locked(h.policy.State); l != nil || err != nil {
			t.Errorf("there is %+v, %v", l, err)
		}
	})
}
