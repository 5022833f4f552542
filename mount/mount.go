// Package mount tells what a folder of this machine lies on, and whether it still lies
// there: below a mount that is gone stands an empty folder of another disk, which would
// pass for a backup (S16). It asks the kernel alone, and waits for no disk and no server.
package mount

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// Mount is what a folder lies on. The zero Mount is one that cannot be told.
type Mount struct {
	Point  string `json:"point"`            // the folder that the mount covers; "/" for the machine's own disk, of which nothing else is told
	Type   string `json:"type,omitempty"`   // of its file system
	Root   string `json:"root,omitempty"`   // what of the file system is mounted
	Device string `json:"device,omitempty"` // a disk's UUID or a server's export, as far as it is told
}

// Same says why m is not the mount that was remembered; nil if nothing speaks against it.
func (m Mount) Same(as Mount) error {
	switch {
	case m == Mount{} || as == Mount{}:
		return nil
	case m.Point != as.Point && len(m.Point) < len(as.Point):
		return fmt.Errorf("it lay on what is mounted at %s, and lies on %s now: is it mounted?", as.Point, m.Point)
	case m.Point != as.Point:
		return fmt.Errorf("it lay on %s, and lies on what is mounted at %s now", as.Point, m.Point)
	case m.Type != as.Type, m.Root != as.Root, m.Device != "" && as.Device != "" && m.Device != as.Device:
		return fmt.Errorf("another disk or share is mounted at %s than before: it was %s, and is %s", m.Point, as, m)
	}
	return nil
}

// String is the mount as a person knows it.
func (m Mount) String() string {
	if m.Device == "" {
		return m.Type + " " + m.Root
	}
	return m.Type + " " + m.Device
}

// Remote reports whether a look at the folder may wait for another machine, which may
// stand behind a shut door.
func (m Mount) Remote() bool {
	kind, _, _ := strings.Cut(m.Type, ".")
	return slices.Contains([]string{"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "glusterfs", "afs", "lustre", "fuse", "autofs"}, kind)
}

// Below reports whether a clean path is a folder or lies in it.
func Below(path, folder string) bool {
	return folder == path || strings.HasPrefix(path, strings.TrimSuffix(folder, "/")+"/")
}

// Resolve gives a path without symbolic links, as far as it is there.
func Resolve(path string) (string, error) {
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
