package guard

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"airlock/lease"
	"airlock/policies"
	"airlock/switchctl"
)

// S14: a second guard on one state is refused while the first lives; one that stands still,
// or of which nothing is known, keeps no other from guarding, and is told of.
func TestTwoGuards(t *testing.T) {
	var p policies.Policy
	p.Guard.Ledger = filepath.Join(t.TempDir(), "guard", "ledger.db")
	p.Guard.Interval = policies.Duration(10 * time.Second)
	now, err := lease.Now()
	if err != nil {
		t.Fatal(err)
	}
	beat := func(ago time.Duration) {
		t.Helper()
		clock := now
		clock.Since -= ago
		if err := (lease.Guard{PID: 7, Clock: clock}).Write(lease.GuardFile(p.Guard.Ledger)); err != nil {
			t.Fatal(err)
		}
	}
	release, doubt, err := Alone(p)
	if doubt != nil || err != nil {
		t.Fatalf("the first: %v, %v", doubt, err)
	}
	if _, doubt, err := Alone(p); err != nil || doubt == nil || !strings.Contains(doubt.Error(), "nothing is heard") {
		t.Errorf("beside one that says nothing: %v, %v", doubt, err)
	}
	beat(time.Second)
	if _, doubt, err := Alone(p); !errors.Is(err, ErrAnother) || doubt != nil || !strings.Contains(err.Error(), "process 7") {
		t.Errorf("beside one that lives: %v, %v", doubt, err)
	}
	beat(time.Minute)
	if _, doubt, err := Alone(p); err != nil || doubt == nil || !strings.Contains(doubt.Error(), "not heard of for 1m0s") {
		t.Errorf("beside one that stands still: %v, %v", doubt, err)
	}
	beat(0)
	if err := release(); err != nil {
		t.Fatal(err)
	}
	again, doubt, err := Alone(p)
	if doubt != nil || err != nil {
		t.Fatalf("after the first has ended: %v, %v", doubt, err)
	}
	if err := again(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Dir(p.Guard.Ledger)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Dir(p.Guard.Ledger), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, doubt, err := Alone(p); err != nil || doubt == nil {
		t.Errorf("with a folder that is none: %v, %v", doubt, err)
	}
}

// S11: that the guard's ledger is gone while it guards is told, in its sign of life too, and
// no longer once it is back.
func TestLedgerThatDisappears(t *testing.T) {
	var gone atomic.Bool
	guarding(t, func(s *site) {
		told := func() string {
			s.Helper()
			time.Sleep(2 * interval)
			sign, err := lease.ReadGuard(lease.GuardFile(s.guard.Policy.Guard.Ledger))
			must(s, err)
			return sign.Ledger
		}
		if why := told(); why != "" {
			s.Errorf("it is there, and the sign of life says %q", why)
		}
		gone.Store(true)
		if why := told(); !strings.Contains(why, "not there any more") {
			s.Errorf("it is gone, and the sign of life says %q", why)
		}
		gone.Store(false)
		if why := told(); why != "" {
			s.Errorf("it is back, and the sign of life says %q", why)
		}
	}, func(s *site) {
		must(s, os.MkdirAll(filepath.Dir(s.guard.Policy.Guard.Ledger), 0o700))
		s.guard.Present = func() error {
			if gone.Load() {
				return errors.New("ledger.db is not there any more")
			}
			return nil
		}
	})
}

// The entry of a door that had to be shut says when it was last seen shut, for it may have
// stood open since.
func TestShutSeen(t *testing.T) {
	guarding(t, func(s *site) {
		time.Sleep(5*interval + interval/2)
		s.sw.move("p3", switchctl.AdminUp)
		time.Sleep(2 * interval)
		for _, e := range s.written() {
			if e.To != "shutting" {
				continue
			}
			var d evidence
			must(s, json.Unmarshal(e.Detail, &d))
			if off := d.ShutSeen.Sub(s.sw.begun.Add(5 * interval)).Abs(); off > promptly {
				s.Errorf("last seen shut at %s, which is off by %s", d.ShutSeen, off)
			}
			return
		}
		s.Error("the door was not shut")
	})
}
