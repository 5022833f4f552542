package doors

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"airlock/ledger"
	"airlock/orchestrator/doors/patrol"
	"airlock/orchestrator/doors/window"
	"airlock/policies"
	"airlock/switchctl"
)

// patrolled is a controller at rest whose doors are patrolled once a minute, as serve does.
func (n *night) patrolled(d doors, known ...recalled) *controller {
	n.Helper()
	ctl := n.controller("v", d)
	for side := range ctl.doors {
		if ctl.doors[side] != nil {
			r := recalled{side: window.Side(side)}
			for _, k := range known {
				if k.side == r.side {
					r = k
				}
			}
			ctl.inbox <- r
		}
	}
	n.run(ctl)
	n.rest(ctl)
	n.patrols(ctl)
	return ctl
}

func (n *night) patrols(ctl *controller) {
	p := policies.Patrol{Every: policies.Duration(time.Minute), Misses: 3}
	for side, d := range ctl.doors {
		if d != nil {
			n.hands.Go(func() { ctl.patrol(n.life, window.Side(side), p) })
		}
	}
}

// settled passes the time after which patrol has something to compare with.
func (n *night) settled() {
	time.Sleep(3 * patrol.CacheLag)
	synctest.Wait()
}

// noted are the entries of patrol about something.
func (n *night) noted(to string) []patrolDetail {
	n.Helper()
	synctest.Wait()
	var all []patrolDetail
	for _, e := range n.journal.all() {
		if e.Kind != ledger.KindPatrol || e.To != to {
			continue
		}
		var d patrolDetail
		if err := json.Unmarshal(e.Detail, &d); err != nil {
			n.Fatal(err)
		}
		if e.Actor != "patrol" || e.Door != "p3-door" || e.Reason == "" {
			n.Errorf("the entry is %+v", e)
		}
		all = append(all, d)
	}
	return all
}

// opened is the one entry of a door that somebody else opened.
func (n *night) opened() patrolDetail {
	n.Helper()
	all := n.noted(patrol.Opened)
	if len(all) != 1 {
		n.Fatalf("%d entries say that the door was opened, want one", len(all))
	}
	return all[0]
}

// A door that somebody opened by hand is found at the next look, shut and proven shut,
// and the ledger has the evidence and the longest time for which it stood open. S3: what
// is seen again later is not found a second time.
func TestPatrolFindsDoorOpen(t *testing.T) {
	inNight(t, func(n *night) {
		ctl := n.patrolled(doors{vault: "p3"})
		n.settled()
		time.Sleep(10 * time.Minute)
		opened := time.Now()
		n.sw.move(3, true)
		time.Sleep(70 * time.Second)
		d := n.opened()
		if d.Before == nil || d.Before.Admin != 2 || d.Now == nil || d.Now.Admin != 1 || !d.ShutSeen.Before(opened) || d.ShutSeen.Before(opened.Add(-70*time.Second)) {
			n.Errorf("the evidence is %+v", d)
		}
		again := n.noted(patrol.ShutAgain)
		if open := n.first("p3 is down").at - n.first("p3 is up").at; open > 65*time.Second || len(again) != 1 || again[0].OpenAtMost < open.Seconds() || again[0].OpenAtMost > open.Seconds()+65 {
			n.Errorf("it stood open for %s; the entry says %+v", open, again)
		}
		n.first("ALARM door p3-door was opened by another hand")
		time.Sleep(10 * time.Minute)
		n.opened()
		n.shut(ctl)
	})
}

