package window

import (
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "rewrite the golden traces in testdata")

var (
	t0    = time.Date(2026, 11, 21, 2, 30, 0, 0, time.UTC)
	rules = Rules{
		HasInner:   true,
		Doors:      [2]Limits{{30 * time.Second, 60 * time.Second}, {30 * time.Second, 60 * time.Second}},
		ReadWithin: 10 * time.Second,
		Repeat:     2 * time.Second, RepeatMax: time.Minute,
		Lag: 20 * time.Second,
	}
	up      = Sight{Read: true, Up: true, Link: true, Answers: true}
	down    = Sight{Read: true}
	cached  = Sight{Read: true, Link: true} // admin down, ifOperStatus not yet
	answers = Sight{Read: true, Answers: true}
	unread  = Sight{}
	oneDoor = func() Rules { r := rules; r.HasInner = false; return r }()
)

// after builds events at t0 plus the given offsets.
func after(d time.Duration) time.Time { return t0.Add(d) }

// mayOpen is a door that reads as shut after a command to open that nobody confirmed.
func mayOpen(since time.Time) Sight { return Sight{Read: true, MayStillOpenSince: since} }

// resting is the usual state before a window: the vault's door shut, the inner open.
func resting(r Rules) State {
	s := State{Rules: r}
	s.Doors[Vault] = Door{Phase: Shut}
	if r.HasInner {
		s.Doors[Inner] = Door{Phase: Open}
	}
	return s
}

// trace runs events through a state and writes down what happened, in the manner of
// a protocol that can be read.
func trace(s State, events []Event) string {
	var b strings.Builder
	for _, e := range events {
		next, actions := s.Step(e)
		fmt.Fprintf(&b, "%6s  %s\n", e.when().Sub(t0), describe(e))
		for _, a := range actions {
			fmt.Fprintf(&b, "        %s\n", describe(a))
		}
		s = next
	}
	return b.String()
}

func describe(v any) string {
	name := strings.TrimPrefix(fmt.Sprintf("%T", v), "window.")
	switch v := v.(type) {
	case Begin:
		return fmt.Sprintf("Begin %s, at most %s", v.Window, v.MaxOpen)
	case Seen:
		words := "not read"
		if v.Read {
			words = fmt.Sprintf("up=%t link=%t answers=%t", v.Up, v.Link, v.Answers)
		}
		if !v.MayStillOpenSince.IsZero() {
			words += ", an opening may still come"
		}
		return fmt.Sprintf("Seen %s: %s", v.Side, words)
	case Worked:
		return strings.TrimSpace("Worked " + v.Failed)
	case Cancel:
		return "Cancel: " + v.Why
	case ShutNow:
		return fmt.Sprintf("ShutNow %s: %s", v.Side, v.Why)
	case Unlogged:
		return "Unlogged " + v.Side.String()
	case Unsent:
		return fmt.Sprintf("Unsent %s: %s", v.Side, v.Why)
	case Lock:
		return "Lock: " + v.Why
	case Lost:
		return "Lost " + v.Side.String()
	case Moved:
		return fmt.Sprintf("%s: %s → %s", v.Side.door(), v.From, v.To)
	case Command:
		return fmt.Sprintf("Command %s open=%t", v.Side, v.Open)
	case Work:
		return "Work"
	case StopWork:
		return strings.TrimSpace("StopWork " + v.Why)
	case Refuse:
		return "Refuse: " + v.Why
	case Finish:
		return strings.TrimSpace("Finish " + v.Cause)
	case Raise:
		return fmt.Sprintf("Raise: %s %s", v.Side.door(), v.Notice.What)
	}
	return name
}

