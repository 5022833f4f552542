package patrol

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"airlock/switchctl"
)

var update = flag.Bool("update", false, "write the golden files")

var t0 = time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)

// port is a port that a test changes, and reads.
type port struct {
	booted  time.Time
	changed time.Time // when it went up or down last
	octets  uint64
}

func (p port) read(at time.Time) Look {
	r := switchctl.Reading{
		At: at, Uptime: at.Sub(p.booted), InOctets: p.octets, WideOctets: true,
		Row: switchctl.Row{Index: 3, Name: "p3", Admin: switchctl.AdminDown, Oper: switchctl.OperDown, LastChange: p.changed.Sub(p.booted)},
	}
	return Look{At: at, First: true, Reading: r, Probe: "silent"}
}

// open is a look at a port that stands open.
func open(l Look) Look {
	l.Open, l.Probe, l.Reading.Row.Admin, l.Reading.Row.Oper = true, "", switchctl.AdminUp, switchctl.OperUp
	return l
}

// linkUp is a trap about the door's port, or another one.
func linkUp(at time.Time, index int, authentic bool) switchctl.Trap {
	return switchctl.Trap{At: at, Kind: switchctl.LinkUp, IfIndex: index, Authentic: authentic}
}

func (f Finding) String() string {
	s := f.What + ": " + f.Why
	if len(f.Differs) > 0 && f.Traces == "" {
		s += " (" + strings.Join(f.Differs, ", ") + ")"
	}
	if f.OpenAtMost > 0 {
		s += fmt.Sprintf(", open for %s at most", f.OpenAtMost)
	}
	if f.Traces != "" {
		s += "; call: " + f.Traces
	}
	return s
}

// same compares got with a golden file.
func same(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is no longer so: run with -update and look at what changed. Got:\n%s", file, got)
	}
}

// story is a Watch that a test takes through some hours, and what came of that.
type story struct {
	Watch
	port
	at   time.Time
	text strings.Builder
}

// after has some time pass; what happens then is written down, and what is found.
func (s *story) after(d time.Duration, what string, found ...Finding) {
	fmt.Fprintf(&s.text, "%9s  %s\n", s.at.Sub(t0), what)
	for _, f := range found {
		fmt.Fprintf(&s.text, "%11s%s\n", "", f)
	}
	s.at = s.at.Add(d)
}

func (s *story) look(what string, l Look, mustBeShut bool) {
	var found []Finding
	s.Watch, found = s.See(l, mustBeShut)
	s.after(time.Minute, "look: "+what, found...)
}

func (s *story) shut() { s.look("shut", s.read(s.at), true) }

// missed is looks that fail, of which patrol bears two.
func (s *story) missed(times int) {
	for range times {
		next, lost, f := s.Missed(s.at, 3)
		s.Watch = next
		if lost {
			s.after(time.Minute, "look: nothing can be read", f)
		} else {
			s.after(time.Minute, "look: nothing can be read")
		}
	}
}

// opened is a window of ours: the port goes up and down, and counts.
func (s *story) opened() {
	s.Watch = s.Opens()
	s.after(10*time.Second, "our window opens the door")
	s.octets, s.changed = s.octets+1000, s.at
	seen := s.read(s.at).observation()
	var found []Finding
	s.Watch, found = s.Shut(s.at, &seen, true)
	s.after(2*time.Second, "the door is proven shut", found...)
}

// byHand has somebody open the port for some seconds.
func (s *story) byHand() {
	s.octets, s.changed = s.octets+344, s.at.Add(5*time.Second)
	s.after(20*time.Second, "somebody opens the port for 5 s")
}

