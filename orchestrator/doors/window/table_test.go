package window

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// kind is a State without its times.
func (s State) kind() string {
	words := []string{"vault " + s.Doors[Vault].Phase.String(), "inner " + s.Doors[Inner].Phase.String()}
	for _, flag := range []struct {
		on   bool
		word string
	}{
		{s.Window != "" && !s.Ending, "window"}, {s.Window != "" && s.Ending, "window ending"}, {s.Opened, "opened"}, {s.Working, "working"},
		{s.Held, "inner owed"}, {s.Locked, "lockdown"},
	} {
		if flag.on {
			words = append(words, flag.word)
		}
	}
	return strings.Join(words, ", ")
}

// every is each event that there is, at one instant.
func every(s State, at time.Time) []Event {
	events := []Event{
		Begin{at, "w", time.Hour},
		Worked{at, s.Window, ""}, Worked{at, s.Window, "vault unreachable"},
		Cancel{at, "interrupted"}, Owe{at}, Lock{at, "lockdown"}, Release{at},
	}
	for _, side := range []Side{Vault, Inner} {
		for _, sight := range []Sight{up, down, cached, unread, mayOpen(at)} {
			events = append(events, Seen{at, side, sight})
		}
		events = append(events, ShutNow{at, side, "a person"}, Unlogged{at, side}, Unsent{at, side, "no port matches"}, Lost{at, side})
	}
	if next := s.Next(); !next.IsZero() {
		events = append(events, Tick{next})
	}
	return events
}

// TestTable takes every kind of state that can be reached through every event. Each step
// obeys the law, and testdata/table.txt says to which phases it can lead.
func TestTable(t *testing.T) {
	type reached struct {
		state State
		at    time.Time
	}
	seen := map[string]bool{}
	leads := map[string]map[string]bool{} // from phases and event, to phases
	for queue := []reached{{State{Rules: rules}, t0}}; len(queue) > 0; queue = queue[1:] {
		from := queue[0]
		if kind := from.state.kind(); seen[kind] {
			continue
		} else {
			seen[kind] = true
		}
		for _, e := range every(from.state, instant(from.state, from.at)) {
			s, actions := from.state.Step(e)
			if err := law(from.state, e, s, actions); err != nil {
				t.Errorf("%s, %s: %v", from.state.kind(), describe(e), err)
			}
			queue = append(queue, reached{s, e.when()})
			row := fmt.Sprintf("%-19s  %s", from.state.phases(), describe(e))
			if leads[row] == nil {
				leads[row] = map[string]bool{}
			}
			leads[row][s.phases()] = true
		}
	}
	var table strings.Builder
	for _, row := range slices.Sorted(maps.Keys(leads)) {
		fmt.Fprintf(&table, "%-80s ► %s\n", row, strings.Join(slices.Sorted(maps.Keys(leads[row])), " or "))
	}
	same(t, "table", table.String())
}

// instant is some time after at: past the lag of an opening, short of every deadline.
func instant(s State, at time.Time) time.Time {
	at = at.Add(25 * time.Second)
	if next := s.Next(); !next.IsZero() && !at.Before(next) {
		return next.Add(-time.Millisecond)
	}
	return at
}

func (s State) phases() string {
	return s.Doors[Vault].Phase.String() + "/" + s.Doors[Inner].Phase.String()
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