// A door that was opened and shut again between two looks leaves traces in the switch:
// a change, or octets. Each alone is enough.
func TestPatrolFindsTraces(t *testing.T) {
	for name, c := range map[string]struct {
		trace   func(n *night)
		differs string
		last    time.Duration // of the opening, where the switch tells when it ended
	}{
		"both":        {func(n *night) { n.sw.fault(func() { n.sw.octets += 344 }); n.byHand(3, 5*time.Second) }, "ifLastChange, ifInOctets 344, was 0", 5 * time.Second},
		"change":      {func(n *night) { n.byHand(3, 5*time.Second) }, "ifLastChange", 5 * time.Second},
		"octets":      {func(n *night) { n.sw.fault(func() { n.sw.octets++ }) }, "ifInOctets 1, was 0", 0},
		"octets back": {func(n *night) { n.sw.fault(func() { n.sw.octets-- }) }, "ifInOctets", 0},
	} {
		t.Run(name, func(t *testing.T) {
			inNight(t, func(n *night) {
				ctl := n.patrolled(doors{vault: "p3", inner: "p1"})
				n.settled()
				looked := n.looked(ctl)
				time.Sleep(20 * time.Second) // not the time of a regular look
				traced := time.Now()
				c.trace(n)
				time.Sleep(70 * time.Second)
				d := n.opened()
				if got := strings.Join(d.Differs, ", "); !strings.HasPrefix(got, c.differs) || d.Before == nil || d.Now == nil {
					n.Errorf("the evidence is %+v, want %s", d, c.differs)
				}
				end := d.Now.At
				if c.last > 0 {
					end = traced.Add(c.last)
				}
				if most := end.Sub(looked).Seconds(); math.Abs(d.OpenAtMost-most) > 0.1 || !d.ShutSeen.Equal(looked) {
					n.Errorf("open for %.1f s at most, last seen shut at %s; want %.1f s, and %s", d.OpenAtMost, d.ShutSeen, most, looked)
				}
				n.first("ALARM door p3-door was opened by another hand, and is shut again: " + c.differs)
				n.first("SET p3 down") // at once, and proven anew
				n.first("entry p3-door: shutting → shut")
				time.Sleep(10 * time.Minute)
				n.opened() // and no second time
				n.rest(ctl)
				n.shut(ctl)
				if !n.sw.up(1) {
					n.Error("the inner door was not opened again")
				}
			})
		})
	}
}

// byHand has somebody open a port for some time.
func (n *night) byHand(index int, open time.Duration) {
	n.sw.move(index, true)
	time.Sleep(open)
	n.sw.move(index, false)
}

// looked is when the door was seen last.
func (n *night) looked(ctl *controller) time.Time {
	ctl.mu.Lock()
	defer ctl.mu.Unlock()
	return ctl.seen[window.Vault].at
}

// Our own windows leave the same traces, and agents tell them late: their caches are
// some seconds old. Nothing of it is evidence.
func TestPatrolKnowsOurOwnWindows(t *testing.T) {
	inNight(t, func(n *night) {
		ctl := n.patrolled(doors{"p3", "p1", ""})
		n.settled()
		var stale switchctl.Reading
		n.sw.fault(func() {
			n.sw.read = func(_ context.Context, r *switchctl.Reading) error {
				if r.Row.Index != 3 {
					return nil
				}
				if r.At.Sub(stale.At) > 25*time.Second {
					stale = *r
				}
				r.InOctets = stale.InOctets
				return nil
			}
		})
		for range 20 {
			over := n.begin(n.life, ctl, tenMinutes("w", func(ctx context.Context) error {
				n.sw.fault(func() { n.sw.octets += 1e6 })
				return wait(ctx, 10*time.Second)
			}))
			if h := <-over; h.err != nil {
				n.Fatal(h.err)
			}
			time.Sleep(7 * time.Minute)
		}
		if all := n.noted(patrol.Opened); len(all) > 0 {
			n.Errorf("our own windows were taken for another's: %+v", all)
		}
		n.never("ALARM")
		if rests := n.noted(patrol.AtRest); len(rests) != 21 {
			n.Errorf("%d readings to compare with were noted, want one after each window", len(rests))
		}
	})
}