// The stories say of each kind of night what is found, and when.
func TestStories(t *testing.T) {
	for name, tell := range map[string]func(*story){
		"usual-night": func(s *story) {
			s.shut()
			s.shut()
			s.opened()
			s.shut()
			s.shut()
			s.shut()
		},
		"opened-and-shut-again": func(s *story) {
			s.shut()
			s.shut()
			s.byHand()
			s.shut()
			s.shut()
			s.shut()
		},
		"opened-soon-after-a-window": func(s *story) {
			s.shut()
			s.opened()
			s.at = s.at.Add(CacheLag)
			s.byHand()
			s.shut()
		},
		"told-late-after-a-window-S3": func(s *story) { // what an agent serves from its cache accuses nobody
			s.shut()
			s.opened()
			late := s.read(s.at)
			late.Reading.InOctets -= 1000
			s.look("shut, with the octets of before the window", late, true)
			s.octets++
			s.shut()
			s.shut()
		},
		"found-open-S3": func(s *story) {
			s.shut()
			s.shut()
			s.changed = s.at
			s.look("open", open(s.read(s.at)), true)
			s.look("open", open(s.read(s.at)), true)
			s.changed = s.at
			seen := s.read(s.at).observation()
			var found []Finding
			s.Watch, found = s.Shut(s.at, &seen, true)
			s.after(time.Minute, "the door is proven shut", found...)
			s.shut()
		},
		"lost-from-sight-S3": func(s *story) {
			s.shut()
			s.shut()
			s.missed(4)
			s.shut()
			s.missed(2) // it is counted from the start again
			s.shut()
		},
		"switch-restarts": func(s *story) {
			s.shut()
			s.shut()
			s.booted, s.changed, s.octets = s.at, s.at, 0
			s.at = s.at.Add(20 * time.Second)
			s.shut()
			s.shut()
		},
		"a-trap-alone": func(s *story) {
			s.shut()
			s.shut()
			s.Watch = s.Hear(linkUp(s.at, 3, true), true)
			s.after(time.Second, "trap: linkUp of the port, authentic")
			s.shut()
			s.shut()
		},
		"forged-traps-S15": func(s *story) {
			s.shut()
			s.shut()
			for _, trap := range []switchctl.Trap{linkUp(s.at, 3, false), linkUp(s.at, 4, true), linkUp(s.at, 0, true)} {
				s.Watch = s.Hear(trap, true)
				s.after(time.Second, fmt.Sprintf("trap: linkUp of index %d, authentic: %t", trap.IfIndex, trap.Authentic))
			}
			s.shut()
		},
		"rests-open-S6": func(s *story) { // an inner door that need not be shut
			s.look("open", open(s.read(s.at)), false)
			s.look("shut", s.read(s.at), false)
			s.look("open, in a lockdown", open(s.read(s.at)), true)
		},
		"after-an-absence": func(s *story) {
			before := s.read(s.at).observation()
			s.byHand()
			s.at = s.at.Add(time.Hour)
			s.Watch = Watch{}.Recall(before, 3, false, s.at)
			s.after(0, "the ledger's last reading is of an hour before")
			s.shut()
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := &story{port: port{booted: t0.Add(-100 * time.Hour), changed: t0.Add(-time.Hour), octets: 5000}, at: t0}
			s.Watch = Watch{}.Recall(Observation{}, 3, false, t0.Add(-CacheLag))
			tell(s)
			same(t, name, s.text.String())
		})
	}
}

// kind is a Watch without its times and readings.
func (w Watch) kind() string {
	base := "none"
	switch {
	case w.Base.WithinCacheLag:
		base = "early"
	case !w.Base.At.IsZero():
		base = "relied on"
	}
	words := []string{"base " + base}
	for _, flag := range []struct {
		on   bool
		word string
	}{{!w.Recalled, "not recalled"}, {w.Unproven, "unproven"}, {w.Last.At.IsZero(), "never seen shut"}, {!w.OpenFrom.IsZero(), "found open"}, {!w.Lost.IsZero(), "lost"}, {w.Trap != nil, "trap"}} {
		if flag.on {
			words = append(words, flag.word)
		}
	}
	return strings.Join(words, ", ")
}

// deed is something that happens to a Watch.
type deed struct {
	what string
	do   func(w Watch, p port, at time.Time) (Watch, []Finding)
}

// deeds are all kinds of them, of a port that was read as base or last before.
func deeds() []deed {
	see := func(what string, mustBeShut bool, change func(*Look, port)) deed {
		return deed{what, func(w Watch, p port, at time.Time) (Watch, []Finding) {
			l := p.read(at)
			change(&l, p)
			return w.See(l, mustBeShut)
		}}
	}
	return []deed{
		see("looks shut", true, func(*Look, port) {}),
		see("looks shut, by another way", true, func(l *Look, _ port) { l.By, l.First = "core-cli", false }),
		see("looks shut, changed meanwhile", true, func(l *Look, _ port) { l.Reading.Row.LastChange = l.Reading.Uptime - 3*time.Second }),
		see("looks shut, with octets", true, func(l *Look, _ port) { l.Reading.InOctets += 7 }),
		see("looks shut, its switch restarted", true, func(l *Look, _ port) {
			l.Reading.Uptime, l.Reading.Row.LastChange, l.Reading.InOctets = 20*time.Second, 0, 0
		}),
		see("looks shut, its probe not asked", true, func(l *Look, _ port) { l.Pending, l.Probe = true, "pending" }),
		see("looks open", true, func(l *Look, _ port) { *l = open(*l) }),
		see("looks open, and may", false, func(l *Look, _ port) { *l = open(*l) }),
		{"cannot be read, once too often", func(w Watch, _ port, at time.Time) (Watch, []Finding) {
			w, lost, f := w.Missed(at, 1)
			if !lost {
				return w, nil
			}
			return w, []Finding{f}
		}},
		{"opens", func(w Watch, _ port, _ time.Time) (Watch, []Finding) { return w.Opens(), nil }},
		{"is proven shut", func(w Watch, p port, at time.Time) (Watch, []Finding) {
			seen := p.read(at).observation()
			return w.Shut(at, &seen, true)
		}},
		{"trap", func(w Watch, _ port, at time.Time) (Watch, []Finding) { return w.Hear(linkUp(at, 3, true), true), nil }},
		{"forged trap", func(w Watch, _ port, at time.Time) (Watch, []Finding) { return w.Hear(linkUp(at, 3, false), true), nil }},
	}
}

