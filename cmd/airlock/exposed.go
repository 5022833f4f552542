package main

import (
	"errors"
	"strings"

	"airlock/policies"
	"airlock/vault/server"
)

// exposed are the files by which p decides, its own among them, that others than their owner
// may write or replace.
func (a *app) exposed(p any) (all []error) {
	for _, file := range append([]string{a.read.Name}, policies.Files(p)...) {
		if err := policies.Writable(file); err != nil {
			all = append(all, err)
		}
	}
	return all
}

// refuseExposed refuses to begin by files that anybody may have written (S7): whoever could,
// chooses which port is opened, and whom airlock believes. Shutting waits for nothing (S2).
func (a *app) refuseExposed(p any) error { return errors.Join(a.exposed(p)...) }

// exposedHere are the same as what a check finds.
func (a *app) exposedHere(p policies.Policy) (all []finding) {
	for _, err := range a.exposed(p) {
		for line := range strings.Lines(err.Error()) {
			all = append(all, finding{What: "rights", Text: a.words.tell(strings.TrimSpace(line))})
		}
	}
	return all
}

// exposedHost are the same on a vault's host.
func (a *app) exposedHost(p *policies.VaultHost) (all []server.Finding) {
	for _, err := range a.exposed(p) {
		for line := range strings.Lines(err.Error()) {
			what, fix, _ := strings.Cut(strings.TrimSpace(line), "; run: ")
			all = append(all, server.Finding{What: "rights", Text: what, Fix: "run: " + fix})
		}
	}
	return all
}
