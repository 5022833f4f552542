package doors

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"airlock/ledger"
	"airlock/orchestrator/doors/window"
)

// cable is what a probe is told of this machine's own way.
type cable struct{ cut, gatewayGone atomic.Bool }

// cabled gives the vault's door of a controller that does not run yet a probe whose way a test
// cuts.
func cabled(ctl *controller, gateway string) *cable {
	c := &cable{}
	p := ctl.doors[window.Vault].probe
	p.route = func(context.Context, string) (hop, error) {
		to, _ := netip.ParseAddr(gateway)
		return hop{link: "eth0", up: !c.cut.Load(), gateway: to}, nil
	}
	p.alive = func(context.Context, netip.Addr) bool { return !c.gatewayGone.Load() }
	return c
}

// S3, S6: silence is no proof where an answer could not be heard. The door is stuck, the
// inner door stays shut, and no person's order changes that; once an answer could be heard,
// it is proven.
func TestSilenceOfACutCable(t *testing.T) {
	vault, control := freeAddress(t), freeAddress(t)
	for name, c := range map[string]struct {
		gateway  string
		controls []string
		cut      func(*cable, bool)
		doubt    string
	}{
		"own link":   {"", nil, func(c *cable, cut bool) { c.cut.Store(cut) }, "own link eth0 is down"},
		"gateway":    {"192.0.2.1", nil, func(c *cable, cut bool) { c.gatewayGone.Store(cut) }, "gateway 192.0.2.1 silent"},
		"control":    {"192.0.2.1", []string{control}, func(*cable, bool) {}, "control " + control + " silent"},
		"no control": {"", nil, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			inNight(t, func(n *night) {
				ctl := n.controller("v", doors{"p3", "p1", vault})
				cable := cabled(ctl, c.gateway)
				ctl.doors[window.Vault].probe.controls = c.controls
				var beside net.Listener
				listen := func() {
					var err error
					if beside, err = net.Listen("tcp", control); err != nil {
						n.Fatal(err)
					}
				}
				listen()
				n.run(ctl)
				n.rest(ctl)
				over := n.begin(n.life, ctl, tenMinutes("w1", func(ctx context.Context) error { return wait(ctx, time.Minute) }))
				time.Sleep(30 * time.Second)
				beside.Close()
				if c.cut != nil {
					c.cut(cable, true)
				}
				h := <-over
				if c.cut == nil {
					if h.err != nil || phase(ctl, window.Vault) != window.Shut {
						n.Errorf("with nothing to ask, the switch and a silent vault prove it: %v", h.err)
					}
					return
				}
				if !errors.Is(h.err, ErrNotShut) || phase(ctl, window.Vault) != window.Stuck || n.sw.up(1) {
					n.Errorf("the window ended with %v; the door is %s, the inner port is up: %t", h.err, phase(ctl, window.Vault), n.sw.up(1))
				}
				if a := n.first("ALARM door p3-door cannot be proven shut"); !strings.Contains(a.what, c.doubt) {
					n.Errorf("the alarm is %q, and should say %q", a.what, c.doubt)
				}
				if err := ctl.shut(n.life, window.Vault, "user root", byHand); !errors.Is(err, ErrNotShut) || n.sw.up(1) {
					n.Errorf("shut by hand: %v; the inner port is up: %t", err, n.sw.up(1))
				}
				c.cut(cable, false)
				listen()
				defer beside.Close()
				time.Sleep(3 * time.Minute)
				n.shut(ctl)
				if !n.sw.up(1) {
					n.Error("the inner door stays shut, though the vault's is proven shut")
				}
			})
		})
	}
}

// S15: at rest, a probe that could not be heard accuses nobody and shuts no inner door; but
// no window begins, and a person is called when it lasts.
func TestSilenceAtRest(t *testing.T) {
	vault := freeAddress(t)
	inNight(t, func(n *night) {
		ctl := n.controller("v", doors{"p3", "p1", vault})
		cable := cabled(ctl, "")
		for side := range ctl.doors {
			ctl.inbox <- recalled{side: window.Side(side)}
		}
		n.run(ctl)
		n.rest(ctl)
		n.patrols(ctl)
		n.settled()
		cable.cut.Store(true)
		if _, err := ctl.hold(n.life, tenMinutes("w1", nothing)); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "own link eth0 is down") {
			n.Errorf("the window: %v", err)
		}
		time.Sleep(10 * time.Minute)
		n.never("opened by another hand")
		n.never("SET p1 down")
		n.shut(ctl)
		if all := n.all("ALARM door p3-door reads as shut, and its probe can prove nothing: own link eth0 is down"); len(all) != 1 {
			n.Errorf("%d alarms, want one", len(all))
		}
		if d := describe(ctl)["p3-door"]; !strings.Contains(d.Doubt, "own link eth0 is down") || d.State != "shut" {
			n.Errorf("the status says %+v", d)
		}
		cable.cut.Store(false)
		time.Sleep(2 * time.Minute)
		if _, err := ctl.hold(n.life, tenMinutes("w2", nothing)); err != nil || describe(ctl)["p3-door"].Doubt != "" {
			n.Errorf("the next window: %v, and the status says %+v", err, describe(ctl))
		}
	})
}

