package orchestrator

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"airlock/mount"
	"airlock/policies"
)

// Apart says why a vault would be no second copy: it lies in the repository, around it, or
// in the same place as another vault. Folders of this machine are compared by what they
// are, so that no symbolic link and no second mount hides it; places on servers by their
// names. No server is asked.
func Apart(p policies.Policy, vaultName string) error {
	v := p.Vaults[vaultName].URL
	if err := apartFrom(v, "the repository", p.Repository.URL); err != nil {
		return err
	}
	for _, other := range slices.Sorted(maps.Keys(p.Vaults)) {
		if other == vaultName {
			continue
		}
		if err := apartFrom(v, "vault "+other, p.Vaults[other].URL); err != nil {
			return err
		}
	}
	return nil
}

// apartFrom says why a vault at a place is not apart from another, which is somewhere else.
func apartFrom(v policies.URL, other string, its policies.URL) error {
	how, err := overlap(v, its)
	switch {
	case err != nil:
		return fmt.Errorf("whether %s lies apart from %s is not known: %w", v, other, err)
	case how == same:
		return fmt.Errorf("%s is the same place as %s, at %s: a vault needs one of its own", v, other, its)
	case how == in:
		return fmt.Errorf("%s lies in %s, at %s: a vault needs a place of its own", v, other, its)
	case how == encloses:
		return fmt.Errorf("%s lies around %s, at %s: a vault needs a place of its own", v, other, its)
	}
	return nil
}

// relation is how one place lies to another.
type relation int

const (
	apart relation = iota
	same
	in
	encloses
)

// relate makes a relation of whether the one lies in the other, and the other in the one.
func relate(within, beyond bool) relation {
	switch {
	case within && beyond:
		return same
	case within:
		return in
	case beyond:
		return encloses
	}
	return apart
}

// overlap says how a lies to b.
func overlap(a, b policies.URL) (relation, error) {
	if a.Scheme != b.Scheme {
		return apart, nil
	}
	if a.Scheme == "file" {
		return overlapHere(a.Path, b.Path)
	}
	if !strings.EqualFold(a.Host, b.Host) || a.Port != b.Port || !strings.EqualFold(a.Share, b.Share) {
		return apart, nil
	}
	near, far := path.Clean("/"+a.Path), path.Clean("/"+b.Path)
	if a.Scheme == "smb" { // as Windows takes them
		near, far = strings.ToLower(near), strings.ToLower(far)
	}
	return relate(mount.Below(near, far), mount.Below(far, near)), nil
}

// overlapHere compares two folders of this machine.
func overlapHere(a, b string) (relation, error) {
	ra, err := ancestry(a)
	if err != nil {
		return apart, err
	}
	rb, err := ancestry(b)
	if err != nil {
		return apart, err
	}
	return relate(ra.has(rb) || mount.Below(ra.real, rb.real), rb.has(ra) || mount.Below(rb.real, ra.real)), nil
}

// line is a folder with those above it.
type line struct {
	real  string
	all   []fs.FileInfo // of the folder and of those above it, as far as they are there
	whole bool          // the first of all is the folder itself
}

// ancestry follows symbolic links. Of a folder on a server that may be out of reach, only
// the name is known.
func ancestry(dir string) (line, error) {
	l := line{real: filepath.Clean(dir)}
	if m, err := mount.Of(dir); err != nil || m.Remote() {
		return l, err
	}
	var err error
	if l.real, err = mount.Resolve(dir); err != nil {
		return l, err
	}
	for at := l.real; ; at = filepath.Dir(at) {
		if info, err := os.Stat(at); err == nil {
			l.whole = l.whole || at == l.real
			l.all = append(l.all, info)
		}
		if at == filepath.Dir(at) {
			return l, nil
		}
	}
}

// has says whether the other folder is this one or one above it.
func (l line) has(other line) bool {
	return other.whole && slices.ContainsFunc(l.all, func(info fs.FileInfo) bool { return os.SameFile(info, other.all[0]) })
}