// The golden traces are the nights as they go, readable as documentation.
func TestTraces(t *testing.T) {
	const s = time.Second
	begin := Begin{after(0), "w1", 45 * time.Minute}
	opened := []Event{begin, Seen{after(1 * s), Inner, down}, Seen{after(2 * s), Vault, up}}
	then := func(more ...Event) []Event { return append(append([]Event{}, opened...), more...) }
	for name, c := range map[string]struct {
		from   State
		events []Event
	}{
		"usual-night": {resting(rules), then(
			Worked{after(10 * s), "w1", ""}, Seen{after(11 * s), Vault, cached}, Seen{after(14 * s), Vault, down}, Seen{after(15 * s), Inner, up})},
		"one-door": {resting(oneDoor), []Event{
			begin, Seen{after(1 * s), Vault, up}, Worked{after(9 * s), "w1", ""}, Seen{after(10 * s), Vault, down}}},
		"deadline-S4": {resting(rules), then(
			Tick{after(45*time.Minute + s)}, Seen{after(45*time.Minute + 2*s), Vault, down}, Worked{after(46 * time.Minute), "w1", "context canceled"}, Seen{after(46 * time.Minute), Inner, up})},
		"probe-still-answers-S3": {resting(rules), then(
			Worked{after(10 * s), "w1", ""}, Seen{after(11 * s), Vault, answers}, Seen{after(13 * s), Vault, answers}, Seen{after(15 * s), Vault, down})},
		"stuck-S12": {resting(oneDoor), []Event{
			begin, Seen{after(1 * s), Vault, up}, Worked{after(2 * s), "w1", ""},
			Seen{after(3 * s), Vault, up}, Seen{after(5 * s), Vault, unread}, Tick{after(62 * s)}, Begin{after(63 * s), "w2", time.Hour},
			Tick{after(64 * s)}, Tick{after(70 * s)}, Seen{after(71 * s), Vault, down}, Begin{after(72 * s), "w3", time.Hour}}},
		"start-found-open-S5": {State{Rules: rules}, []Event{
			Owe{after(0)}, Seen{after(0), Vault, up}, Seen{after(0), Inner, down}, Seen{after(1 * s), Vault, down}, Seen{after(2 * s), Inner, up}}},
		"start-both-open-S6": {State{Rules: rules}, []Event{
			Seen{after(0), Vault, up}, Seen{after(1 * s), Inner, up}, Seen{after(2 * s), Inner, down}, Seen{after(3 * s), Vault, down}, Seen{after(4 * s), Inner, up}}},
		"start-unreadable": {State{Rules: oneDoor}, []Event{
			Seen{after(0), Vault, unread}, Tick{after(10 * s)}, Tick{after(20 * s)}, Seen{after(90 * s), Vault, down}}},
		"intent-not-durable-S1": {resting(oneDoor), []Event{
			begin, Unlogged{after(0), Vault}, Seen{after(1 * s), Vault, down}}},
		"inner-door-stays-up-S6": {resting(rules), []Event{
			begin, Seen{after(1 * s), Inner, up}, Seen{after(3 * s), Inner, up}, Tick{after(61 * s)}, Seen{after(80 * s), Inner, down}, Seen{after(81 * s), Inner, up}}},
		"opening-unconfirmed": {resting(oneDoor), []Event{
			begin, Seen{after(1 * s), Vault, down}, Cancel{after(2 * s), "interrupted"}, Seen{after(3 * s), Vault, down}, Seen{after(21 * s), Vault, down}}},
		"opening-may-still-come-S3": {resting(oneDoor), []Event{
			begin, Seen{after(1 * s), Vault, up}, Worked{after(30 * s), "w1", ""}, Seen{after(31 * s), Vault, mayOpen(after(25 * s))},
			Seen{after(44 * s), Vault, mayOpen(after(25 * s))}, Seen{after(45 * s), Vault, mayOpen(after(25 * s))}}},
		"opened-by-another-hand": {resting(rules), []Event{
			Seen{after(0), Vault, up}, Seen{after(1 * s), Inner, down}, Seen{after(2 * s), Vault, down}, Seen{after(3 * s), Inner, up}}},
		"shut-by-a-person": {resting(rules), []Event{
			ShutNow{after(0), Vault, "user"}, ShutNow{after(0), Inner, "user"}, Seen{after(1 * s), Vault, down}, Seen{after(1 * s), Inner, down}}},
		"lockdown": {resting(rules), then(
			Lock{after(5 * s), "lockdown: ransomware in imaging"}, Seen{after(6 * s), Vault, down}, Begin{after(7 * s), "w2", time.Hour},
			Seen{after(60 * s), Inner, up}, Seen{after(61 * s), Inner, down}, Release{after(100 * s)}, Seen{after(101 * s), Inner, up})},
		"start-in-lockdown": {State{Rules: rules}, []Event{
			Lock{after(0), "lockdown"}, Seen{after(0), Inner, up}, Seen{after(1 * s), Vault, down}, Seen{after(2 * s), Inner, down}}},
		"lost-from-sight": {resting(rules), []Event{
			Lost{after(0), Vault}, Begin{after(1 * s), "w1", time.Hour}, Tick{after(10 * s)}, Seen{after(12 * s), Vault, down},
			Seen{after(13 * s), Inner, down}, Seen{after(14 * s), Inner, up}}},
		"second-window-refused": {resting(oneDoor), []Event{begin, Begin{after(1 * s), "w2", time.Hour}}},
	} {
		t.Run(name, func(t *testing.T) {
			same(t, name, trace(c.from, c.events))
		})
	}
}

