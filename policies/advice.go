package policies

import (
	"maps"
	"slices"
)

// Advice is something that a sound policy file lacks and would be better for.
type Advice struct {
	Door  string `json:"door"`
	Lacks string `json:"lacks"` // the key: probe, control
}

// Advice lists what is recommended, in the order of the doors' names: a probe for each
// door, since a switch that does not tell the truth shows in nothing else, and a control
// for each probe, since a silence proves something only where something else answers.
func (p *Policy) Advice() []Advice {
	all := []Advice{}
	for _, name := range slices.Sorted(maps.Keys(p.Doors)) {
		switch d := p.Doors[name]; {
		case d.Probe == "":
			all = append(all, Advice{name, "probe"})
		case len(d.Control) == 0:
			all = append(all, Advice{name, "control"})
		}
	}
	return all
}
