package main

import (
	"errors"
	"os"
	"path/filepath"
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

// tighten takes from others the right to write to a state folder that is this user's own, as
// one that somebody else made may give it; what cannot be taken is refused. One in which
// nobody may replace what is another's (sticky) may be the machine's, as /tmp is.
func tighten(state string) (err error) {
	for _, dir := range []string{state, filepath.Join(state, "keys")} {
		f, unopened := policies.OpenOwnFolder(dir)
		if unopened != nil {
			continue // whoever reads it says so
		}
		info, failed := f.Stat()
		if failed == nil && info.Mode().Perm()&0o022 != 0 && info.Mode()&os.ModeSticky == 0 {
			failed = f.Chmod(info.Mode().Perm() &^ 0o022)
		}
		err = errors.Join(err, failed, f.Close())
	}
	return err
}

// refuseExposed refuses to begin by files that anybody may have written (S7): whoever could,
// chooses which port is opened, and whom airlock believes. Shutting waits for nothing (S2).
func (a *app) refuseExposed(p any) error {
	var loose error
	switch p := p.(type) {
	case policies.Policy:
		loose = tighten(string(p.State))
	case *policies.VaultHost:
		loose = tighten(p.State)
	}
	return errors.Join(append(a.exposed(p), loose)...)
}

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
