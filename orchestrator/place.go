package orchestrator

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// mount is what a folder of this machine lies on.
type mount struct {
	Point  string `json:"mount_point"`
	Type   string `json:"type"`
	Source string `json:"source"`
}

// remote says that a look at the folder may wait for a machine that stands behind a shut
// door: nothing more than the name of its mount is asked for then.
func (m mount) remote() bool {
	kind, _, _ := strings.Cut(m.Type, ".")
	return slices.Contains([]string{"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "glusterfs", "afs", "lustre", "fuse", "autofs"}, kind)
}

// spot is a folder that a file:// URL names, as it is known again.
type spot struct {
	Path  string `json:"path"`
	Mount mount  `json:"mount"`
	file  string // where it is remembered
}

const placeFile = "place.json"

// lookAt finds what lies at a path now, and holds it to what was remembered in a file: a
// folder that lay on a mount of its own and lies on another disk now is refused (S16), for
// what is written there would fill that disk and count as a backup.
func lookAt(path, file string) (spot, error) {
	now := spot{Path: path, file: file}
	var err error
	if now.Mount, err = mountOf(path); err != nil {
		return now, err
	}
	before, err := recallSpot(file)
	if err != nil || before.Path != path {
		return now, err
	}
	if was := before.Mount.Point; len(was) > len(now.Mount.Point) {
		return now, fmt.Errorf("%s lay on the mount %s (%s), which is not mounted now", path, was, before.Mount.Source)
	}
	return now, nil
}

func recallSpot(file string) (s spot, err error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	if err != nil {
		return s, fmt.Errorf("where the folder was mounted: %w", err)
	}
	return s, nil
}

// remember keeps it for the next time.
func (s spot) remember() error {
	if before, err := recallSpot(s.file); err == nil && before.Path == s.Path && before.Mount == s.Mount {
		return nil
	}
	text, err := json.Marshal(s)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(s.file), 0o700)
	}
	if err == nil {
		err = replaceFile(s.file, append(text, '\n'))
	}
	if err != nil {
		return fmt.Errorf("where %s is mounted: %w", s.Path, err)
	}
	return nil
}

// usable says why a window could not write into a vault's folder. One that is not there
// yet is made, if the folder above it is there.
func (s spot) usable() error {
	if s.Mount.remote() {
		return nil
	}
	dir := s.Path
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		dir = filepath.Dir(dir)
		info, err = os.Stat(dir)
	}
	switch {
	case err != nil:
		return fmt.Errorf("the vault's folder %s: %w; mount its disk, or make the folder above it", s.Path, err)
	case !info.IsDir():
		return fmt.Errorf("the vault's folder %s: %s is no folder", s.Path, dir)
	}
	if err := writable(dir); err != nil {
		return fmt.Errorf("the vault's folder %s cannot be written to: %w", s.Path, err)
	}
	return nil
}

// resolved is a path without symbolic links, as far as it is there.
func resolved(path string) (string, error) {
	rest := ""
	for dir := filepath.Clean(path); ; dir = filepath.Dir(dir) {
		real, err := filepath.EvalSymlinks(dir)
		if err == nil {
			return filepath.Join(real, rest), nil
		}
		if !errors.Is(err, fs.ErrNotExist) || dir == filepath.Dir(dir) {
			return "", err
		}
		rest = filepath.Join(filepath.Base(dir), rest)
	}
}