// world is a pair of ports that obey commands late, sometimes, or not at all, and a
// ledger that is sometimes full.
type world struct {
	up      [2]bool
	pending [2]time.Time // when a command takes effect
	want    [2]bool
}

// law is what holds of every single step.
//
//	S1, S2: an opening awaits the ledger, and nothing else does.
//	S3, S4: a door that is not shut has a deadline; the inner one rests open.
//	S6: a door is told to open only while the other side is proven shut.
//	S12: a door that is stuck was told of.
//
// And nothing is told to open in a lockdown.
func law(before State, e Event, s State, actions []Action) error {
	phase := [2]Phase{before.Doors[0].Phase, before.Doors[1].Phase}
	raised := [2]bool{}
	for _, a := range actions {
		switch a := a.(type) {
		case Moved:
			if phase[a.Side] != a.From || a.From == a.To {
				return fmt.Errorf("%s moved from %s, but was %s", a.Side, a.From, phase[a.Side])
			}
			if a.To == Stuck && !raised[a.Side] {
				return fmt.Errorf("S12: %s is stuck without an alarm", a.Side)
			}
			phase[a.Side] = a.To
		case Command:
			if a.Open && a.Side == Vault && s.Rules.HasInner && s.Doors[Inner].Phase != Shut {
				return fmt.Errorf("S6: the vault's door is told to open while the inner door is %s", s.Doors[Inner].Phase)
			}
			if a.Open && a.Side == Inner && s.Doors[Vault].Phase != Shut {
				return fmt.Errorf("S6: the inner door is told to open while the vault's is %s", s.Doors[Vault].Phase)
			}
			if a.Open && s.Locked {
				return fmt.Errorf("%s is told to open in a lockdown", a.Side)
			}
		case Raise:
			raised[a.Side] = true
		case Work:
			if s.Doors[Vault].Phase != Open {
				return fmt.Errorf("work began while the door was %s", s.Doors[Vault].Phase)
			}
		}
	}
	if phase != [2]Phase{s.Doors[0].Phase, s.Doors[1].Phase} {
		return fmt.Errorf("a change of phase was not told: %v", phase)
	}
	if seen, ok := e.(Seen); ok && seen.At.Before(seen.MayStillOpenSince.Add(s.Rules.Lag)) && phase[seen.Side] != before.Doors[seen.Side].Phase && phase[seen.Side] == Shut {
		return fmt.Errorf("S3: %s is believed shut while an opening may still come", seen.Side)
	}
	for side, d := range s.Doors {
		rests := d.Phase == Shut || Side(side) == Inner && (d.Phase == Open || !s.Rules.HasInner)
		if !rests && d.Deadline.IsZero() {
			return fmt.Errorf("S4: %s door %s without a deadline", Side(side), d.Phase)
		}
	}
	if before.Doors[Vault].Phase == Open && s.Doors[Vault].Phase == Open && !e.when().Before(before.Hard) {
		return fmt.Errorf("S4: open past its time")
	}
	if next := s.Next(); !next.IsZero() && !next.After(e.when()) {
		return fmt.Errorf("the next deadline %s is not after %s", next, e.when())
	}
	return nil
}