func describe(ctl *controller) map[string]Status {
	all := map[string]Status{}
	ctl.describe(all, time.UTC)
	return all
}

// S3: at the start, a silence that could not be broken proves nothing either.
func TestSilenceAtTheStart(t *testing.T) {
	vault := freeAddress(t)
	inNight(t, func(n *night) {
		ctl := n.controller("v", doors{"p3", "p1", vault})
		cable := cabled(ctl, "")
		cable.cut.Store(true)
		n.run(ctl)
		time.Sleep(2 * time.Minute)
		if phase(ctl, window.Vault) == window.Shut {
			n.Error("the door counts as proven shut")
		}
		cable.cut.Store(false)
		time.Sleep(2 * time.Minute)
		n.shut(ctl)
		if !n.sw.up(1) {
			n.Error("the inner door stays shut")
		}
	})
}

// S3: a probe that does not answer while the vault does is no evidence. The proof rests on
// the switch alone then, and that is said; one that did answer is believed.
func TestProbeThatNeverAnswers(t *testing.T) {
	vault := freeAddress(t)
	inNight(t, func(n *night) {
		ctl := n.controller("v", doors{"p3", "p1", vault})
		cabled(ctl, "")
		n.run(ctl)
		n.rest(ctl)
		reach := func(reached bool) func(context.Context) error {
			return func(ctx context.Context) error {
				end := ctl.doors[window.Vault].probe.listen(ctx)
				err := wait(ctx, time.Second)
				end(reached)
				return err
			}
		}
		hold := func(reached bool) {
			n.Helper()
			if _, err := ctl.hold(n.life, tenMinutes("w", reach(reached))); err != nil {
				n.Fatal(err)
			}
			synctest.Wait()
		}
		hold(false)
		n.never("ALARM")
		hold(true)
		hold(true)
		n.shut(ctl)
		alarms := n.all("ALARM door p3-door is proven shut by its switch alone: its probe " + vault + " did not answer")
		if d := describe(ctl)["p3-door"]; len(alarms) != 1 || !strings.Contains(d.Doubt, "put the vault's own address there") {
			n.Errorf("%d alarms; the status says %+v", len(alarms), d)
		}
		var noted []string
		for _, e := range n.journal.all() {
			if e.Kind == ledger.KindPatrol {
				noted = append(noted, e.Door+" "+e.To+" "+string(e.Detail))
			}
		}
		if want := `p3-door the probe did not answer {"probe":"` + vault + `"}`; len(noted) != 1 || noted[0] != want {
			n.Errorf("the ledger says %q, want %q", noted, want)
		}
		if _, err := ctl.hold(n.life, tenMinutes("w", func(ctx context.Context) error { // now it answers
			l, err := net.Listen("tcp", vault)
			if err != nil {
				return err
			}
			return errors.Join(reach(true)(ctx), l.Close())
		})); err != nil {
			n.Fatal(err)
		}
		if d := describe(ctl)["p3-door"]; d.Doubt != "" {
			n.Errorf("the status says %+v", d)
		}
	})
}

// An inner door may have a probe too: a host that must fall silent (S6).
func TestProbeOfTheInnerDoor(t *testing.T) {
	host := freeAddress(t)
	inNight(t, func(n *night) {
		ctl := n.controller("v", doors{"p3", "p1", ""})
		ctl.doors[window.Inner].probe.address = host
		l, err := net.Listen("tcp", host)
		if err != nil {
			n.Fatal(err)
		}
		n.run(ctl)
		n.rest(ctl)
		over := n.begin(n.life, ctl, tenMinutes("w1", nothing))
		time.Sleep(2 * time.Minute)
		n.never("SET p3 up") // S6: the host still answers, whatever the switch says
		if h := <-over; h.err == nil {
			n.Error("the window was held")
		}
		if ctl.doors[window.Inner].probe.known() != probeHeard {
			n.Error("nobody asked while the door stood open")
		}
		l.Close()
		time.Sleep(2 * time.Minute)
		if _, err := ctl.hold(n.life, tenMinutes("w2", nothing)); err != nil {
			n.Error(err)
		}
		n.first("ALARM door p1-door is proven shut by its switch alone")
	})
}
