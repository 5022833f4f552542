package orchestrator

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// S15: a comparison that was broken off, or that a file keeps from being made, is no
// contradiction. It refuses windows while it lasts, raises no alarm about the ledger, and
// is made again.
func TestWhatCannotBeComparedIsNoContradiction(t *testing.T) {
	h := newHospital(t)
	h.keys()
	if _, err := h.window(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(string(h.policy.State), "vaults", "secondary", "head.note")
	head, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	trusted := func(s *Site) {
		t.Helper()
		st, err := s.Status(t.Context())
		if err != nil || st.Ledger.Doubt != "" {
			t.Errorf("the status has %q, %v", st.Ledger.Doubt, err)
		}
		for _, a := range st.Alarms {
			if strings.HasPrefix(a.What, "the ledger cannot be trusted") {
				t.Errorf("alarm: %s", a)
			}
		}
	}
	h.within(func(s *Site) {
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.custody.Trust(gone); !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "contradict") {
			t.Errorf("broken off: %v", err)
		}
		trusted(s)
		for name, spoil := range map[string]func() error{
			"torn":    func() error { return os.WriteFile(file, head[:len(head)/3], 0o600) },
			"empty":   func() error { return os.WriteFile(file, nil, 0o600) },
			"no file": func() error { return errors.Join(os.Remove(file), os.Mkdir(file, 0o700)) },
			"the key's": func() error {
				return os.Rename(h.policy.State.PublicKey(), filepath.Join(string(h.policy.State), "away"))
			},
		} {
			if err := spoil(); err != nil {
				t.Fatal(err)
			}
			if name == "the key's" {
				err = os.Mkdir(h.policy.State.PublicKey(), 0o700)
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Window(t.Context(), "secondary", byTest, silent); !errors.Is(err, ErrRefused) || strings.Contains(err.Error(), "contradict") || strings.Contains(err.Error(), "renew") {
				t.Errorf("%s: %v", name, err)
			}
			trusted(s)
			if name == "the key's" {
				err = errors.Join(os.Remove(h.policy.State.PublicKey()), os.Rename(filepath.Join(string(h.policy.State), "away"), h.policy.State.PublicKey()))
			}
			if err := errors.Join(err, os.RemoveAll(file), os.WriteFile(file, head, 0o600)); err != nil {
				t.Fatal(err)
			}
		}
		if r, err := s.Window(t.Context(), "secondary", byTest, silent); err != nil {
			t.Errorf("afterwards: %s, %v", r, err)
		}
	})
}