// TestProperties runs random nights with faults through the machine.
//
// Every step obeys the law, and S12: every sequence ends shut once the switch obeys.
func TestProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rules
		r.HasInner = rapid.Bool().Draw(t, "inner")
		s, now := State{Rules: r}, t0
		w := world{up: [2]bool{rapid.Bool().Draw(t, "vault up"), rapid.Bool().Draw(t, "inner up")}}
		step := func(e Event) {
			before := s
			var actions []Action
			s, actions = s.Step(e)
			if err := law(before, e, s, actions); err != nil {
				t.Fatal(err)
			}
			for _, a := range actions {
				if c, ok := a.(Command); ok {
					w.want[c.Side], w.pending[c.Side] = c.Open, now.Add(time.Duration(rapid.IntRange(0, 19).Draw(t, "lag"))*time.Second)
				}
			}
		}
		look := func(side Side, blind bool) Seen {
			if !w.pending[side].IsZero() && !now.Before(w.pending[side]) {
				w.up[side], w.pending[side] = w.want[side], time.Time{}
			}
			up := w.up[side]
			return Seen{now, side, Sight{Read: !blind, Up: up, Link: up, Answers: up}}
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 40).Draw(t, "seconds")) * time.Second)
			side := Side(rapid.IntRange(0, 1).Draw(t, "side"))
			if !r.HasInner {
				side = Vault
			}
			switch rapid.IntRange(0, 15).Draw(t, "event") {
			case 0, 1:
				step(Begin{now, fmt.Sprint(now.Unix()), 10 * time.Minute})
			case 2:
				step(Worked{now, s.Window, rapid.SampledFrom([]string{"", "vault unreachable"}).Draw(t, "failed")})
			case 3:
				step(Cancel{now, "interrupted"})
			case 4:
				step(Unlogged{now, side})
			case 5:
				step(ShutNow{now, side, "a person"})
			case 6:
				step(look(side, true))
			case 7:
				w.up[side] = !w.up[side] // another hand
				step(look(side, false))
			case 8:
				now = now.Add(time.Duration(rapid.IntRange(0, 3000).Draw(t, "long")) * time.Second)
				step(Tick{now})
			case 9:
				step(Lock{now, "a person"})
			case 10:
				step(Release{now})
			case 11:
				step(Lost{now, side})
			default:
				step(look(side, false))
			}
			if w.up[Vault] && s.Doors[Vault].Phase == Shut && w.pending[Vault].IsZero() {
				// only another hand can have done that, and the next look must see it
				step(look(Vault, false))
				if s.Doors[Vault].Phase == Shut {
					t.Fatal("a door seen open is believed shut")
				}
			}
		}
		rest := func() {
			for range 400 {
				now = now.Add(time.Second)
				step(look(Vault, false))
				if r.HasInner {
					step(look(Inner, false))
				}
				step(Tick{now})
			}
		}
		// From here on the switch obeys: everything must come to rest.
		step(Cancel{now, "the end"})
		rest()
		if s.Locked {
			if r.HasInner && (s.Doors[Inner].Phase != Shut || w.up[Inner]) {
				t.Fatalf("a lockdown left the inner door %s, port up %t", s.Doors[Inner].Phase, w.up[Inner])
			}
			step(Release{now})
			rest()
		}
		if s.Doors[Vault].Phase != Shut || w.up[Vault] {
			t.Fatalf("S12: ended %s, port up %t", s.Doors[Vault].Phase, w.up[Vault])
		}
		if s.Window != "" {
			t.Fatal("the window never finished")
		}
		if r.HasInner && s.Held {
			t.Fatalf("the inner door's opening is owed for ever: %s", s.Doors[Inner].Phase)
		}
	})
}