// Soon after a window nothing that a switch tells late is evidence; what it says
// happened later still is, and a door that stands open always.
func TestPatrolSoonAfterAWindow(t *testing.T) {
	inNight(t, func(n *night) {
		ctl := n.patrolled(doors{vault: "p3"})
		if _, err := ctl.hold(n.life, tenMinutes("w", nothing)); err != nil {
			n.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		n.sw.move(3, true)
		time.Sleep(12 * time.Second)
		n.first("ALARM door p3-door was opened by another hand")
		n.shut(ctl)
		if d := n.opened(); d.OpenAtMost > 12 {
			n.Errorf("the evidence is %+v", d)
		}
	})
}

// While airlock was off somebody opened the door: what the ledger knows tells so.
func TestPatrolAfterAnAbsence(t *testing.T) {
	const hour = time.Hour
	for name, c := range map[string]struct {
		known   func(n *night, r *recalled)
		differs string
		least   time.Duration // of what the entry says
	}{
		"nothing happened":                    {func(*night, *recalled) {}, "", 0},
		"found open":                          {func(n *night, _ *recalled) { n.sw.move(3, true) }, "found open", time.Minute}, // by ifLastChange
		"was open":                            {func(n *night, _ *recalled) { n.byHand(3, time.Minute) }, "ifLastChange", hour},
		"octets":                              {func(n *night, _ *recalled) { n.sw.octets += 7 }, "ifInOctets", hour},
		"octets of our own window, told late": {func(n *night, r *recalled) { n.sw.octets, r.base.WithinCacheLag = n.sw.octets+7, true }, "", 0},
		"was open, after a reading that was told late": {func(n *night, r *recalled) {
			n.byHand(3, time.Minute)
			r.base.WithinCacheLag = true
		}, "ifLastChange", hour},
		"our own window was cut": {func(n *night, r *recalled) {
			n.byHand(3, time.Minute)
			*r = recalled{side: window.Vault, index: 3, unproven: true}
		}, "", 0},
		"our own window was cut, and the port is open": {func(n *night, r *recalled) {
			n.sw.move(3, true)
			*r = recalled{side: window.Vault, index: 3, unproven: true}
		}, "", 0},
		"the switch restarted": {func(n *night, _ *recalled) {
			n.byHand(3, time.Minute)
			n.sw.restarted, n.sw.row(3).LastChange, n.sw.octets = time.Now(), 0, 0
		}, "", 0},
		"the switch restarted, and the port was open then": {func(n *night, _ *recalled) {
			n.sw.restarted, n.sw.row(3).LastChange, n.sw.octets = time.Now(), 0, 99
		}, "ifInOctets 99", hour},
	} {
		t.Run(name, func(t *testing.T) {
			inNight(t, func(n *night) {
				n.sw.octets = 5000
				before := switchctl.Reading{At: time.Now(), Row: *n.sw.row(3), Uptime: time.Since(n.sw.restarted), InOctets: 5000}
				r := recalled{side: window.Vault, index: 3, base: patrol.Observation{At: before.At, Reading: before}}
				time.Sleep(hour)
				c.known(n, &r)
				time.Sleep(time.Minute)
				ctl := n.patrolled(doors{vault: "p3"}, r)
				time.Sleep(5 * time.Minute)
				n.shut(ctl)
				if c.differs == "" {
					if all := n.noted(patrol.Opened); len(all) > 0 {
						n.Errorf("found was %+v", all)
					}
					if !strings.Contains(name, "is open") { // which the machine says
						n.never("ALARM")
					}
				} else if d := n.opened(); !strings.Contains(strings.Join(d.Differs, ", "), c.differs) || d.OpenAtMost < c.least.Seconds() || d.OpenAtMost > 62*60 {
					n.Errorf("the evidence is %+v, want %s", d, c.differs)
				}
				if again := len(n.noted(patrol.Restarted)); again != strings.Count(name, "restarted") {
					n.Errorf("%d entries of a restart", again)
				}
			})
		})
	}
}

// S3: what cannot be read counts as open. After three misses there is an alarm, the door
// is unknown, and windows are refused; when it can be read again, the ledger says so.
func TestPatrolMisses(t *testing.T) {
	inNight(t, func(n *night) {
		ctl := n.patrolled(doors{vault: "p3"})
		n.settled()
		n.sw.fault(func() {
			n.sw.read = func(context.Context, *switchctl.Reading) error { return switchctl.ErrTimeout }
			n.sw.set = func(context.Context, setCommand) (carriedOut, error) {
				return carriedOut{lost: true}, switchctl.ErrTimeout
			}
		})
		time.Sleep(130 * time.Second)
		n.never("ALARM")
		n.shut(ctl)
		time.Sleep(time.Minute)
		n.first("ALARM door p3-door cannot be read any more")
		if p := phase(ctl, window.Vault); p == window.Shut {
			n.Error("the door counts as shut still")
		}
		if _, err := ctl.hold(n.life, tenMinutes("w", nothing)); !errors.Is(err, ErrRefused) {
			n.Errorf("a window: %v, want %v", err, ErrRefused)
		}
		if d := n.noted(patrol.Unreadable); len(d) != 1 || d[0].Error == "" || d[0].ShutSeen.IsZero() {
			n.Errorf("the entry is %+v", d)
		}
		time.Sleep(10 * time.Minute)
		n.sw.fault(func() { n.sw.read, n.sw.set = nil, nil })
		time.Sleep(5 * time.Minute)
		n.shut(ctl)
		if d := n.noted(patrol.Readable); len(d) != 1 {
			n.Errorf("the entry is %+v", d)
		}
		if d := n.noted(patrol.Opened); len(d) != 0 {
			n.Errorf("it was not opened: %+v", d)
		}
		if _, err := ctl.hold(n.life, tenMinutes("w", nothing)); err != nil {
			n.Error(err)
		}
	})
}

// A switch that fails now and then is no alarm. One that cannot be read is told to shut
// the door all the same, and what happened meanwhile is found afterwards.
func TestPatrolAfterMisses(t *testing.T) {
	inNight(t, func(n *night) {
		ctl := n.patrolled(doors{vault: "p3"})
		n.settled()
		fails := func(on bool) {
			n.sw.fault(func() {
				n.sw.read = nil
				if on {
					n.sw.read = func(context.Context, *switchctl.Reading) error { return switchctl.ErrTimeout }
				}
			})
		}
		for range 5 {
			fails(true)
			time.Sleep(2 * time.Minute)
			fails(false)
			time.Sleep(2 * time.Minute)
		}
		n.never("ALARM")
		fails(true)
		n.byHand(3, 20*time.Minute)
		fails(false)
		time.Sleep(5 * time.Minute)
		if d := n.opened(); d.OpenAtMost < 3*60 || d.OpenAtMost > 4*60 {
			n.Errorf("it was shut unseen after some three minutes; the evidence is %+v", d)
		}
		n.shut(ctl)
	})
}

// linkUp is a trap of the switch about a port.
func (n *night) linkUp(index int) switchctl.Trap {
	return switchctl.Trap{Switch: "core", At: time.Now(), Kind: switchctl.LinkUp, IfIndex: index, Uptime: time.Since(n.sw.restarted), Authentic: true}
}

// forged is a linkUp that anybody may have sent who knows a community.
func (n *night) forged(index int) switchctl.Trap {
	trap := n.linkUp(index)
	trap.Authentic, trap.Uptime = false, 0
	return trap
}

// S15: a flood of traps that anybody may have sent accuses nobody, is no entry, and shuts no
// inner door; nor does it have the switch asked more often than once in a second.
func TestPatrolForgedTraps(t *testing.T) {
	inNight(t, func(n *night) {
		ctl := n.patrolled(doors{"p3", "p1", ""})
		n.settled()
		finds := 0
		n.sw.fault(func() { n.sw.find = func(context.Context) error { finds++; return nil } })
		for range 1200 {
			ctl.post(trapped{window.Vault, n.forged(3)})
			ctl.post(trapped{window.Inner, n.forged(1)})
			time.Sleep(50 * time.Millisecond)
		}
		synctest.Wait()
		if all := n.noted(patrol.Opened); len(all) > 0 {
			n.Errorf("found was %+v", all)
		}
		n.never("ALARM")
		n.never("SET p1")
		if finds > 130 {
			n.Errorf("the switch was asked %d times within a minute, for two doors", finds)
		}
		n.shut(ctl)
	})
}

// A trap has the door looked at at once. One that says that the door's port came up is
// evidence even if the port is down again by then.
func TestPatrolTraps(t *testing.T) {
	for name, c := range map[string]struct {
		open  time.Duration
		trap  func(n *night) switchctl.Trap
		found bool
	}{
		"link up, open":         {time.Hour, func(n *night) switchctl.Trap { return n.linkUp(3) }, true},
		"restart, open":         {time.Hour, func(n *night) switchctl.Trap { return switchctl.Trap{At: time.Now(), Kind: switchctl.ColdStart} }, true},
		"storm, open":           {time.Hour, func(n *night) switchctl.Trap { return switchctl.Trap{At: time.Now(), Kind: switchctl.TrapStorm} }, true},
		"another port, open":    {time.Hour, func(n *night) switchctl.Trap { return n.linkUp(4) }, true},
		"link up, shut again":   {time.Second, func(n *night) switchctl.Trap { return n.linkUp(3) }, true},
		"link up, not at all":   {0, func(n *night) switchctl.Trap { return n.linkUp(3) }, true},
		"forged, open":          {time.Hour, func(n *night) switchctl.Trap { return n.forged(3) }, true},
		"forged, not at all":    {0, func(n *night) switchctl.Trap { return n.forged(3) }, false},
		"another, not at all":   {0, func(n *night) switchctl.Trap { return n.linkUp(4) }, false},
		"restart, not at all":   {0, func(n *night) switchctl.Trap { return switchctl.Trap{At: time.Now(), Kind: switchctl.WarmStart} }, false},
		"link down, not at all": {0, func(n *night) switchctl.Trap { trap := n.linkUp(3); trap.Kind = switchctl.LinkDown; return trap }, false},
	} {
		t.Run(name, func(t *testing.T) {
			inNight(t, func(n *night) {
				ctl := n.patrolled(doors{vault: "p3"})
				n.settled()
				time.Sleep(20 * time.Second) // not the time of a regular look
				if c.open > 0 {
					n.sw.move(3, true)
					n.sw.fault(func() { n.sw.row(3).LastChange = 0 }) // this switch does not tell its changes
				}
				if c.open == time.Second {
					time.Sleep(c.open)
					n.sw.move(3, false)
					n.sw.fault(func() { n.sw.row(3).LastChange = 0 })
				}
				told := time.Since(n.begun)
				ctl.post(trapped{window.Vault, c.trap(n)})
				time.Sleep(2 * time.Second)
				if n.sw.up(3) {
					n.Error("the port is still up, 2 s after the trap")
				}
				if !c.found {
					if all := n.noted(patrol.Opened); len(all) > 0 {
						n.Errorf("found was %+v", all)
					}
					n.never("ALARM")
				} else {
					d := n.opened()
					if linkUp := strings.HasPrefix(name, "link up"); linkUp != (d.Trap != nil) {
						n.Errorf("the evidence is %+v", d)
					}
					if sent := n.first("SET p3 down"); sent.at-told > promptly {
						n.Errorf("it was shut %s after the trap", sent.at-told)
					}
				}
				n.shut(ctl)
			})
		})
	}
}

// What the switch tells when a trap has it asked may be as old as its cache.
func TestPatrolTrapBeforeTheCache(t *testing.T) {
	inNight(t, func(n *night) {
		ctl := n.patrolled(doors{vault: "p3"})
		n.settled()
		time.Sleep(20 * time.Second)
		n.sw.fault(func() {
			old, until := *n.sw.row(3), time.Now().Add(5*time.Second)
			n.sw.read = func(_ context.Context, r *switchctl.Reading) error {
				if time.Now().Before(until) {
					r.Row = old
				}
				return nil
			}
			n.sw.set = func(context.Context, setCommand) (carriedOut, error) { // such a switch does not do what it believes done
				return carriedOut{lost: time.Now().Before(until)}, nil
			}
		})
		n.sw.move(3, true)
		ctl.post(trapped{window.Vault, n.linkUp(3)})
		time.Sleep(8 * time.Second)
		n.shut(ctl)
		if d := n.noted(patrol.Opened); len(d) != 2 || d[0].Trap == nil {
			n.Errorf("found were %+v, want the trap and then the port", d)
		}
	})
}

// The traps of our own windows, which may come late, are no evidence.
func TestPatrolTrapsOfOurOwn(t *testing.T) {
	inNight(t, func(n *night) {
		ctl := n.patrolled(doors{vault: "p3"})
		n.settled()
		var ours switchctl.Trap
		over := n.begin(n.life, ctl, tenMinutes("w", func(ctx context.Context) error {
			ours = n.linkUp(3)
			ctl.post(trapped{window.Vault, ours})
			return wait(ctx, 5*time.Second)
		}))
		if h := <-over; h.err != nil {
			n.Fatal(h.err)
		}
		for range 10 { // an inform that was lost is sent again
			time.Sleep(15 * time.Second)
			ours.At = time.Now()
			ctl.post(trapped{window.Vault, ours})
		}
		time.Sleep(5 * time.Minute)
		if all := n.noted(patrol.Opened); len(all) > 0 {
			n.Errorf("found was %+v", all)
		}
		n.never("ALARM")
	})
}

// Traps may come by the thousand: the switch is not asked more than once in a second.
func TestPatrolInATrapStorm(t *testing.T) {
	inNight(t, func(n *night) {
		ctl := n.patrolled(doors{vault: "p3"})
		n.settled()
		finds := 0
		n.sw.fault(func() { n.sw.find = func(context.Context) error { finds++; return nil } })
		for range 6000 {
			ctl.post(trapped{window.Vault, switchctl.Trap{At: time.Now(), Kind: switchctl.TrapStorm}})
			time.Sleep(10 * time.Millisecond)
		}
		synctest.Wait()
		if finds < 30 || finds > 62 {
			n.Errorf("the switch was asked %d times within a minute", finds)
		}
		n.shut(ctl)
	})
}

// S6: an inner door rests open; in a lockdown it must be shut, and is patrolled as such.
func TestPatrolOfTheInnerDoor(t *testing.T) {
	inNight(t, func(n *night) {
		ctl := n.patrolled(doors{"p3", "p1", ""})
		n.settled()
		n.sw.move(1, false)
		time.Sleep(2 * time.Minute)
		if p := phase(ctl, window.Inner); p != window.Shut {
			n.Errorf("somebody shut the inner door, and it counts as %s", p)
		}
		n.sw.move(1, true)
		time.Sleep(2 * time.Minute)
		if p := phase(ctl, window.Inner); p != window.Open {
			n.Errorf("somebody opened the inner door again, and it counts as %s", p)
		}
		n.never("ALARM")
		ctl.post(lock{time.Now(), "user root", "lockdown: a test"})
		n.settled()
		n.sw.move(1, true)
		time.Sleep(70 * time.Second)
		n.first("ALARM door p1-door was opened by another hand")
		if n.sw.up(1) {
			n.Error("the inner door is open in a lockdown")
		}
	})
}

// S7: resolved at every use. That the port moved to another index is noted, whatever it
// was used for.
func TestPortThatMoved(t *testing.T) {
	inNight(t, func(n *night) {
		move := func(from, to int) {
			n.sw.fault(func() { n.sw.row(from).Index = to })
		}
		move(3, 12)
		ctl := n.patrolled(doors{vault: "p3"}, recalled{side: window.Vault, index: 3})
		n.settled()
		move(12, 13)
		time.Sleep(2 * time.Minute)
		move(13, 14)
		if _, err := ctl.hold(n.life, tenMinutes("w", nothing)); err != nil {
			n.Fatal(err)
		}
		var moves []string
		synctest.Wait()
		for _, e := range n.journal.all() {
			if e.Kind == ledger.KindPort {
				moves = append(moves, e.From+" → "+e.To)
			}
		}
		if got := strings.Join(moves, ", "); got != "index 3 → index 12, index 12 → index 13, index 13 → index 14" {
			n.Errorf("noted were %s", got)
		}
	})
}
