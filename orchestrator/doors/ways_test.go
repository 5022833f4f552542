package doors

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"airlock/orchestrator/doors/window"
	"airlock/switchctl"
)

// S12: when the first way does not shut the door, the second is tried, and so on in turn.
func TestSecondWay(t *testing.T) {
	dead := func(n *night) {
		n.sw.dial = hang
		n.sw.read = func(ctx context.Context, _ *switchctl.Reading) error { return hang(ctx) }
		n.sw.set = func(ctx context.Context, _ setCommand) (carriedOut, error) { return carriedOut{lost: true}, hang(ctx) }
	}
	for name, c := range map[string]struct {
		fault  func(*night)
		within time.Duration // from the command to shut until the port is down
	}{
		"refuses": {func(n *night) {
			n.sw.set = func(context.Context, setCommand) (carriedOut, error) { return carriedOut{}, switchctl.ErrRefused }
		}, promptly},
		"the credentials are bad": {func(n *night) {
			n.sw.set = func(context.Context, setCommand) (carriedOut, error) {
				return carriedOut{lost: true}, switchctl.ErrAuth
			}
		}, promptly},
		"takes it and ignores it": {func(n *night) {
			n.sw.set = func(context.Context, setCommand) (carriedOut, error) { return carriedOut{lost: true}, nil }
		}, nextWayAfter + 3*time.Second},
		"does not answer": {dead, nextWayAfter + promptly},
	} {
		t.Run(name, func(t *testing.T) {
			inNight(t, func(n *night) {
				ctl := n.controller("v", doors{vault: "p3"})
				n.second(ctl)
				n.run(ctl)
				n.rest(ctl)
				var ended time.Duration
				p, err := ctl.hold(n.life, tenMinutes("w1", func(context.Context) error {
					n.sw.fault(func() { c.fault(n) })
					ended = time.Since(n.begun)
					return nil
				}))
				if err != nil || p.ProvenAt.IsZero() {
					n.Errorf("the window: %+v, %v", p, err)
				}
				n.shut(ctl)
				n.first("SET p3 down by core-cli")
				if took := n.first("p3 is down").at - ended; took > c.within {
					n.Errorf("the port went down after %s, want %s", took, c.within)
				}
				n.first("ALARM door p3-door is shut by another way, core-cli")
				if got := len(n.all("another way")); got != 1 {
					n.Errorf("%d alarms of it", got)
				}
				entries := n.journal.all()
				if last := string(entries[len(entries)-1].Detail); !strings.Contains(last, `"by":"core-cli"`) {
					n.Errorf("the evidence of closure does not name the way: %s", last)
				}
				n.never("SET p3 up by core-cli") // it opens by the first way alone
				n.sw.fault(func() { n.sw.set, n.sw.read, n.sw.dial = nil, nil, nil })
				if _, err := ctl.hold(n.life, tenMinutes("w2", nothing)); err != nil {
					n.Errorf("with the first way mended: %v", err)
				}
			})
		})
	}
}

// What was shut by the second way, the first may not know yet: agents tell from caches.
// That is nobody's other hand, and no reason to refuse the next window.
func TestFirstWayThatIsLate(t *testing.T) {
	inNight(t, func(n *night) {
		ctl := n.controller("v", doors{vault: "p3"})
		n.second(ctl)
		n.run(ctl)
		n.rest(ctl)
		_, err := ctl.hold(n.life, tenMinutes("w1", func(context.Context) error {
			n.sw.fault(func() {
				n.sw.set = func(context.Context, setCommand) (carriedOut, error) { return carriedOut{}, switchctl.ErrRefused }
			})
			return nil
		}))
		if err != nil {
			n.Fatal(err)
		}
		late := time.Now().Add(3 * time.Second)
		n.sw.fault(func() {
			n.sw.set = nil
			n.sw.read = func(_ context.Context, r *switchctl.Reading) error {
				if time.Now().Before(late) {
					r.Row.Admin, r.Row.Oper = switchctl.AdminUp, switchctl.OperUp
				}
				return nil
			}
		})
		if _, err := ctl.hold(n.life, tenMinutes("w2", nothing)); err != nil {
			n.Errorf("the next window: %v", err)
		}
		n.never("another hand")
		n.shut(ctl)
	})
}

