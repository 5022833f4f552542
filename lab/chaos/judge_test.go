//go:build linux

package chaos

import (
	"testing"
	"time"

	"airlock/lab"
)

var noon = time.Date(2026, time.April, 6, 12, 0, 0, 0, time.UTC)

// at is so many seconds after noon.
func at(seconds float64) time.Time { return noon.Add(time.Duration(seconds * float64(time.Second))) }

func between(from, to float64) span { return span{at(from), at(to)} }

// A window as it should be, from 1 to 3.
func quiet() evidence {
	return evidence{
		limits: limits{maxOpen: 8 * time.Second, grace: 4 * time.Second, look: 2 * time.Second},
		now:    at(99),
		vault:  []span{between(1, 3)},
		inner:  []span{between(-9, 0.5), between(3.5, 99)},
		said: []saying{
			{at(0.9), "opening"}, {at(1.1), "open"},
			{at(2.9), "shutting"}, {at(3.1), "shut"},
		},
	}
}

// What must be found is found, and what is allowed is let pass.
func TestJudge(t *testing.T) {
	second := time.Second
	for name, c := range map[string]struct {
		change func(*evidence)
		want   verdict
	}{
		"a good window":             {func(*evidence) {}, verdict{open: 2 * second}},
		"S1: opened before it says": {func(e *evidence) { e.said[0].at, e.said[1].at = at(2.005), at(2.1) }, verdict{2 * second, second, 0, 0, 0}},
		"S3: told shut too early":   {func(e *evidence) { e.said[2].at, e.said[3].at = at(1.9), at(1.995) }, verdict{2 * second, second, 0, 0, 0}},
		"the ledger says nothing":   {func(e *evidence) { e.said = nil }, verdict{2 * second, 1990 * time.Millisecond, 0, 0, 0}},
		"S6: both":                  {func(e *evidence) { e.inner[1].from = at(2) }, verdict{2 * second, 0, 0, second, 0}},
		"S4: open too long":         {func(e *evidence) { e.vault[0].to, e.said = at(14), e.said[:2]; e.inner = nil }, verdict{13 * second, 0, second, 0, 0}},
		"killed, guard too late": {func(e *evidence) {
			e.vault[0].to, e.died = at(7), []time.Time{at(2)}
			e.said = e.said[:2]
			e.inner = nil
		}, verdict{6 * second, 0, second, 0, 0}},
		"killed, guard in time": {func(e *evidence) {
			e.vault[0].to, e.died = at(6), []time.Time{at(2)}
			e.said = e.said[:2]
			e.inner = nil
		}, verdict{5 * second, 0, 0, 0, 0}},
		"killed, switch deaf": {func(e *evidence) {
			e.vault[0].to, e.died, e.deaf = at(12), []time.Time{at(2)}, []span{between(3, 8)}
			e.said = e.said[:2]
			e.inner = nil
		}, verdict{11 * second, 0, 0, 0, 0}},
		"killed, switch deaf before": {func(e *evidence) {
			e.vault[0].to, e.died, e.deaf = at(7), []time.Time{at(2)}, []span{between(0, 0.5)}
			e.said = e.said[:2]
			e.inner = nil
		}, verdict{6 * second, 0, second, 0, 0}},
		"by hand, found at the look": {func(e *evidence) {
			e.vault, e.hands = append(e.vault, between(10, 11.5)), []span{between(9.99, 10.01)}
			e.said = append(e.said, saying{at(11.4), "shutting"}, saying{at(11.6), "shut"})
		}, verdict{open: 2 * second}},
		"by hand, before a window": {func(e *evidence) {
			e.vault[0].from, e.hands = at(-1), []span{between(-1.01, -0.99)}
		}, verdict{open: 4 * second}},
		"by hand, long before a window": {func(e *evidence) {
			e.vault[0].from, e.hands = at(-3.1), []span{between(-3.11, -3.09)}
			e.said[0].at = at(-0.105)
		}, verdict{6100 * time.Millisecond, 990 * time.Millisecond, 4100 * time.Millisecond, 0, 0}},
		"by hand, never found": {func(e *evidence) {
			e.vault, e.hands = append(e.vault, between(10, 15)), []span{between(9.99, 10.01)}
		}, verdict{5 * second, 4990 * time.Millisecond, 3 * second, 0, 0}},
		"by hand, found too late": {func(e *evidence) {
			e.vault, e.hands = append(e.vault, between(10, 13.1)), []span{between(9.99, 10.01)}
			e.said = append(e.said, saying{at(13.005), "shutting"}, saying{at(13.2), "shut"})
		}, verdict{3100 * time.Millisecond, second, 1100 * time.Millisecond, 0, 0}},
		"not by hand: nobody may look back": {func(e *evidence) {
			e.vault = append(e.vault, between(10, 11.5))
			e.said = append(e.said, saying{at(10.505), "shutting"}, saying{at(11.6), "shut"})
		}, verdict{2 * second, second / 2, 0, 3 * second / 2, 0}},
		"opened in a lockdown":     {func(e *evidence) { e.locked = between(0.5, 2) }, verdict{open: 2 * second, locked: 2 * second}},
		"lockdown when it is open": {func(e *evidence) { e.locked, e.died = between(1.5, 4), []time.Time{at(1.4)} }, verdict{open: 2 * second}},
		"renamed in the middle": {func(e *evidence) {
			e.vault, e.renamed = []span{between(1, 2), between(2.1, 14)}, []span{between(1.9, 2.2)}
			e.said, e.inner = e.said[:2], nil
		}, verdict{13 * second, 0, second, 0, 0}},
	} {
		e := quiet()
		c.change(&e)
		if got := e.judge(); got != c.want {
			t.Errorf("%s: %+v, not %+v", name, got, c.want)
		}
	}
}

func TestUps(t *testing.T) {
	seen := []lab.Transition{
		{Port: "p3", By: at(0)}, {Port: "p1", Up: true, By: at(0)},
		{Port: "p3", Up: true, After: at(1), By: at(1.1)}, {Port: "p3", After: at(2), By: at(2.1)},
		{Port: "p3", Up: true, After: at(3), By: at(3.1)},
	}
	for _, c := range []struct {
		port  string
		began float64
		want  []span
	}{
		{"p3", 0, []span{between(1.1, 2), between(3.1, 9)}},
		{"p3", 2.5, []span{between(3.1, 9)}},
		{"p1", 5, []span{between(0, 9)}},
		{"p7", 0, nil},
	} {
		got := ups(seen, c.port, at(c.began), at(9))
		if len(got) != len(c.want) {
			t.Fatalf("%s: %v, not %v", c.port, got, c.want)
		}
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("%s: %v, not %v", c.port, got[i], c.want[i])
			}
		}
	}
}
