package policies

import (
	"slices"

	"airlock/policies/yamldoc"
)

// Insecure are the places of a sound policy file whose lines are neither encrypted nor
// signed unless the server requires it, by their keys, sorted: what somebody in between
// changes on such a line is not found.
func (p *Policy) Insecure() []string {
	all := []string{}
	if p.Repository.Insecure {
		all = append(all, "repository")
	}
	for name, v := range p.Vaults {
		if v.Insecure {
			all = append(all, yamldoc.Join("vaults", name))
		}
	}
	for name, s := range p.Systems {
		if s.Source.Insecure {
			all = append(all, yamldoc.Join("systems", name)+".source")
		}
	}
	slices.Sort(all)
	return all
}