// S12: while no way works, each is tried again, for ever.
func TestWaysInTurn(t *testing.T) {
	inNight(t, func(n *night) {
		ctl := n.controller("v", doors{vault: "p3"})
		n.second(ctl)
		tries := map[string]int{}
		for i, by := range ctl.doors[window.Vault].ways {
			dial := by.session.dial
			ctl.doors[window.Vault].ways[i].session.dial = func(ctx context.Context) (switchctl.Switch, error) {
				n.sw.mu.Lock()
				tries[by.name]++
				down := n.sw.dial != nil
				n.sw.mu.Unlock()
				if down {
					return nil, switchctl.ErrTimeout
				}
				return dial(ctx)
			}
		}
		n.sw.move(3, true)
		n.sw.fault(func() { n.sw.dial = hang })
		n.run(ctl)
		time.Sleep(time.Hour)
		n.sw.mu.Lock()
		for _, name := range []string{"core", "core-cli"} {
			if tries[name] < 50 {
				n.Errorf("%s was tried %d times in an hour", name, tries[name])
			}
		}
		n.sw.mu.Unlock()
		if got := phase(ctl, window.Vault); got != window.Stuck {
			n.Errorf("the door is %s", got)
		}
		n.sw.fault(func() { n.sw.dial = nil })
		time.Sleep(2 * time.Minute)
		n.shut(ctl)
	})
}

// S7: a port that took the place of the one that was opened is not the one, by whichever
// way it is asked for.
func TestSecondWayIsNoWayRoundTheIdentity(t *testing.T) {
	inNight(t, func(n *night) {
		ctl := n.controller("v", doors{vault: "p3"})
		n.second(ctl)
		n.run(ctl)
		n.rest(ctl)
		_, err := ctl.hold(n.life, tenMinutes("w1", func(context.Context) error {
			n.sw.fault(func() { n.sw.row(3).Name, n.sw.row(4).Name = "p4", "p3" })
			return nil
		}))
		if !errors.Is(err, ErrNotShut) {
			n.Errorf("the window: %v, want ErrNotShut", err)
		}
		n.never("by core-cli")
	})
}

// S4: the switch itself shuts the door when nobody else does.
func TestSwitchTimer(t *testing.T) {
	inNight(t, func(n *night) {
		ctl := n.controller("v", doors{vault: "p3"})
		n.second(ctl)
		n.run(ctl)
		n.rest(ctl)
		if _, err := ctl.hold(n.life, tenMinutes("w1", nothing)); err != nil {
			n.Fatal(err)
		}
		n.rest(ctl)
		n.first("timer entry p3-door: disarmed")
		for i, what := range []string{"timer armed for 12m0s", "SET p3 up", "p3 is down", "timer disarmed", "timer entry p3-door: disarmed"} {
			before := []string{"shutting → shut", "timer armed for", "SET p3 up", "p3 is down", "timer disarmed"}
			if i > 0 && n.index(what) < n.index(before[i]) || n.index(what) < 0 {
				n.Errorf("%q is event %d, and %q event %d", what, n.index(what), before[i], n.index(before[i]))
			}
		}
		n.first("timer entry p3-door: armed")

		// The executor hangs, and so does every other: nobody shuts the door but the switch.
		over := n.begin(n.life, ctl, tenMinutes("w2", func(ctx context.Context) error { return hang(ctx) }))
		time.Sleep(time.Minute)
		n.sw.fault(func() {
			n.sw.set = func(context.Context, setCommand) (carriedOut, error) { return carriedOut{lost: true}, nil }
		})
		ctl.doors[window.Vault].ways[1].session.dial = func(ctx context.Context) (switchctl.Switch, error) { return nil, hang(ctx) }
		if err := n.otherSession.close(); err != nil {
			n.Error(err)
		}
		time.Sleep(15 * time.Minute)
		if n.sw.up(3) {
			n.Error("the port is still up")
		}
		<-over
	})
}

// S4: where the switch has a timer, nothing is opened without it.
func TestSwitchTimerThatCannotBeSet(t *testing.T) {
	inNight(t, func(n *night) {
		ctl := n.controller("v", doors{vault: "p3"})
		o := n.second(ctl)
		o.refuses = switchctl.ErrRefused
		n.run(ctl)
		n.rest(ctl)
		p, err := ctl.hold(n.life, tenMinutes("w1", nothing))
		if err == nil || !p.OpenedAt.IsZero() || !strings.Contains(err.Error(), "timer: none") {
			n.Errorf("the window: %+v, %v", p, err)
		}
		n.never("SET p3 up")
		n.first("ALARM door p3-door is shut, and the switch's own timer could not be taken back")
		n.sw.fault(func() { o.refuses = nil })
		time.Sleep(time.Minute)
		n.first("timer disarmed")

		n.sw.fault(func() { o.refuses = switchctl.ErrRefused })
		ctl.doors[window.Vault].timer = false
		if _, err := ctl.hold(n.life, tenMinutes("w2", nothing)); err != nil {
			n.Errorf("without the timer: %v", err)
		}
	})
}