// law is what holds of every deed to every Watch.
func law(w Watch, d deed, next Watch, found []Finding) error {
	judged := w.Recalled && !w.Unproven
	for _, f := range found {
		accuses := f.What == Opened
		switch {
		case accuses && !judged:
			return fmt.Errorf("S15: somebody is accused while nothing is judged: %s", f)
		case accuses && len(f.Differs) == 0:
			return fmt.Errorf("somebody is accused without evidence: %s", f)
		case f.What == AtRest && (next.Base.At.IsZero() || next.Base.WithinCacheLag):
			return fmt.Errorf("%s, and nothing to rely on", f)
		}
	}
	openSeen := d.what == "looks open"
	switch {
	case openSeen && judged && (len(found) == 0 || !next.Unproven):
		return fmt.Errorf("S3: it stands open, and that is not found")
	case d.what == "forged trap" && next.kind() != w.kind():
		return fmt.Errorf("S15: anybody can make that of it: %s", next.kind())
	case strings.HasPrefix(d.what, "looks shut, ") && strings.HasSuffix(d.what, "not asked") && slices.ContainsFunc(found, func(f Finding) bool { return f.What == Opened }):
		return fmt.Errorf("S15: a probe that was not asked accuses somebody")
	}
	return nil
}

// TestTable takes every kind of Watch that can be reached through every deed, soon after what
// came before and late. Each obeys the law, and testdata/table.txt says what is found and to
// which kinds it can lead.
func TestTable(t *testing.T) {
	type reached struct {
		Watch
		at time.Time
	}
	p := port{booted: t0.Add(-100 * time.Hour), changed: t0.Add(-time.Hour), octets: 5000}
	first := p.read(t0).observation()
	early := first
	early.WithinCacheLag = true
	queue := []reached{
		{Watch{}, t0}, {Watch{}.Recall(Observation{}, 3, false, t0), t0}, {Watch{}.Recall(first, 3, false, t0), t0},
		{Watch{}.Recall(early, 3, false, t0), t0}, {Watch{}.Recall(Observation{}, 3, true, t0), t0},
	}
	seen, rows := map[string]bool{}, map[string]map[string]bool{}
	for ; len(queue) > 0; queue = queue[1:] {
		from := queue[0]
		if kind := from.kind(); seen[kind] {
			continue
		} else {
			seen[kind] = true
		}
		for _, wait := range []time.Duration{5 * time.Second, CacheLag + 10*time.Second} {
			for _, d := range deeds() {
				at := from.at.Add(wait)
				next, found := d.do(from.Watch, p, at)
				if err := law(from.Watch, d, next, found); err != nil {
					t.Errorf("%s, %s after %s: %v", from.kind(), d.what, wait, err)
				}
				queue = append(queue, reached{next, at})
				row := fmt.Sprintf("%-52s  %-33s %s", from.kind(), d.what, map[bool]string{true: "soon", false: "late"}[wait < CacheLag])
				if rows[row] == nil {
					rows[row] = map[string]bool{}
				}
				var whats []string
				for _, f := range found {
					whats = append(whats, strings.ToUpper(f.What)+"; ")
				}
				rows[row][strings.Join(whats, "")+next.kind()] = true
			}
		}
	}
	var table strings.Builder
	for _, row := range slices.Sorted(maps.Keys(rows)) {
		fmt.Fprintf(&table, "%-92s ► %s\n", row, strings.Join(slices.Sorted(maps.Keys(rows[row])), " or "))
	}
	same(t, "table", table.String())
}
