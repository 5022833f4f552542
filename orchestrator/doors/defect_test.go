package doors

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"airlock/orchestrator/doors/window"
	"airlock/switchctl"
)

// broken has a controller and its doors tell of panics, and go on.
func (n *night) broken(ctl *controller) {
	tell := func(what string, cause any, stack []byte) {
		n.write("BROKE %s: %v", what, cause)
		if !strings.Contains(string(stack), "orchestrator/doors.") {
			n.Errorf("the stack is %s", stack)
		}
	}
	ctl.broke = tell
	for _, d := range ctl.doors {
		if d != nil {
			d.broke = tell
		}
	}
}

// S14: a panic in what a window is for ends the window, and its door is shut.
func TestWorkThatPanics(t *testing.T) {
	inNight(t, func(n *night) {
		ctl := n.controller("v", doors{vault: "p3"})
		n.broken(ctl)
		n.run(ctl)
		n.rest(ctl)
		p, err := ctl.hold(n.life, tenMinutes("w1", func(context.Context) error { panic("index out of range") }))
		if err == nil || !strings.Contains(err.Error(), "index out of range") || p.OpenedAt.IsZero() || p.Exposure() > time.Second {
			t.Errorf("hold = %+v, %v", p, err)
		}
		n.first("BROKE window w1: index out of range")
		n.shut(ctl)
		if _, err := ctl.hold(n.life, tenMinutes("w2", nothing)); err != nil {
			t.Errorf("the next window: %v", err)
		}
	})
}

// S14: a controller that panics while its door is open shuts it, and goes on.
func TestControllerThatPanics(t *testing.T) {
	inNight(t, func(n *night) {
		ctl := n.controller("v", doors{vault: "p3"})
		n.broken(ctl)
		n.run(ctl)
		n.rest(ctl)
		over := n.begin(n.life, ctl, tenMinutes("w1", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }))
		time.Sleep(time.Minute)
		n.sw.fault(func() { n.ring = nil })
		ctl.post(leaseRenewed{}) // a controller without a lease has no use for one
		time.Sleep(time.Second)
		if n.sw.up(3) {
			t.Error("the port is still up")
		}
		if h := <-over; h.err == nil {
			t.Error("the window is done")
		}
		n.first("BROKE the keeper of p3-door")
		n.rest(ctl)
		if _, err := ctl.hold(n.life, tenMinutes("w2", nothing)); err != nil {
			t.Errorf("the next window: %v", err)
		}
	})
}

// S14: so does a driver that panics, in whatever it was called for.
func TestDriverThatPanics(t *testing.T) {
	for _, call := range []string{"read", "set"} {
		t.Run(call, func(t *testing.T) {
			inNight(t, func(n *night) {
				ctl := n.controller("v", doors{vault: "p3"})
				n.broken(ctl)
				n.run(ctl)
				n.rest(ctl)
				broken := 0
				over := n.begin(n.life, ctl, tenMinutes("w1", func(ctx context.Context) error {
					n.sw.fault(func() {
						fault := func() error {
							if broken++; broken <= 3 {
								panic(fmt.Sprint("in ", call))
							}
							return nil
						}
						if call == "read" {
							n.sw.read = func(context.Context, *switchctl.Reading) error { return fault() }
						} else {
							n.sw.set = func(context.Context, setCommand) (carriedOut, error) { return carriedOut{}, fault() }
						}
					})
					return errors.New("over")
				}))
				time.Sleep(5 * time.Second)
				if n.sw.up(3) {
					t.Error("the port is still up")
				}
				if h := <-over; h.err == nil {
					t.Error("the window is done")
				}
				n.first("BROKE door p3-door: in " + call)
				n.rest(ctl)
				if phase(ctl, window.Vault) != window.Shut {
					t.Errorf("the door is %s", phase(ctl, window.Vault))
				}
			})
		})
	}
}
