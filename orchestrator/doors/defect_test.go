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

// broken has a keeper and its doors tell of panics, and go on.
func (n *night) broken(k *keeper) {
	tell := func(what string, cause any, stack []byte) {
		n.write("BROKE %s: %v", what, cause)
		if !strings.Contains(string(stack), "orchestrator/doors.") {
			n.Errorf("the stack is %s", stack)
		}
	}
	k.broke = tell
	for _, d := range k.doors {
		if d != nil {
			d.broke = tell
		}
	}
}

// S14: a panic in what a window is for ends the window, and its door is shut.
func TestWorkThatPanics(t *testing.T) {
	inNight(t, func(n *night) {
		k := n.keeper("v", doors{vault: "p3"})
		n.broken(k)
		n.run(k)
		n.rest(k)
		p, err := k.hold(n.life, tenMinutes("w1", func(context.Context) error { panic("index out of range") }))
		if err == nil || !strings.Contains(err.Error(), "index out of range") || p.OpenedAt.IsZero() || p.Exposure() > time.Second {
			t.Errorf("hold = %+v, %v", p, err)
		}
		n.first("BROKE window w1: index out of range")
		n.shut(k)
		if _, err := k.hold(n.life, tenMinutes("w2", nothing)); err != nil {
			t.Errorf("the next window: %v", err)
		}
	})
}

// S14: a keeper that panics while its door is open shuts it, and goes on.
func TestKeeperThatPanics(t *testing.T) {
	inNight(t, func(n *night) {
		k := n.keeper("v", doors{vault: "p3"})
		n.broken(k)
		n.run(k)
		n.rest(k)
		over := n.begin(n.life, k, tenMinutes("w1", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }))
		time.Sleep(time.Minute)
		n.sw.fault(func() { n.ring = nil })
		k.post(renewed{}) // a keeper without a lease has no use for one
		time.Sleep(time.Second)
		if n.sw.up(3) {
			t.Error("the port is still up")
		}
		if h := <-over; h.err == nil {
			t.Error("the window is done")
		}
		n.first("BROKE the keeper of p3-door")
		n.rest(k)
		if _, err := k.hold(n.life, tenMinutes("w2", nothing)); err != nil {
			t.Errorf("the next window: %v", err)
		}
	})
}

// S14: so does a driver that panics, in whatever it was called for.
func TestDriverThatPanics(t *testing.T) {
	for _, call := range []string{"read", "set"} {
		t.Run(call, func(t *testing.T) {
			inNight(t, func(n *night) {
				k := n.keeper("v", doors{vault: "p3"})
				n.broken(k)
				n.run(k)
				n.rest(k)
				broken := 0
				over := n.begin(n.life, k, tenMinutes("w1", func(ctx context.Context) error {
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
							n.sw.set = func(context.Context, command) (carriedOut, error) { return carriedOut{}, fault() }
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
				n.rest(k)
				if phase(k, window.Vault) != window.Shut {
					t.Errorf("the door is %s", phase(k, window.Vault))
				}
			})
		})
	}
}
