package orchestrator

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"airlock/collectors"
	"airlock/mount"
	"airlock/policies"
	"airlock/wholefile"
)

// folder is one of this machine that the policy file names, as it is known again: a
// vault's, or a system's source.
type folder struct {
	Path    string       `json:"path"`
	Mount   mount.Mount  `json:"mount"`
	Refused *mount.Mount `json:"refused,omitempty"` // where it was found since, and refused
	file    string       // where it is remembered
}

func vaultFolder(p policies.Policy, vaultName string) folder {
	return folder{Path: p.Vaults[vaultName].URL.Path, file: p.State.Place(vaultName)}
}

func (s *Site) sourceFolder(system string) folder {
	return folder{Path: s.policy.Systems[system].Source.URL.Path, file: s.policy.State.Source(system)}
}

// recall is what was remembered of it; the zero folder if nothing was, or of another path.
func (f folder) recall() (was folder, err error) {
	text, err := os.ReadFile(f.file)
	if errors.Is(err, fs.ErrNotExist) {
		return folder{}, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &was)
	}
	if err != nil {
		return folder{}, fmt.Errorf("where %s was mounted: %w", f.Path, err)
	}
	if was.Path != f.Path {
		return folder{}, nil // the policy file names another one now
	}
	was.file = f.file
	return was, nil
}

// moved says why it does not lie where it did: what is written there would fill another
// disk and count as a backup, and what is read there would pass for one (S16).
func (f folder) moved() error {
	was, err := f.recall()
	if err != nil {
		return err
	}
	return f.Mount.Same(was.Mount)
}

// remember keeps it for the next time.
func (f folder) remember() error {
	was, err := f.recall()
	if err == nil && was == f || f.Mount == (mount.Mount{}) {
		return nil
	}
	text, err := json.Marshal(f)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(f.file), 0o700)
	}
	if err == nil {
		err = wholefile.Replace(f.file, append(text, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("remember where %s is mounted: %w", f.Path, err)
	}
	return nil
}

// usable says why a window could not write into a vault's folder. One that is not there
// yet is made, if the folder above it is there.
func (f folder) usable() error {
	if f.Mount.Remote() {
		return nil
	}
	dir := f.Path
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		dir = filepath.Dir(dir)
		info, err = os.Stat(dir)
	}
	switch {
	case err != nil:
		return fmt.Errorf("the vault's folder %s: %w; mount its disk, or make the folder above it", f.Path, err)
	case !info.IsDir():
		return fmt.Errorf("the vault's folder %s: %s is no folder", f.Path, dir)
	}
	if err := writable(dir); err != nil {
		return fmt.Errorf("the vault's folder %s cannot be written to: %w", f.Path, err)
	}
	return nil
}

// inPlace tells where a system's source lies, and refuses one that does not lie where it
// did.
func (s *Site) inPlace(system string, src collectors.Source) (folder, error) {
	now := s.sourceFolder(system)
	placed, ok := src.(collectors.Placed)
	if !ok {
		return now, nil
	}
	var err error
	if now.Mount, err = placed.Place(); err != nil {
		return now, err
	}
	if err := now.moved(); err != nil {
		was, unread := now.recall()
		was.Refused = &now.Mount
		return now, errors.Join(fmt.Errorf("the source is not where it was: %w; if it is right so: airlock accept %s --reason TEXT", err, system), unread, was.remember())
	}
	return now, nil
}

// acceptPlace takes the place that was refused last for the right one. It reports whether
// there is one.
func (s *Site) acceptPlace(system string) (refused bool, err error) {
	was, err := s.sourceFolder(system).recall()
	if err != nil || was.Refused == nil {
		return false, err
	}
	was.Mount, was.Refused = *was.Refused, nil
	return true, was.remember()
}
