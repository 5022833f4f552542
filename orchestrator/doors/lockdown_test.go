package doors

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"airlock/orchestrator/doors/window"
)

// A lockdown shuts both doors in the middle of a window, and nothing is opened until it
// is released.
func TestLockdown(t *testing.T) {
	inNight(t, func(n *night) {
		ctl := n.controller("v", doors{"p3", "p1", ""})
		n.run(ctl)
		n.rest(ctl)
		over := n.begin(n.life, ctl, tenMinutes("w1", func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) }))
		time.Sleep(time.Minute)
		if !n.sw.up(3) {
			n.Fatal("the window did not open the door")
		}
		began := time.Now()
		ctl.post(lock{began, "user root", "lockdown: ransomware"})
		if err := ctl.locked(n.life); err != nil {
			n.Fatal(err)
		}
		if took := time.Since(began); took > promptly {
			n.Errorf("the doors were proven shut after %s", took)
		}
		if h := <-over; h.err == nil || !strings.Contains(h.err.Error(), "ransomware") {
			n.Errorf("the window ended with %v", h.err)
		}
		time.Sleep(time.Hour)
		if n.sw.up(1) || n.sw.up(3) {
			n.Error("a door was opened in the lockdown")
		}
		if _, err := ctl.hold(n.life, tenMinutes("w2", nothing)); !errors.Is(err, ErrRefused) {
			n.Errorf("a window in the lockdown: %v", err)
		}
		n.sw.move(1, true) // by another hand
		if _, err := ctl.hold(n.life, tenMinutes("w3", nothing)); !errors.Is(err, ErrRefused) {
			n.Errorf("a window in the lockdown: %v", err)
		}
		if err := ctl.locked(n.life); err != nil || n.sw.up(1) {
			n.Errorf("the departments' door was left up, %v", err)
		}
		ctl.post(stepped{window.Release{At: time.Now()}})
		n.rest(ctl)
		if !n.sw.up(1) || n.sw.up(3) {
			n.Errorf("after the release p1 is up: %t, p3: %t", n.sw.up(1), n.sw.up(3))
		}
		if _, err := ctl.hold(n.life, tenMinutes("w4", nothing)); err != nil {
			n.Errorf("a window after the release: %v", err)
		}
	})
}

// S1: an opening whose intent is being written when the lockdown comes is not carried out.
func TestLockdownWhileTheIntentIsBeingWritten(t *testing.T) {
	inNight(t, func(n *night) {
		ctl := n.started()
		n.journal.fault(slowly, nil)
		over := n.begin(n.life, ctl, tenMinutes("w1", nothing))
		time.Sleep(time.Second)
		ctl.post(lock{time.Now(), "user root", "lockdown: a drill"})
		if err := ctl.locked(n.life); err != nil {
			n.Fatal(err)
		}
		if h := <-over; h.err == nil {
			n.Error("the window was held")
		}
		time.Sleep(time.Minute)
		n.never("SET p3 up")
	})
}
