package doors

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"airlock/orchestrator/doors/window"
	"airlock/switchctl"
)

// S4, S7: what a window opened is shut, whatever becomes of the switch's identity meanwhile.
func TestOpenedPortIsShutAllTheSame(t *testing.T) {
	inNight(t, func(n *night) {
		ctl := n.controller("v", doors{vault: "p3"})
		cs := newClaims()
		ctl.doors[window.Vault].claims = cs
		n.run(ctl)
		n.rest(ctl)
		if _, err := ctl.hold(n.life, tenMinutes("w1", func(context.Context) error {
			n.sw.fault(func() { n.sw.identity.Name, n.sw.restarted = "elected", time.Now() })
			cs.set("p1-door", 0, claim{switchctl.Identity{Name: "elected"}, switchctl.Row{Index: 3, Name: "p3"}, "core"})
			n.sw.fault(func() {
				for _, s := range n.sw.sessions {
					s.closed = true
				}
				n.sw.open = 0
			})
			return nil
		})); err != nil {
			n.Errorf("the window: %v", err)
		}
		n.shut(ctl)
		synctest.Wait()
	})
}

// S6: one port in two spellings is known by its numbers.
func TestAlike(t *testing.T) {
	port := func(index int, name string) claim { return claim{row: switchctl.Row{Index: index, Name: name}} }
	for _, c := range []struct {
		a, b claim
		want bool
	}{
		{port(5003, "port1.0.3"), port(0, "1/0/3"), true},
		{port(5003, "port1.0.3"), port(0, "1/0/4"), false},
		{port(3, "p3"), port(0, "p2"), false},
		{port(3, "Gi1/0/3"), port(3, "GigabitEthernet1/0/3"), true},
		{port(3, "Gi1/0/3"), port(4, "Gi1/0/3"), false},
		{port(3, "3"), port(0, "ge-0/0/3"), true},
	} {
		if c.a.row.Alike(c.b.row) != c.want || c.b.row.Alike(c.a.row) != c.want {
			t.Errorf("%s and %s: want %t", c.a, c.b, c.want)
		}
	}
}
